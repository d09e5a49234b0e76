"""Methods on devices that are pretended, and runs of them; apart, so that child processes find them."""

# ruff: noqa: ARG001, ARG002, NPY002 - toys take what the contracts pass, and one draws what nobody should

from __future__ import annotations

import io
import os
import random
import sys
import time
import warnings
from collections import defaultdict
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from rich.console import Console
from sklearn.base import BaseEstimator
from tiny_benchmark import Prior, fit_each, method, registry

from benchmark.contracts import CannotTrainTogetherError
from benchmark.run.bench import Bench
from benchmark.run.config import Running
from benchmark.run.devices import DevicePool
from benchmark.run.memory import forget_peak, peak_mib
from benchmark.run.plan import make_plan
from benchmark.run.pool import run_plan
from benchmark.run.progress import Progress
from benchmark.run.times import Machine


class OnAnyDevice:
    """Makes a toy a method that uses a device."""

    def __init__(self, device="cpu", trouble="", troubled_seeds=(0,), random_state=0):
        super().__init__(trouble=trouble, troubled_seeds=troubled_seeds, random_state=random_state)
        self.device = device

    def get_params(self, deep=True):
        return {name: getattr(self, name) for name in ("device", "trouble", "troubled_seeds", "random_state")}


class Noting(Prior):
    """Notes in a file which process fitted which seed on which device, and from when to when."""

    def __init__(self, log="", device="cpu", seconds=0.0, trouble="", troubled_seeds=(0,), random_state=0):
        super().__init__(
            seconds=seconds, trouble=trouble, troubled_seeds=troubled_seeds, random_state=random_state
        )
        self.log, self.device = log, device

    def get_params(self, deep=True):
        names = ("log", "device", "seconds", "trouble", "troubled_seeds", "random_state")
        return {name: getattr(self, name) for name in names}

    def fit(self, modalities, labels, holdout=None):
        began = time.monotonic()
        super().fit(modalities, labels)
        with Path(self.log).open("a") as log:
            log.write(f"{self.device} {os.getpid()} {self.streams_.seed} {began} {time.monotonic()}\n")
        return self


class NotingOnCores(Noting):
    """The same of a method that uses no device."""

    def __init__(self, log="", seconds=0.0, random_state=0):
        super().__init__(log, "cores", seconds, random_state=random_state)

    def get_params(self, deep=True):
        return {name: getattr(self, name) for name in ("log", "seconds", "random_state")}


class Meeting(Noting):
    """Says that it is at work, and goes on once the other one says so too."""

    def __init__(self, log="", meeting=("", ""), device="cpu", random_state=0):
        super().__init__(log, device, random_state=random_state)
        self.meeting = meeting

    def get_params(self, deep=True):
        return {name: getattr(self, name) for name in ("log", "meeting", "device", "random_state")}

    def take_time(self):
        own, other = map(Path, self.meeting)
        own.touch()
        deadline = time.monotonic() + 120
        while not other.exists():
            if time.monotonic() > deadline:
                raise ValueError("the other one did not come")
            time.sleep(0.05)


class MeetingOnCores(Meeting):
    """The same of a method that uses no device."""

    def __init__(self, log="", meeting=("", ""), random_state=0):
        super().__init__(log, meeting, "cores", random_state)

    def get_params(self, deep=True):
        return {name: getattr(self, name) for name in ("log", "meeting", "random_state")}


def notes(log):
    """Return what was noted, by device: process, seed, beginning, end."""
    found = defaultdict(list)
    for line in Path(log).read_text().splitlines():
        device, pid, seed, began, ended = line.split()
        found[device].append((int(pid), int(seed), float(began), float(ended)))
    return found


