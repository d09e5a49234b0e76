"""The extra table on what jobs cost, time and memory by method; it knows no format."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import pandas as pd

from benchmark.contracts import Provenance
from benchmark.tables import captions, names
from benchmark.tables.cells import MISSING, Averages
from benchmark.tables.layout import Block, Cell, Group, Row, Table
from benchmark.tables.paper_tables import methods_of
from benchmark.tables.results import Results

Print = Callable[[pd.Series], str]


def resources_table(results: Results) -> Table:
    """Lay out processor seconds, seconds by the clock and memory, each by method and data set."""
    jobs = results.done
    jobs = jobs.assign(clock_seconds=_clock_seconds(jobs))
    if jobs.empty:
        return Table("R", "Resources: no finished job of which time and memory are known.", ())
    present = jobs["dataset"].unique()
    datasets = names.in_paper_order((d for d in names.TABLE2_DATASETS if d in set(present)), present)
    shown = results.as_printed[results.as_printed["dataset"].isin(datasets)]
    blocks = tuple(
        _block(results, jobs, shown, datasets, quantity, column, printed)
        for quantity, (column, printed) in QUANTITIES.items()
    )
    known = dict(list(jobs[jobs["processor_seconds"] > 0].groupby("dataset")["processor_seconds"]))
    totals = [
        f"{names.dataset_title(d)} {known[d].sum() / 3600:.2f} (jobs: {len(known[d])})"
        for d in datasets
        if d in known
    ]
    caption = captions.join(
        "Table R: Time and memory of a job, which loads the data, fits one method on one split, and predicts "
        "and traces the test rows. Mean±sample standard deviation over the seeds of which it is known; of "
        "memory, interpreter and libraries included, the most of any.",
        f"Processor hours of all: {', '.join(totals)}." if totals else "",
        f"They ran on {_machines(results)}.",
        captions.profile_sentence(results),
        *captions.provenance_sentences(results, shown),
    )
    notes = (
        f"{MISSING}: no finished job, or unknown: in old records, and the processor seconds of a fit that "
        "was stopped and resumed.",
        "By the clock a job waits for what else its machine does. Processor seconds are of all of a job's "
        "process, those by the clock of what the first sentence names.",
        *captions.reconstructed_notes(results, tuple(jobs["method"].unique())),
    )
    return Table("R", caption, blocks, notes)


def core_seconds(jobs: pd.DataFrame) -> pd.Series:
    """Return the processor seconds of each job, of a job of which they are unknown those by the clock."""
    return jobs["processor_seconds"].where(jobs["processor_seconds"] > 0, _clock_seconds(jobs))


def _clock_seconds(jobs: pd.DataFrame) -> pd.Series:
    """Return the seconds by the clock of all phases of each job."""
    return jobs[[name for name in jobs.columns if str(name).startswith("seconds")]].sum(axis=1)


def _seconds(values: pd.Series) -> str:
    deviation = f"±{values.std():.1f}" if len(values) > 1 else ""
    return f"{values.mean():.1f}{deviation}"


def _most(values: pd.Series) -> str:
    return f"{values.max():.0f}"


QUANTITIES: Mapping[str, tuple[str, Print]] = {
    "processor seconds": ("processor_seconds", _seconds),
    "seconds by the clock": ("clock_seconds", _seconds),
    "memory, MiB": ("peak_mib", _most),
}
"""What is printed, by its heading: of which column, and how."""


def _block(
    results: Results,
    jobs: pd.DataFrame,
    shown: pd.DataFrame,
    datasets: Sequence[str],
    quantity: str,
    column: str,
    printed: Print,
) -> Block:
    known = jobs[jobs[column] > 0]
    title = Averages(results, shown).title
    values = {pair: group[column] for pair, group in known.groupby(["dataset", "method"])}
    synthetic = set(shown.loc[shown["provenance"] == Provenance.LOOK_ALIKE, "dataset"])

    def cell(dataset: str, method: str) -> Cell:
        if (dataset, method) not in values:
            return Cell(MISSING)
        return Cell(printed(values[dataset, method]), grey=dataset in synthetic)

    def rows(methods: Sequence[str]) -> tuple[Row, ...]:
        run = [method for method in methods if method in set(jobs["method"])]
        return tuple(Row(title(m), tuple(cell(d, m) for d in datasets)) for m in run)

    paper, ours = methods_of(results, names.in_paper_order(names.TABLE2_METHODS, names.TABLE3_METHODS))
    titles = tuple(captions.marked_title(dataset, shown) for dataset in datasets)
    return Block("methods", (Group(quantity, len(titles)),), titles, rows(paper), rows(ours))


def _machines(results: Results) -> str:
    """Name the processors or accelerators that jobs ran on."""
    found = (results.environments.get(name, {}) for name in results.done["environment"].unique())
    named = dict.fromkeys(one.get("accelerator") or one.get("processor") or "" for one in found)
    return " and ".join(name or "an unknown processor" for name in named)
