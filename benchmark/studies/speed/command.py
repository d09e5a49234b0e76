"""`run_all.py speed`: times training steps, prints and judges them; heavy imports wait for the call."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmark.run import flags
from benchmark.run.flags import Command

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from benchmark.registry import Registry
    from benchmark.studies.speed.judge import Timing


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's flags."""
    parser.add_argument(
        "--methods", metavar="NAMES", help="among M3LA, DMP and MCC, comma-separated, any case; default: all"
    )
    parser.add_argument(
        "--datasets", metavar="NAMES", help="whose shapes: names and globs; default: the paper's four"
    )
    parser.add_argument(
        "--steps",
        type=flags.whole_number(),
        default=30,
        metavar="N",
        help="timed steps of each form, of which a measurement that counts needs 30; default: 30",
    )
    parser.add_argument(
        "--device",
        default="cpu",
        help="cpu, or cuda or cuda:1: ten networks side by side on an accelerator; default: cpu",
    )
    flags.add_json(parser)
    parser.add_argument(
        "--out", metavar="DIR", type=Path, help="also write speed.json and speed.md to this folder"
    )


def run(args: argparse.Namespace, registry: Registry) -> int:
    """Time and print; 0 where no bar is missed, 1 where one is, 2 where a measurement does not count.

    Raises
    ------
    ValueError
        If a name is unknown, the two forms of a method differ, or the device is not there.
    """
    if args.device.lower() != "cpu":
        return _run_on_device(args, registry)

    import json
    import sys

    from benchmark.exit_codes import CANNOT, FINDING, OK
    from benchmark.registry import select
    from benchmark.run.environment import describe_environment
    from benchmark.studies.speed import measure as speed
    from benchmark.studies.speed.judge import SHAPES, bars, mean_ratios
    from benchmark.studies.speed.text import render_speed

    methods = select(args.methods, tuple(speed.RIVALS), "method with a plain form").ids
    default = ",".join(name for name in SHAPES if name in registry.datasets) or None
    datasets = registry.select_datasets(args.datasets or default).ids
    speed.prepare_process()
    timings: list[Timing] = []
    for method in methods:
        for dataset in datasets:
            print(f"timing {method} on {dataset}", file=sys.stderr, flush=True)
            shape = registry.datasets[dataset].expected
            timings.append(speed.time_method(method, dataset, shape, args.steps, speed.sgemm_rate))
    machine = _machine(describe_environment())
    found = bars(timings, machine["instructions"])
    page = render_speed(timings, mean_ratios(timings), found, machine)
    listed = json.dumps([timing.to_json() for timing in timings], indent=1)
    if args.out is not None:
        _write(args.out, listed, page)
    print(listed if args.json else page.rstrip("\n"))
    _explain(timings)
    if any(timing.objections for timing in timings):
        return CANNOT
    return FINDING if any(bar.met is False for bar in found) else OK


def _run_on_device(args: argparse.Namespace, registry: Registry) -> int:
    """Time and print as `run` does, on one accelerator."""
    import json
    import sys
    from functools import partial

    from benchmark.exit_codes import CANNOT, FINDING, OK
    from benchmark.registry import select
    from benchmark.run.devices import available_pool
    from benchmark.studies.speed import measure, on_device
    from benchmark.studies.speed.device_table import BARS, device_bars, render_device_speed

    device = available_pool(args.device).devices[0]
    methods = select(args.methods, tuple(on_device.ESTIMATORS), "method with a plain form").ids
    names = registry.select_datasets(args.datasets or ",".join(sorted({name for _, name in BARS}))).ids
    measure.prepare_process()
    timings = []
    for method in methods:
        for name in names if args.datasets else [name for name in names if (method, name) in BARS]:
            print(f"timing {method} on {name}, {device}", file=sys.stderr, flush=True)
            shape, rate = registry.datasets[name].expected, partial(on_device.sgemm_rate, device)
            timings.append(on_device.time_on_device(method, name, shape, args.steps, device, rate))
    page = render_device_speed(timings, on_device.card(device))
    listed = json.dumps([timing.to_json() for timing in timings], indent=1)
    if args.out is not None:
        _write(args.out, listed, page)
    print(listed if args.json else page.rstrip("\n"))
    if any(timing.objections for timing in timings):
        return CANNOT
    return FINDING if any(bar.met is False for bar in device_bars(timings)) else OK


def _machine(environment: Mapping[str, Any]) -> dict[str, Any]:
    """Return what of the environment a time depends on."""
    return {
        "architecture": environment["machine"],
        "instructions": environment["cpu_capability"],
        "torch": environment["libraries"]["torch"],
        "threads": environment["torch_threads"],
    }


def _write(folder: Path, listed: str, page: str) -> None:
    from benchmark.files import write_text

    write_text(folder / "speed.json", listed + "\n")
    write_text(folder / "speed.md", page)


def _explain(timings: Sequence[Timing]) -> None:
    """Say on the error stream what does not count."""
    import sys

    for timing in timings:
        for why in timing.objections:
            print(f"{timing.method} on {timing.dataset} does not count: {why}", file=sys.stderr)


COMMANDS = {"speed": Command("time training steps against plain PyTorch programs", add_arguments, run)}
