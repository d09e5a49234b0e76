"""Several DMPs, or MCCs, that differ in their random state alone, trained as one with a leading axis.

The readable code of one network is mapped over the networks of a group, so that there is one statement of
every loss. It knows of an estimator only what `SequentialClassifier` promises.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.func import functional_call
from torch.utils._pytree import tree_map

from benchmark.contracts import Array, Holdout, Problem
from benchmark.learning.groups import WIDTH, Checked, Place, fit_in_groups, fit_side_by_side
from benchmark.learning.side_by_side import Losses, Steps, train_side_by_side
from benchmark.learning.training import DivergenceError


def fit_together(
    methods: Sequence[Any], problems: Sequence[Problem], width: int = WIDTH
) -> list[Exception | None]:
    """Fit each estimator on its own rows, in groups side by side; see `fit_side_by_side`."""
    return fit_side_by_side(methods, problems, _fitted, width)


def fit_one(method: Any, checked: Checked) -> None:
    """Fit an estimator that has begun as `fit_together` would, or raise why it cannot be."""
    (failure,) = _fitted([method], [checked], WIDTH)
    if failure is not None:
        raise failure


def _fitted(methods: Sequence[Any], given: Sequence[Checked], width: int) -> list[Exception | None]:
    materials = [
        method.start(modalities, labels)
        for method, (modalities, labels, _) in zip(methods, given, strict=True)
    ]

    def fit_group(places: Sequence[Place]) -> list[Exception | None]:
        own = [methods[place.member] for place in places]
        group = _Group(own, [materials[place.member] for place in places])
        held = [given[place.member][2] for place in places]
        return group.fit(places, len(given[0][1]), held)

    return fit_in_groups([method.streams_.seed for method in methods], fit_group, width)


def steps_of(
    methods: Sequence[Any],
    problems: Sequence[Problem],
    wrapped: Callable[[Losses], Losses] = lambda losses: losses,
) -> Steps:
    """Return the steps of a fit of these estimators side by side; see `m3la.together.steps_of`."""
    given = [method.begin(*problem) for method, problem in zip(methods, problems, strict=True)]
    materials = [method.start(x, y) for method, (x, y, _) in zip(methods, given, strict=True)]
    group, settings = _Group(methods, materials), methods[0].training_settings()
    n_rows, losses = len(given[0][1]), wrapped(group.losses)
    return Steps(group.net, losses, n_rows, settings, len(methods), None, group.dropout)


class _Group:
    """Networks side by side: one module whose parameters are theirs, stacked."""

    def __init__(self, methods: Sequence[Any], materials: Sequence[Any]) -> None:
        self.methods, self.one = methods, methods[0]
        self.net = stacked([method.network_ for method in methods])
        self.material = tree_map(_stacked_tensors, *materials)
        self.dropout = [method._generator("dropout", method.device) for method in methods]

    def fit(
        self, places: Sequence[Place], n_rows: int, held: Sequence[Holdout | None]
    ) -> list[Exception | None]:
        """Train, and leave each network that is asked for to its estimator."""
        watched = None if held[0] is None else self._held(held)
        histories = train_side_by_side(
            self.net,
            self.losses,
            n_rows,
            self.one.training_settings(),
            [method.streams_.generator("shuffling") for method in self.methods],
            monitor=None if watched is None else lambda: self._monitored(*watched),
            carried=self.dropout,
        )
        outcomes: list[Exception | None] = []
        for i, (place, method, history) in enumerate(zip(places, self.methods, histories, strict=True)):
            outcomes.append(None if history.diverged is None else DivergenceError(history.diverged))
            if history.diverged is None and not place.stand_in:
                method.network_.load_state_dict({k: v[i] for k, v in self.net.state_dict().items()})
                method.history_ = history
                if (rows := held[i]) is not None:
                    method.holdout_scores_ = method._predict(method._tensors(rows.modalities))["scores"]
        return outcomes

    def losses(self, rows: Tensor) -> Tensor:
        """Losses (n,) of the rows (n, B)."""
        masks, net = self._masks(rows.shape[1]), self.one.network_
        of_one = _Mapped(net, lambda material, rows, masks: self.one._loss_of_rows(material, rows, masks))
        losses: Tensor = of_one.of_each(self.net, (self.material, rows, masks))
        return losses

    def _masks(self, B: int) -> list[Tensor] | None:
        net, run = self.one.network_, self.one._rows_run(self.material, B)
        n = B if net.options.confidence is None else run
        drawn = [net.masks(generator, net.L, run, n) for generator in self.dropout]
        return None if drawn[0] is None else [torch.stack(of_step) for of_step in zip(*drawn, strict=True)]

    def _held(self, held: Sequence[Holdout | None]) -> tuple[list[Tensor], Tensor]:
        """Return the hold-outs' modalities (n, rows, d_k) and labels, in each network's own order."""
        given = [(method, rows) for method, rows in zip(self.methods, held, strict=True) if rows is not None]
        inputs = [method._tensors(rows.modalities) for method, rows in given]
        labels: list[Array] = [method._in_own_order(rows.labels) for method, rows in given]
        return [torch.stack(x) for x in zip(*inputs, strict=True)], self.one._tensor(np.stack(labels)) > 0.5

    @torch.no_grad()
    def _monitored(self, inputs: Sequence[Tensor], labels: Tensor) -> Tensor:
        """What `SequentialClassifier._monitored` finds, of each network (n,)."""
        of_one = _Mapped(self.one.network_, lambda inputs: self.one._last_scores(inputs))
        scores = of_one.of_each(self.net, (list(inputs),)).double()
        if self.one.monitor == "hamming":
            return ((scores >= 0.5) != labels).double().mean((1, 2))
        right = torch.where(labels, scores, 1 - scores)
        return -right.clamp(float(np.finfo(np.float32).eps), 1).log().mean((1, 2))


class _Mapped(nn.Module):
    """A function that reads one network's parameters, mapped over networks side by side."""

    network: Any

    def __init__(self, network: nn.Module, function: Any) -> None:
        super().__init__()
        self.network, self.function = network, function

    def forward(self, *arguments: Any) -> Any:
        return self.function(*arguments)

    def of_each(self, net: nn.Module, arguments: tuple[Any, ...]) -> Any:
        """Return what the function returns, with a leading axis like its arguments' tensors."""
        form, training = self.network.form, self.network.training
        self.network.form = "reference"
        self.network.train()  # so that nothing asks whether all rows have stopped
        try:
            parameters = {f"network.{name}": p for name, p in net.named_parameters()}
            of_one = torch.vmap(
                lambda p, given: functional_call(self, p, given),
                in_dims=(0, tree_map(lambda x: None if x is None else 0, arguments)),
            )
            return of_one(parameters, arguments)
        finally:
            self.network.form = form
            self.network.train(training)


def _stacked_tensors(*tensors: Tensor | None) -> Tensor | None:
    return None if tensors[0] is None else torch.stack([x for x in tensors if x is not None])


def stacked(networks: Sequence[nn.Module]) -> nn.Module:
    """Return a module with the parameters' names of one network, which holds those of all, (n, ..)."""
    whole = copy.deepcopy(networks[0])
    for name, _ in networks[0].named_parameters():
        place, _, leaf = name.rpartition(".")
        own = torch.stack([network.get_parameter(name).detach() for network in networks])
        setattr(whole.get_submodule(place), leaf, nn.Parameter(own))
    return whole
