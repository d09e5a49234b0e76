"""`python -m benchmark.studies.threshold_grids`: what eq. (13) and (16) choose on M3LA's scores, by grid.

It reads the records of `results/beyond/jobs.csv` and trains nothing. Data sets whose records are not there
keep the rows that were written before.
"""

from __future__ import annotations

import argparse
import io
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from benchmark.contracts import Array, Job
from benchmark.exit_codes import CANNOT, FINDING, OK
from benchmark.files import write_text
from benchmark.registry import parse_seeds
from benchmark.run.config import ConfigError
from benchmark.run.flags import ROOT
from benchmark.run.store import RecordStore
from benchmark.score.metrics import compute_metrics
from benchmark.score.thresholds import apply_thresholds, choose_thresholds
from benchmark.studies.beyond.rules import read_rules
from benchmark.studies.beyond.sources import read_measured
from benchmark.tables import markdown, names
from benchmark.tables.reference import read_csv

METHOD = "M3LA"
RULES = ("eq13", "eq16a", "eq16b")
STEPS = (0.01, 0.001)
"""As eq. (16) and eq. (13) print them."""
METRICS = ("macro_f1", "micro_f1", "example_f1", "hamming_loss", "subset_accuracy")
KEYS = ("dataset", "rule", "step")
COLUMNS = (*KEYS, "n_seeds", "n_labels", "cardinality", "thresholds", "predicted", *METRICS)
HERE, BEYOND = ROOT / "results" / "thresholds", ROOT / "results" / "beyond"
FILE = "thresholds.csv"
OPENING = f"""# What eq. (13) and (16) choose

Scores of {METHOD} on the test rows of each split, every seed of [eight real data sets](../beyond/beyond.md),
read with one threshold for all labels, eq. (13), and with one per label, eq. (16), in two readings: A, as
printed, in which all labels share the term of the cardinality; B, in which only one label's threshold varies.
The paper prints a grid of 0.001 for eq. (13) and of 0.01 for eq. (16). All are means over seeds; thresholds:
how many different ones there are; labels: predicted per row, beside those of the training rows. Made by
`python -m benchmark.studies.threshold_grids` of records; `{FILE}` has the numbers."""
RULE_TITLES = {"eq13": "(13)", "eq16a": "(16), A", "eq16b": "(16), B"}


def by_rule(arrays: dict[str, Array]) -> Iterator[dict[str, float | str]]:
    """Yield what each rule gives on each grid: of one record's arrays, a row without data set and seed."""
    scores, labels = arrays["scores"], arrays["labels"]
    frequencies = arrays["train_label_frequencies"]
    for rule in RULES:
        for step in STEPS:
            grid = np.linspace(0, 1, round(1 / step) + 1)
            chosen = choose_thresholds(rule, scores, frequencies, grid=grid)
            predictions = apply_thresholds(scores, chosen.values)
            metrics = compute_metrics(labels, scores, predictions)
            yield {
                "rule": rule,
                "step": step,
                "n_labels": len(frequencies),
                "cardinality": float(frequencies.sum()),
                "thresholds": len(np.unique(chosen.values)),
                "predicted": float(predictions.sum(axis=1).mean()),
                **{name: metrics[name] for name in METRICS},
            }


def read_dataset(jobs: pd.DataFrame, store: RecordStore, dataset: str, n_seeds: int) -> pd.DataFrame:
    """Return means over the seeds of one data set; empty if a record is not there."""
    jobs = jobs[(jobs["dataset"] == dataset) & (jobs["method"] == METHOD)]
    if len(jobs) < n_seeds:
        return pd.DataFrame(columns=list(COLUMNS))
    rows = []
    for seed, config_hash in jobs[["seed", "config_hash"]].itertuples(index=False, name=None):
        record = store.find(Job(dataset, METHOD, int(seed)), config_hash)
        if record is None or record.status != "done":
            return pd.DataFrame(columns=list(COLUMNS))
        rows += list(by_rule(store.arrays(record)))
    means = pd.DataFrame(rows).groupby(["rule", "step"], sort=False).mean().reset_index()
    return means.assign(dataset=dataset, n_seeds=n_seeds)[list(COLUMNS)]


def text(table: pd.DataFrame, titles: dict[str, str]) -> str:
    """Return the Markdown."""
    rows = [
        (
            f"{titles[row['dataset']]}, {row['n_labels']:.0f} labels, {row['cardinality']:.2f} per row",
            RULE_TITLES[row["rule"]],
            f"{row['step']:g}",
            f"{row['thresholds']:.1f}",
            f"{row['predicted']:.2f}",
            *(f"{row[name]:.3f}" for name in METRICS),
        )
        for row in table.to_dict("records")
    ]
    metrics = (names.METRIC_TITLES[name] for name in METRICS)
    headers = ("data set", "eq.", "grid", "thresholds", "labels", *metrics)
    return f"{OPENING}\n\n{markdown.grid(rows, headers)}\n"


def main(arguments: Sequence[str] | None = None) -> int:
    """Write the tables, or say which records lack."""
    parser = argparse.ArgumentParser(prog="python -m benchmark.studies.threshold_grids", description=__doc__)
    parser.add_argument("--results", type=Path, default=ROOT / "results", help="default: results")
    parser.add_argument("--out", type=Path, default=HERE, help="default: results/thresholds")
    args = parser.parse_args(arguments)
    store = RecordStore(args.results / "runs")
    try:
        measured = read_measured(BEYOND)
        seeds = {name: parse_seeds(flag) for name, flag in read_rules(BEYOND / "rules.toml").seeds.items()}
        before = pd.DataFrame(columns=list(COLUMNS))
        if (args.out / FILE).is_file():
            before = read_csv(args.out / FILE, COLUMNS, COLUMNS[2:], "remove it")
    except ConfigError as error:
        print(error, file=sys.stderr)
        return CANNOT
    parts, lacking = [], []
    for dataset in seeds:
        part = read_dataset(measured.jobs, store, dataset, len(seeds[dataset]))
        if part.empty:
            part = before[before["dataset"] == dataset]
        if part.empty:
            lacking.append(dataset)
        else:
            parts.append(part)
    if lacking:
        print(
            f"{args.results / 'runs'} lacks records of {METHOD} on {', '.join(lacking)}: "
            "`python run_all.py beyond --dry-run` says how they are made",
            file=sys.stderr,
        )
    if not parts:
        return CANNOT
    kept = pd.concat(parts, ignore_index=True).to_csv(index=False, lineterminator="\n", float_format="%.6g")
    table = pd.read_csv(io.StringIO(kept))  # as it will be read again where records are gone
    titles = dict(zip(measured.datasets["dataset"], measured.datasets["title"], strict=True))
    write_text(args.out / FILE, kept)
    write_text(args.out / "thresholds.md", text(table, titles))
    print(f"wrote {FILE} and thresholds.md to {args.out}")
    return FINDING if lacking else OK


if __name__ == "__main__":
    raise SystemExit(main())
