"""Tables with a column per metric hold what the frames with a row per metric hold."""

from __future__ import annotations

import numpy as np
import pandas as pd

from benchmark.tables.reference import METRIC_COLUMNS, lengthen, widen

KEYS = ("dataset", "method", "seed", "step")


def frame(pairs, seeds=(3, 0), steps=(2, 1), metrics=METRIC_COLUMNS):
    rows = [
        (dataset, method, seed, step, metric)
        for dataset, method in pairs
        for seed in seeds
        for step in steps
        for metric in metrics
    ]
    values = np.random.default_rng(0).random(len(rows))
    return pd.DataFrame(rows, columns=[*KEYS, "metric"]).assign(value=values)


def test_pairs_keep_their_order_and_the_other_keys_are_sorted():
    wide = widen(frame([("z", "B"), ("z", "A"), ("a", "C")]), KEYS)
    assert list(wide.columns) == [*KEYS, *METRIC_COLUMNS]
    assert list(wide["method"].unique()) == ["B", "A", "C"]
    assert [*zip(wide["seed"], wide["step"], strict=True)][:4] == [(0, 1), (0, 2), (3, 1), (3, 2)]


def test_lengthening_undoes_widening():
    long = frame([("z", "B"), ("a", "A")])
    long.loc[3, "value"] = np.nan
    back = lengthen(widen(long, KEYS), KEYS)
    order = [*KEYS, "metric"]
    pd.testing.assert_frame_equal(
        back.sort_values(order, ignore_index=True), long.sort_values(order, ignore_index=True)
    )


def test_nothing_gives_a_table_with_columns_alone():
    wide = widen(frame([]), KEYS)
    assert wide.empty
    assert list(wide.columns) == [*KEYS, *METRIC_COLUMNS]
