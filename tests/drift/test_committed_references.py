"""The committed references can judge: refits of theirs pass the band, a planted shift does not."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from benchmark.drift.judge import MOVED, judge
from benchmark.drift.pair import ReferenceAndCurrent
from benchmark.drift.reference import read_reference_folder

REFERENCES = Path(__file__).resolve().parents[2] / "results" / "reference"
FOLDERS = sorted(path.parent for path in REFERENCES.glob("*/*/per_seed.csv"))
KEYS = ["method", "seed", "metric", "threshold", "scoring"]


def name_of(folder):
    return f"{folder.parent.name}-{folder.name}"


@pytest.fixture(scope="session", params=FOLDERS, ids=name_of)
def refitted(request):
    """A reference against its own numbers with the first refit in their place, on the splits that have one.

    No digest agrees, so that the band alone decides.
    """
    reference = read_reference_folder(request.param, request.param.name)
    refits = reference.long_refits
    current = reference.per_seed.set_index(KEYS)
    current.update(refits[refits["refit"] == 1].set_index(KEYS)[["value"]])
    assert not current["value"].equals(reference.per_seed.set_index(KEYS)["value"])
    current["score_digest"] = "another"
    return ReferenceAndCurrent(
        reference.per_seed, current.reset_index(), refits, {request.param.name: "torch 1 -> 2"}
    )


def test_fits_with_other_seeds_of_their_own_pass(refitted):
    assert judge(refitted).exit_code == 0


def test_a_shift_of_one_cell_is_found_and_named(refitted):
    current = refitted.current.copy()
    shifted = (current["method"] == "M3LA") & (current["metric"] == "macro_f1")
    current.loc[shifted, "value"] -= 0.5
    drift = judge(replace(refitted, current=current))
    assert drift.exit_code == 1
    moved = drift.cells[drift.cells["verdict"] == MOVED]
    assert set(zip(moved["method"], moved["metric"], strict=True)) == {("M3LA", "macro_f1")}
