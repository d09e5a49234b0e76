"""Who stands where in a group, and what happens to one that is too large."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from benchmark.learning.groups import WIDTH, Outcome, Place, fit_in_groups, groups


@given(st.lists(st.integers(0, 2**40), unique=True, max_size=30), st.integers(1, 12))
def test_each_network_has_one_place_that_its_seed_decides(seeds: list[int], width: int) -> None:
    found = groups(seeds, width)
    assert all(len(group) == width for group in found)
    at = [(p.member, k) for group in found for k, p in enumerate(group) if not p.stand_in]
    assert sorted(member for member, _ in at) == list(range(len(seeds)))
    assert all(seeds[member] % width == k for member, k in at)


def test_seeds_in_a_row_fill_groups_and_one_alone_has_stand_ins() -> None:
    assert len(groups(range(100))) == 100 // WIDTH
    assert len(groups(range(5, 15))) == 1
    (alone,) = groups([7])
    assert [k for k, place in enumerate(alone) if not place.stand_in] == [7]
    assert {place.member for place in alone} == {0}


def test_a_group_that_does_not_fit_is_split_until_it_does_and_says_so() -> None:
    tried: list[int] = []

    def fit(places: Sequence[Place]) -> list[Outcome]:
        tried.append(len(places))
        if len(places) > 3:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return [ValueError(str(seeds[place.member])) for place in places]

    seeds = [0, 1, 2, 3, 7]
    with pytest.warns(UserWarning, match="trained 2 at a time") as said:
        outcomes = fit_in_groups(seeds, fit)
    assert [str(outcome) for outcome in outcomes] == [str(seed) for seed in seeds]
    assert tried[:2] == [10, 5]
    assert "trained 5 at a time" in str(said[0].message)


def test_one_network_that_does_not_fit_ends_the_fit() -> None:
    def fit(_: Sequence[Place]) -> list[Outcome]:
        raise torch.OutOfMemoryError("CUDA out of memory")

    with pytest.warns(UserWarning, match="do not fit"), pytest.raises(torch.OutOfMemoryError):
        fit_in_groups([0], fit)
