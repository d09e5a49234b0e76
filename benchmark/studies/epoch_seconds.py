"""Seconds per epoch of each trained method on each shape of Table I, and per fit of the others.

`python -m benchmark.studies.epoch_seconds` fits every registered method on rows of every data set, on one
thread, and writes `epoch_seconds.csv` and `epoch_seconds.md`. Seconds are processor time, so that another
program on the machine disturbs them less. Two fits that differ in their number of epochs alone are
subtracted: what a fit does once (scaling, neighbours) drops out.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pandas as pd

from benchmark.contracts import Dataset, Holdout, MethodSpec, Streams, data_directory
from benchmark.registry import discover
from benchmark.run.memory import keep_freed_memory
from benchmark.run.seeding import make_deterministic
from benchmark.run.split import carve_holdout, split
from benchmark.run.trial import build_estimator

HERE = Path(__file__).parents[2] / "results" / "epoch_seconds"
EPOCHS = (1, 3)
ROWS = 2560
"""Rows of a timed epoch of a trained method; what an epoch costs is proportional to its rows."""


def fit_seconds(
    spec: MethodSpec, dataset: Dataset, rows: int | None, epochs: int | None
) -> tuple[float, int]:
    """Fit on the first `rows` training rows of seed 0; return processor seconds and the rows of the fit."""
    train = split(dataset.id, len(dataset.labels), 0).train[:rows]
    options = dict(spec.options) | ({} if epochs is None else {"epochs": epochs})
    method: Any = build_estimator(spec.estimator, options, Streams(dataset.id, 0), "cpu")
    holdout = None
    if getattr(method, "needs_holdout", False):
        train, held = carve_holdout(dataset.id, train, 0)
        holdout = Holdout(tuple(x[held] for x in dataset.modalities), dataset.labels[held])
    modalities = [x[train] for x in dataset.modalities]
    started = time.process_time()
    method.fit(modalities, dataset.labels[train], holdout=holdout)
    return time.process_time() - started, len(train)


def measure(spec: MethodSpec, dataset: Dataset) -> dict[str, Any]:
    """Return one row: seconds per epoch of all training rows, or seconds of a whole fit."""
    row: dict[str, Any] = {"method": spec.id, "dataset": dataset.id}
    if "epochs" not in spec.estimator().get_params(deep=False):
        seconds, n = fit_seconds(spec, dataset, None, None)
        return row | {"seconds_per_fit": seconds, "rows": n}
    (few, n), (many, _) = (fit_seconds(spec, dataset, ROWS, epochs) for epochs in EPOCHS)
    train = split(dataset.id, len(dataset.labels), 0).train
    held = int(spec.estimator(**spec.options).needs_holdout)
    rows = len(carve_holdout(dataset.id, train, 0)[0]) if held else len(train)
    return row | {"seconds_per_epoch": (many - few) / (EPOCHS[1] - EPOCHS[0]) * rows / n, "rows": rows}


def report(frame: pd.DataFrame) -> str:
    """Return the Markdown page."""
    lines = [
        "# Seconds per epoch, and per fit where there are no epochs",
        "",
        "Processor seconds of one thread at the `paper` profile's settings; made by "
        "`python -m benchmark.studies.epoch_seconds`. Rows are those of a fit; a method that stops early",
        "holds a tenth of the training rows out, and its monitoring of them is part of an epoch.",
        "",
    ]
    for column, title in (("seconds_per_epoch", "Seconds per epoch"), ("seconds_per_fit", "Seconds per fit")):
        if column in frame and frame[column].notna().any():
            found = frame.dropna(subset=[column])
            table = found.pivot(index="method", columns="dataset", values=column)
            table = table.loc[found["method"].unique(), found["dataset"].unique()]
            lines += [f"## {title}", "", table.to_markdown(floatfmt=".3g"), ""]
    return "\n".join(lines)


def chosen(names: str, known: Iterable[str]) -> list[str]:
    """Return the known ids among comma-separated names, or all for `all`."""
    return [name for name in known if names == "all" or name.lower() in names.lower().split(",")]


def main() -> None:
    """Parse, measure, write."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--methods", default="all", metavar="NAMES", help="comma-separated; default: all")
    parser.add_argument("--datasets", default="all", metavar="NAMES", help="comma-separated; default: all")
    parser.add_argument("--out", type=Path, default=HERE, metavar="DIR")
    given = parser.parse_args()
    make_deterministic(Streams("timing", 0))
    keep_freed_memory()
    registry = discover()
    rows = []
    for dataset_id in chosen(given.datasets, registry.datasets):
        dataset = registry.datasets[dataset_id].load(data_directory(None))
        for method_id in chosen(given.methods, registry.methods):
            rows.append(measure(registry.methods[method_id], dataset))
            print(rows[-1], flush=True)
    given.out.mkdir(parents=True, exist_ok=True)
    frame = pd.DataFrame(rows)
    frame.round(4).to_csv(given.out / "epoch_seconds.csv", index=False, lineterminator="\n")
    (given.out / "epoch_seconds.md").write_text(report(frame), encoding="utf-8")


if __name__ == "__main__":
    main()
