"""Command that measures how strong feature files are with a plain logistic regression; it is no baseline row.

`python -m datasets.recipes.probe [FILE] [--seeds N]` prints macro-AUC and macro-F1 over the project's splits.
"""

from __future__ import annotations

import argparse
import math
import warnings
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import f1_score, roc_auc_score
from sklearn.preprocessing import StandardScaler
from threadpoolctl import threadpool_limits

from benchmark.contracts import Array, Streams
from datasets.recipes.ml2000 import FEATURES
from datasets.recipes.pipeline import DIMS

GRID = (1e-3, 3e-3, 1e-2, 3e-2, 1e-1, 1.0)
"""Inverse regularisation C; the first ceil(10 %) of the shuffled training rows choose it by macro-AUC."""


def read_features(path: Path) -> tuple[Array, Array]:
    """Return the concatenated modalities (n, 2116) float64 and the labels (n, q)."""
    with np.load(path, allow_pickle=False) as stored:
        return np.concatenate([stored[name] for name in DIMS], axis=1, dtype=np.float64), stored["labels"]


def probabilities(features: Array, labels: Array, train: Array, test: Array, c: float) -> Array:
    """Fit one logistic regression per label on the standardised rows `train`; return (len(test), q)."""
    scaler = StandardScaler().fit(features[train])
    seen, unseen = scaler.transform(features[train]), scaler.transform(features[test])
    # Fewer rows than columns: a rotation onto the span of the training rows changes no L2 penalty and saves
    # time. With the eigenpairs (s^2, u) of the rows' products, the rotated training rows are u * s.
    squares, vectors = np.linalg.eigh(seen @ seen.T)
    kept = squares > squares[-1] * 1e-10
    rotated = vectors[:, kept] * np.sqrt(squares[kept])
    unseen = unseen @ (seen.T @ (vectors[:, kept] / np.sqrt(squares[kept])))
    columns = []
    with warnings.catch_warnings():
        warnings.simplefilter("error", ConvergenceWarning)
        for column in labels[train].T:
            model = LogisticRegression(C=c, max_iter=2000).fit(rotated, column)
            columns.append(model.predict_proba(unseen)[:, 1])
    return np.stack(columns, axis=1)


def choose_c(features: Array, labels: Array, train: Array, seed: int) -> float:
    """Choose C from `GRID` by macro-AUC on a tenth of the training rows; test rows are not looked at."""
    order = Streams("ml2000", seed).generator("holdout").permutation(len(train))
    tenth = math.ceil(len(train) / 10)
    held, fitted = train[order[:tenth]], train[order[tenth:]]
    reached = [
        roc_auc_score(labels[held], probabilities(features, labels, fitted, held, c), average="macro")
        for c in GRID
    ]
    return GRID[int(np.argmax(reached))]


def measure(features: Array, labels: Array, seed: int, c: float | None = None) -> tuple[float, float, float]:
    """Return C, macro-AUC and macro-F1 (threshold 0.5) on the test rows of one split."""
    order = Streams("ml2000", seed).generator("split").permutation(len(labels))
    tenth = math.ceil(len(labels) / 10)
    test, train = order[:tenth], order[tenth:]
    c = choose_c(features, labels, train, seed) if c is None else c
    scores = probabilities(features, labels, train, test, c)
    auc = roc_auc_score(labels[test], scores, average="macro")
    return c, float(auc), float(f1_score(labels[test], scores >= 0.5, average="macro"))


def main(arguments: Sequence[str] | None = None) -> int:
    """Print one line per seed and the means."""
    parser = argparse.ArgumentParser(prog="python -m datasets.recipes.probe", description=__doc__)
    parser.add_argument("file", type=Path, nargs="?", default=FEATURES, help="features file, .npz")
    parser.add_argument("--seeds", type=int, default=10, metavar="N", help="seeds 0 to N-1 (default: 10)")
    options = parser.parse_args(arguments)
    features, labels = read_features(options.file)
    print("seed      C  macro-AUC  macro-F1")
    rows = []
    with threadpool_limits(1):
        for seed in range(options.seeds):
            c, auc, f1 = measure(features, labels, seed)
            rows.append((auc, f1))
            print(f"{seed:4d}  {c:5g}  {auc:9.4f}  {f1:8.4f}", flush=True)
    auc, f1 = np.mean(rows, axis=0)
    print(f"mean         {auc:9.4f}  {f1:8.4f}")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
