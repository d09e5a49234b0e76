"""What a plain logistic regression reads from ML2000's images under each recipe; it is no baseline row.

`python -m benchmark.studies.ml2000_recipes` prints macro-AUC and macro-F1 over the project's splits, for each
recipe and each of its modalities alone, and with `--images` how well an original's size shows. `--out DIR`
writes them as `recipes.csv` and, from that, `recipes.md`. The repository keeps both in
`results/ml2000_features/`.
"""

from __future__ import annotations

import argparse
import hashlib
import io
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from threadpoolctl import threadpool_limits

from benchmark.contracts import Array
from benchmark.files import write_text
from benchmark.run.flags import whole_number
from benchmark.studies.ml2000_features import ALL, large_originals, measure, read_modalities
from benchmark.words import show_every_character
from datasets.recipes.catalogue import RECIPES
from datasets.recipes.ml2000 import kept_file

C = 1e-2
"""Inverse regularisation of every fit, fixed before any recipe but the first was measured; the hold-outs of
that one choose it or 0.003 (`probe.md`)."""
TOGETHER = "all together"
METRICS = ("macro_auc", "macro_f1", "size_auc")


def feature_sets(recipe: str) -> tuple[dict[str, Array], Array]:
    """Return the kept features of a recipe, together and one by one, and the labels (n, q)."""
    modalities, labels = read_modalities(kept_file(recipe, "features.npz"))
    together = np.concatenate(list(modalities.values()), axis=1, dtype=np.float32)
    return {TOGETHER: together, **{name: x.astype(np.float32) for name, x in modalities.items()}}, labels


def measure_recipe(recipe: str, seeds: Sequence[int], large: Array | None) -> Iterator[dict[str, Any]]:
    """Yield the rows of `recipes.csv` of one recipe."""
    digest = hashlib.sha256(kept_file(recipe, "features.npz").read_bytes()).hexdigest()
    sets, labels = feature_sets(recipe)
    for name, features in sets.items():
        for seed in seeds:
            found = measure(features, labels, seed, C, large if name == TOGETHER else None)
            for metric in METRICS:
                if (ALL, metric) in found:
                    yield {
                        "recipe": recipe,
                        "sha256": digest,
                        "features": name,
                        "dim": features.shape[1],
                        "seed": seed,
                        "metric": metric,
                        "value": round(found[ALL, metric], 6),
                    }


def averages(frame: pd.DataFrame) -> pd.DataFrame:
    """Return mean and standard deviation over seeds, one row for each recipe and set of features."""
    keys = ["recipe", "features", "dim"]
    groups = frame.groupby([*keys, "metric"], sort=False)["value"]
    texts = groups.mean().map("{:.4f}".format) + " ± " + groups.std().map("{:.4f}".format)
    table = texts.unstack("metric").reindex(
        columns=[name for name in METRICS if name in set(frame["metric"])]
    )
    order = frame[keys].drop_duplicates()
    return table.fillna("").reindex(pd.MultiIndex.from_frame(order)).reset_index()


def describe(frame: pd.DataFrame) -> str:
    """Return the report: what was measured, and the table."""
    seeds = frame["seed"].nunique()
    sums = frame[["recipe", "sha256"]].drop_duplicates()
    lines = [
        "# What a logistic regression reads from ML2000's images under each recipe\n",
        f"One logistic regression per label on standardised features, C = {C:g}, over the project's splits",
        f"of {seeds} seeds, which all recipes share: mean ± standard deviation. A label counts from",
        "probability 0.5. `size_auc`: how well the features tell originals of at least the median number of",
        "pixels from smaller ones. Each number follows from `recipes.csv`. Written by",
        "`python -m benchmark.studies.ml2000_recipes --images DIR --out DIR`.\n",
        *(f"SHA-256 of {row.recipe}'s features: `{row.sha256}`\n" for row in sums.itertuples()),
        averages(frame).to_markdown(index=False, disable_numparse=True),
    ]
    return "\n".join(lines) + "\n"


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m benchmark.studies.ml2000_recipes", description=(__doc__ or "").splitlines()[0]
    )
    parser.add_argument(
        "--seeds", type=whole_number(most=1_000), default=10, metavar="N", help="seeds 0 to N-1 (default: 10)"
    )
    parser.add_argument("--images", type=Path, metavar="DIR", help="the images: also measure original size")
    parser.add_argument("--out", type=Path, metavar="DIR", help="write recipes.csv and recipes.md into DIR")
    return parser


def main(arguments: Sequence[str] | None = None) -> int:
    """Print the averages; write them where asked to."""
    show_every_character(sys.stdout, sys.stderr)
    options = _parser().parse_args(arguments)
    large = large_originals(options.images) if options.images else None
    with threadpool_limits(1):
        rows = [row for recipe in RECIPES for row in measure_recipe(recipe, range(options.seeds), large)]
    content = pd.DataFrame(rows).to_csv(index=False, lineterminator="\n")
    frame = pd.read_csv(io.StringIO(content))
    print(averages(frame).to_string(index=False))
    if options.out:
        write_text(options.out / "recipes.csv", content)
        write_text(options.out / "recipes.md", describe(frame))
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
