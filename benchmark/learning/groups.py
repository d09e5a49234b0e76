"""Groups of a fixed width: a network's bits do not depend on who trains beside it; it knows no method.

The products of a group have the same shapes, and so the same kernels, however many of its places are asked
for: the others are held by stand-ins. A network's place is its seed modulo the width, as a kernel may treat
one place's memory in another order than the next one's.
"""

from __future__ import annotations

import gc
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch

from benchmark.contracts import Array, Holdout, Problem
from benchmark.learning.surroundings import own_surroundings

WIDTH = 10
Outcome = Exception | None
Checked = tuple[list[Array], Array, Holdout | None]
"""Training rows as an estimator's `begin` returns them."""


class CannotTrainTogetherError(ValueError):
    """The estimators or their rows differ in more than a random state and which rows they are."""


def fit_side_by_side(
    methods: Sequence[Any],
    problems: Sequence[Problem],
    fit_checked: Callable[[Sequence[Any], Sequence[Checked]], Sequence[Outcome]],
) -> list[Outcome]:
    """Do what `fit` does around the training of several estimators, whatever they are.

    Parameters
    ----------
    methods : estimators whose options agree in all but `random_state`.
    problems : as many training sets of the same shapes.
    fit_checked : trains estimators that have begun.

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
        outcomes = list(fit_checked(methods, given))
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


def fit_in_groups(seeds: Sequence[int], fit_group: FitGroup, width: int = WIDTH) -> list[Outcome]:
    """Fit networks in groups; one that does not fit the device's memory is split, which a warning tells.

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
        members = [place.member for place in places if not place.stand_in]
        found = _attempt(places, fit_group)
        if found is None:
            warnings.warn(
                f"{width} networks side by side do not fit the device's memory; trained {width // 2} at a "
                "time, they have other bits",
                stacklevel=2,
            )
            found_apart = fit_in_groups(
                [seeds[i] for i in members], _among(members, fit_group), max(width // 2, 1)
            )
            for i, outcome in zip(members, found_apart, strict=True):
                outcomes[i] = outcome
            continue
        for place, outcome in zip(places, found, strict=True):
            if not place.stand_in:
                outcomes[place.member] = outcome
    return outcomes


def groups(seeds: Sequence[int], width: int = WIDTH) -> list[list[Place]]:
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


def _attempt(places: Sequence[Place], fit_group: FitGroup) -> Sequence[Outcome] | None:
    """Fit a group; None if the memory of the device is too small for it."""
    try:
        return fit_group(places)
    except torch.OutOfMemoryError:
        if len(places) == 1:
            raise
    gc.collect()  # what the attempt left is held by its traceback until here
    if torch.cuda.is_available():
        torch.cuda.empty_cache()
    return None


def _among(members: Sequence[int], fit_group: FitGroup) -> FitGroup:
    """Fit groups that count only some members, from 0."""
    return lambda places: fit_group([Place(members[place.member], place.stand_in) for place in places])
