"""A benchmark of toy methods and toy data for tests, in a module of its own for child processes."""

# ruff: noqa: ARG002 - toys take what the contracts pass

from __future__ import annotations

import os
import signal
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import psutil
from sklearn.base import BaseEstimator

from benchmark.contracts import Dataset, MethodSpec, Provenance, Shape, Streams
from benchmark.registry import Registry


class Prior(BaseEstimator):
    """Scores rows with the label frequencies, blurred by the job's randomness; misbehaves on demand."""

    FACTORS = ()

    def __init__(self, blur=0.1, epochs=5, seconds=0.0, trouble="", troubled_seeds=(0,), random_state=0):
        self.blur = blur
        self.epochs = epochs
        self.seconds = seconds
        self.trouble = trouble
        self.troubled_seeds = troubled_seeds
        self.random_state = random_state

    def fit(self, modalities, labels, holdout=None):
        self.streams_ = Streams.of(self.random_state)
        if self.trouble and self.streams_.seed in self.troubled_seeds:
            TROUBLES[self.trouble]()
        self.take_time()
        self.frequencies_ = labels.mean(axis=0)
        return self

    def take_time(self):
        time.sleep(self.seconds)

    def predict_scores(self, modalities):
        noise = self.streams_.generator("choices").random((len(modalities[0]), len(self.frequencies_)))
        return (1 - self.blur) * self.frequencies_ + self.blur * noise


class Careful(Prior):
    """Asks for a hold-out and scores its rows."""

    needs_holdout = True

    def fit(self, modalities, labels, holdout=None):
        super().fit(modalities, labels)
        self.holdout_scores_ = self.predict_scores(holdout.modalities)
        return self


class Busy(Prior):
    """Takes its time on the processor."""

    def take_time(self):
        end = time.process_time() + self.seconds
        while time.process_time() < end:
            pass


class BusyAndCareful(Busy, Careful):
    """Both."""


class OneByOne(Prior):
    """Reads the left modality (cost 1) of every instance, and of every other one the right too (cost 2)."""

    def trace(self, modalities):
        both = np.arange(len(modalities[0])) % 2 == 1
        return {
            "n_read": (1 + both).astype(np.int32)[:, None],
            "reading_cost": (1 + 2 * both).astype(np.float32)[:, None],
            "extracted": np.stack([np.ones_like(both), both], axis=1),
            "modality_costs": np.array([1.0, 2.0], np.float32),
        }


class Measured(Prior):
    """Traces how many features it was given."""

    def trace(self, modalities):
        return {"widths": np.array([x.shape[1] for x in modalities])}


class HalfTraced(OneByOne):
    """Forgets what else its trace must hold."""

    def trace(self, modalities):
        return {"n_read": super().trace(modalities)["n_read"]}


class Unstorable(Prior):
    """Traces, for seed 0, what no file of arrays can hold."""

    def trace(self, modalities):
        return {"odd": np.array([object()]) if self.streams_.seed == 0 else np.zeros(1)}


class OnDevice(Prior):
    """Notes in a file when it used which device."""

    def __init__(self, log="", device="cpu", seconds=0.0, random_state=0):
        super().__init__(seconds=seconds, random_state=random_state)
        self.log = log
        self.device = device

    def get_params(self, deep=True):
        return {name: getattr(self, name) for name in ("log", "device", "seconds", "random_state")}

    def fit(self, modalities, labels, holdout=None):
        started = time.monotonic()
        super().fit(modalities, labels)
        with Path(self.log).open("a") as log:
            log.write(f"{self.device} {started} {time.monotonic()}\n")
        return self


class Deadly(Prior):
    """Kills the worker above its process, as often as it is told; `note` counts."""

    def __init__(self, note="", times=1, random_state=0):
        super().__init__(random_state=random_state)
        self.note = note
        self.times = times

    def get_params(self, deep=True):
        return {name: getattr(self, name) for name in ("note", "times", "random_state")}

    def fit(self, modalities, labels, holdout=None):
        with Path(self.note).open("a+") as note:
            note.write("x")
            deaths = note.tell()
        if deaths <= self.times:
            fork_server = psutil.Process().parent()
            fork_server.parent().kill()
            time.sleep(3600)
        return super().fit(modalities, labels)


