"""Tables I, II and III in the paper's layout, from a results; it knows neither Markdown nor LaTeX."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import pandas as pd

from benchmark.contracts import Provenance
from benchmark.score.metrics import METRICS
from benchmark.tables import captions, names
from benchmark.tables.aggregate import aggregate
from benchmark.tables.cells import DIRECTIONS, Footnotes, Scores
from benchmark.tables.layout import Block, Cell, Group, Row, Table
from benchmark.tables.results import Results


def table1(results: Results) -> Table:
    """Table I: shapes of the data sets, and where their numbers come from."""
    titles = {row.id: row for row in results.datasets}
    order = names.in_paper_order((d for d in names.TABLE2_DATASETS if d in titles), titles)
    rows = []
    for row in (titles[dataset] for dataset in order):
        shape = row.shape
        dims = ",".join(map(str, shape.dims))
        grey = row.provenance is Provenance.LOOK_ALIKE
        texts = (str(shape.n), str(shape.q), str(shape.m), dims)
        cells = (*(Cell(text) for text in texts), Cell(str(row.provenance), grey=grey))
        rows.append(Row(row.title + names.PROVENANCE_MARKS[row.provenance], cells))
    shown = pd.DataFrame(
        [(row.id, str(row.provenance)) for row in results.datasets], columns=["dataset", "provenance"]
    )
    caption = captions.join(
        "Table I: Details of datasets. N, L, M represent the number of instances, labels and modalities, "
        "D the dimension of each modality. 'features' says where the numbers come from.",
        *captions.provenance_sentences(results, shown),
    )
    block = Block("DataSets Name", (), ("N", "L", "M", "D", "features"), tuple(rows))
    return Table("I", caption, (block,))


def table2(results: Results, per_seed: pd.DataFrame, reading: str) -> Table:
    """Table II: blocks of two metrics by all data sets.

    Parameters
    ----------
    results : Results
    per_seed : DataFrame
        One of the results's readings.
    reading : str
        What the caption calls it, such as `as printed`.
    """
    registered = (row.id for row in results.datasets)
    datasets = names.in_paper_order(names.TABLE2_DATASETS, (*registered, *per_seed["dataset"].unique()))
    paper, ours = _methods(results, per_seed, names.TABLE2_METHODS)
    shown = per_seed[per_seed["method"].isin([*paper, *ours])]
    scores = Scores(results, aggregate(per_seed))
    notes = Footnotes()
    blocks = tuple(
        _block(
            [(dataset, metric) for metric in metrics for dataset in datasets],
            tuple(Group(_metric_title(metric), len(datasets)) for metric in metrics),
            tuple(captions.marked_title(dataset, shown) for _ in metrics for dataset in datasets),
            (paper, ours),
            scores,
            notes,
        )
        for metrics in names.TABLE2_BLOCKS
    )
    count = shown["dataset"].nunique()
    on = f"{count or 'no'} data set{'s' if count > 1 else ''}"
    caption = captions.join(
        f"Table II, {reading}: Results of M3LA and the compared approaches on {on}.",
        *_protocol(results, shown, scores, datasets),
    )
    return Table("II", caption, blocks, _notes(results, shown, (*paper, *ours), notes))


def table3(results: Results, per_seed: pd.DataFrame, reading: str) -> Table:
    """Table III: all metrics of M3LA, its ablations and the compared approaches on ML2000.

    Parameters are those of `table2`.
    """
    dataset = names.TABLE3_DATASET
    per_seed = per_seed[per_seed["dataset"] == dataset]
    paper, ours = _methods(results, per_seed, names.TABLE3_METHODS)
    shown = per_seed[per_seed["method"].isin([*paper, *ours])]
    scores = Scores(results, aggregate(per_seed))
    notes = Footnotes()
    block = _block(
        [(dataset, metric.id) for metric in METRICS],
        (),
        tuple(_metric_title(metric.id) for metric in METRICS),
        (paper, ours),
        scores,
        notes,
    )
    caption = captions.join(
        f"Table III, {reading}: Results of M3LA, M3LA-order (no modality prediction layer), "
        f"M3LA-{names.WCO} (no correlation matrix) and the compared approaches on "
        f"{captions.marked_title(dataset, shown)}.",
        *_protocol(results, shown, scores, (dataset,)),
    )
    return Table("III", caption, (block,), _notes(results, shown, (*paper, *ours), notes))


def _methods(
    results: Results, per_seed: pd.DataFrame, paper: Sequence[str]
) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Rows above and below the rule: the table's own, then what neither of the paper's tables has."""
    others = [spec for spec in results.methods if spec.id not in names.PAPER_METHODS]
    registered = {spec.id for spec in results.methods}
    unregistered = [m for m in per_seed["method"].unique() if m not in registered | names.PAPER_METHODS]
    above = names.in_paper_order(paper, (spec.id for spec in others if spec.in_paper))
    below = names.in_paper_order((spec.id for spec in others if not spec.in_paper), unregistered)
    return above, below


def _block(
    keys: Sequence[tuple[str, str]],
    groups: tuple[Group, ...],
    columns: tuple[str, ...],
    methods: tuple[tuple[str, ...], tuple[str, ...]],
    scores: Scores,
    notes: Footnotes,
) -> Block:
    """Lay out columns, given by (data set, metric), with the paper's rows above a rule and ours below."""
    paper, ours = methods
    contenders = [method for method in paper if method not in scores.reconstructed]
    by_column = [scores.column(d, metric, (*paper, *ours), contenders, notes) for d, metric in keys]

    def title(method: str) -> str:
        mark = names.RECONSTRUCTED_MARK if method in scores.reconstructed else ""
        return names.method_title(method) + mark

    def rows(ids: Iterable[str]) -> tuple[Row, ...]:
        return tuple(Row(title(m), tuple(column[m] for column in by_column)) for m in ids)

    return Block("methods", groups, columns, rows(paper), rows(ours))


def _metric_title(metric: str) -> str:
    return f"{names.METRIC_TITLES[metric]} {names.ARROWS[DIRECTIONS[metric]]}"


def _protocol(
    results: Results, shown: pd.DataFrame, scores: Scores, datasets: Sequence[str]
) -> tuple[str, ...]:
    return (
        captions.seeds_sentence(scores, datasets),
        captions.profile_sentence(results),
        captions.threshold_sentence(shown),
        captions.scoring_sentence(shown),
        captions.hardening_sentence(results, shown),
        captions.BOLD_SENTENCE,
        *captions.provenance_sentences(results, shown),
    )


def _notes(
    results: Results, shown: pd.DataFrame, methods: Sequence[str], missing: Footnotes
) -> tuple[str, ...]:
    with_rows = set(shown["method"])
    return (
        *missing.lines(),
        *captions.reconstructed_notes(results, methods),
        *captions.method_notes(results, [method for method in methods if method in with_rows]),
    )
