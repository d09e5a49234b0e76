"""Who stands where in a group, and what happens to one that is too large."""

from __future__ import annotations

from collections.abc import Sequence

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
    assert len(groups(range(100), WIDTH)) == 100 // WIDTH
    assert len(groups(range(5, 15), WIDTH)) == 1
    (alone,) = groups([7], WIDTH)
    assert [k for k, place in enumerate(alone) if not place.stand_in] == [7]
    assert {place.member for place in alone} == {0}


def test_outcomes_are_those_of_the_places_asked_for() -> None:
    seen: list[int] = []

    def fit(places: Sequence[Place]) -> list[Outcome]:
        seen.append(len(places))
        return [None if place.stand_in else ValueError(str(seeds[place.member])) for place in places]

    seeds = [0, 1, 2, 3, 7, 11]
    assert [str(outcome) for outcome in fit_in_groups(seeds, fit, 5)] == [str(seed) for seed in seeds]
    assert seen == [5, 5]
