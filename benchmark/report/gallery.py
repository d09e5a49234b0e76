"""Single test images: the order of their modalities, attention, and scores after each step.

It shows where the images are and copies none, but where a flag that states the terms asks for it.
"""

from __future__ import annotations

import base64
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from benchmark.contracts import Array, Dataset
from benchmark.paper.gather import gather_records
from benchmark.report.words import rerun
from benchmark.run.bench import Bench
from benchmark.run.config import ConfigError

TERMS = "academic-use-only"
"""What ML2000's authors allow, with a citation; other use has to be asked for."""
SHOWN = 6
"""Images of either kind: the first of the test rows, and those whose scores decoding changed most."""


@dataclass(frozen=True)
class Item:
    """One image; m steps, q labels."""

    number: int
    """Of its file, from 1."""
    source: str
    """Address of the image, relative to the page, or its content."""
    order: tuple[str, ...]
    """Modalities as they were read."""
    attention: tuple[tuple[float, ...], ...]
    """By step, on each modality."""
    scores: tuple[tuple[float, ...], ...]
    """By step, of each label."""
    labels: tuple[bool, ...]
    """Which labels it has."""


@dataclass(frozen=True)
class Gallery:
    """Images of one job's test rows."""

    dataset: str
    method: str
    seed: int
    modality_names: tuple[str, ...]
    label_names: tuple[str, ...]
    first: tuple[Item, ...]
    most_changed: tuple[Item, ...]


def gallery_of(
    bench: Bench, images: Path, out: Path, *, dataset: str, method: str = "M3LA", copied: bool = False
) -> Gallery:
    """Choose images of the job with the lowest finished seed; no label enters the choice.

    Parameters
    ----------
    bench : Bench
    images : Path
        Folder with `1.jpg` to `N.jpg`, row i of the data set being image i + 1.
    out : Path
        The page, which addresses of images are relative to.
    dataset, method : str
    copied : bool
        Whether the images become part of the page.

    Raises
    ------
    ConfigError
        If there is no such record, it decodes nothing, or an image is missing.
    """
    records = [
        record
        for record in gather_records(bench).records or ()
        if record.dataset == dataset and record.method == method and record.status == "done"
    ]
    if not records:
        raise ConfigError(
            f"a gallery needs a current record of {method} on {dataset}; run it first: "
            f"{rerun(dataset, method, bench.seeds, bench.profile.name)}"
        )
    record = min(records, key=lambda one: one.seed)
    arrays = bench.store.arrays(record)
    if missing := {"orders", "attention", "step_scores"} - arrays.keys():
        raise ConfigError(f"{method} on {dataset} keeps no {', '.join(sorted(missing))}; name another method")
    data = bench.registry.datasets[dataset].load(bench.data_dir)
    steps = arrays["step_scores"]
    changed = np.argsort(-np.abs(steps[:, -1] - steps[:, 0]).sum(axis=1), kind="stable")
    first = range(min(SHOWN, len(steps)))
    further = [int(row) for row in changed if row >= SHOWN][:SHOWN]

    def items(rows: object) -> tuple[Item, ...]:
        return tuple(_item(row, arrays, data, images, out, copied) for row in rows)  # type: ignore[attr-defined]

    return Gallery(
        dataset, method, record.seed, data.modality_names, data.label_names, items(first), items(further)
    )


def _item(
    row: int, arrays: Mapping[str, Array], data: Dataset, images: Path, out: Path, copied: bool
) -> Item:
    number = int(arrays["test_index"][row]) + 1
    path = images / f"{number}.jpg"
    if not path.is_file():
        raise ConfigError(
            f"{path} is missing; give the folder with 1.jpg to {len(data.labels)}.jpg as --images"
        )
    if copied:
        source = "data:image/jpeg;base64," + base64.b64encode(path.read_bytes()).decode("ascii")
    else:
        source = Path(os.path.relpath(path.resolve(), out.resolve().parent)).as_posix()
    return Item(
        number,
        source,
        tuple(data.modality_names[k] for k in arrays["orders"][row]),
        tuple(tuple(map(float, weights)) for weights in arrays["attention"][row]),
        tuple(tuple(map(float, scores)) for scores in arrays["step_scores"][row]),
        tuple(bool(label) for label in arrays["labels"][row]),
    )
