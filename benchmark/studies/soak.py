"""Kills whole runs at random moments, starts them again, and holds what they leave to an undisturbed run.

`python -m benchmark.studies.soak FOLDER --kills 50 -- --profile tiny --methods BR,CC --seeds 4 --jobs 2` can
be stopped and started again; what follows `--` are flags of `run`. It knows processes and files, no method.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil

from benchmark.contracts import Record
from benchmark.exit_codes import FINDING, OK
from benchmark.files import write_text
from benchmark.run.bench import RUNS
from benchmark.run.flags import ROOT, whole_number
from benchmark.run.scratch import FOLDER as PROCESSES
from benchmark.run.scratch import SHARED
from benchmark.run.store import RecordStore

GOES_ON = ("KILL worker", "KILL job", "KILL fork server")
"""After which a run is to go on to its end."""
MARK = "M3LA_SOAK"
"""In the environment of every process of a run, so that none can hide."""
PATIENCE = 60.0
"""Seconds after which a killed run must have no process left; a fork server first ends its imports."""
MEASURED = "resources"
"""The table of time and memory, which no two runs share."""
CLOCK = """import os, time
real = time.time
time.time = lambda: real() - 86400.0 * os.path.exists({flag!r})
"""
"""A `sitecustomize` under which a file sets the clock back by a day."""
KINDS = (
    *("KILL main", "KILL worker", "KILL job", "KILL fork server", "KILL main and workers", "KILL all"),
    *("TERM main", "TERM all", "INT once", "INT twice", "clock back, KILL all"),
)


def shared() -> set[Path]:
    """Return the named semaphores and shared memory of this machine."""
    return set(SHARED.iterdir()) if SHARED.is_dir() else set()


@dataclass(frozen=True)
class Soak:
    """A folder with an undisturbed run, one that is killed again and again, and what was done to it."""

    folder: Path
    run_flags: Sequence[str]
    seed: int
    before: frozenset[Path] = field(default_factory=lambda: frozenset(shared()))
    """Of others, killed before: the number of a process is given again."""

    def results(self, kind: str) -> Path:
        """Return the results folder of a run."""
        return self.folder / kind

    def start(self, kind: str, temporary: Path) -> subprocess.Popen[bytes]:
        """Start a run as a terminal does: a process group of its own, Ctrl-C heard."""
        command = [sys.executable, "run_all.py", "run", *self.run_flags, "--retry-failed"]
        command += ["--results", str(self.results(kind))]
        hook = temporary / "hook"
        hook.mkdir(exist_ok=True)
        write_text(hook / "sitecustomize.py", CLOCK.format(flag=str(temporary / "back")))
        path = os.pathsep.join([str(hook), *filter(None, [os.environ.get("PYTHONPATH")])])
        environment = {**os.environ, "TMPDIR": str(temporary), MARK: str(self.folder), "PYTHONPATH": path}
        with (self.folder / f"{kind}.log").open("ab") as log:
            return subprocess.Popen(
                command,
                cwd=ROOT,
                env=environment,
                stdout=log,
                stderr=log,
                start_new_session=True,
                preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
            )

    def processes(self) -> list[psutil.Process]:
        """Return every living process of a run of this folder."""
        found = []
        for process in psutil.process_iter():
            with suppress(psutil.Error):
                if process.environ().get(MARK) == str(self.folder) and process.status() != "zombie":
                    found.append(process)
        return [process for process in found if process.pid != os.getpid()]


def targets(kind: str, main: int, processes: Sequence[psutil.Process]) -> list[psutil.Process]:
    """Choose whom a kind of kill is for; nobody where there is none now."""
    by_role: dict[str, list[psutil.Process]] = {}
    for process in processes:
        with suppress(psutil.Error):
            by_role.setdefault(role(process, main), []).append(process)
    _, _, whom = kind.rpartition("KILL ") if "KILL" in kind else kind.partition("TERM ")
    if whom == "all":
        return list(processes)
    if whom == "main and workers":
        return [*by_role.get("main", ()), *by_role.get("worker", ())]
    return by_role.get(whom, [])[:1]


def role(process: psutil.Process, main: int) -> str:
    """Say what a process of a run is: `main`, `worker`, `fork server`, `job` or `tracker`."""
    if process.pid == main:
        return "main"
    command = " ".join(process.cmdline())
    if "resource_tracker" in command:
        return "tracker"
    if "loky" in command:
        return "worker"
    parent = process.parent()
    return "job" if parent is not None and parent.cmdline() == process.cmdline() else "fork server"


def strike(soak: Soak, run: subprocess.Popen[bytes], kind: str, back: Path) -> int:
    """Do one kind of harm to a run now; return how many processes it was done to."""
    if kind.startswith("INT"):
        for _ in range(1 + (kind == "INT twice")):
            with suppress(ProcessLookupError):
                os.killpg(run.pid, signal.SIGINT)
            time.sleep(0.3)
        return 1
    if kind.startswith("clock"):
        write_text(back, "")
        time.sleep(0.5)
    while not (chosen := targets(kind, run.pid, soak.processes())) and run.poll() is None:
        pass  # jobs are short
    for process in chosen:
        with suppress(psutil.Error):
            process.send_signal(signal.SIGTERM if kind.startswith("TERM") else signal.SIGKILL)
    return len(chosen)


def disturb(soak: Soak, kind: str, after: float, temporary: Path) -> dict[str, Any]:
    """Run, do harm after some seconds, wait for the end; tell what happened and what should not have."""
    run = soak.start("disturbed", temporary)
    with suppress(subprocess.TimeoutExpired):
        run.wait(after)
    pids = [process.pid for process in soak.processes()]
    struck = 0 if run.poll() is not None else strike(soak, run, kind, temporary / "back")
    whole = struck and kind not in GOES_ON
    code: int | None = None
    with suppress(subprocess.TimeoutExpired):
        code = run.wait(PATIENCE if whole else 20 * PATIENCE)
    found = [f"no end of the main process after {kind}"] if code is None else []
    for process in remaining(soak):
        found.append(f"outlived the run: {process.pid} {command_of(process)}")
        with suppress(psutil.Error):
            process.kill()
    (temporary / "back").unlink(missing_ok=True)
    told = {"kind": kind, "after": round(after, 2), "struck": struck, "code": code}
    return {**told, "found": found, "pids": pids}


def command_of(process: psutil.Process) -> str:
    """Return the beginning of a process's command line, nothing of one that is gone."""
    with suppress(psutil.Error):
        return " ".join(process.cmdline())[:200]
    return ""


