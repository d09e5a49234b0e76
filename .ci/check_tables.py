"""Check that a run's tables are whole: every row and metric there, every number readable; it judges none."""

from __future__ import annotations

import math
import re
import sys
from pathlib import Path

import pandas as pd

from benchmark.registry import Registry, discover
from benchmark.score.metrics import METRICS
from benchmark.tables.cells import MISSING
from benchmark.tables.names import RECONSTRUCTED_MARK, method_title
from benchmark.tables.write import TABLES

NUMBER = re.compile(r"-?\d+\.\d{3}(±\d+\.\d{3})?")


def missing_numbers(metrics: pd.DataFrame, registry: Registry) -> list[str]:
    """Name each (data set of the paper, method, metric) that has no finite mean over unfailed seeds."""
    found = {
        (row["dataset"], row["method"], row["metric"])
        for row in metrics.to_dict("records")
        if math.isfinite(row["mean"]) and row["n_failed"] == 0 and row["n_seeds"] > 0
    }
    wanted = [
        (dataset, method.id, metric.id)
        for dataset in registry.select_datasets(None).ids
        for method in registry.methods.values()
        if method.datasets is None or dataset in method.datasets
        for metric in METRICS
    ]
    return ["/".join(key) for key in wanted if key not in found]


def unreadable_cells(text: str, methods: set[str]) -> list[str]:
    """Return the cells of those methods' rows that are neither a number nor marked missing with a letter."""
    wrong = []
    for line in text.splitlines():
        title, *cells = (cell.strip().strip("*") for cell in line.strip().strip("|").split("|"))
        if line.startswith("|") and title in methods:
            wrong += [f"{title}: {c!r}" for c in cells if not (NUMBER.fullmatch(c) or c.startswith(MISSING))]
    return wrong


def main(folder: Path) -> int:
    """Return 0 if the tables in `folder` are whole, else 1 after saying what is wrong."""
    files = [f"{name}.{suffix}" for name in TABLES for suffix in ("md", "tex")] + [
        "metrics.csv",
        "per_seed.csv",
    ]
    problems = [f"{name} is missing or empty" for name in files if not _filled(folder / name)]
    if not problems:
        registry, metrics = discover(), pd.read_csv(folder / "metrics.csv")
        problems += [f"no number for {key}" for key in missing_numbers(metrics, registry)]
        methods = {
            method_title(spec.id) + (RECONSTRUCTED_MARK if spec.reconstructed else "")
            for spec in registry.methods.values()
        }
        for name in (name for name in TABLES if name.startswith(("table2", "table3"))):
            cells = unreadable_cells((folder / f"{name}.md").read_text(encoding="utf-8"), methods)
            problems += [f"{name}.md, {cell}" for cell in cells]
    for problem in problems:
        print(f"{folder}: {problem}", file=sys.stderr)
    return 1 if problems else 0


def _filled(path: Path) -> bool:
    return path.is_file() and path.stat().st_size > 0


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
