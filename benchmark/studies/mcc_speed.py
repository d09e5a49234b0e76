"""Time an epoch of MCC against one of a plain M3LA on MSRA's shape: a measurement, not a bar.

`python -m benchmark.studies.mcc_speed --transcription tests/m3la/transcription.py` trains both on random data
of MSRA's shape, in alternating stretches of steps in one process on one thread, and prints the medians. The
plain M3LA is the tests' transcription of its equations (zero-padded inputs, `nn.GRU`), with plain SGD.
"""

from __future__ import annotations

import argparse
import importlib.util
import sys
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
import torch
from torch import Tensor

from baselines.mcc import MCC
from benchmark.contracts import Shape, Streams
from benchmark.execute.seeding import limit_threads_of_new_processes, make_deterministic
from m3la.training import batches, make_optimiser, training_step

MSRA = Shape(13500, 50, (256, 225, 64, 144, 75, 128, 7))
"""Training rows of MSRA, its labels and modalities."""
BATCH = 64
PLAIN_HIDDEN = 256
N_DRAWN = 1280
"""Rows drawn; a step's time does not depend on how many there are, only an epoch's number of steps does."""

Step = Callable[[Tensor], object]


def random_data(shape: Shape, n: int, streams: Streams) -> tuple[list[np.ndarray], np.ndarray]:
    """Draw n rows with two or three labels each; timing needs nothing better."""
    generator = streams.generator("data")
    modalities = [generator.normal(size=(n, d)).astype(np.float32) for d in shape.dims]
    return modalities, (generator.random((n, shape.q)) < 2.6 / shape.q).astype(np.uint8)


def mcc_step(modalities: list[np.ndarray], labels: np.ndarray, streams: Streams) -> Step:
    """Return one training step of MCC with its default options."""
    method = MCC(random_state=streams, selection="last")
    loss = method.prepare(modalities, labels)
    optimiser = make_optimiser(method.reader_, method.training_settings(), torch.device("cpu"))
    return lambda rows: training_step(method.reader_.train(), optimiser, loss, rows)


def plain_step(
    shape: Shape, modalities: list[np.ndarray], labels: np.ndarray, transcription: Any, hidden: int
) -> Step:
    """Return one training step of the plain M3LA."""
    inputs, targets = [torch.from_numpy(x) for x in modalities], torch.from_numpy(labels).float()
    torch.manual_seed(0)
    net = transcription.Transcription(shape.dims, shape.q, hidden)
    optimiser = torch.optim.SGD(net.parameters(), lr=0.01, weight_decay=2e-4)

    def loss(rows: Tensor) -> Tensor:
        predictions, _ = net([x[rows] for x in inputs])
        return transcription.literal_loss(predictions, targets[rows])

    return lambda rows: training_step(net, optimiser, loss, rows)


def compare(steps: dict[str, Step], n_rows: int, rounds: int, stretch: int) -> dict[str, list[float]]:
    """Return seconds per step of each, one entry per stretch; stretches alternate, the first is dropped."""
    shuffling = np.random.default_rng(0)
    seconds: dict[str, list[float]] = {name: [] for name in steps}
    for _ in range(rounds + 1):
        for name, step in steps.items():
            drawn = list(batches(n_rows, BATCH, shuffling))[:stretch]
            started = time.perf_counter()
            for rows in drawn:
                step(rows)
            seconds[name].append((time.perf_counter() - started) / len(drawn))
    return {name: values[1:] for name, values in seconds.items()}


def load_module(path: Path) -> Any:
    """Import a Python file by path; the tests are no package."""
    spec = importlib.util.spec_from_file_location("transcription", path)
    if spec is None or spec.loader is None or not path.is_file():
        raise FileNotFoundError(f"{path} is no Python file; pass the tests' transcription.py")
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


def main(arguments: list[str] | None = None) -> int:
    """Print seconds per step and epoch of both, and their ratio."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--transcription", type=Path, default=Path("tests/m3la/transcription.py"))
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--stretch", type=int, default=5, help="steps per stretch")
    given = parser.parse_args(arguments)
    limit_threads_of_new_processes()
    streams = Streams("speed", 0)
    make_deterministic(streams)
    modalities, labels = random_data(MSRA, N_DRAWN, streams)
    transcription = load_module(given.transcription)
    steps = {
        "plain M3LA": plain_step(MSRA, modalities, labels, transcription, PLAIN_HIDDEN),
        "MCC": mcc_step(modalities, labels, streams),
    }
    seconds = compare(steps, N_DRAWN, given.rounds, given.stretch)
    n_steps = -(-MSRA.n // BATCH)
    for name, values in seconds.items():
        step = median(values)
        print(
            f"{name:<12}{1000 * step:8.1f} ms/step ({1000 * min(values):.1f} to {1000 * max(values):.1f})"
            f"{n_steps * step:8.1f} s/epoch"
        )
    print(f"ratio of the medians: {median(seconds['MCC']) / median(seconds['plain M3LA']):.2f}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