def remaining(soak: Soak) -> list[psutil.Process]:
    """Wait until no process of a run is left, but no longer than `PATIENCE`; return those that are."""
    end = time.monotonic() + PATIENCE
    while (left := soak.processes()) and time.monotonic() < end:
        time.sleep(0.2)
    return left


def differences(results: Path, undisturbed: Path) -> Iterator[str]:
    """Yield what a folder of results has more, less or otherwise than that of an undisturbed run."""
    stores = [RecordStore(folder / RUNS) for folder in (results, undisturbed)]
    ours, theirs = (of_jobs(store) for store in stores)
    yield from (f"unreadable: {message}" for message in stores[0].scan().broken)
    for job in sorted({*ours, *theirs}):
        if job not in ours or job not in theirs:
            yield f"{job}: recorded in one of the two only"
        elif arrays_of(stores[0], ours[job]) != arrays_of(stores[1], theirs[job]):
            yield f"{job}: {ours[job].status}, other arrays"
    tables = [
        {path.name: path.read_bytes() for path in (folder / "tables").iterdir() if path.stem != MEASURED}
        for folder in (results, undisturbed)
    ]
    for name in sorted({*tables[0], *tables[1]}):
        if tables[0].get(name) != tables[1].get(name):
            yield f"tables/{name} differs"


def of_jobs(store: RecordStore) -> dict[str, Record]:
    """Return the records by folder."""
    records = store.scan().records
    return {
        str(store.folder(record.job, record.config_hash).relative_to(store.root)): record
        for record in records
    }


def arrays_of(store: RecordStore, record: Record) -> Mapping[str, bytes]:
    """Return the bytes of a finished job's arrays."""
    if record.status != "done":
        return {}
    return {name: array.tobytes() for name, array in store.arrays(record).items()}


