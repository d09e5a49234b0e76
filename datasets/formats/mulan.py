"""Emotions, Scene and Yeast in ARFF as the choice of M3LA-repaired's options reads them; in no table."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from benchmark.contracts import Array, DataError, Dataset, Provenance, Shape
from datasets.formats.arff import label_positions, read_arff, read_label_names
from datasets.formats.arrays import as_features, as_labels, data_hash
from datasets.formats.files import refusal
from datasets.formats.numbers import feature_matrix, label_matrix
from datasets.formats.tables import choose

SOURCE = "Mulan, data/multi-label (http://mulan.sourceforge.net/datasets-mlc.html)"


@dataclass(frozen=True)
class Layout:
    """The files of one data set, and which feature columns form which modality (half-open ranges)."""

    files: tuple[str, ...]
    n: int
    q: int
    columns: Mapping[str, tuple[int, int]]

    @property
    def shape(self) -> Shape:
        return Shape(self.n, self.q, tuple(stop - start for start, stop in self.columns.values()))


LAYOUTS: Mapping[str, Layout] = {
    "emotions": Layout(("emotions.arff",), 593, 6, {"rhythm": (64, 72), "timbre": (0, 64)}),
    "scene": Layout(
        ("scene-train.arff", "scene-test.arff"),
        2407,
        6,
        # Mean and variance of 7 x 7 blocks, for each colour band of the CIE Luv space.
        {"L": (0, 98), "U": (98, 196), "V": (196, 294)},
    ),
    "yeast": Layout(
        ("yeast.arff",), 2417, 14, {"gene_expression": (0, 79), "phylogenetic_profile": (79, 103)}
    ),
}


def load_mulan(name: str, folder: Path) -> Dataset:
    """Load one of `LAYOUTS` from `folder/<name>/*.arff` and `folder/<name>/<name>.xml`.

    Returns
    -------
    Dataset
        Provenance `real`; rows in file order (Scene: training file, then test file).

    Raises
    ------
    DataError
        If `name` is unknown, a file is missing or unreadable, or its columns or rows are not the
        published ones.
    """
    if name not in LAYOUTS:
        raise DataError(f"{name}: expected one of {', '.join(LAYOUTS)}; correct the name")
    layout = LAYOUTS[name]
    label_names = read_label_names(folder / name / f"{name}.xml")
    d = max(stop for _, stop in layout.columns.values())
    parts = [_read(folder / name / file, label_names) for file in layout.files]
    columns = np.concatenate([x for x, _ in parts])
    origin = folder / name
    labels = as_labels(np.concatenate([y for _, y in parts]), origin)
    found, expected = (*columns.shape, labels.shape[1]), (layout.n, d, layout.q)
    if found != expected:
        what = "(rows, features, labels)"
        raise refusal(origin, f"{what} {expected}", f"{found}", "download the published files again")
    modalities = tuple(as_features(columns[:, a:b], origin) for a, b in layout.columns.values())
    return Dataset(
        id=name,
        modalities=modalities,
        labels=labels,
        modality_names=tuple(layout.columns),
        label_names=label_names,
        provenance=Provenance.REAL,
        data_hash=data_hash(modalities, labels),
        citation=SOURCE,
    )


def _read(path: Path, label_names: Sequence[str]) -> tuple[Array, Array]:
    """Return features (n, d) and labels (n, q), split by the labels' names."""
    table = read_arff(path).tables[path.stem]
    columns = label_positions(label_names, table, path)
    others = [k for k in range(table.shape[1]) if k not in columns]
    labels = label_matrix([(path.stem, choose(table, columns))], [])
    return feature_matrix(path.stem, choose(table, others), []), labels
