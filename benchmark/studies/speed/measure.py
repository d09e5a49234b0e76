"""Times training steps of a method's plain PyTorch program and of the real model; it judges nothing.

The forms alternate, so that whatever else the machine does disturbs both, in runs of a few steps each, so
that a step finds in the caches what its own form's last step left there, as in training. The process is set
up as a job's is.
Seconds are processor time: on a quiet machine that of the clock, as there is one thread, and less disturbed
by other programs where there are any. Features and labels are random: a step's time depends on their shape
alone.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from statistics import median

import numpy as np
import torch
from torch import Tensor

from benchmark.contracts import Array, Shape, Streams
from benchmark.learning.training import batches
from benchmark.run.memory import keep_freed_memory
from benchmark.run.seeding import limit_threads_of_new_processes, make_deterministic
from benchmark.studies.plain import dmp, m3la, mcc
from benchmark.studies.plain.forms import Rivals
from benchmark.studies.speed.flops import useful_flop
from benchmark.studies.speed.judge import Timing

RIVALS: Mapping[str, Callable[..., Rivals]] = {
    "M3LA": m3la.rivals,
    "DMP": dmp.rivals,
    "MCC": mcc.rivals,
}
"""Methods that have a plain form, by id."""
STREAMS = Streams("speed", 0)
BATCH = 64
N_DRAWN = 10 * BATCH
"""Rows drawn; a step takes as long with more, only an epoch has more steps."""
LABELS_PER_ROW = 2.5
WARM_UP = 5
RUN = 6
"""Steps that one form makes before it is the other's turn."""
SAME_LOSS = 1e-3
"""Largest relative difference of the first losses; rounding explains 1e-6, a row that stops or not 1e-4."""
SGEMM_SIZE, SGEMM_REPEATS = 1024, 15


class DifferentFormsError(ValueError):
    """Plain and real form do not compute the same loss, so that comparing their times would say nothing."""


def prepare_process() -> None:
    """Set this process up as a job's: one thread, deterministic kernels, freed memory kept."""
    limit_threads_of_new_processes()
    make_deterministic(STREAMS)
    keep_freed_memory()


def random_data(shape: Shape, n: int) -> tuple[list[Array], Array]:
    """Draw m modalities (n, d_k) and labels (n, q) of which each row has a few."""
    generator = STREAMS.generator("data")
    modalities = [generator.normal(size=(n, d)).astype(np.float32) for d in shape.dims]
    labels = generator.random((n, shape.q)) < min(LABELS_PER_ROW / shape.q, 0.5)
    return modalities, labels.astype(np.uint8)


def sgemm_rate() -> float:
    """Return GFLOP/s of this thread at multiplying two matrices of 1024 x 1024 floats, a median."""
    a, b = torch.randn(2, SGEMM_SIZE, SGEMM_SIZE)
    out = torch.empty_like(a)
    multiply = partial(torch.mm, a, b, out=out)
    multiply()  # the first call sets up its buffers
    seconds = [_seconds(multiply) for _ in range(SGEMM_REPEATS)]
    return 2 * SGEMM_SIZE**3 / median(seconds) / 1e9


def time_method(
    method: str, dataset: str, shape: Shape, steps: int, rate: Callable[[], float] = sgemm_rate
) -> Timing:
    """Time a method on a shape.

    Parameters
    ----------
    method : id among `RIVALS`.
    dataset : the shape's name.
    shape : q labels and d_1..d_m features.
    steps : how many of each form; the medians of their times are kept.
    rate : GFLOP/s of the machine.

    Raises
    ------
    DifferentFormsError
        If the two forms' losses of the first batch differ.
    """
    modalities, labels = random_data(shape, N_DRAWN)
    rivals = RIVALS[method](modalities, labels, STREAMS)
    shuffling = STREAMS.generator("shuffling")
    drawn: list[Tensor] = []
    while len(drawn) < WARM_UP + steps:
        drawn += batches(N_DRAWN, BATCH, shuffling)
    _require_same_loss(rivals, drawn[0], f"{method} on {dataset}")
    _alternate(rivals, drawn[1:WARM_UP])
    before = rate()
    plain, ours = _alternate(rivals, drawn[WARM_UP : WARM_UP + steps])
    after = rate()
    operations = useful_flop(method, shape, BATCH) / 1e9
    return Timing(
        method, dataset, steps, 1000 * median(plain), 1000 * median(ours), operations, before, after
    )


def _alternate(rivals: Rivals, drawn: Sequence[Tensor]) -> tuple[list[float], list[float]]:
    """Make a step of either form on each batch; return the seconds of the plain steps and of ours."""
    plain, ours = [], []
    for start in range(0, len(drawn), RUN):
        turn = drawn[start : start + RUN]
        plain += [_seconds(partial(rivals.plain.step, rows)) for rows in turn]
        ours += [_seconds(partial(rivals.ours.step, rows)) for rows in turn]
    return plain, ours


def _require_same_loss(rivals: Rivals, rows: Tensor, name: str) -> None:
    """Make the first step of both; dropout takes the same units where both draw from the same seed."""
    torch.manual_seed(STREAMS.integer("dropout"))
    plain, ours = rivals.plain.step(rows), rivals.ours.step(rows)
    if not math.isclose(plain, ours, rel_tol=SAME_LOSS):
        raise DifferentFormsError(
            f"{name}: the plain form's first loss is {plain:.6g}, ours {ours:.6g}; one of them was changed, "
            "so make benchmark/studies/plain compute the method's default options again"
        )


def _seconds(work: Callable[[], object]) -> float:
    started = time.process_time()
    work()
    return time.process_time() - started
