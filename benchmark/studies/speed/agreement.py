"""Does the fast M3LA end where the plain program ends? It measures and sets no bar.

Both are trained on ML2000 from the same weights, on the same batches, and their metrics are held against what
another seed of the method does to them. `python -m benchmark.studies.speed.agreement` writes
`results/speed/agreement.md` and `.csv`.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from tabulate import tabulate
from torch import nn

from benchmark.contracts import Array, DataError, Dataset, Streams
from benchmark.files import write_csv, write_text
from benchmark.learning.scaling import fit_scalers, scale
from benchmark.learning.training import batches
from benchmark.run.features import data_directory, leaking_seeds
from benchmark.run.flags import whole_number
from benchmark.run.memory import keep_freed_memory
from benchmark.run.seeding import limit_threads_of_new_processes, make_deterministic
from benchmark.run.split import split
from benchmark.score.metrics import METRICS
from benchmark.score.reading import read_scores
from benchmark.studies.plain.m3la import PlainM3LA, rivals
from benchmark.words import show_every_character
from datasets.ml2000 import DATASET
from m3la.estimator import M3LA

OUT = Path(__file__).resolve().parents[3] / "results" / "speed"
RULE = "eq16a"


def measure(dataset: Dataset, seeds: Sequence[int], epochs: int, refits: int) -> pd.DataFrame:
    """Return one row per seed, form (`plain`, `ours`, `refit 1`, ..) and metric."""
    rows = []
    for seed in seeds:
        parts = split(dataset.id, len(dataset.labels), seed)
        forms = _both(dataset, parts.train, parts.test, seed, epochs)
        for refit in range(1, refits + 1):
            method = M3LA(epochs=epochs, random_state=Streams(dataset.id, seed + refit * 2**32))
            method.fit([x[parts.train] for x in dataset.modalities], dataset.labels[parts.train])
            forms[f"refit {refit}"] = method.predict_scores([x[parts.test] for x in dataset.modalities])
        for form, scores in forms.items():
            metrics = _metrics(scores, dataset.labels[parts.test], dataset.labels[parts.train])
            rows += [{"seed": seed, "form": form, "metric": k, "value": v} for k, v in metrics.items()]
    return pd.DataFrame(rows)


def _both(dataset: Dataset, train: Array, test: Array, seed: int, epochs: int) -> dict[str, Array]:
    """Train both forms for some epochs; return their scores of the test rows (n, q)."""
    modalities, labels = [x[train] for x in dataset.modalities], dataset.labels[train]
    streams = Streams(dataset.id, seed)
    forms = rivals(modalities, labels, streams)
    shuffling = streams.generator("shuffling")
    schedules = [
        torch.optim.lr_scheduler.ExponentialLR(form.optimiser, M3LA().decay_rate)
        for form in (forms.plain, forms.ours)
    ]
    for _ in range(epochs):
        for rows in batches(len(labels), M3LA().batch_size, shuffling):
            forms.plain.step(rows)
            forms.ours.step(rows)
        for schedule in schedules:
            schedule.step()
    scalers = fit_scalers(modalities, M3LA().scaling)
    inputs = [torch.from_numpy(x) for x in scale(scalers, [x[test] for x in dataset.modalities])]
    with torch.no_grad():
        plain = _of_plain(forms.plain.module, inputs)
        ours = forms.ours.module(inputs).scores()[:, -1].numpy()
    return {"plain": plain, "ours": ours}


def _of_plain(module: nn.Module, inputs: Sequence[torch.Tensor]) -> Array:
    assert isinstance(module, PlainM3LA)
    return module(inputs)[0][-1].numpy()


def _metrics(scores: Array, labels: Array, train_labels: Array) -> Mapping[str, float]:
    frequencies = train_labels.mean(axis=0, dtype=np.float64)
    arrays = {"scores": scores, "labels": labels, "train_label_frequencies": frequencies}
    return read_scores(arrays, "soft", RULE).metrics


def summarise(measured: pd.DataFrame) -> pd.DataFrame:
    """Return per metric the mean difference of the forms, and of refits from the real model.

    Columns `metric`, `plain`, `ours` (means over seeds), `difference` (of the means), and `refit_std`: the
    standard deviation over refits and the real model on one split, pooled over splits, of a mean over them.
    """
    by_form = measured.pivot(index=["metric", "seed"], columns="form", values="value")
    rows = []
    for metric in METRICS:
        part = by_form.loc[metric.id]
        draws = part.drop(columns="plain").to_numpy()
        noise = float(np.sqrt(draws.var(axis=1, ddof=1).mean() / len(part)))
        plain, ours = float(part["plain"].mean()), float(part["ours"].mean())
        rows.append(
            {
                "metric": metric.id,
                "plain": plain,
                "ours": ours,
                "difference": ours - plain,
                "refit_std": noise,
            }
        )
    return pd.DataFrame(rows)


def describe(table: pd.DataFrame, seeds: int, epochs: int, refits: int) -> str:
    """Return the page of `summarise`'s table."""
    return (
        "# The fast M3LA and the plain program, trained alike\n\n"
        f"ML2000, {epochs} epochs in single precision from the same weights on the same batches, "
        f"means over {seeds} splits, thresholds by eq. (16) on test scores (transductive). "
        f"`refit_std`: standard deviation of such a mean between seeds of the method, from {refits} "
        "refits per split.\n\n"
        + tabulate(table.to_dict("list"), headers="keys", tablefmt="pipe", floatfmt=".6f")
        + "\n"
    )


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure, print and write."""
    show_every_character(sys.stdout, sys.stderr)
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--seeds", type=whole_number(most=1_000), default=3)
    parser.add_argument("--epochs", type=whole_number(), default=20)
    parser.add_argument("--refits", type=whole_number(), default=3)
    parser.add_argument("--out", type=Path, default=OUT)
    given = parser.parse_args(arguments)
    limit_threads_of_new_processes()
    make_deterministic(Streams("agreement", 0))
    keep_freed_memory()
    seeds = range(given.seeds)
    try:
        dataset = DATASET.load(data_directory(None, [DATASET]))
        leaking_seeds(dataset.id, dataset.fit_seed, seeds)
    except DataError as error:
        parser.error(str(error))
    measured = measure(dataset, seeds, given.epochs, given.refits)
    text = describe(summarise(measured), given.seeds, given.epochs, given.refits)
    write_csv(given.out / "agreement.csv", measured, "%.6g")
    write_text(given.out / "agreement.md", text)
    print(text)


if __name__ == "__main__":
    main()
