"""What M3LA's parts do on synthetic data whose truth is known by construction: a measurement, not a bar.

`python -m benchmark.studies.controls` trains M3LA, its ablations, a random order, and BR-fair on the control
generators of `datasets.controls` and writes `controls.csv` and `controls.md`. Smaller than the paper's
settings (stated in the table), so that it ends within minutes.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import joblib
import pandas as pd

from baselines.problem_transform.binary_relevance import METHODS as BINARY_RELEVANCE
from benchmark.contracts import Dataset, MethodSpec, Provenance, Streams
from benchmark.files import write_csv, write_text
from benchmark.run.flags import MOST_JOBS, whole_number
from benchmark.run.seeding import make_deterministic
from benchmark.run.trial import build_estimator, run_trial
from benchmark.score.reading import read_scores
from datasets.controls import Control, label_signal, order_indifferent, order_matters
from datasets.formats.arrays import data_hash
from m3la.estimator import M3LA
from m3la.rows import REPAIRED

GENERATORS: Mapping[str, Callable[..., Control]] = {
    "label_signal": label_signal,
    "order_matters": order_matters,
    "order_indifferent": order_indifferent,
}
VARIANTS: Mapping[str, Mapping[str, Any]] = {
    "": {},
    "-order": {"order": "fixed"},
    "-random-order": {"order": "random"},
    "-Wco": {"label_correlation": False},
}
METRICS = ("macro_auc", "macro_f1", "subset_accuracy")
HERE = Path(__file__).parents[2] / "results" / "controls"


def as_dataset(name: str, control: Control) -> Dataset:
    """Wrap a control for the harness's trial; it never enters a table of results."""
    return Dataset(
        id=name,
        modalities=control.modalities,
        labels=control.labels,
        modality_names=tuple(f"modality{k}" for k in range(len(control.modalities))),
        label_names=tuple(f"label{j}" for j in range(control.labels.shape[1])),
        provenance=Provenance.LOOK_ALIKE,
        data_hash=data_hash(control.modalities, control.labels),
    )


def methods(hidden: int, epochs: int) -> list[MethodSpec]:
    """Return BR-fair, and both presets of M3LA with their ablations at a smaller size."""
    small = {"hidden": hidden, "epochs": epochs}
    rows = [spec for spec in BINARY_RELEVANCE if spec.id == "BR-fair"]
    for name, preset in (("M3LA", {}), ("M3LA-repaired", REPAIRED)):
        rows += [
            MethodSpec(name + v, M3LA, {**preset, **small, **options}) for v, options in VARIANTS.items()
        ]
    return rows


def run_one(spec: MethodSpec, name: str, n: int, seed: int) -> list[dict[str, Any]]:
    """Train one method on one control and return its metrics on the test rows, threshold 0.5.

    For `label_signal` also the macro-AUC over the labels a XOR b, which no modality shows (`xor_macro_auc`).
    """
    control = GENERATORS[name](n=n, seed=seed)
    streams = Streams(name, seed)
    make_deterministic(streams)
    method = build_estimator(spec.estimator, spec.options, streams, "cpu")
    arrays = run_trial(method, as_dataset(name, control), seed).arrays
    values = {metric: read_scores(arrays, "soft", "fixed").metrics[metric] for metric in METRICS}
    if control.groups:
        columns = [group[3] for group in control.groups]
        part = {key: arrays[key][..., columns] for key in ("scores", "labels", "train_label_frequencies")}
        values["xor_macro_auc"] = read_scores(part, "soft", "fixed").metrics["macro_auc"]
    key = {"control": name, "method": spec.id, "seed": seed}
    return [{**key, "metric": metric, "value": value} for metric, value in values.items()]


def describe(rows: pd.DataFrame, settings: str) -> str:
    """Return mean and sample standard deviation as Markdown, one table per control."""
    parts = ["# Controls", "", settings, ""]
    for name, part in rows.groupby("control", sort=False):
        cells = part.groupby(["method", "metric"], sort=False)["value"].agg(["mean", "std"])
        text = cells.apply(lambda row: f"{row['mean']:.3f} ± {row['std']:.3f}", axis=1).unstack("metric")
        parts += [f"## {name}", "", text.to_markdown(), ""]
    return "\n".join(parts)


def main(argv: list[str] | None = None) -> int:
    """Run everything and write the tables."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmark.studies.controls", description=__doc__.splitlines()[0]
    )
    parser.add_argument("--rows", type=whole_number(), default=1500)
    parser.add_argument("--hidden", type=whole_number(), default=32)
    parser.add_argument("--epochs", type=whole_number(), default=300)
    parser.add_argument("--seeds", type=whole_number(most=1_000), default=3)
    parser.add_argument("--jobs", type=whole_number(most=MOST_JOBS), default=joblib.cpu_count())
    parser.add_argument("--out", type=Path, default=HERE)
    given = parser.parse_args(argv)
    calls = [
        joblib.delayed(run_one)(spec, name, given.rows, seed)
        for name in GENERATORS
        for spec in methods(given.hidden, given.epochs)
        for seed in range(given.seeds)
    ]
    rows = pd.DataFrame([row for part in joblib.Parallel(n_jobs=given.jobs)(calls) for row in part])
    write_csv(given.out / "controls.csv", rows, "%.6g")
    settings = (
        f"Synthetic controls, {given.rows} rows (a tenth of them for testing), hidden size {given.hidden}, "
        f"at most {given.epochs} epochs, {given.seeds} seeds, threshold 0.5, mean ± sample standard "
        "deviation. "
        "Written by `python -m benchmark.studies.controls`."
    )
    write_text(given.out / "controls.md", describe(rows, settings))
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
