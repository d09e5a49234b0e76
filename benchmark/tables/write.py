"""All files of a tables folder from one results; it writes them and decides nothing."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

from benchmark.tables import latex, markdown
from benchmark.tables.aggregate import aggregate
from benchmark.tables.cost_table import cost_table
from benchmark.tables.layout import Table
from benchmark.tables.names import TABLE3_DATASET
from benchmark.tables.paper_tables import table1, table2, table3
from benchmark.tables.results import Results
from benchmark.tables.steps_table import steps_table

TABLES: Mapping[str, Callable[[Results], Table]] = {
    "table1": table1,
    "table2_as-printed": lambda results: table2(results, results.as_printed, "as printed"),
    "table2_equal": lambda results: table2(results, results.equal, "equal thresholds"),
    "table3_as-printed": lambda results: table3(results, results.as_printed, "as printed"),
    "table3_equal": lambda results: table3(results, results.equal, "equal thresholds"),
    "steps": steps_table,
    "cost": cost_table,
}


def write_all(results: Results, out_dir: Path) -> list[Path]:
    """Write every table as Markdown and LaTeX, and the numbers behind them as CSV.

    Parameters
    ----------
    results : Results
    out_dir : Path
        Created if absent; files of the same names are replaced.

    Returns
    -------
    list of Path
        The files written.
    """
    out_dir.mkdir(parents=True, exist_ok=True)
    written = []
    for name, text in render_all(results).items():
        path = out_dir / name
        path.write_text(text, encoding="utf-8", newline="\n")
        written.append(path)
    return written


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


def main_tables(results: Results) -> str:
    """Return what a run prints at its end: Table II and, if its data set has any record, Table III."""
    shown = ["table2_as-printed"]
    if TABLE3_DATASET in set(results.as_printed["dataset"]):
        shown.append("table3_as-printed")
    return "\n".join(terminal(results, name) for name in shown)


def terminal(results: Results, name: str) -> str:
    """Return one of `TABLES` as Markdown.

    Raises
    ------
    ValueError
        If there is no table of that name.
    """
    if name not in TABLES:
        raise ValueError(f"no table {name!r}; choose one of {', '.join(TABLES)}")
    return markdown.render(TABLES[name](results))
