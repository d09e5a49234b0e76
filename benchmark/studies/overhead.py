"""What a job costs beyond its own work, on joblib's processes and on dask's, and what data cost that travel.

python -m benchmark.studies.overhead --number 1000
"""

from __future__ import annotations

import argparse
import hashlib
import io
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console
from sklearn.base import BaseEstimator

from benchmark.contracts import Array, Dataset, Factor, Holdout, MethodSpec, Modalities, Provenance, Shape
from benchmark.registry import Registry, Selection
from benchmark.run import remote_data
from benchmark.run.backends import connected, workers_of
from benchmark.run.bench import Bench
from benchmark.run.config import Profile, Running
from benchmark.run.devices import DevicePool
from benchmark.run.plan import make_plan
from benchmark.run.pool import run_plan
from benchmark.run.progress import Progress

SIZES_MB = (1, 60, 240)
"""Of data that travel; MSRA's features are 54 MB, FCVID's more."""


class Nothing(BaseEstimator):
    """Scores every row with the label frequencies, which takes no time."""

    FACTORS: tuple[Factor, ...] = ()

    def fit(self, _: Modalities, labels: Array, holdout: Holdout | None = None) -> Nothing:  # noqa: ARG002
        """Keep the frequencies."""
        self.frequencies_ = labels.mean(axis=0)
        return self

    def predict_scores(self, modalities: Modalities) -> Array:
        """Return them for each row."""
        return np.tile(self.frequencies_, (len(modalities[0]), 1))


@dataclass(frozen=True)
class Drawn:
    """Random features of some size; satisfies `DatasetSpec`."""

    megabytes: float
    id: str = "drawn"
    title: str = "Drawn"
    modality_names: tuple[str, ...] = ("only",)
    in_paper: bool = False

    @property
    def expected(self) -> Shape:
        """Shape (n, q, dims)."""
        return Shape(1_000, 3, (max(int(self.megabytes * 250), 2),))

    def provenance(self, _: Path) -> Provenance:
        """Say that nothing of them is real."""
        return Provenance.LOOK_ALIKE

    def load(self, _: Path) -> Dataset:
        """Draw them."""
        generator, shape = np.random.default_rng(0), self.expected
        features = generator.random((shape.n, shape.dims[0]), np.float32)
        labels = (generator.random((shape.n, shape.q)) < 0.4).astype(np.uint8)
        names = tuple(f"label{j}" for j in range(shape.q))
        digest = f"drawn-{self.megabytes}"
        return Dataset(
            self.id, (features,), labels, self.modality_names, names, Provenance.LOOK_ALIKE, digest
        )


def run(data: Any, number: int, jobs: int, backend: str) -> float:
    """Run jobs that do nothing, and return the seconds from their first to their last record."""
    method = MethodSpec("Nothing", Nothing, in_paper=False)
    chosen = Selection(("Nothing",)), Selection((data.id,))
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        registry = Registry({method.id: method}, {data.id: data})
        seeds = tuple(range(number))
        bench = Bench(registry, Profile("tiny", ""), *chosen, seeds, data_dir=folder, results_dir=folder)
        plan, running = make_plan(bench), Running(jobs, "cpu", backend)
        progress = _Watch(plan.to_run(), jobs)
        summary = run_plan(plan, bench, running, DevicePool(("cpu",), folder), progress)
        if summary.counts != {"done": number}:
            errors = "\n".join(failure.error for failure in summary.failures)
            raise RuntimeError(f"{backend}: of {number} jobs ended {dict(summary.counts)}\n{errors}")
    return progress.seconds()


class _Watch(Progress):
    """Notes when jobs ended, and shows nothing."""

    def __init__(self, planned: Any, jobs: int) -> None:
        super().__init__(planned, jobs, Console(file=io.StringIO()))
        self.times: list[float] = []

    def finished(self, result: Any) -> None:
        """Note it."""
        self.times.append(time.monotonic())
        super().finished(result)

    def seconds(self) -> float:
        """Return the time from the first end to the last."""
        return self.times[-1] - self.times[0]


def travel(client: Any, megabytes: float) -> tuple[int, float]:
    """Return how many bytes data are, and the seconds until the first worker of a client keeps them."""
    dataset, worker = Drawn(megabytes).load(Path()), next(iter(workers_of(client)))
    started = time.perf_counter()
    content = remote_data.packed(dataset)
    sha256 = hashlib.sha256(content).hexdigest()
    sent = client.scatter(content, workers=[worker], hash=False)
    client.submit(remote_data.keep, dataset.data_hash, sha256, sent, workers=[worker], pure=False).result()
    return len(content), time.perf_counter() - started


def main(argv: Sequence[str] | None = None) -> None:
    """Measure both backends in turn, then data that travel, and print it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--number", type=int, default=1_000, help="of jobs on each backend")
    parser.add_argument("--jobs", type=int, default=2, help="at a time")
    parser.add_argument("--rounds", type=int, default=2, help="in which the backends take turns")
    args = parser.parse_args(argv)
    taken: dict[str, float] = {"loky": 0.0, "dask": 0.0}
    each = max(args.number // args.rounds, 2)
    for _ in range(args.rounds):
        for backend in taken:
            taken[backend] += run(Drawn(0.1), each, args.jobs, backend)
    for backend, seconds in taken.items():
        per_job = 1e3 * seconds * args.jobs / (each * args.rounds)
        print(
            f"{backend}: {each * args.rounds} jobs, {args.jobs} at a time, {seconds:.1f} s, "
            f"{per_job:.0f} ms of a worker each"
        )
    with connected(None, 1) as client:
        for megabytes in SIZES_MB:
            size, seconds = travel(client, megabytes)
            print(f"data of {size / 1e6:.0f} MB reach a worker in {seconds:.2f} s")


if __name__ == "__main__":
    from benchmark.studies.overhead import main as run_main  # children must find `Nothing` in a module

    run_main()
