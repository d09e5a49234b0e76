"""The extra table on decoding: steps, orders and what W_co learned; it knows no format."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import isnan

import pandas as pd

from benchmark.score.metrics import METRICS
from benchmark.tables import captions, names
from benchmark.tables.aggregate import aggregate
from benchmark.tables.cells import MISSING, Average, seeds_expected
from benchmark.tables.layout import Block, Cell, Group, Row, Table
from benchmark.tables.results import DECODING, Results

METRIC_IDS = tuple(metric.id for metric in METRICS)


def steps_table(results: Results) -> Table:
    """Lay out one block of steps per data set, and one block of orders and correlations."""
    per_seed = results.steps
    if per_seed.empty:
        return Table("S", "Decoding steps: no finished record of a method that decodes step by step.", ())
    summary = aggregate(per_seed, extra=["step"])
    n_expected = seeds_expected(results)
    datasets = names.in_paper_order(
        (d for d in names.TABLE2_DATASETS if d in set(per_seed["dataset"])), per_seed["dataset"].unique()
    )
    titles = {dataset: captions.marked_title(dataset, per_seed) for dataset in datasets}
    blocks = [_steps_of(summary, dataset, title, n_expected[dataset]) for dataset, title in titles.items()]
    caption = captions.join(
        "Table S: Metrics after each decoding step (thresholds chosen anew at every step, but those from "
        "held-out rows at the last), and what was decoded: distinct orders of modalities among the test "
        f"rows, their entropy (at most log2 of m!), Spearman's rank correlation of {names.WCO} off its "
        "diagonal with the phi coefficients of the training labels.",
        captions.seeds_sentence(n_expected, datasets),
        captions.profile_sentence(results),
        captions.threshold_sentence(per_seed),
        *captions.provenance_sentences(results, per_seed),
    )
    notes = (f"{MISSING}: the method has no such quantity, or it is undefined (all values equal).",)
    return Table("S", caption, (*blocks, _decoding(summary, titles, n_expected)), notes)


def _steps_of(summary: pd.DataFrame, dataset: str, title: str, n_expected: int) -> Block:
    steps = summary[(summary["dataset"] == dataset) & (summary["step"] > 0)]
    rows = tuple(
        Row(f"{names.method_title(str(method))}, step {step}", _cells(group, METRIC_IDS, n_expected))
        for (method, step), group in steps.groupby(["method", "step"], sort=False)
    )
    columns = tuple(map(names.metric_heading, METRIC_IDS))
    return Block("methods", (Group(title, len(columns)),), columns, rows)


def _decoding(summary: pd.DataFrame, titles: Mapping[str, str], n_expected: Mapping[str, int]) -> Block:
    rows = []
    for dataset, title in titles.items():
        decoding = summary[(summary["dataset"] == dataset) & (summary["step"] == 0)]
        for method, group in decoding.groupby("method", sort=False):
            cells = _cells(group, DECODING, n_expected[dataset])
            rows.append(Row(f"{title}, {names.method_title(str(method))}", cells))
    return Block("data set, method", (), tuple(names.METRIC_TITLES[name] for name in DECODING), tuple(rows))


def _cells(group: pd.DataFrame, metrics: Sequence[str], n_expected: int) -> tuple[Cell, ...]:
    found = {row["metric"]: Average.of(row, n_expected) for row in group.to_dict("records")}
    return tuple(
        Cell(MISSING) if (average := found.get(metric)) is None or isnan(average.mean) else average.cell()
        for metric in metrics
    )
