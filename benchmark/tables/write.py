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
from benchmark.tables.paper_tables import table1, table2, table3
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
}


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
    for name, text in files.items():
        write_text(folder / name, text)
    return files


def render_all(results: Results) -> dict[str, str]:
    """Return the text of every file by its name."""
    files = {}
    for name, make in TABLES.items():
        table = make(results)
        files[f"{name}.md"] = markdown.render(table)
        files[f"{name}.tex"] = latex.render(table)
    per_seed = results.per_seed
    files["per_seed.csv"] = per_seed.to_csv(index=False, lineterminator="\n")
    files["metrics.csv"] = aggregate(per_seed).to_csv(index=False, lineterminator="\n")
    return files


def main_tables(results: Results, files: Mapping[str, str]) -> str:
    """Return what a run prints at its end: Table II and, if its data set has any record, Table III."""
    shown = ["table2_as-printed.md"]
    if TABLE3_DATASET in set(results.as_printed["dataset"]):
        shown.append("table3_as-printed.md")
    return "\n".join(files[name] for name in shown)
