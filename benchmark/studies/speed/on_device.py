"""Times training steps on an accelerator: the plain program, called and captured, and ten networks of ours.

It judges nothing. Seconds are those of the clock between synchronised ends, as the host waits for the device.
On a machine without one it can be run on the processor, to see that it runs.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from statistics import median
from typing import Any
from unittest.mock import patch

import numpy as np
import torch
from torch.profiler import ProfilerActivity, profile

import baselines.sequential.together
import m3la.together
from baselines import DMP, MCC
from benchmark.contracts import Array, Shape, Streams
from benchmark.learning import replay
from benchmark.learning.groups import WIDTH
from benchmark.learning.side_by_side import Losses, Steps
from benchmark.studies.speed.device_table import Device, DeviceTiming
from benchmark.studies.speed.flops import useful_flop
from benchmark.studies.speed.measure import BATCH, RIVALS, STREAMS, random_data
from m3la import M3LA

ESTIMATORS: Mapping[str, Callable[..., Any]] = {
    "M3LA": M3LA,
    "DMP": partial(DMP, selection="last"),
    "MCC": partial(MCC, selection="last"),
}
EPOCH_STEPS = 10
"""Steps between two questions to the device, as an epoch of a small data set has them."""
SGEMM_SIZE, SGEMM_REPEATS = 8192, 10


def card(device: str) -> Device:
    """Return which device times belong to."""
    on_card = torch.device(device).type == "cuda"
    name = torch.cuda.get_device_name(device) if on_card else "the processor, pretended"
    return Device(name, torch.__version__, str(torch.version.cuda) if on_card else "none")


def sgemm_rate(device: str, size: int = SGEMM_SIZE) -> float:
    """Return GFLOP/s of the device at multiplying two square matrices of floats, TF32 off; a median."""
    a, b = torch.randn(2, size, size, device=device)
    multiply = partial(torch.mm, a, b, out=torch.empty_like(a))
    _seconds(multiply, device)
    return 2 * size**3 / median(_seconds(multiply, device) for _ in range(SGEMM_REPEATS)) / 1e9


def time_on_device(
    method: str, dataset: str, shape: Shape, n_steps: int, device: str, rate: Callable[[], float]
) -> DeviceTiming:
    """Time a method on a shape.

    Parameters
    ----------
    method : id among `ESTIMATORS`.
    dataset, shape : the shape's name, q and d_1..d_m.
    n_steps : how many of each form; medians are kept.
    device : name of a torch device.
    rate : GFLOP/s of the device.
    """
    before = rate()
    plain, captured = time_plain(method, shape, n_steps, device)
    steps = group(method, shape, device)
    first, ours = time_group(steps, n_steps)
    return DeviceTiming(
        method,
        dataset,
        n_steps,
        plain_ms=1000 * plain,
        captured_ms=1000 * captured,
        ours_ms=1000 * median(ours),
        launches=launches(steps, device),
        first_seconds=first,
        useful_gflop=WIDTH * useful_flop(method, shape, BATCH) / 1e9,
        sgemm_before=before,
        sgemm_after=rate(),
    )


def time_plain(method: str, shape: Shape, n_steps: int, device: str) -> tuple[float, float]:
    """Return seconds a step of the plain program of one network: called, and captured and replayed."""
    modalities, labels = random_data(shape, EPOCH_STEPS * BATCH)
    form = RIVALS[method](modalities, labels, STREAMS, device).plain
    with torch.device(device):  # where the plain programs make what they need on the way
        rows = torch.arange(BATCH)
        called = [_seconds(partial(form.step, rows), device) for _ in range(n_steps + 2)][2:]
        again = form.replayed(rows)
        captured = [_seconds(again, device) for _ in range(n_steps + 2)][2:]
    return median(called), median(captured)


def group(
    method: str, shape: Shape, device: str, wrapped: Callable[[Losses], Losses] | None = None, **options: Any
) -> Steps:
    """Return the steps of ten networks side by side on random data of a shape."""
    methods = [
        ESTIMATORS[method](device=device, random_state=Streams("speed", seed), **options)
        for seed in range(WIDTH)
    ]
    problems = [(*random_data(shape, EPOCH_STEPS * BATCH), None)] * WIDTH
    room = m3la.together if method == "M3LA" else baselines.sequential.together
    return room.steps_of(methods, problems, wrapped or (lambda losses: losses))


def time_group(steps: Steps, n_steps: int) -> tuple[float, list[float]]:
    """Return seconds of the first epoch, in which steps are captured, and a step of each that follows."""
    device, epoch = str(steps.order.device), partial(steps.epoch, _orders(steps.n))
    first = _seconds(epoch, device)
    return first, [_seconds(epoch, device) / EPOCH_STEPS for _ in range(-(-n_steps // EPOCH_STEPS))]


@contextmanager
def called_not_replayed() -> Any:
    """Have steps called one by one."""
    with patch.object(replay, "capture", lambda work, *_: work):
        yield


def launches(steps: Steps, device: str) -> float:
    """Return how many kernels a step runs, or on a processor how many operations."""
    kind = ProfilerActivity.CUDA if torch.device(device).type == "cuda" else ProfilerActivity.CPU
    with profile(activities=[kind]) as found:
        steps.epoch(_orders(steps.n))
    return kernels(found.events(), torch.device(device).type == "cuda") / EPOCH_STEPS


def kernels(events: Sequence[Any], on_card: bool) -> int:
    """Count the profiler's events that ran on the device, copies to and from the host left out."""
    wanted = torch.autograd.DeviceType.CUDA if on_card else torch.autograd.DeviceType.CPU
    return sum(event.device_type == wanted and "Memcpy HtoD" not in event.name for event in events)


def _orders(n: int) -> Array:
    generator = np.random.default_rng(0)
    return np.stack([generator.permutation(EPOCH_STEPS * BATCH) for _ in range(n)])


def _seconds(work: Callable[[], object], device: str) -> float:
    wait = torch.cuda.synchronize if torch.device(device).type == "cuda" else (lambda: None)
    wait()
    started = time.perf_counter()
    work()
    wait()
    return time.perf_counter() - started
