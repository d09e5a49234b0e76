"""Several M3LA estimators that differ in their random state trained as one module with a leading axis.

On an accelerator the steps of one network are too small to fill it: what costs is the launch of each kernel,
and n networks side by side need as many launches as one. So this is how every fit on an accelerator runs, one
network's too. On a CPU it gives what `fit` gives, up to rounding.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

import torch
from torch import Tensor

from benchmark.contracts import Problem
from benchmark.learning.groups import WIDTH, Checked, Place, fit_in_groups, fit_side_by_side
from benchmark.learning.side_by_side import Losses, Steps, train_side_by_side
from benchmark.learning.training import DivergenceError
from benchmark.learning.training_state import Carried
from m3la.estimator import M3LA, PREDICTION_ROWS, TrainingRows
from m3la.loss import m3la_loss
from m3la.model import M3LANet
from m3la.reference import Steps as Decoded

Part = tuple[slice, list[Tensor], Tensor | None]
"""Some rows: which, their modalities (n, B, d_k), and noise for a prediction."""


def fit_together(
    methods: Sequence[M3LA], problems: Sequence[Problem], width: int = WIDTH
) -> list[Exception | None]:
    """Fit each estimator on its own rows, in groups side by side; see `fit_side_by_side`."""
    return fit_side_by_side(methods, problems, _fitted, width)


def fit_one(method: M3LA, checked: Checked) -> None:
    """Fit an estimator that has begun as `fit_together` would, or raise why it cannot be."""
    (failure,) = _fitted([method], [checked], WIDTH)
    if failure is not None:
        raise failure


def _fitted(methods: Sequence[M3LA], given: Sequence[Checked], width: int) -> list[Exception | None]:
    if methods[0].encoder_order == "random" and len(methods) > 1:  # an order of its own for each network
        return [
            _fitted([method], [checked], width)[0] for method, checked in zip(methods, given, strict=True)
        ]
    rows = [method.training_rows(*checked) for method, checked in zip(methods, given, strict=True)]

    def fit_group(places: Sequence[Place]) -> list[Exception | None]:
        return _fit_group(methods, rows, places)

    return fit_in_groups([data.streams.seed for data in rows], fit_group, width)


def steps_of(
    methods: Sequence[M3LA],
    problems: Sequence[Problem],
    wrapped: Callable[[Losses], Losses] = lambda losses: losses,
) -> Steps:
    """Return the steps of a fit of exactly these estimators side by side, for whoever times them.

    Parameters
    ----------
    methods, problems : as of `fit_together`.
    wrapped : what becomes of the function of rows that returns losses, such as a compiled one.
    """
    given = [method.begin(*problem) for method, problem in zip(methods, problems, strict=True)]
    rows = [method.training_rows(*checked) for method, checked in zip(methods, given, strict=True)]
    batch, settings = _Batch(methods[0], rows), methods[0].settings()
    n_rows = len(rows[0].targets)
    return Steps(batch.net, wrapped(batch.losses), n_rows, settings, len(rows), None, batch.carried())


def _fit_group(
    methods: Sequence[M3LA], rows: Sequence[TrainingRows], places: Sequence[Place]
) -> list[Exception | None]:
    own = [rows[place.member] for place in places]
    batch = _Batch(methods[0], own)
    histories = train_side_by_side(
        batch.net,
        batch.losses,
        len(own[0].targets),
        methods[0].settings(),
        [data.streams.generator("shuffling") for data in own],
        monitor=batch.final_cross_entropies if own[0].held is not None else None,
        before_epoch=batch.refresh,
        carried=batch.carried(),
    )
    outcomes: list[Exception | None] = []
    for i, (place, history) in enumerate(zip(places, histories, strict=True)):
        outcomes.append(None if history.diverged is None else DivergenceError(history.diverged))
        if history.diverged is None and not place.stand_in:
            method = methods[place.member]
            method.model_, method.history_ = batch.network(i), history
            method.score_holdout(own[i])
    return outcomes


class _Batch:
    """The networks side by side and what their training steps need; stands in for `M3LA`'s own objective."""

    def __init__(self, method: M3LA, rows: Sequence[TrainingRows]) -> None:
        self.method, self.rows = method, rows
        self.options = method.model_options(len(rows[0].inputs), rows[0].streams)
        self.net = M3LANet(
            rows[0].dims,
            method.n_labels_,
            method.hidden,
            self.options,
            [data.generator("initialisation") for data in rows],
        ).to(method.device)
        self.net.form = "device" if method.form == "fast" else "reference"
        self.inputs = [torch.stack(x) for x in zip(*(data.inputs for data in rows), strict=True)]
        self.targets = torch.stack([data.targets for data in rows])
        self.network_index = torch.arange(len(rows), device=method.device).unsqueeze(1)
        self.cardinalities = torch.tensor([data.cardinality() for data in rows], device=method.device)
        self.choices = [data.generator("choices", method.device) for data in rows]
        self.dropout = [data.generator("dropout", method.device) for data in rows] if method.dropout else None
        self.loss_options = replace(method.loss_options(), form="reference")
        n, B, q = self.targets.shape
        stale = [self.targets.new_zeros(n, B, len(self.inputs), q)] if method.weight_refresh else []
        self.earlier: list[Tensor] = stale
        self.held = None if rows[0].held is None else self._held()

    def carried(self) -> Carried:
        """Return what steps and `refresh` change and read again."""
        return (*self.choices, *(self.dropout or ()), self.earlier)

    def losses(self, rows: Tensor) -> Tensor:
        """Losses (n,) of the rows (n, B)."""
        chosen = self.network_index, rows
        steps = self.net(
            [x[chosen] for x in self.inputs], self._noise(rows.shape[1], self.choices), self.dropout
        )
        return m3la_loss(
            steps,
            self.targets[chosen],
            self.cardinalities,
            self.loss_options,
            self.earlier[0][chosen] if self.earlier else None,
        )

    @torch.no_grad()
    def refresh(self, epoch: int) -> None:
        """Renew the stale predictions of (18) where they are asked for; at first they are zeros."""
        if self.earlier and epoch and epoch % self.method.weight_refresh == 0:
            scores = [steps.scores() for _, steps in self._forward(self._parts(self.inputs))]
            self.earlier[0].copy_(torch.cat(scores, dim=1))

    @torch.no_grad()
    def final_cross_entropies(self) -> Tensor:
        """Each network's cross entropy (n,) of the last step on its hold-out, per label."""
        assert self.held is not None
        targets, parts = self.held
        total = torch.zeros(len(targets), device=targets.device, dtype=torch.float64)
        for part, steps in self._forward(parts):
            y = targets[:, part]
            last, complement = steps.log_scores[:, -1], steps.log_complements[:, -1]
            total = total - (y * last + (1 - y) * complement).sum((1, 2))
        return total / targets[0].numel()

    def _held(self) -> tuple[Tensor, list[Part]]:
        held = [data.held for data in self.rows if data.held is not None]
        inputs = [torch.stack(x) for x in zip(*(inputs for inputs, _ in held), strict=True)]
        return torch.stack([targets for _, targets in held]), self._parts(inputs)

    def _parts(self, inputs: Sequence[Tensor]) -> list[Part]:
        """Cut rows into parts, each with the noise of a prediction, which is the same every time."""
        generators = [data.generator("choices") for data in self.rows]
        n_rows = inputs[0].shape[1]
        parts = [slice(start, start + PREDICTION_ROWS) for start in range(0, n_rows, PREDICTION_ROWS)]
        found = []
        for part in parts:
            x = [each[:, part] for each in inputs]
            found.append((part, x, self._noise(x[0].shape[1], generators, predicting=True)))
        return found

    def _forward(self, parts: Sequence[Part]) -> list[tuple[slice, Decoded]]:
        return [(part, self.net(x, noise)) for part, x, noise in parts]

    def _noise(
        self, n_rows: int, generators: Sequence[torch.Generator], predicting: bool = False
    ) -> Tensor | None:
        drawn = [self.method.noise(n_rows, generator, predicting) for generator in generators]
        return None if drawn[0] is None else torch.stack([x for x in drawn if x is not None])

    def network(self, index: int) -> M3LANet:
        """Return one of the networks as a module of its own."""
        unused = torch.Generator()  # of initial weights: torch's own generator is the caller's
        net = M3LANet(self.net.dims, self.net.q, self.net.h, self.options, unused)
        net.form = self.method.form
        net.load_state_dict({name: tensor[index] for name, tensor in self.net.state_dict().items()})
        return net.to(self.method.device)
