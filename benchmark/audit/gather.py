"""Reads tables to audit, the paper's or ours, and what is known of their data sets; it judges nothing."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from math import sqrt
from pathlib import Path

import numpy as np
import pandas as pd

from benchmark.audit.numbers import COLUMNS, Facts, Interval
from benchmark.contracts import Array, Dataset, DatasetSpec, Provenance
from benchmark.registry import MOST_SEEDS, Registry, suggestion
from benchmark.run.split import sizes
from benchmark.tables.printed import read_printed
from benchmark.untrusted import read_table

ROOT = Path(__file__).resolve().parents[2]
PAPER = ROOT / "results" / "paper"
PAPER_TABLES = ((PAPER / "table2.csv", None), (PAPER / "table3.csv", "ml2000"))
"""The paper's own tables, and the data set of the one that does not name it."""
PAPER_RUNS = 10
"""Section IV: "we repeat experiment ten times"."""
STANDARD_ERRORS = 5
"""How far the label cardinality of random test rows may lie from that of all rows."""


@dataclass(frozen=True)
class AuditTable:
    """One table as it is audited."""

    frame: pd.DataFrame
    """Columns `audit.numbers.COLUMNS`."""
    source: pd.DataFrame
    """The file's own columns: where ours say which data they are of."""
    printed: bool
    """Whether it is a published table, which does not say."""


def paper_tables(scored_from_predictions: Collection[str]) -> list[AuditTable]:
    """Read Tables II and III of the paper; see `read_audit_table`."""
    return [
        read_audit_table(path, name_of(path), scored_from_predictions, dataset, PAPER_RUNS)
        for path, dataset in PAPER_TABLES
    ]


def paper_runs(path: Path) -> int | None:
    """Return the number of runs of the paper's own tables; of others only their reader can know it."""
    return PAPER_RUNS if path.resolve().parent == PAPER else None


def name_of(path: Path) -> str:
    """Call a table of this repository by its path in it, so that a report reads the same everywhere."""
    resolved = path.resolve()
    return resolved.relative_to(ROOT).as_posix() if resolved.is_relative_to(ROOT) else str(path)


OF_A_CELL = ("dataset", "method", "metric", "threshold", "scoring")
"""Columns that each of our own tables has."""


def read_audit_table(
    path: Path,
    name: str,
    scored_from_predictions: Collection[str] = (),
    dataset: str | None = None,
    n_runs: int | None = None,
) -> AuditTable:
    """Read a published table, or `metrics.csv` or `per_seed.csv` of a folder of tables.

    Parameters
    ----------
    path : Path
    name : str
        How findings call the table.
    scored_from_predictions : collection of str
        Methods of a published table whose scores are 0/1 predictions; our own tables say it themselves.
    dataset : str, optional
        Data set of a published table without such a column.
    n_runs : int, optional
        How many runs a published table is of; None where that is not known. Our own tables say it themselves.

    Raises
    ------
    ValueError
        If the file is no CSV, its columns are of no known kind, or the table contradicts itself.
    """
    source = _read_text(path)
    columns = set(source.columns)
    if {"mean", "std", "direction"} <= columns:
        checked = read_printed(path, None if "dataset" in source else dataset)
        frame = _published(source, checked, scored_from_predictions, n_runs)
    elif {*OF_A_CELL, "mean", "std", "n_seeds", "profile"} <= columns:
        frame = _aggregated(source, path)
    elif {*OF_A_CELL, "value", "seed", "status", "config_hash"} <= columns:
        frame = _per_seed(source)
    else:
        raise ValueError(
            f"{path}: columns {', '.join(source.columns)} are neither of a published table (metric, "
            "direction, dataset, method, mean, std, bold) nor of our metrics.csv or per_seed.csv"
        )
    frame["table"] = [name + suffix for suffix in frame["table"]]
    return AuditTable(frame[list(COLUMNS)], source, "direction" in source)


def _read_text(path: Path) -> pd.DataFrame:
    if not path.is_file():
        raise ValueError(f"{path}: no such file; name a CSV, such as metrics.csv of a folder of tables")
    try:
        return read_table(path, dtype=str, keep_default_na=False)
    except ValueError as error:  # ParserError, EmptyDataError, UnicodeDecodeError
        raise ValueError(f"{path} cannot be read as CSV ({str(error).strip()})") from error


def _published(
    source: pd.DataFrame, checked: pd.DataFrame, scored_from_predictions: Collection[str], n_runs: int | None
) -> pd.DataFrame:
    return checked.assign(
        mean=source["mean"],  # as printed: the number of digits counts
        std=source["std"],
        table="",
        variant="",
        n_runs=n_runs,
        scored_from_predictions=checked["method"].isin(list(scored_from_predictions)),
    )


