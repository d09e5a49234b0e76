"""The data sets of a dask worker: from its own checkout, or arrays that came from another machine.

They stay as long as the worker; it knows no job.
"""

from __future__ import annotations

import hashlib
import io
import tempfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from benchmark.contracts import DataError, Dataset, Provenance
from benchmark.files import write_bytes
from benchmark.registry import DATASET_SOURCES, discover
from benchmark.run.isolation import run_isolated


@dataclass(frozen=True)
class Data:
    """Which data set a job needs, by content and by whose splits and randomness it takes."""

    dataset: str
    data_hash: str
    rows_id: str
    provenance: Provenance


@dataclass(frozen=True)
class OwnDataset:
    """A data set of this checkout's; loads like a `DatasetSpec`."""

    id: str

    def load(self, data_dir: Path) -> Dataset:
        """Load it; `KeyError` if there is none."""
        loaded: Dataset = discover((), DATASET_SOURCES).datasets[self.id].load(data_dir)
        return loaded


@dataclass(frozen=True)
class SentDataset:
    """Arrays that came from another machine; loads like a `DatasetSpec`."""

    data: Data
    path: Path
    sha256: str

    def load(self, _: Path) -> Dataset:
        """Load them; `DataError` if the file is not what came."""
        with self.path.open("rb") as file:
            if hashlib.file_digest(file, "sha256").hexdigest() != self.sha256:
                raise DataError(f"{self.path} was altered after it came; restart this worker")
            file.seek(0)
            with np.load(file, allow_pickle=False) as content:
                arrays = [content[name] for name in content.files]
        *modalities, labels = arrays
        return Dataset(
            id=self.data.dataset,
            modalities=tuple(modalities),
            labels=labels,
            modality_names=tuple(f"modality{k}" for k in range(len(modalities))),
            label_names=tuple(f"label{j}" for j in range(labels.shape[1])),
            provenance=self.data.provenance,
            data_hash=self.data.data_hash,
            split_id=self.data.rows_id,
        )


def packed(dataset: Dataset) -> bytes:
    """Return what of a data set travels, as `SentDataset` reads it: the arrays, and no name."""
    buffer = io.BytesIO()
    np.savez(buffer, *dataset.modalities, dataset.labels, allow_pickle=False)
    return buffer.getvalue()


_sent: dict[str, tuple[Path, str]] = {}
"""File and SHA-256 of arrays that came, by data hash."""
_own: dict[Data, bool] = {}


def has(data: Data) -> bool:
    """Return whether a data set is here: it came before, or this checkout makes the same."""
    if data.data_hash in _sent and _sent[data.data_hash][0].is_file():
        return True
    if data not in _own:
        outcome = run_isolated(_makes, (data,))
        _own[data] = outcome.reason == "finished" and outcome.value
    return _own[data]


def _makes(data: Data) -> bool:
    with tempfile.TemporaryDirectory() as nothing:
        own = OwnDataset(data.dataset).load(Path(nothing))
    return (own.data_hash, own.rows_id) == (data.data_hash, data.rows_id)


def keep(data_hash: str, sha256: str, content: bytes) -> None:
    """Keep arrays that came, for as long as this worker lives."""
    from distributed import get_worker

    if hashlib.sha256(content).hexdigest() != sha256:
        raise DataError(f"the arrays of {data_hash} were altered on their way; start the run again")
    path = Path(get_worker().local_directory) / "m3la-data" / f"{sha256}.npz"
    write_bytes(path, content)
    _sent[data_hash] = path, sha256


def dataset_of(data: Data) -> OwnDataset | SentDataset:
    """Return what loads a data set that is here."""
    sent = _sent.get(data.data_hash)
    return OwnDataset(data.dataset) if sent is None else SentDataset(data, *sent)