class Meddler(BaseEstimator):
    """Scores with whatever its process holds, and leaves that otherwise."""

    FACTORS = ()

    def __init__(self, device="cpu", random_state=0):
        self.device, self.random_state = device, random_state

    def fit(self, modalities, labels, holdout=None):
        self.q_ = labels.shape[1]
        held = [
            *(random.random(), np.random.random(), float(torch.rand(1))),
            *(float(torch.get_num_threads()), float(len(os.environ)), float(len(warnings.filters))),
            *(float(np.geterr()["over"] == "raise"), float(torch.get_default_dtype() == torch.float64)),
            *(float(torch.is_grad_enabled()), float(torch.are_deterministic_algorithms_enabled())),
            float(len(Path.cwd().parts)),
        ]
        self.scores_ = np.array(held) / 1000
        np.random.seed(1)
        torch.manual_seed(1)
        torch.set_num_threads(2)
        torch.use_deterministic_algorithms(False)
        torch.set_default_dtype(torch.float64)
        torch.set_grad_enabled(False)
        np.seterr(over="raise")
        warnings.simplefilter("ignore")
        os.environ["MEDDLED"] = "1"
        os.chdir("/")
        return self

    def predict_scores(self, modalities):
        return np.resize(self.scores_, (len(modalities[0]), self.q_))


def fit_few(methods, problems, width=None):
    """Fit at most three together; more do not fit into the memory, unless `width` says how many may."""
    if len(methods) > 3:
        raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 3.00 GiB")
    return fit_each(methods, problems)


def fit_wide(methods, problems, width=10):
    """Fit as many as one likes, in arrays with room for `width`, of which more than five do not fit."""
    if width > 5:
        raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 3.00 GiB")
    return fit_each(methods, problems)


def fit_none(methods, problems):
    raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 3.00 GiB")


def fit_refused(methods, problems):
    raise CannotTrainTogetherError("they differ in more than their seed")


def peak_after(mib):
    """Hold so much for a moment, and return the largest memory that this process had since it last asked."""
    held = bytearray(b"x") * mib * 2**20
    del held
    peak = peak_mib()
    forget_peak()
    return peak


def together(name="Together", fit=fit_each, estimator=Noting, **options):
    """Return a method whose seeds train together."""
    return replace(method(name, estimator, **options), fit_together=fit)


def pretended(folder, count):
    """Return a pool of so many devices."""
    return DevicePool(tuple(f"pretended:{k}" for k in range(count)), folder / "locks")


class RunOn:
    """A folder of results, and runs in it on pretended devices, or on CPUs alone where there are none."""

    def __init__(self, folder, toys, pool=None, seeds="10"):
        self.bench = Bench.of(toys, profile="tiny", seeds=seeds, data_dir=folder, results_dir=folder)
        self.pool = pool or DevicePool(("cpu",), folder)
        self.output = io.StringIO()

    def plan(self, **how):
        running, devices = Running(how.pop("jobs", 1), **how), self.pool.accelerators
        machine = Machine("pretended" if devices else "cpu", accelerators=len(devices))
        return make_plan(self.bench, retry_failed=running.retry_failed, machine=machine), running

    def __call__(self, end=None, **how):
        plan, running = self.plan(**how)
        progress = Progress(plan.to_run(), running.jobs, Console(file=self.output), plan.accelerators)
        return run_plan(plan, self.bench, running, self.pool, progress, end)

    def records(self):
        return {(record.method, record.seed): record for record in self.bench.store.scan().records}

    def digests(self):
        return {key: record.score_digest for key, record in self.records().items()}


def main():
    """Run slow jobs on two devices and two cores from the command line; tests end it with a signal."""
    from benchmark.cli import main
    from benchmark.run import devices

    folder = Path(sys.argv[1])
    devices.available_pool = lambda *_: pretended(folder, 2)
    log = str(folder / "log")
    toys = registry(
        *(together(name, log=log, seconds=0.2) for name in "AB"),
        *(method(name, NotingOnCores, log=log, seconds=0.2) for name in "CD"),
    )
    places = ["--results", str(folder), "--data", str(folder)]
    return main(["run", "--profile", "tiny", "--seeds", "40", "--jobs", "4", *places], toys)


if __name__ == "__main__":
    import pretended as itself  # child processes must find the toys in a module, not in a script

    raise SystemExit(itself.main())
