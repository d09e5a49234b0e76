"""The committed references can judge: refits of theirs pass the band, a planted shift does not."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest

from benchmark.drift.judge import MOVED, Sides, judge
from benchmark.drift.reference import read_reference_folder

REFERENCES = Path(__file__).resolve().parents[2] / "results" / "reference"
FOLDERS = sorted(path.parent for path in REFERENCES.glob("*/*/per_seed.csv"))
KEYS = ["method", "seed", "metric", "threshold", "scoring"]


def name_of(folder):
    return f"{folder.parent.name}-{folder.name}"


@pytest.fixture(params=FOLDERS, ids=name_of)
def reference(request):
    return read_reference_folder(request.param, request.param.name)


def with_a_refit(reference):
    """Return the reference's numbers with its first refit in their place, on the splits that have one."""
    numbers = reference.per_seed.set_index(KEYS)
    refit = reference.long_noise.query("refit == 1").set_index(KEYS)
    numbers.update(refit[["value", "score_digest"]])
    return numbers.reset_index()


def gate(reference, current: pd.DataFrame):
    return judge(Sides(reference.per_seed, current, reference.long_noise), exact=False)


def test_fits_with_other_seeds_of_their_own_pass(reference):
    current = with_a_refit(reference)
    assert not current["score_digest"].equals(reference.per_seed["score_digest"])
    assert gate(reference, current).exit_code == 0


def test_a_shift_of_one_cell_is_found_and_named(reference):
    current = with_a_refit(reference)
    shifted = (current["method"] == "M3LA") & (current["metric"] == "macro_f1")
    current.loc[shifted, "value"] -= 0.5
    drift = gate(reference, current)
    assert drift.exit_code == 1
    moved = drift.cells[drift.cells["verdict"] == MOVED]
    assert set(zip(moved["method"], moved["metric"], strict=True)) == {("M3LA", "macro_f1")}
