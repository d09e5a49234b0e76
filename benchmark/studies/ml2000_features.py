"""What a plain logistic regression reads from the rebuilt features of ML2000; it is no baseline row.

`python -m benchmark.studies.ml2000_features [FILE]` prints macro-AUC and macro-F1 over the project's splits.
With `--fit-on-train` it compares features whose unsupervised parts saw training images alone, with `--images`
it measures what still shows of an image's original size, and `--out DIR` writes all of it as `probe.csv` and,
from that, `probe.md`. The repository keeps both in `results/ml2000_features/`.
"""

from __future__ import annotations

import argparse
import hashlib
import io
import json
import math
import sys
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from PIL import Image
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import f1_score, roc_auc_score
from sklearn.preprocessing import StandardScaler
from threadpoolctl import threadpool_limits

from benchmark.contracts import Array, DataError, Streams
from benchmark.files import write_text
from benchmark.run.flags import whole_number
from benchmark.words import show_every_character
from datasets.recipes.images import open_folder
from datasets.recipes.ml2000 import FEATURES, fit_rows
from datasets.recipes.pipeline import DIMS

GRID = (1e-3, 3e-3, 1e-2, 3e-2)
"""Inverse regularisation C; the first ceil(10 %) of the shuffled training rows choose it by macro-AUC."""

SIZE_SEEDS = 3
"""`--images` measures seeds 0 to SIZE_SEEDS - 1."""

ALL, SMALL, LARGE, LARGE_ALONE = "all rows", "small originals", "large originals", "large originals alone"
"""Subsets of test rows. The model has seen all training rows, but for LARGE_ALONE the large ones only."""


def read_features(path: Path) -> tuple[Array, Array]:
    """Return the concatenated modalities (n, 2116) float32 and the labels (n, q)."""
    with np.load(path, allow_pickle=False) as stored:
        return np.concatenate([stored[name] for name in DIMS], axis=1, dtype=np.float32), stored["labels"]


def split_rows(n: int, seed: int) -> tuple[Array, Array]:
    """Return training rows and test rows of the project's split of ML2000."""
    train = fit_rows(f"train:{seed}", n)
    assert train is not None
    return train, np.setdiff1d(np.arange(n), train)


def probabilities(features: Array, labels: Array, train: Array, test: Array, *grid: float) -> list[Array]:
    """Fit one logistic regression per label on the standardised rows `train`; (len(test), q) for each C."""
    scaler = StandardScaler().fit(features[train])
    seen, unseen = scaler.transform(features[train]), scaler.transform(features[test])
    with warnings.catch_warnings():
        warnings.simplefilter("error", ConvergenceWarning)
        return [
            np.stack(
                [
                    LogisticRegression(C=c, max_iter=2000).fit(seen, column).predict_proba(unseen)[:, 1]
                    for column in labels[train].T
                ],
                axis=1,
            )
            for c in grid
        ]


def macro_auc(labels: Array, scores: Array) -> float:
    """Return the mean over labels of the area under the ROC curve."""
    return float(roc_auc_score(labels, scores, average="macro"))


def choose_c(features: Array, labels: Array, seed: int) -> float:
    """Choose C from `GRID` by macro-AUC on a tenth of the training rows; test rows are not looked at."""
    train, _ = split_rows(len(labels), seed)
    order = Streams("ml2000", seed).generator("holdout").permutation(len(train))
    tenth = math.ceil(len(train) / 10)
    held, fitted = train[order[:tenth]], train[order[tenth:]]
    candidates = probabilities(features, labels, fitted, held, *GRID)
    reached = [macro_auc(labels[held], scores) for scores in candidates]
    return GRID[int(np.argmax(reached))]


def measure(
    features: Array, labels: Array, seed: int, c: float, large: Array | None = None
) -> dict[tuple[str, str], float]:
    """Return (subset, metric) -> value on the test rows of one split.

    For macro-F1, a label counts from probability 0.5. Where `large` (n,) says which originals are large:
    `size_auc` is how well the features tell large from small ones, `macro_auc` of a subset how well they
    predict the labels within one class of sizes, `rows` the number of its test rows.
    """
    train, test = split_rows(len(labels), seed)
    targets = labels if large is None else np.column_stack([labels, large])
    (scores,) = probabilities(features, targets, train, test, c)
    scores, size = np.split(scores, [labels.shape[1]], axis=1)
    f1 = float(f1_score(labels[test], scores >= 0.5, average="macro"))
    found = {(ALL, "macro_auc"): macro_auc(labels[test], scores), (ALL, "macro_f1"): f1}
    if large is None:
        return found
    found[ALL, "size_auc"] = float(roc_auc_score(large[test], size[:, 0]))
    for subset, rows in ((SMALL, ~large[test]), (LARGE, large[test])):
        found[subset, "rows"] = float(rows.sum())
        found[subset, "macro_auc"] = macro_auc(labels[test][rows], scores[rows])
    rows = test[large[test]]
    (alone,) = probabilities(features, labels, train[large[train]], rows, c)
    return {**found, (LARGE_ALONE, "macro_auc"): macro_auc(labels[rows], alone)}


