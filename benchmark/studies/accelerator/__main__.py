"""`python -m benchmark.studies.accelerator`: for a lease of at most 8 minutes, part by part.

Each part leaves a JSON file in the folder of results; the next call goes on with what is missing there, so
that several short leases of one card do what a long one would. What takes longer than what is left of
`--seconds` waits for the next call.

    python -m benchmark.studies.accelerator                    # on a machine with a card and 16 cores
    python -m benchmark.studies.accelerator --pretend          # on a processor, to see that it runs
"""

from __future__ import annotations

import argparse
import json
import sys
import time
import traceback
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch

from benchmark.exit_codes import CANNOT, FINDING, OK
from benchmark.files import write_text
from benchmark.run.flags import ROOT, whole_number
from benchmark.studies.accelerator.parts import Lease, Part, parts
from benchmark.studies.accelerator.text import render
from benchmark.studies.speed.measure import prepare_process
from benchmark.studies.speed.on_device import card

LEASE_SECONDS = 480
NEEDED = (
    "no accelerator: torch finds no NVIDIA GPU here (torch.cuda.is_available() is false).\n"
    "Needed: one GPU of 80 GB, such as an H100 or H200, 16 cores, and torch with CUDA "
    "(https://pytorch.org/get-started); 8 minutes a call, which goes on where the last one ended.\n"
    "On a processor: --pretend runs the same parts on small shapes, and measures nothing."
)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the parts that are missing, and write what all of them found."""
    parser = argparse.ArgumentParser(prog="python -m benchmark.studies.accelerator", description=__doc__)
    parser.add_argument("--out", type=Path, default=ROOT / "results" / "accelerator")
    parser.add_argument("--results", type=Path, default=ROOT / "results", help="of the run at `paper`")
    parser.add_argument("--seconds", type=whole_number(), default=LEASE_SECONDS, help="of this call")
    parser.add_argument("--parts", metavar="NAMES", help="comma-separated; default: all that are missing")
    parser.add_argument("--again", action="store_true", help="also parts that are there")
    parser.add_argument("--device", default="cuda:0")
    parser.add_argument("--pretend", action="store_true", help="on a processor, small shapes")
    given = parser.parse_args(arguments)
    if not given.pretend and not torch.cuda.is_available():
        print(NEEDED, file=sys.stderr)
        return CANNOT
    prepare_process()
    lease = Lease("cpu" if given.pretend else given.device, given.results, given.pretend)
    todo = parts()
    if given.parts is not None:
        if unknown := set(given.parts.split(",")) - todo.keys():
            parser.error(f"--parts: no part {', '.join(sorted(unknown))}; there are {', '.join(todo)}")
        todo = {name: todo[name] for name in given.parts.split(",")}
    _run(todo, lease, given.out, given.seconds, again=given.again)
    found = read_parts(given.out)
    page = render(found)
    write_text(given.out / "report.md", page)
    print(page.rstrip("\n"))
    bad = [check for part in found.values() for check in part.get("checks", ()) if check["met"] is False]
    return FINDING if bad or any("error" in part for part in found.values()) else OK


def _run(todo: Mapping[str, Part], lease: Lease, out: Path, seconds: float, *, again: bool) -> None:
    """Run parts one after another while there is time, and write what each found."""
    end = time.monotonic() + seconds
    about = vars(card(lease.device))
    for name, part in todo.items():
        file = out / f"{name}.json"
        before = json.loads(file.read_text(encoding="utf-8")) if file.exists() else {}
        if before.get("device") == about and "error" not in before and not again:
            continue
        if part.seconds > end - time.monotonic() and not lease.pretend:
            print(f"{name}: left for the next call, it takes about {part.seconds} s", file=sys.stderr)
            continue
        print(f"{name}: begins", file=sys.stderr, flush=True)
        started = time.monotonic()
        content: dict[str, Any]
        try:
            content = part.run(lease)
        except Exception:  # the other parts go on; this one is tried again by the next call
            content = {"error": traceback.format_exc()}
        taken = round(time.monotonic() - started, 1)
        content = {"part": name, "device": about, "seconds": taken, **content}
        write_text(file, json.dumps(content, indent=1) + "\n")
        print(f"{name}: {taken} s", file=sys.stderr, flush=True)


def read_parts(out: Path) -> dict[str, dict[str, Any]]:
    """Return what each part found, by name, in the order in which they run."""
    return {
        name: json.loads((out / f"{name}.json").read_text(encoding="utf-8"))
        for name in parts()
        if (out / f"{name}.json").exists()
    }


if __name__ == "__main__":
    sys.exit(main())
