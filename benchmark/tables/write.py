"""All files of a tables folder; it writes them and decides nothing."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

from benchmark.files import write_text
from benchmark.tables import latex, markdown
from benchmark.tables.aggregate import aggregate
from benchmark.tables.cost import cost_table
from benchmark.tables.layout import Table
from benchmark.tables.names import TABLE3_DATASET
from benchmark.tables.paper_tables import own_table, table1, table2, table3
from benchmark.tables.resources import resources_table
from benchmark.tables.results import Results
from benchmark.tables.steps import steps_table

TABLES: Mapping[str, Callable[[Results], Table]] = {
    "table1": table1,
    "table2_as-printed": lambda results: table2(results, results.as_printed, "as printed"),
    "table2_equal": lambda results: table2(results, results.equal, "equal thresholds"),
    "table3_as-printed": lambda results: table3(results, results.as_printed, "as printed"),
    "table3_equal": lambda results: table3(results, results.equal, "equal thresholds"),
    "steps": steps_table,
    "cost": cost_table,
    "resources": resources_table,
}


def tables_of(results: Results) -> dict[str, Callable[[Results], Table]]:
    """Return what makes each table, by name: `TABLES`, and two for each data set that is not the paper's."""
    present = set(results.as_printed["dataset"])
    own = [listed.id for listed in results.datasets if not listed.in_paper and listed.id in present]
    return {
        **TABLES,
        **{f"{dataset}_as-printed": _own(dataset, "as_printed", "as printed") for dataset in own},
        **{f"{dataset}_equal": _own(dataset, "equal", "equal thresholds") for dataset in own},
    }


def _own(dataset: str, frame: str, thresholds: str) -> Callable[[Results], Table]:
    return lambda results: own_table(results, getattr(results, frame), thresholds, dataset)


def write_all(results: Results, folder: Path) -> dict[str, str]:
    """Write every table as Markdown and LaTeX, and the numbers behind them as CSV.

    Parameters
    ----------
    results : Results
    folder : Path
        Created if absent; files of the same names are replaced.

    Returns
    -------
    dict of str to str
        The text of every file written, by its name.
    """
    files = render_all(results)
    write_texts(files, folder)
    return files


def write_texts(files: Mapping[str, str], folder: Path) -> None:
    """Write the text of each file by its name."""
    for name, text in files.items():
        write_text(folder / name, text)


def render_all(results: Results) -> dict[str, str]:
    """Return the text of every file by its name."""
    per_seed = results.per_seed
    return {
        **render_layouts(results),
        "per_seed.csv": per_seed.to_csv(index=False, lineterminator="\n"),
        "metrics.csv": aggregate(per_seed).to_csv(index=False, lineterminator="\n"),
    }


def render_layouts(results: Results) -> dict[str, str]:
    """Return the text of every table, as Markdown and LaTeX, by the file's name."""
    files = {}
    for name, make in tables_of(results).items():
        table = make(results)
        files[f"{name}.md"] = markdown.render(table)
        files[f"{name}.tex"] = latex.render(table)
    return files


def main_tables(results: Results, files: Mapping[str, str]) -> str:
    """Return what a run prints at its end: Table II, Table III and those of other data sets with records."""
    present = set(results.as_printed["dataset"])
    own = [listed.id for listed in results.datasets if not listed.in_paper and listed.id in present]
    shown = [f"{dataset}_as-printed.md" for dataset in own]
    if TABLE3_DATASET in present:
        shown.insert(0, "table3_as-printed.md")
    if present - {*own} or not present:
        shown.insert(0, "table2_as-printed.md")
    return "\n".join(files[name] for name in shown)