def large_originals(folder: Path) -> Array:
    """Return (n,) booleans: the original has at least the median number of pixels."""
    pixels = []
    for path in open_folder(folder).paths:
        with Image.open(path) as image:
            pixels.append(image.width * image.height)
    return np.array(pixels) >= np.median(pixels)


def named_seed(text: str) -> tuple[int, Path]:
    """Return seed and path of `S=FILE`, or of `FILE` with a manifest beside it that names the seed."""
    seed, _, name = text.rpartition("=")
    path = Path(name)
    if not seed:
        described = path.with_name(path.stem.removesuffix("_features") + "_manifest.json")
        if not described.is_file():
            raise DataError(f"{path}: expected the manifest {described.name} beside it, or SEED={text}")
        seed = json.loads(described.read_text(encoding="utf-8"))["fit_on"].removeprefix("train:")
    if not seed.isdecimal():
        raise DataError(f"--fit-on-train {text}: fitted on {seed!r}, expected training images of one seed")
    return int(seed), path


def measure_file(
    path: Path, kind: str, seeds: Sequence[int], large: Array | None = None
) -> list[dict[str, Any]]:
    """Measure one features file; return the rows of `probe.csv` and print the main figures."""
    features, labels = read_features(path)
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    rows = []
    for seed in seeds:
        c = choose_c(features, labels, seed)
        found = measure(features, labels, seed, c, large if seed < SIZE_SEEDS else None)
        auc, f1 = found[ALL, "macro_auc"], found[ALL, "macro_f1"]
        print(f"{kind:8} {seed:4d} {c:6g}  {auc:9.4f}  {f1:8.4f}", flush=True)
        key = {"features": kind, "sha256": digest, "seed": seed}
        rows += [
            {**key, "subset": subset, "C": c, "metric": metric, "value": round(value, 6)}
            for (subset, metric), value in found.items()
        ]
    return rows


# What is written


def describe(frame: pd.DataFrame) -> str:
    """Return `probe.md`, all of whose numbers are computed from the rows of `probe.csv`."""
    committed = frame[frame["features"] == "all"]
    (digest,) = committed["sha256"].unique()
    means = by_seed(committed, ALL)[["macro_auc", "macro_f1"]]
    sections = [
        "# What a logistic regression reads from the ML2000 features\n",
        "One logistic regression per label on the standardised concatenation, over the project's splits; C",
        "is chosen by macro-AUC on a tenth of the training rows. Each number is in `probe.csv` or follows",
        "from it. Written by",
        "`python -m benchmark.studies.ml2000_features --fit-on-train FILE... --images DIR --out DIR`.",
        f"\nSHA-256 of the features: `{digest}`\n",
        f"## Strength, {len(means)} seeds\n",
        _table(pd.concat([by_seed(committed, ALL)[["C"]], means], axis=1)),
    ]
    fitted = fit_on_differences(frame)
    if len(fitted):
        largest = fitted[["auc_change", "f1_change"]].abs().max()
        sections += [
            "\n## PCA, k-means and mixture fitted on training images alone\n",
            "Against fitted on all images; each of the two chooses its own C.\n",
            _table(fitted),
            f"\nLargest change: macro-AUC {largest['auc_change']:.4f}, macro-F1 {largest['f1_change']:.4f}.",
        ]
    sizes = size_columns(committed)
    if len(sizes):
        sections += [
            "\n## Original size\n",
            "Large: the original has at least the median number of pixels. `size_auc`: the features tell",
            "large originals from small ones. The rest is macro-AUC of the labels: on all test rows, on the",
            "small and on the large ones, and on the large ones after training on large ones alone. Rows",
            "are few, and so are mountains among small originals, so the two columns of small and large",
            "ones move from seed to seed.\n",
            _table(sizes),
        ]
    return "\n".join(sections) + "\n"


