"""Tables I, II and III in the paper's layout; it knows neither Markdown nor LaTeX."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import pandas as pd

from benchmark.contracts import Provenance
from benchmark.score.metrics import METRICS
from benchmark.tables import captions, names
from benchmark.tables.cells import Averages, Footnotes
from benchmark.tables.layout import Block, Cell, Group, Row, Table
from benchmark.tables.results import Results


def table1(results: Results) -> Table:
    """Table I: shapes of the data sets, and where their numbers come from."""
    by_id = {listed.id: listed for listed in results.datasets}
    rows = []
    present = {listed.id for listed in results.datasets if listed.in_paper} | {*results.as_printed["dataset"]}
    for dataset in names.in_paper_order(names.TABLE2_DATASETS, by_id):
        if dataset not in by_id or dataset not in present:
            continue
        listed, shape = by_id[dataset], by_id[dataset].shape
        texts = (str(shape.n), str(shape.q), str(shape.m), ",".join(map(str, shape.dims)))
        grey = listed.provenance is Provenance.LOOK_ALIKE
        cells = (*map(Cell, texts), Cell(str(listed.provenance), grey=grey))
        rows.append(Row(listed.title + names.PROVENANCE_MARKS[listed.provenance], cells))
    shown = pd.DataFrame(
        [(listed.id, str(listed.provenance)) for listed in results.datasets if listed.id in present],
        columns=["dataset", "provenance"],
    )
    caption = captions.join(
        "Table I: Details of datasets. N, L, M represent the number of instances, labels and modalities, "
        "D the dimension of each modality. 'features' says where the numbers come from.",
        *captions.provenance_sentences(results, shown),
    )
    block = Block("DataSets Name", (), ("N", "L", "M", "D", "features"), tuple(rows))
    return Table("I", caption, (block,))


def table2(results: Results, per_seed: pd.DataFrame, thresholds: str) -> Table:
    """Table II: blocks of two metrics by all data sets.

    Parameters
    ----------
    results : Results
    per_seed : DataFrame
        `results.as_printed` or `results.equal`.
    thresholds : str
        What the caption calls it: `as printed`, `equal thresholds`.
    """
    listed = [listed.id for listed in results.datasets if listed.in_paper]
    datasets = names.in_paper_order(names.TABLE2_DATASETS, listed)
    per_seed = per_seed[per_seed["dataset"].isin(datasets)]
    paper, ours = methods_of(results, names.TABLE2_METHODS)
    shown = per_seed[per_seed["method"].isin([*paper, *ours])]
    averages = Averages(results, per_seed)
    titles = tuple(captions.marked_title(dataset, shown) for dataset in datasets)
    notes = Footnotes()
    blocks = tuple(
        _block(
            [(dataset, metric) for metric in metrics for dataset in datasets],
            tuple(Group(names.metric_heading(metric), len(datasets)) for metric in metrics),
            titles * len(metrics),
            (paper, ours),
            averages,
            notes,
        )
        for metrics in names.TABLE2_BLOCKS
    )
    count = shown["dataset"].nunique()
    on = f"{count or 'no'} data set{'s' if count > 1 else ''}"
    caption = captions.join(
        f"Table II, {thresholds}: Results of M3LA and the compared approaches on {on}.",
        *_protocol(results, shown, averages, datasets),
    )
    return Table("II", caption, blocks, _notes(results, shown, (*paper, *ours), notes))


def table3(results: Results, per_seed: pd.DataFrame, thresholds: str) -> Table:
    """Table III: all metrics of M3LA, its ablations and the compared approaches on ML2000.

    Parameters are those of `table2`.
    """
    opening = (
        f"Table III, {thresholds}: Results of M3LA, M3LA-order (no modality prediction layer), "
        f"M3LA-{names.WCO} (no correlation matrix) and the compared approaches on"
    )
    return _all_metrics(results, per_seed, names.TABLE3_DATASET, "III", names.TABLE3_METHODS, opening)


def own_table(results: Results, per_seed: pd.DataFrame, thresholds: str, dataset: str) -> Table:
    """All metrics of all methods on a data set that is not the paper's; other parameters as of `table2`."""
    run = set(per_seed.loc[per_seed["dataset"] == dataset, "method"])
    ablations = (method for method in names.TABLE3_METHODS if method in run)
    methods = names.in_paper_order(names.TABLE2_METHODS, ablations)
    titles = {listed.id: listed.title for listed in results.datasets}
    opening = f"Table D ({titles[dataset]}), {thresholds}: Results of M3LA and the compared approaches on"
    return _all_metrics(results, per_seed, dataset, "D", methods, opening)


def _all_metrics(
    results: Results,
    per_seed: pd.DataFrame,
    dataset: str,
    number: str,
    methods: Sequence[str],
    opening: str,
) -> Table:
    per_seed = per_seed[per_seed["dataset"] == dataset]
    paper, ours = methods_of(results, methods)
    shown = per_seed[per_seed["method"].isin([*paper, *ours])]
    averages = Averages(results, per_seed)
    notes = Footnotes()
    block = _block(
        [(dataset, metric.id) for metric in METRICS],
        (),
        tuple(names.metric_heading(metric.id) for metric in METRICS),
        (paper, ours),
        averages,
        notes,
    )
    caption = captions.join(
        f"{opening} {captions.marked_title(dataset, shown)}.",
        *_protocol(results, shown, averages, (dataset,)),
    )
    return Table(number, caption, (block,), _notes(results, shown, (*paper, *ours), notes))


def methods_of(results: Results, paper: Sequence[str]) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Rows above and below the rule: the table's own, then what neither of the paper's tables has."""
    others = [spec for spec in results.methods if spec.id not in names.PAPER_METHODS]
    above = names.in_paper_order(paper, (spec.id for spec in others if spec.in_paper))
    return above, tuple(spec.id for spec in others if not spec.in_paper)


def _block(
    keys: Sequence[tuple[str, str]],
    groups: tuple[Group, ...],
    columns: tuple[str, ...],
    methods: tuple[tuple[str, ...], tuple[str, ...]],
    averages: Averages,
    notes: Footnotes,
) -> Block:
    """Lay out columns, given by (data set, metric), with the paper's rows above a rule and ours below."""
    paper, ours = methods
    contenders = [method for method in paper if method not in averages.reconstructed]
    by_column = [averages.column(d, metric, (*paper, *ours), contenders, notes) for d, metric in keys]

    def rows(ids: Iterable[str]) -> tuple[Row, ...]:
        return tuple(Row(averages.title(m), tuple(column[m] for column in by_column)) for m in ids)

    return Block("methods", groups, columns, rows(paper), rows(ours))


def _protocol(
    results: Results, shown: pd.DataFrame, averages: Averages, datasets: Sequence[str]
) -> tuple[str, ...]:
    return (
        captions.seeds_sentence(averages.n_expected, datasets),
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
