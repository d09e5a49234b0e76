"""The parts of the accelerator's study, and about how long each takes; they know no file of their own.

A part returns `checks` (name, found, bar, met), `timings` (of `benchmark.studies.speed.device_table`), `ways`
(of running the same step), or some of these.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from statistics import median
from typing import Any
from unittest.mock import patch

import torch

from baselines import CS3G
from baselines.sequential import together
from benchmark.contracts import Holdout, Shape
from benchmark.learning.side_by_side import Losses
from benchmark.run.features import data_directory
from benchmark.run.flags import ROOT
from benchmark.run.split import carve_holdout, split
from benchmark.studies.accelerator import checks
from benchmark.studies.accelerator.checks import Check, check
from benchmark.studies.speed import on_device
from benchmark.studies.speed.device_table import BARS
from datasets import fcvid, ml2000, msra, taobao

DATASETS = {spec.DATASET.id: spec.DATASET for spec in (fcvid, msra, ml2000, taobao)}
SMALL = Shape(n=100, q=3, dims=(5, 4))
"""What a processor pretends with."""
CS3G_SECONDS = {"ml2000": 3.0, "msra": 30.0}
"""Bars of one seed: a tenth of 30 s and of 5 min."""
PAPER_SECONDS = 180.0


@dataclass(frozen=True)
class Lease:
    """Where parts run."""

    device: str
    results: Path
    """Folder of the results of the run at `paper`, with the references."""
    pretend: bool = False
    """Whether a processor stands in, so that shapes are small and nothing is measured."""


@dataclass(frozen=True)
class Part:
    """One step of the study."""

    seconds: int
    """About how long it takes; it does not begin where less is left."""
    run: Callable[[Lease], dict[str, Any]]


def parts() -> dict[str, Part]:
    """Return all parts, by name, in the order in which they run."""
    return {
        "gradients": Part(25, checks.gradients),
        "digests": Part(60, checks.digests),
        "paper": Part(300, paper),
        "memory": Part(30, checks.memory),
        "books": Part(40, checks.books),
        "training": Part(40, checks.training),
        **{f"times-{method}-{name}": Part(30, partial(times, method, name)) for method, name in BARS},
        "cs3g-ml2000": Part(30, partial(cs3g, "ml2000")),
        **{
            f"ways-{method}-{name}": Part(200, partial(ways, method, name))
            for method, name in (("M3LA", "ml2000"), ("M3LA", "msra"), ("DMP", "ml2000"), ("MCC", "ml2000"))
        },
        "cs3g-msra": Part(120, partial(cs3g, "msra")),
    }


def times(method: str, dataset: str, lease: Lease) -> dict[str, Any]:
    """Time a method on a shape, beside the plain program."""
    shape = SMALL if lease.pretend else DATASETS[dataset].expected
    rate = partial(on_device.sgemm_rate, lease.device, 64 if lease.pretend else on_device.SGEMM_SIZE)
    n_steps = 2 if lease.pretend else 60
    timing = on_device.time_on_device(method, dataset, shape, n_steps, lease.device, rate)
    return {"timings": [timing.to_json()]}


def ways(method: str, dataset: str, lease: Lease) -> dict[str, Any]:
    """Time ways of running the same step: called, replayed, and the reference, also compiled by torch."""
    shape, n_steps = (SMALL, 2) if lease.pretend else (DATASETS[dataset].expected, 60)
    small = {"hidden": 4} if lease.pretend else {}
    found = []
    for way, wrapped, form in (
        ("called", None, "fast"),
        ("replayed", None, "fast"),
        ("reference, replayed", None, "reference"),
        ("reference, compiled, replayed", compiled, "reference"),
    ):
        if lease.pretend and wrapped is not None:  # needs a compiler of C++ there, and minutes
            continue
        if method != "M3LA" and way == "reference, replayed":  # the only form that they have on a device
            continue
        with ExitStack() as how:
            if way == "called":
                how.enter_context(on_device.called_not_replayed())
            if wrapped is not None:  # torch does not compile what draws from a generator
                drawn = torch.compiler.disable(together._Group._masks)
                how.enter_context(patch.object(together._Group, "_masks", drawn))
            steps = on_device.group(method, shape, lease.device, wrapped, form=form, **small)
            if wrapped is not None:
                whole = torch.compile(steps.optimiser.step)
                how.enter_context(patch.object(steps.optimiser, "step", whole))
            first, each = on_device.time_group(steps, n_steps)
            launches = on_device.launches(steps, lease.device)
        found.append(
            {
                "method": method,
                "dataset": dataset,
                "way": way,
                "first_seconds": first,
                "ms": 1000 * median(each),
                "launches": launches,
            }
        )
    return {"ways": found}


def compiled(losses: Losses) -> Losses:
    """Compile losses without any choice at run time, as that would choose bits."""
    import torch._inductor.config as inductor

    if hasattr(inductor, "deterministic"):
        inductor.deterministic = True
    return torch.compile(losses, dynamic=False)


def cs3g(dataset: str, lease: Lease) -> dict[str, Any]:
    """Fit CS3G on the first split as a job does; a data set that is not real counts too, as its time does."""
    spec = DATASETS[dataset]
    data = spec.load(data_directory(None, [spec]))
    train = split(data.rows_id, len(data.labels), 0).train[: 150 if lease.pretend else None]
    fit_rows, held = carve_holdout(data.rows_id, train, 0)
    rows = [tuple(x[part] for x in data.modalities) for part in (fit_rows, held)]
    fewer: dict[str, Any] = {"ridge_grid": (0.1, 0.01), "lasso_grid": (0.0,)} if lease.pretend else {}
    method = CS3G(device=lease.device, **fewer)
    started = time.perf_counter()
    method.fit_scores(rows[0], data.labels[fit_rows], holdout=Holdout(rows[1], data.labels[held]))
    seconds, bar = time.perf_counter() - started, CS3G_SECONDS[dataset]
    met = None if lease.pretend else seconds <= bar
    chosen = f"{seconds:.1f} s, chose {tuple(method.strengths_)}, {method.n_not_converged_} not converged"
    return {"checks": [check(f"CS3G on {dataset}, one seed", chosen, f"at most {bar:g} s", met)]}


def paper(lease: Lease, call: Callable[[list[str]], int] | None = None) -> dict[str, Any]:
    """Run ML2000's ten seeds of all rows, and hold them against the reference by `drift`'s band."""
    call = call or _run_all
    choice = ["--datasets", "ml2000", "--results", str(lease.results)]
    how = ["--profile", "paper", "--seeds", "10"]
    if lease.pretend:
        how = ["--profile", "tiny", "--seeds", "1", "--methods", "BR"]
    references = lease.results / "reference"
    if not references.exists():
        shutil.copytree(ROOT / "results" / "reference", references)
    started = time.monotonic()
    ran = call(["run", *choice, *how, "--device", lease.device])
    seconds = time.monotonic() - started
    drifted = call(["drift", *choice, *how, "--summary", str(lease.results / "drift-ml2000.md")])
    judged = not lease.pretend
    found: list[Check] = [
        check("all jobs of ML2000 end", f"exit code {ran}", "0", ran == 0),
        check(
            "ML2000, ten seeds, all rows",
            f"{seconds:.0f} s",
            f"at most {PAPER_SECONDS:g} s",
            seconds <= PAPER_SECONDS if judged and ran == 0 else None,
        ),
        check("drift from the reference", f"exit code {drifted}", "0", drifted == 0 if judged else None),
    ]
    return {"checks": found}


def _run_all(arguments: list[str]) -> int:
    return subprocess.run([sys.executable, str(ROOT / "run_all.py"), *arguments], check=False).returncode