class FirstFails(Prior):
    """Fails for seed 0, which a file notes; the other seeds wait for the note and take half a second more."""

    def __init__(self, note="", random_state=0):
        super().__init__(seconds=0.5, trouble="raise", random_state=random_state)
        self.note = note

    def get_params(self, deep=True):
        return {"note": self.note, "random_state": self.random_state}

    def fit(self, modalities, labels, holdout=None):
        note = Path(self.note)
        if Streams.of(self.random_state).seed == 0:
            note.touch()
        while not note.exists():
            time.sleep(0.01)
        return super().fit(modalities, labels)


def fit_each(methods, problems):
    """Fit one after the other; a seed in trouble says so and stops no other."""
    outcomes = []
    for one, problem in zip(methods, problems, strict=True):
        try:
            one.fit(*problem)
            outcomes.append(None)
        except ValueError as error:
            outcomes.append(error)
    return outcomes


def fit_nothing(methods, problems):
    raise RuntimeError(f"{len(methods)} of {len(problems)} cannot be fitted")


def _raise():
    raise ValueError("this seed is in trouble")


def _kill():
    os.kill(os.getpid(), signal.SIGKILL)


def _crash():
    os.kill(os.getpid(), signal.SIGSEGV)


def _swallow():
    held = [bytearray(b"x") * 2**20 for _ in range(1000)]
    time.sleep(3600)
    del held


TROUBLES = {
    **{"raise": _raise, "kill": _kill, "crash": _crash, "hang": lambda: time.sleep(3600)},
    **{"swallow": _swallow, "exit": lambda: os._exit(3)},
}


SHAPE = Shape(40, 3, (4, 2))


@dataclass(frozen=True)
class ToyData:
    """Random features and labels, of which the version stands for the data's content."""

    id: str = "toy"
    title: str = "TOY"
    expected: Shape = SHAPE
    modality_names: tuple[str, ...] = ("left", "right")
    kind: Provenance = Provenance.LOOK_ALIKE
    version: int = 0
    in_paper: bool = True
    split_id: str = ""

    def provenance(self, data_dir: Path) -> Provenance:
        return self.kind

    def load(self, data_dir: Path) -> Dataset:
        generator = np.random.default_rng(self.version)
        n, q = self.expected.n, self.expected.q
        return Dataset(
            id=self.id,
            modalities=tuple(generator.random((n, d)).astype(np.float32) for d in self.expected.dims),
            labels=(generator.random((n, q)) < 0.4).astype(np.uint8),
            modality_names=self.modality_names,
            label_names=tuple(f"label{j}" for j in range(q)),
            provenance=self.kind,
            split_id=self.split_id,
            data_hash=f"{self.id}-{self.version}-{self.kind}",
        )


def method(id: str = "Prior", estimator: type = Prior, **options: Any) -> MethodSpec:
    """Return a table row made with a toy estimator."""
    return MethodSpec(id=id, estimator=estimator, options=options, in_paper=False)


def registry(*methods: MethodSpec, datasets: tuple[Any, ...] = (ToyData(),)) -> Registry:
    """Return a registry of toy methods (by default the well-behaved `Prior`) and toy data."""
    chosen: tuple[MethodSpec, ...] = methods or (method(),)
    by_id: Mapping[str, MethodSpec] = {spec.id: spec for spec in chosen}
    return Registry(by_id, {spec.id: spec for spec in datasets})


def quick_and_slow() -> Registry:
    """Return a registry of a method that takes no time, and of one with the same scores that takes some."""
    return registry(method("Prior"), method("Slow", seconds=0.5))


def main_of_a_slow_run() -> int:
    """Run a command line over quick jobs, then with slow ones; tests start this program to interrupt it."""
    from benchmark.cli import main

    code = main([*sys.argv[1:], "--methods", "Prior"], quick_and_slow())
    return code or main(registry=quick_and_slow())


if __name__ == "__main__":
    import tiny_benchmark  # child processes must find the toys in a module, not in a script

    raise SystemExit(tiny_benchmark.main_of_a_slow_run())
