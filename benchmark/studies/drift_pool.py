"""Fits from which the false alarms and the power of the drift gate are measured; it judges nothing.

They are written one by one to a file, so that a second call goes on where the first stopped.
"""

from __future__ import annotations

import csv
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from baselines.problem_transform.classifier_chain import ClassifierChain
from benchmark.contracts import Dataset, MethodSpec, Streams
from benchmark.run.child import method_seed
from benchmark.run.features import data_directory, leaking_seeds
from benchmark.run.fingerprint import code_digest, code_roots
from benchmark.run.seeding import make_deterministic
from benchmark.run.trial import build_estimator, run_trial
from benchmark.score.metrics import METRICS
from benchmark.score.reading import read_scores
from benchmark.tables.results import EQUAL_RULE
from datasets.ml2000 import DATASET
from m3la.rows import METHODS as M3LA_METHODS

TRAIN_ROWS, TEST_ROWS, EPOCHS = 200, 80, 1
SPLITS = tuple(range(4))
POOL = 60
"""Method seeds per split on either side."""
FRESH = 20
"""Method seeds per split beyond the two sides."""
KEYS = ("method", "seed", "refit", "code")


@dataclass(frozen=True)
class Fit:
    """One fit of every method of a set on one split."""

    seed: int
    refit: int


def stochastic_methods() -> list[MethodSpec]:
    """Return methods whose refits differ: a chain in random order, and M3LA with one epoch."""
    (m3la,) = (spec for spec in M3LA_METHODS if spec.id == "M3LA")
    return [
        MethodSpec("CC-random", ClassifierChain, {"chain_order": "random"}, scoring="hard"),
        MethodSpec("M3LA", m3la.estimator, {**m3la.options, "epochs": EPOCHS}, threshold=m3la.threshold),
    ]


def planned_fits(methods: Collection[str]) -> list[tuple[MethodSpec, Fit]]:
    """Return every fit of the study: both pools and fresh reruns."""
    fits = [Fit(seed, refit) for refit in range(2 * POOL + FRESH) for seed in SPLITS]
    return [(spec, fit) for spec in stochastic_methods() if spec.id in methods for fit in fits]


def fit_once(spec: MethodSpec, dataset: Dataset, fit: Fit) -> dict[str, Any]:
    """Fit one method on one split and read it under its own rule and the equal one."""
    streams = Streams(dataset.id, method_seed(fit.seed, fit.refit))
    make_deterministic(streams)
    method = build_estimator(spec.estimator, spec.options, streams, "cpu")
    arrays = run_trial(method, dataset, fit.seed, TRAIN_ROWS, TEST_ROWS).arrays
    row: dict[str, Any] = {"method": spec.id, "seed": fit.seed, "refit": fit.refit}
    for rule in (spec.threshold, EQUAL_RULE):
        metrics = read_scores(arrays, spec.scoring, rule).metrics
        row |= {f"{name}:{'own' if rule == spec.threshold else 'equal'}": v for name, v in metrics.items()}
    return row


def fill_pool(path: Path, methods: Collection[str]) -> pd.DataFrame:
    """Run the methods' fits that `path` does not hold yet, one line each, and return them all."""
    done: set[tuple[str, int, int]] = set()
    specs = [spec for spec in stochastic_methods() if spec.id in methods]
    code = {spec.id: code_digest(*code_roots(spec.estimator, spec.options))[:12] for spec in specs}
    if path.exists():
        before = pd.read_csv(path, dtype={"code": str})
        _require_same_code(path, before, code)
        done = set(before[["method", "seed", "refit"]].itertuples(index=False, name=None))
    path.parent.mkdir(parents=True, exist_ok=True)
    dataset = DATASET.load(data_directory(None, [DATASET]))
    leaking_seeds(dataset.id, dataset.fit_seed, SPLITS)
    columns = [f"{metric.id}:{rule}" for rule in ("own", "equal") for metric in METRICS]
    with path.open("a", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, [*KEYS, *columns], lineterminator="\n")
        if not done:
            writer.writeheader()
        for spec, fit in planned_fits(methods):
            if (spec.id, fit.seed, fit.refit) not in done:
                row = fit_once(spec, dataset, fit) | {"code": code[spec.id]}
                writer.writerow({k: f"{v:.9g}" if isinstance(v, float) else v for k, v in row.items()})
                file.flush()
    pool = pd.read_csv(path, dtype={"code": str})
    return pool[pool["method"].isin(methods)].drop(columns="code")


def _require_same_code(path: Path, before: pd.DataFrame, code: Mapping[str, str]) -> None:
    """Refuse to go on in a pool whose fits are of other code, as their spread would be that of two versions.

    Raises
    ------
    SystemExit
        With the methods and the remedy.
    """
    found = before["code"] if "code" in before else pd.Series("", index=before.index)
    wanted = before["method"].map(code)
    if other := sorted(set(before.loc[wanted.notna() & (found != wanted), "method"])):
        raise SystemExit(
            f"{path} holds fits of other code of {', '.join(other)}; delete it to fit anew, or give another "
            "--out"
        )
