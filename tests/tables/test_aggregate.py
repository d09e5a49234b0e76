"""Means over seeds: failures, undefined values, single seeds, and what must never be averaged together."""

import numpy as np
import pandas as pd
import pytest

from benchmark.tables.aggregate import AGGREGATE_COLUMNS, aggregate


def rows(values, status=None, **changed):
    common = {
        "dataset": "ml2000",
        "method": "M3LA",
        "metric": "macro_f1",
        "provenance": "rebuilt",
        "profile": "paper",
        "preset": "literal",
        "threshold": "eq16a",
        "scoring": "soft",
    }
    status = status or ["done"] * len(values)
    return pd.DataFrame(
        [
            {**common, "seed": seed, "value": value, "status": state, **changed}
            for seed, (value, state) in enumerate(zip(values, status, strict=True))
        ]
    )


def test_mean_sample_deviation_and_median_over_seeds():
    cell = aggregate(rows([0.2, 0.4, 0.9])).iloc[0]
    assert tuple(cell.index) == AGGREGATE_COLUMNS
    assert cell["mean"] == pytest.approx(0.5)
    assert cell["std"] == pytest.approx(np.sqrt((0.09 + 0.01 + 0.16) / 2))
    assert cell["median"] == 0.4
    assert (cell["n_seeds"], cell["n_failed"]) == (3, 0)


def test_failed_and_timed_out_seeds_are_counted_and_left_out_of_the_mean():
    cell = aggregate(rows([0.2, np.nan, 0.4, np.nan], ["done", "failed", "done", "timeout"])).iloc[0]
    assert cell["mean"] == pytest.approx(0.3)
    assert (cell["n_seeds"], cell["n_failed"]) == (2, 2)


def test_a_cell_whose_seeds_all_failed_stays_in_the_frame():
    frame = pd.concat([rows([np.nan], ["failed"], method="A"), rows([0.5], method="B")])
    summary = aggregate(frame)
    assert summary["method"].tolist() == ["A", "B"]
    assert np.isnan(summary["mean"][0])
    assert (summary["n_seeds"][0], summary["n_failed"][0]) == (0, 1)


def test_a_metric_undefined_on_one_finished_seed_is_undefined_for_the_cell():
    cell = aggregate(rows([0.2, np.nan])).iloc[0]
    assert np.isnan([cell["mean"], cell["std"], cell["median"]]).all()
    assert cell["n_seeds"] == 2


def test_one_seed_has_no_deviation():
    cell = aggregate(rows([0.7])).iloc[0]
    assert (cell["mean"], cell["median"]) == (0.7, 0.7)
    assert np.isnan(cell["std"])


def test_cells_keep_the_order_in_which_they_come_whatever_the_seeds_did():
    frame = pd.concat(
        [rows([0.1], method=m, metric=k) for m in ("Z", "A") for k in ("coverage", "macro_auc")]
    )
    summary = aggregate(frame)
    found = list(zip(summary["method"], summary["metric"], strict=True))
    assert found == [("Z", "coverage"), ("Z", "macro_auc"), ("A", "coverage"), ("A", "macro_auc")]


def test_mean_is_the_same_to_the_bit_in_whatever_order_jobs_ended():
    frame = rows(np.random.default_rng(0).random(10).tolist())
    pd.testing.assert_frame_equal(aggregate(frame), aggregate(frame.iloc[::-1]))


def test_threshold_readings_and_extra_columns_tell_cells_apart():
    both = pd.concat([rows([0.1, 0.3]), rows([0.5, 0.7], threshold="eq13")])
    assert aggregate(both)["mean"].tolist() == pytest.approx([0.2, 0.6])
    steps = pd.concat([rows([0.1]).assign(step=1), rows([0.3]).assign(step=2)])
    assert aggregate(steps, extra=["step"])["step"].tolist() == [1, 2]


@pytest.mark.parametrize(
    ("column", "other"), [("provenance", "look-alike"), ("profile", "quick"), ("preset", "repaired")]
)
def test_what_differs_in_kind_is_not_averaged(column, other):
    frame = rows([0.1, 0.2])
    frame.loc[1, column] = other
    with pytest.raises(ValueError, match=f"mixes {column} .*{other}"):
        aggregate(frame)


def test_a_seed_that_appears_twice_is_refused():
    with pytest.raises(ValueError, match=r"seed 0 appears twice in the cell \(ml2000, M3LA, macro_f1"):
        aggregate(pd.concat([rows([0.1]), rows([0.2])]))


def test_no_records_give_an_empty_frame():
    assert tuple(aggregate(rows([0.1]).iloc[:0]).columns) == AGGREGATE_COLUMNS
