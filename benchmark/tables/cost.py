"""The extra table on the cost of acquiring modalities one by one; it knows no format."""

from __future__ import annotations

from collections.abc import Mapping
from math import isnan

import pandas as pd

from benchmark.tables import captions, names
from benchmark.tables.aggregate import aggregate
from benchmark.tables.cells import Average, seeds_expected
from benchmark.tables.layout import Block, Cell, Group, Row, Table
from benchmark.tables.results import Results

PER_READING = {"modalities_per_reading": "modalities", "cost_per_reading": "cost"}
PER_INSTANCE = {
    "modalities_per_instance": "modalities",
    "cost_per_instance": "cost",
    "share_with_unread": "share with unread",
}
OF_ALL = {"n_modalities": "modalities", "cost_of_all": "cost"}
"""The same for every instance and seed, so that no deviation is printed."""
GROUPS = {"per reading": PER_READING, "per instance": PER_INSTANCE, "if all were read": OF_ALL}
NOTES = (
    "per reading: what one pass over an instance took, on average. A method has one pass per instance, or "
    "one per label of it. What it reads beside raw modalities counts too, such as the labels predicted "
    "before.",
    "per instance: each raw modality once, however many passes used it. Share with unread: instances for "
    "which some modality was never read.",
    "Costs are those in each method's options, and are compared between methods only relative to the last "
    "column, the cost of reading each raw modality once.",
    "DMP and MCC were published for this cost: fewer modalities at a similar quality; the M3LA paper does "
    "not report it. Methods that always read everything at once are not in this table.",
)


def cost_table(results: Results) -> Table:
    """Lay out one row per data set and method that reads modalities one by one."""
    per_seed = results.acquisition
    if per_seed.empty:
        return Table("C", "Cost: no finished record of a method that reads modalities one by one.", ())
    summary = aggregate(per_seed)
    n_expected = seeds_expected(results)
    datasets = names.in_paper_order(
        (d for d in names.TABLE2_DATASETS if d in set(per_seed["dataset"])), per_seed["dataset"].unique()
    )
    rows = []
    for dataset in datasets:
        title = captions.marked_title(dataset, per_seed)
        for method, group in summary[summary["dataset"] == dataset].groupby("method", sort=False):
            cells = _cells(group, n_expected[dataset])
            rows.append(Row(f"{title}, {names.method_title(str(method))}", cells))
    groups = tuple(Group(title, len(columns)) for title, columns in GROUPS.items())
    columns = tuple(column for group in GROUPS.values() for column in group.values())
    caption = captions.join(
        "Table C: Modalities read and their cost, for methods that read modalities one by one and may stop.",
        captions.seeds_sentence(n_expected, datasets),
        captions.profile_sentence(results),
        *captions.provenance_sentences(results, per_seed),
    )
    return Table("C", caption, (Block("data set, method", groups, columns, tuple(rows)),), NOTES)


def _cells(group: pd.DataFrame, n_expected: int) -> tuple[Cell, ...]:
    found = {row["metric"]: Average.of(row, n_expected) for row in group.to_dict("records")}
    return tuple(_cell(found, metric) for columns in GROUPS.values() for metric in columns)


def _cell(found: Mapping[str, Average], metric: str) -> Cell:
    average = found[metric]
    constant = metric in OF_ALL and (isnan(average.std) or average.std == 0)
    return average.cell(text=f"{average.mean:g}" if constant else None)
