"""Why cells are undecided: each number that is said to be needed decides, and a little less does not."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from evidence_examples import cell, evidence, exact

from benchmark.inference import ALPHA, Summary, equivalence, holm, holm_levels, welch
from benchmark.paper.printed import read_cells, read_margins
from benchmark.paper.undecided import BEYOND, NEAR, SPREAD, causes, why_undecided
from benchmark.paper.undecided_text import undecided_text
from benchmark.paper.verdicts import judge

PAPER = Path(__file__).resolve().parents[2] / "results" / "paper"
PRINTED, MARGINS = read_cells(PAPER), read_margins(PAPER / "margins.csv")
ML2000 = PRINTED[PRINTED["dataset"] == "ml2000"]
# Centres 0.8125, 0.0925 and 0.8185, margins 0.03, 0.015 and 0.03225; the last is printed with 0.021.
NEAR_CELL = cell("M3LA", "micro_f1", exact(0.83, 0.03))
SPREAD_CELL = cell("M3LA", "example_f1", exact(0.8185, 0.10))
BEYOND_CELL = cell("M3LA", "hamming_loss", exact(0.0745, 0.02))
DECIDED_CELL = cell("M3LA", "macro_auc", exact(0.9445, 0.01))


@pytest.fixture(scope="module")
def verdicts():
    return judge(ML2000, MARGINS, evidence(NEAR_CELL, SPREAD_CELL, BEYOND_CELL, DECIDED_CELL))


@pytest.fixture(scope="module")
def undecided(verdicts):
    return why_undecided(verdicts).set_index("metric")


def sides(verdicts, metric):
    printed = verdicts[(verdicts["method"] == "M3LA") & (verdicts["metric"] == metric)].iloc[0]
    paper = Summary(printed["centre"], printed["std"], 10)
    return paper, Summary(printed["ours_mean"], printed["ours_std"], 10)


def reproduced(paper, ours, margin):
    return equivalence(welch(ours, paper), margin) <= ALPHA


def different(paper, ours, level):
    return welch(ours, paper).p_value <= level


def test_only_undecided_cells_are_explained_by_what_keeps_them_open(undecided):
    assert undecided["obstacle"].to_dict() == {
        "micro_f1": NEAR,
        "example_f1": SPREAD,
        "hamming_loss": BEYOND,
    }


def test_the_level_is_that_of_holms_correction(verdicts, undecided):
    tested = verdicts[verdicts["n_seeds"] > 0].drop_duplicates("metric")
    p_values = tested["p_difference"].tolist()
    np.testing.assert_array_equal(holm(p_values) <= ALPHA, tested["p_holm"] <= ALPHA)
    levels = dict(zip(tested["metric"], holm_levels(p_values), strict=True))
    assert undecided["level"].to_dict() == {name: levels[name] for name in undecided.index}
    assert sorted(levels.values()) == pytest.approx([ALPHA / 4, ALPHA / 3, ALPHA / 2, ALPHA])


@pytest.mark.parametrize("metric", ["micro_f1", "example_f1", "hamming_loss"])
def test_what_is_needed_decides_and_a_little_less_does_not(verdicts, undecided, metric):
    row = undecided.loc[metric]
    paper, ours = sides(verdicts, metric)
    more, less = 1 + 1e-6, 1 - 1e-6
    assert reproduced(paper, ours, row["margin_needed"] * more)
    assert not reproduced(paper, ours, row["margin_needed"] * less)

    def shifted(size):
        return replace(ours, mean=paper.mean + size)

    assert different(paper, shifted(row["shift_different"] * more), row["level"])
    assert not different(paper, shifted(row["shift_different"] * less), row["level"])
    if metric == "example_f1":
        assert np.isnan(row["shift_reproduced"])
        assert not reproduced(paper, shifted(0.0), row["margin"])
    else:
        assert reproduced(paper, shifted(row["shift_reproduced"] * less), row["margin"])
        assert not reproduced(paper, shifted(row["shift_reproduced"] * more), row["margin"])
    for needed, holds in (
        (row["spread_reproduced"], lambda one: reproduced(one, ours, row["margin"])),
        (row["spread_different"], lambda one: different(one, ours, row["level"])),
    ):
        if np.isnan(needed):
            assert not holds(replace(paper, std=0.0))
        else:
            assert holds(replace(paper, std=needed * less))
            assert not holds(replace(paper, std=needed * more))

    def alike(n):
        pair = replace(paper, n=n), replace(ours, n=n)
        return reproduced(*pair, row["margin"]) or different(*pair, row["level"])

    assert alike(int(row["repetitions_needed"]))
    assert not alike(int(row["repetitions_needed"]) - 1)


def test_the_paragraph_counts_what_the_table_says(undecided):
    found = causes(undecided.reset_index())
    assert found.by_obstacle == {NEAR: 1, SPREAD: 1, BEYOND: 1}
    assert found.spread_by_method == {"M3LA": 1}
    text = undecided_text(undecided.reset_index(), "an example")
    assert "3 cells are neither" in text
    assert text.count("| ML2000 M3LA") == 3


def test_where_all_is_decided_it_says_so(verdicts):
    none = why_undecided(verdicts[verdicts["metric"] == "macro_auc"])
    assert none.empty
    assert "No cell is undecided" in undecided_text(none, "an example")


def test_the_committed_explanation_is_of_the_committed_verdicts():
    folder = PAPER.parent / "reference" / "paper" / "ml2000"
    verdicts = pd.read_csv(folder / "verdicts.csv", keep_default_na=False)
    explained = pd.read_csv(folder / "undecided.csv", keep_default_na=False)
    keys = ["dataset", "method", "metric"]
    open_cells = verdicts[(verdicts["verdict"] == "undecided") & (verdicts["repeats"].astype(str) == "False")]
    assert explained[keys].to_numpy().tolist() == open_cells[keys].to_numpy().tolist()
    assert explained["seeds_needed"].tolist() == open_cells["seeds_needed"].tolist()
