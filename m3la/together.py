"""Several M3LA estimators that differ in their random state trained as one module with a leading axis.

On an accelerator the steps of one network are too small to fill it: what costs is the launch of each kernel,
and n networks side by side need as many launches as one. Each estimator ends as its own `fit` would leave it,
up to rounding.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from benchmark.contracts import CannotTrainTogetherError, Problem
from benchmark.learning.surroundings import own_surroundings
from benchmark.learning.training import DivergenceError, train_side_by_side
from benchmark.learning.training_state import Carried
from m3la import fast
from m3la.estimator import M3LA, PREDICTION_ROWS, TrainingRows
from m3la.loss import m3la_loss
from m3la.model import M3LANet
from m3la.reference import Steps


def fit_together(methods: Sequence[M3LA], problems: Sequence[Problem]) -> list[DivergenceError | None]:
    """Fit each estimator on its own rows, all side by side.

    Parameters
    ----------
    methods : estimators whose options agree in all but `random_state`.
    problems : as many training sets of the same shapes.

    Returns
    -------
    list
        For each estimator None, or why it has no fitted model.

    Raises
    ------
    CannotTrainTogetherError
        Where options or shapes differ, or an option makes the networks differ in structure.
    """
    _require_same_options(methods)
    with own_surroundings():
        return _fit_together(methods, problems)


def _fit_together(methods: Sequence[M3LA], problems: Sequence[Problem]) -> list[DivergenceError | None]:
    given = [method.begin(*problem) for method, problem in zip(methods, problems, strict=True)]
    rows = [method.training_rows(*checked) for method, checked in zip(methods, given, strict=True)]
    _require_same_shapes(rows)
    batch = _Batch(methods[0], rows)
    with fast.optimiser_of(batch.net, methods[0].settings()) as optimiser:
        histories = train_side_by_side(
            batch.net,
            optimiser,
            batch.losses,
            len(rows[0].targets),
            methods[0].settings(),
            [data.streams.generator("shuffling") for data in rows],
            monitor=batch.final_cross_entropies if rows[0].held is not None else None,
            before_epoch=batch.refresh,
            carried=batch.carried(),
        )
    outcomes: list[DivergenceError | None] = []
    for i, (method, checked, data, history) in enumerate(zip(methods, given, rows, histories, strict=True)):
        if history.diverged is not None:
            outcomes.append(DivergenceError(history.diverged))
            continue
        method.model_, method.history_ = batch.network(i), history
        method.score_holdout(data)
        method.end(*checked[1:])
        outcomes.append(None)
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
        self.inputs = [torch.stack(x) for x in zip(*(data.inputs for data in rows), strict=True)]
        self.targets = torch.stack([data.targets for data in rows])
        self.network_index = torch.arange(len(rows), device=method.device).unsqueeze(1)
        self.cardinalities = torch.tensor([data.cardinality() for data in rows], device=method.device)
        self.choices = [data.generator("choices") for data in rows]
        self.dropout = [data.generator("dropout") for data in rows] if method.dropout else None
        self.loss_options = method.loss_options()
        self.earlier: list[Tensor] = []

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

    def refresh(self, epoch: int) -> None:
        """Renew the stale predictions of (18) where they are asked for."""
        every = self.method.weight_refresh
        if not every or epoch % every:
            return
        n, B, q = self.targets.shape
        if epoch == 0:
            self.earlier[:] = [self.targets.new_zeros(n, B, len(self.inputs), q)]
        else:
            scores = [steps.scores() for _, steps in self._forward(self.inputs)]
            self.earlier[:] = [torch.cat(scores, dim=1)]

    @torch.no_grad()
    def final_cross_entropies(self) -> list[float]:
        """Each network's cross entropy of the last step on its hold-out, per label."""
        self.net.eval()
        held = [data.held for data in self.rows if data.held is not None]
        inputs = [torch.stack(x) for x in zip(*(inputs for inputs, _ in held), strict=True)]
        targets = torch.stack([targets for _, targets in held])
        total = torch.zeros(len(held), device=targets.device, dtype=torch.float64)
        for part, steps in self._forward(inputs):
            y = targets[:, part]
            last, complement = steps.log_scores[:, -1], steps.log_complements[:, -1]
            total -= (y * last + (1 - y) * complement).sum((1, 2))
        return [float(x) for x in total / targets[0].numel()]

    @torch.no_grad()
    def _forward(self, inputs: Sequence[Tensor]) -> list[tuple[slice, Steps]]:
        generators = [data.generator("choices") for data in self.rows]
        n_rows = inputs[0].shape[1]
        parts = [slice(start, start + PREDICTION_ROWS) for start in range(0, n_rows, PREDICTION_ROWS)]
        found = []
        for part in parts:
            x = [each[:, part] for each in inputs]
            found.append((part, self.net(x, self._noise(x[0].shape[1], generators, predicting=True))))
        return found

    def _noise(
        self, n_rows: int, generators: Sequence[torch.Generator], predicting: bool = False
    ) -> Tensor | None:
        drawn = [self.method.noise(n_rows, generator, predicting) for generator in generators]
        return None if drawn[0] is None else torch.stack([x for x in drawn if x is not None])

    def network(self, index: int) -> M3LANet:
        """Return one of the networks as a module of its own."""
        unused = torch.Generator()  # of initial weights: torch's own generator is the caller's
        net = M3LANet(self.net.dims, self.net.q, self.net.h, self.options, unused)
        net.load_state_dict({name: tensor[index] for name, tensor in self.net.state_dict().items()})
        return net.to(self.method.device)


def _require_same_options(methods: Sequence[M3LA]) -> None:
    options = [method.get_params(deep=False) for method in methods]
    for name in options[0]:
        values = {repr(each[name]) for each in options}
        if name != "random_state" and len(values) > 1:
            raise CannotTrainTogetherError(
                f"{name} is {' and '.join(sorted(values))}; networks side by side need the same options"
            )
    if methods[0].encoder_order == "random":
        raise CannotTrainTogetherError(
            "encoder_order='random' gives each network an order of its own; fit them one by one"
        )


def _require_same_shapes(rows: Sequence[TrainingRows]) -> None:
    shapes = {
        (
            tuple(x.shape for x in data.inputs),
            data.targets.shape,
            None if data.held is None else data.held[1].shape,
        )
        for data in rows
    }
    if len(shapes) > 1:
        raise CannotTrainTogetherError(
            f"the training sets have shapes {sorted(map(str, shapes))}; networks side by side need the same"
        )
