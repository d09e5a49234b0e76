"""Groups of a fixed width: a network's bits do not depend on who trains beside it; it knows no method.

The products of a group have the same shapes, and so the same kernels, however many of its places are asked
for: the others are held by stand-ins. A network's place is its seed modulo the width, as a kernel may treat
one place's memory in another order than the next one's.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from benchmark.contracts import Array, CannotTrainTogetherError, Holdout, Problem
from benchmark.learning.surroundings import own_surroundings

WIDTH = 10
"""Networks of a group, where the device has room for them."""
Outcome = Exception | None
Checked = tuple[list[Array], Array, Holdout | None]
"""Training rows as an estimator's `begin` returns them."""


def fit_side_by_side(
    methods: Sequence[Any],
    problems: Sequence[Problem],
    fit_checked: Callable[[Sequence[Any], Sequence[Checked], int], Sequence[Outcome]],
    width: int = WIDTH,
) -> list[Outcome]:
    """Do what `fit` does around the training of several estimators, whatever they are.

    Parameters
    ----------
    methods : estimators whose options agree in all but `random_state`.
    problems : as many training sets of the same shapes.
    fit_checked : trains estimators that have begun, in groups of some width.
    width : of those groups; another one gives other bits.

    Returns
    -------
    list
        For each estimator None, or why it has no fitted model.

    Raises
    ------
    CannotTrainTogetherError
        Where options or shapes differ.
    """
    _require_same_options(methods)
    with own_surroundings():
        given = [method.begin(*problem) for method, problem in zip(methods, problems, strict=True)]
        _require_same_shapes(given)
        outcomes = list(fit_checked(methods, given, width))
        for method, checked, outcome in zip(methods, given, outcomes, strict=True):
            if outcome is None:
                method.end(*checked[1:])
    return outcomes


def _require_same_options(methods: Sequence[Any]) -> None:
    options = [method.get_params(deep=False) for method in methods]
    for name in options[0]:
        values = {repr(each[name]) for each in options}
        if name != "random_state" and len(values) > 1:
            raise CannotTrainTogetherError(
                f"{name} is {' and '.join(sorted(values))}; networks side by side need the same options"
            )


def _require_same_shapes(given: Sequence[Checked]) -> None:
    shapes = {
        (tuple(x.shape for x in modalities), labels.shape, None if held is None else held.labels.shape)
        for modalities, labels, held in given
    }
    if len(shapes) > 1:
        raise CannotTrainTogetherError(
            f"the training sets have shapes {sorted(map(str, shapes))}; networks side by side need the same"
        )


@dataclass(frozen=True)
class Place:
    """Who stands at one place of a group."""

    member: int
    """Its index among those that are to be fitted."""
    stand_in: bool = False
    """Whether it only fills the place; what it becomes is dropped."""


FitGroup = Callable[[Sequence[Place]], Sequence[Outcome]]
"""Fits the networks of a group, and returns for each place why there is no network, or None."""


def fit_in_groups(seeds: Sequence[int], fit_group: FitGroup, width: int) -> list[Outcome]:
    """Fit networks in groups.

    Parameters
    ----------
    seeds : of each network, which decides its place.
    fit_group, width : see there.

    Returns
    -------
    list
        For each network None, or why it has not been fitted.
    """
    outcomes: list[Outcome] = [None] * len(seeds)
    for places in groups(seeds, width):
        for place, outcome in zip(places, fit_group(places), strict=True):
            if not place.stand_in:
                outcomes[place.member] = outcome
    return outcomes


def groups(seeds: Sequence[int], width: int) -> list[list[Place]]:
    """Put each network at its place in the first group where that is free, and stand-ins at all others."""
    taken: list[dict[int, int]] = []
    for member, seed in enumerate(seeds):
        free = next((group for group in taken if seed % width not in group), None)
        if free is None:
            taken.append(free := {})
        free[seed % width] = member
    return [
        [
            Place(group[k]) if k in group else Place(next(iter(group.values())), stand_in=True)
            for k in range(width)
        ]
        for group in taken
    ]
