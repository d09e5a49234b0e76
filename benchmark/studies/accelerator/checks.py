"""Checks of what trains on an accelerator: against the processor, and against itself; they time nothing."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from hashlib import sha256
from typing import TYPE_CHECKING, Any
from unittest.mock import patch

import numpy as np
import torch

import baselines.sequential.together
import m3la.together
from baselines import DMP, MCC
from benchmark.contracts import Array, Holdout, Problem, Shape, Streams
from benchmark.learning.groups import WIDTH
from benchmark.learning.side_by_side import Steps
from m3la import M3LA
from m3la.estimator import TrainingRows

if TYPE_CHECKING:
    from benchmark.studies.accelerator.parts import Lease

Check = dict[str, Any]
METHODS: dict[str, tuple[Callable[..., Any], Any]] = {
    "M3LA": (M3LA, m3la.together),
    "DMP": (partial(DMP, dropout=0.0), baselines.sequential.together),  # masks are the device's own numbers
    "MCC": (MCC, baselines.sequential.together),
}
"""Constructor, and the module with `fit_together` and `steps_of`."""
SHAPE, SMALL = Shape(n=600, q=8, dims=(120, 64, 30)), Shape(n=60, q=3, dims=(5, 4, 3))
GRADIENTS, LOSSES = 1e-4, 1e-2
"""Largest relative differences to the processor: of a gradient's norm, and of a loss after some epochs."""


MEMORY_BAR = "raises, then a smaller one fits"


def check(name: str, found: str, bar: str, met: bool | None) -> Check:
    """Return one line of the report."""
    return {"name": name, "found": found, "bar": bar, "met": met}


def problem(shape: Shape, seed: int, holdout: bool = True) -> Problem:
    """Draw training rows whose labels depend on the first modality."""
    drawn = np.random.default_rng(seed)
    modalities = [drawn.normal(size=(shape.n, d)).astype(np.float32) for d in shape.dims]
    signal = modalities[0] @ drawn.normal(size=(shape.dims[0], shape.q)) / shape.dims[0] ** 0.5
    labels = (signal + drawn.normal(size=signal.shape) / 2 > 0.5).astype(np.uint8)
    held = shape.n // 5
    return (
        modalities,
        labels,
        Holdout(tuple(x[:held] for x in modalities), labels[:held]) if holdout else None,
    )


def gradients(lease: Lease) -> dict[str, Any]:
    """Compare losses and gradients of a group's first batch on device and processor."""
    found = []
    for name, (build, room) in METHODS.items():
        ours, theirs = (
            _first_gradients(build, room, _shape(lease), device) for device in (lease.device, "cpu")
        )
        worst = max(
            float((one - other).norm() / other.norm().clamp_min(1e-12))
            for one, other in zip(ours, theirs, strict=True)
        )
        bar = f"at most {GRADIENTS:g}"
        found.append(
            check(f"gradients of {name}, device and processor", f"{worst:.1e}", bar, worst <= GRADIENTS)
        )
    return {"checks": found}


def _first_gradients(build: Callable[..., Any], room: Any, shape: Shape, device: str) -> list[torch.Tensor]:
    methods = [_built(build, seed, device, selection="last") for seed in range(WIDTH)]
    steps: Steps = room.steps_of(methods, [problem(shape, seed, holdout=False) for seed in range(WIDTH)])
    rows = torch.arange(32, device=device).expand(WIDTH, -1)
    losses = steps.losses_of_rows(rows)
    parameters = list(steps.module.parameters())
    grads = torch.autograd.grad(losses.sum(), parameters, allow_unused=True)
    return [losses.detach().cpu(), *(g.cpu() for g in grads if g is not None)]


def training(lease: Lease) -> dict[str, Any]:
    """Compare 20 epochs on device and processor."""
    found = []
    for name in METHODS:
        ours, theirs = (
            _fitted(name, [0, 1], lease, device, selection="last") for device in (lease.device, "cpu")
        )
        worst = max(
            float(np.max(np.abs(np.divide(one.history_.loss, other.history_.loss) - 1)))
            for one, other in zip(ours, theirs, strict=True)
        )
        rows = problem(_shape(lease), 0)[0]
        apart = float(np.abs(ours[0].predict_scores(rows) - theirs[0].predict_scores(rows)).mean())
        text = f"losses differ by {worst:.1e}, scores by {apart:.1e} on average"
        found.append(check(f"20 epochs of {name}", text, f"losses at most {LOSSES:g}", worst <= LOSSES))
    return {"checks": found}


def digests(lease: Lease) -> dict[str, Any]:
    """Compare the bits of seeds alone and beside others."""
    found = []
    for name in METHODS:
        fits = {
            seeds: dict(zip(seeds, _fitted(name, seeds, lease, lease.device), strict=True))
            for seeds in ((7,), tuple(range(5, 10)), tuple(range(10)))
        }
        alone, some, all_ten = (
            {seed: _digest(method, problem(_shape(lease), seed)[0]) for seed, method in methods.items()}
            for methods in fits.values()
        )
        same = alone[7] == some[7] == all_ten[7] and all(some[seed] == all_ten[seed] for seed in some)
        text = f"seed 7: {alone[7]} alone, {some[7]} of 5 to 9, {all_ten[7]} of 0 to 9"
        found.append(check(f"digests of {name}, alone and together", text, "the same", same))
    return {"checks": found}