def by_seed(frame: pd.DataFrame, subset: str) -> pd.DataFrame:
    """Return one row per seed, one column per metric of this subset, and C."""
    chosen = frame[frame["subset"] == subset]
    values = chosen.pivot_table(index="seed", columns="metric", values="value")
    return values.assign(C=chosen.groupby("seed")["C"].first())


def fit_on_differences(frame: pd.DataFrame) -> pd.DataFrame:
    """Return, per seed that has both, the metrics with parts fitted on all and on training images alone."""
    on_train = [rows for name, rows in frame.groupby("features") if name != "all"]
    if not on_train:
        return pd.DataFrame()
    before, after = by_seed(frame[frame["features"] == "all"], ALL), by_seed(pd.concat(on_train), ALL)
    columns = {}
    for short, metric in (("auc", "macro_auc"), ("f1", "macro_f1")):
        columns[f"{metric}, all"] = before[metric].loc[after.index]
        columns[f"{metric}, train"] = after[metric]
        columns[f"{short}_change"] = after[metric] - before[metric].loc[after.index]
    return pd.DataFrame(columns)


def size_columns(frame: pd.DataFrame) -> pd.DataFrame:
    """Return, per seed that was measured, what depends on the original size."""
    overall = by_seed(frame, ALL)
    if "size_auc" not in overall:
        return pd.DataFrame()
    parts = {subset: by_seed(frame, subset) for subset in (SMALL, LARGE, LARGE_ALONE)}
    columns = {"size_auc": overall["size_auc"], ALL: overall["macro_auc"]}
    columns |= {subset: part["macro_auc"] for subset, part in parts.items()}
    columns |= {f"rows, {name}": parts[name]["rows"] for name in (SMALL, LARGE)}
    return pd.DataFrame(columns).dropna()


def _table(values: pd.DataFrame) -> str:
    """Return Markdown with a last row of means (C has none)."""
    printed = values.map("{:.4f}".format)
    for name in values.columns:
        if name == "C" or name.startswith("rows"):
            printed[name] = values[name].map("{:g}".format)
    means = {name: "" if name == "C" else f"{values[name].mean():.4f}" for name in values.columns}
    for name in values.columns:
        if name.startswith("rows"):
            means[name] = f"{values[name].mean():.1f}"
    whole = pd.concat([printed, pd.DataFrame(means, index=pd.Index(["mean"], name="seed"))])
    whole.index.name = "seed"
    return whole.to_markdown(disable_numparse=True)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m benchmark.studies.ml2000_features", description=(__doc__ or "").splitlines()[0]
    )
    parser.add_argument("file", type=Path, nargs="?", default=FEATURES, help="features file, .npz")
    parser.add_argument(
        "--seeds", type=whole_number(most=1_000), default=10, metavar="N", help="seeds 0 to N-1 (default: 10)"
    )
    parser.add_argument(
        "--fit-on-train",
        nargs="+",
        default=[],
        metavar="FILE",
        help="also features made with --fit-on train:SEED; the seed is read from the manifest beside FILE, "
        "else give SEED=FILE",
    )
    parser.add_argument("--images", type=Path, metavar="DIR", help="the images: also measure original size")
    parser.add_argument("--out", type=Path, metavar="DIR", help="write probe.csv and probe.md into DIR")
    return parser


def main(arguments: Sequence[str] | None = None) -> int:
    """Print one line per features file and seed, then the means; write them where asked to."""
    show_every_character(sys.stdout, sys.stderr)
    options = _parser().parse_args(arguments)
    others = [named_seed(text) for text in options.fit_on_train]
    large = large_originals(options.images) if options.images else None
    print("features seed      C  macro-AUC  macro-F1")
    with threadpool_limits(1):
        rows = measure_file(options.file, "all", range(options.seeds), large)
        for seed, path in others:
            rows += measure_file(path, f"train:{seed}", [seed])
    frame = pd.DataFrame(rows)
    auc, f1 = by_seed(frame[frame["features"] == "all"], ALL)[["macro_auc", "macro_f1"]].mean()
    print(f"mean                  {auc:9.4f}  {f1:8.4f}")
    if options.out:
        content = frame.to_csv(index=False, lineterminator="\n")
        write_text(options.out / "probe.csv", content)
        write_text(options.out / "probe.md", describe(pd.read_csv(io.StringIO(content))))
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