def _aggregated(source: pd.DataFrame, path: Path) -> pd.DataFrame:
    counts = pd.to_numeric(source["n_seeds"], errors="coerce")
    if len(wrong := source[~(counts.between(0, MOST_SEEDS) & (counts % 1 == 0))]):
        raise ValueError(
            f"{path}: n_seeds {wrong['n_seeds'].iloc[0]!r} is no number of seeds; correct the table"
        )
    several = counts.astype(int)
    parts = zip(source["profile"], source["threshold"], source["scoring"], strict=True)
    frame = source.assign(
        table="",
        variant=[", ".join(names) for names in parts],
        n_runs=several,
        scored_from_predictions=source["scoring"] == "hard",
        bold=None,
    )
    return frame[several > 0].reset_index(drop=True)


def _per_seed(source: pd.DataFrame) -> pd.DataFrame:
    """Each seed is a table of its own, of one run: seeds have different test rows."""
    done = source[source["status"] == "done"].reset_index(drop=True)
    seed = "seed " + done["seed"]
    # The hash keeps apart the seeds of two profiles.
    parts = zip(seed, done["threshold"], done["scoring"], done["config_hash"], strict=True)
    return done.rename(columns={"value": "mean"}).assign(
        std="",
        table=", " + seed,
        variant=[", ".join(names) for names in parts],
        n_runs=1,
        scored_from_predictions=done["scoring"] == "hard",
        bold=None,
    )


def one_frame(tables: Sequence[AuditTable]) -> pd.DataFrame:
    """Put tables into one frame for `audit`.

    Raises
    ------
    ValueError
        If a table is given twice.
    """
    frame = pd.concat([table.frame for table in tables], ignore_index=True)
    names = [name for table in tables for name in dict.fromkeys(table.frame["table"])]
    if len(set(names)) < len(names):
        raise ValueError("a table is given twice; name each --table once")
    return frame


def facts_of(tables: Sequence[AuditTable], registry: Registry, data_dir: Path) -> dict[str, Facts]:
    """Say what is known of every data set of the tables.

    The number of labels is Table I's. Labels are looked at only if they are those that every table's numbers
    are of: real ones for a published table, the same provenance or hash for ours.

    Raises
    ------
    ValueError
        If a table names a data set that is not registered.
    """
    facts = {}
    for dataset in dict.fromkeys(name for table in tables for name in table.frame["dataset"]):
        if dataset not in registry.datasets:
            known = tuple(registry.datasets)
            raise ValueError(
                f"data set {dataset!r} is not registered{suggestion(dataset, known)} "
                f"(there are: {', '.join(known)})"
            )
        facts[dataset] = _facts(registry.datasets[dataset], tables, data_dir)
    return facts


def _facts(spec: DatasetSpec, tables: Sequence[AuditTable], data_dir: Path) -> Facts:
    its_own = [table for table in tables if spec.id in set(table.frame["dataset"])]
    synthetic = spec.provenance(data_dir) is Provenance.LOOK_ALIKE
    if synthetic and any(table.printed for table in its_own):
        return Facts(spec.expected.q)  # without loading it
    data = spec.load(data_dir)
    if not all(table.printed or _same_data(table.source, data) for table in its_own):
        return Facts(data.shape.q)
    # Our tables may come from a profile that caps the test rows: then any row may be all there is.
    n_test = sizes(len(data.labels))[1] if all(table.printed for table in its_own) else 1
    return label_facts(data.labels, n_test)


def _same_data(source: pd.DataFrame, data: Dataset) -> bool:
    own = source[source["dataset"] == data.id]
    if "data_hash" in own:
        return bool((own["data_hash"] == data.data_hash).all())
    return "provenance" in own and bool((own["provenance"] == str(data.provenance)).all())


def label_facts(labels: Array, n_test: int) -> Facts:
    """Bound what random test rows can look like.

    Parameters
    ----------
    labels : (N, q) array in {0, 1}
        All rows.
    n_test : int
        Test rows per run.
    """
    n, q = labels.shape
    counts = labels.sum(axis=1)
    margin = STANDARD_ERRORS * float(counts.std()) / sqrt(n_test)
    cardinality = Interval(
        max(float(counts.min()), float(counts.mean()) - margin),
        min(float(counts.max()), float(counts.mean()) + margin),
    )
    empty, full = int(np.sum(counts == 0)), int(np.sum(counts == q))
    return Facts(
        q, cardinality, float(counts.mean()), _fraction(empty, n, n_test), _fraction(full, n, n_test)
    )


def _fraction(special: int, n: int, n_test: int) -> Interval:
    """Bound the fraction of special rows among any `n_test` of n rows."""
    return Interval(max(0, n_test - (n - special)) / n_test, min(special, n_test) / n_test)