def books(lease: Lease) -> dict[str, Any]:
    """Compare early stopping with the processor's, and look for a divergence where it was planted."""
    options = {"selection": "holdout", "patience": 2, "epochs": 40, "optimiser": "adam"}
    ours, theirs = (
        _fitted("M3LA", range(4), lease, device, **options, learning_rate=0.01)
        for device in (lease.device, "cpu")
    )
    ends = [
        [(len(method.history_.loss), method.history_.best_epoch) for method in methods]
        for methods in (ours, theirs)
    ]
    stopping = check(
        "epochs run and best epoch of M3LA",
        f"{ends[0]} and {ends[1]}",
        "as on the processor",
        ends[0] == ends[1],
    )
    return {"checks": [stopping, _planted(lease)]}


def _planted(lease: Lease) -> Check:
    prepared, shape = M3LA.training_rows, _shape(lease)
    row = (
        Streams("accelerator", 1).generator("shuffling").permutation(shape.n)[40]  # of batch 2
    )

    def planted(self: M3LA, *given: Any) -> TrainingRows:
        rows = prepared(self, *given)
        if self.streams_.seed == 1:
            rows.targets[row] = torch.nan
        return rows

    methods = [_built(M3LA, seed, lease.device) for seed in range(3)]
    with patch.object(M3LA, "training_rows", planted):
        outcomes = m3la.together.fit_together(methods, [problem(shape, seed, False) for seed in range(3)])
    text = "; ".join(f"seed {i}: {outcome or 'fitted'}" for i, outcome in enumerate(outcomes))
    right = [outcome is None for outcome in outcomes] == [True, False, True]
    met = right and "in epoch 1, step 2 " in str(outcomes[1])
    return check("a divergence planted in seed 1", text, "epoch 1, step 2, and no other", met)


def memory(lease: Lease) -> dict[str, Any]:
    """See that a group that does not fit raises, and that a smaller one then trains in the same process."""
    if lease.pretend:
        return {"checks": [check("a group that does not fit", "no card", MEMORY_BAR, None)]}
    shape = Shape(n=4000, q=50, dims=(2000, 2000))
    problems = [problem(shape, seed, holdout=False) for seed in range(WIDTH)]
    torch.cuda.reset_peak_memory_stats()
    _fit(problems, WIDTH, lease.device)
    peak = torch.cuda.max_memory_allocated()
    total = torch.cuda.get_device_properties(lease.device).total_memory
    torch.cuda.empty_cache()
    torch.cuda.set_per_process_memory_fraction(0.75 * peak / total, lease.device)
    try:
        _fit(problems, WIDTH, lease.device)
        raised = "nothing"
    except torch.OutOfMemoryError:
        raised = "OutOfMemoryError"
    torch.cuda.empty_cache()
    try:
        _fit(problems[: WIDTH // 2], WIDTH // 2, lease.device)
        then = "fits"
    except torch.OutOfMemoryError:
        then = "does not fit"
    finally:
        torch.cuda.set_per_process_memory_fraction(1.0, lease.device)
    text = f"ten of {peak / 2**30:.1f} GiB in three quarters of that raise {raised}; half a group then {then}"
    met = (raised, then) == ("OutOfMemoryError", "fits")
    return {"checks": [check("a group that does not fit", text, MEMORY_BAR, met)]}


def _fit(problems: Sequence[Problem], width: int, device: str) -> None:
    methods = [M3LA(epochs=1, device=device, random_state=seed) for seed in range(len(problems))]
    m3la.together.fit_together(methods, problems, width)


def _shape(lease: Lease) -> Shape:
    return SMALL if lease.pretend else SHAPE


def _built(build: Callable[..., Any], seed: int, device: str, **options: Any) -> Any:
    given = {"hidden": 32, "epochs": 20, "batch_size": 32, **options}
    return build(**given, device=device, random_state=Streams("accelerator", seed))


def _fitted(name: str, seeds: Sequence[int], lease: Lease, device: str, **options: Any) -> list[Any]:
    build, room = METHODS[name]
    if lease.pretend:
        options = {**options, "epochs": 2, "hidden": 4}
    methods = [_built(build, seed, device, **options) for seed in seeds]
    outcomes = room.fit_together(methods, [problem(_shape(lease), seed) for seed in seeds])
    if failures := [outcome for outcome in outcomes if outcome is not None]:
        raise failures[0]
    return methods


def _digest(method: Any, rows: Sequence[Array]) -> str:
    return sha256(method.predict_scores(rows).astype("<f4").tobytes()).hexdigest()[:12]