def leftovers(soak: Soak, temporary: Path, pids: set[int]) -> Iterator[str]:
    """Yield what a run that ended left: processes, held locks, semaphores, temporary files."""
    yield from (f"process {' '.join(command_of(process))[:200]}" for process in remaining(soak))
    store = RecordStore(soak.results("disturbed") / RUNS)
    for record in store.scan().records:
        if store.is_held(record.job, record.config_hash):
            yield f"held lock of {record.job}"
    hidden = (path for path in soak.results("disturbed").rglob(".*") if path.name != ".locks")
    yield from (f"{path}" for path in hidden)
    yield from (f"{path}" for path in store.lock_dir.glob(".*"))
    known = ("hook", f"{PROCESSES}-{os.getuid()}", "torchinductor_")  # the last: torch's cache, one a user
    yield from (f"{path}" for path in temporary.iterdir() if not path.name.startswith(known))
    yield from (f"{path}" for path in (temporary / f"{PROCESSES}-{os.getuid()}").glob("*"))
    for path in shared() - soak.before:
        if any(f"-{pid}-" in path.name or f"_{pid}_" in path.name for pid in pids):
            yield f"{path}"


def judged(soak: Soak, temporary: Path, pids: set[int]) -> list[str]:
    """Return what a run that came to its end should not have left or lacks; then begin anew."""
    undisturbed, disturbed = soak.results("undisturbed"), soak.results("disturbed")
    found = [*differences(disturbed, undisturbed), *leftovers(soak, temporary, pids)]
    if found:
        disturbed.rename(soak.folder / f"found-{time.time_ns()}")
    else:
        shutil.rmtree(disturbed)
    return found


def undisturbed_seconds(soak: Soak, temporary: Path) -> float:
    """Make the run that others are held to, unless that was done; return how long it took.

    Raises
    ------
    RuntimeError
        If it fails.
    """
    note = soak.folder / "seconds"
    if not note.is_file():
        shutil.rmtree(soak.results("undisturbed"), ignore_errors=True)
        started = time.monotonic()
        if soak.start("undisturbed", temporary).wait() != OK:
            raise RuntimeError(f"the undisturbed run failed; see {soak.folder / 'undisturbed.log'}")
        write_text(note, str(time.monotonic() - started))
    return float(note.read_text(encoding="ascii"))


def soak_through(soak: Soak, kills: int) -> list[dict[str, Any]]:
    """Kill until the log holds as many kills, let the last run come to its end, and return the log."""
    soak.folder.mkdir(parents=True, exist_ok=True)
    log = soak.folder / "kills.jsonl"
    told = (
        [json.loads(line) for line in log.read_text(encoding="utf-8").splitlines()] if log.is_file() else []
    )
    with tempfile.TemporaryDirectory(prefix="soak-") as name:
        seconds = undisturbed_seconds(soak, Path(name))
        while (struck := sum(bool(line["struck"]) for line in told)) < kills or told[-1]["code"] != OK:
            kind = KINDS[struck % len(KINDS)] if struck < kills else "nothing"
            after = random.Random(f"{soak.seed} {len(told)}").uniform(0.0, seconds)
            line = disturb(soak, kind, after, Path(name))
            told.append(line)
            if line["code"] == OK:
                line["found"] += judged(soak, Path(name), {pid for one in told for pid in one["pids"]})
            write_text(log, "".join(json.dumps(one) + "\n" for one in told))
            print(json.dumps({**line, "pids": len(line["pids"])}), flush=True)
    return told


def main(argv: Sequence[str] | None = None) -> int:
    """Soak, and say how many kills of each kind were survived and what they found."""
    arguments = list(sys.argv[1:] if argv is None else argv)
    split = arguments.index("--") if "--" in arguments else len(arguments)
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path, metavar="FOLDER", help="for both runs and the log; resumed")
    parser.add_argument("--kills", type=whole_number(), default=50, help="how many; default: 50")
    parser.add_argument("--seed", type=int, default=0, help="of the moments; default: 0")
    args = parser.parse_args(arguments[:split])
    told = soak_through(Soak(args.folder.resolve(), arguments[split + 1 :], args.seed), args.kills)
    counts = Counter(line["kind"] for line in told if line["struck"])
    print("\n".join(f"{number:4} {kind}" for kind, number in counts.items()))
    found = [f"{line['kind']}: {text}" for line in told for text in line["found"]]
    print("\n".join(found) or f"{sum(counts.values())} kills, and nothing was lost, doubled or left over")
    return FINDING if found else OK


if __name__ == "__main__":
    raise SystemExit(main())
