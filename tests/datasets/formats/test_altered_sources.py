"""A source of any format with altered bytes is read or refused in one line, and nothing else happens."""

import warnings

import numpy as np
import pandas as pd
import pytest
from matlab_files import Cell, write_v73
from scipy.io import savemat

from benchmark.contracts import DataError
from datasets.formats.importing import Wish, understand

RNG = np.random.default_rng(0)
SOUND, LABELS = RNG.normal(size=(6, 3)), np.array([[1, 0], [0, 1], [1, 1], [0, 0], [1, 0], [0, 1]])
FRAME = pd.DataFrame({"a": SOUND[:, 0], "b": SOUND[:, 1], "y": LABELS[:, 0], "z": LABELS[:, 1]})
ARFF = "@relation toy\n@attribute a real\n@attribute 'b c' {{0,1}}\n@data\n{}\n"
WRITERS = {
    "toy.npz": lambda path: np.savez_compressed(path, x=SOUND, y=LABELS, names=np.array(["a", "b"])),
    "toy.mat": lambda path: savemat(path, {"x": SOUND, "y": LABELS, "n": ["a", "b"]}, do_compression=True),
    "toy.v73.mat": lambda path: write_v73(path, x=Cell([SOUND, SOUND]), y=LABELS.astype(bool), n=["a", "bc"]),
    "toy.arff": lambda path: path.write_text(ARFF.format("1.5,0\n{1 1}\n2,1")),
    "toy.svm": lambda path: path.write_text("1,2 1:0.5 3:2\n 2:1\n2 1:1\n"),
    "toy.csv": lambda path: FRAME.to_csv(path, index=False),
    "toy.parquet": FRAME.to_parquet,
}
LABELS_OF = {"toy.arff": "b c", "toy.svm": None, "toy.csv": "y,z", "toy.parquet": "y,z"}


def altered(content: bytes, rng: np.random.Generator) -> bytes:
    """Cut, turn over or repeat a few bytes."""
    changed = bytearray(content)
    for _ in range(rng.integers(1, 4)):
        at = int(rng.integers(len(changed)))
        match rng.integers(4):
            case 0:
                del changed[at : at + int(rng.integers(1, 20))]
            case 1:
                changed[at] = int(rng.integers(256))
            case 2:
                changed[at:at] = changed[at : at + 8]
            case _:
                changed[at] ^= 1 << int(rng.integers(8))
        changed = changed or bytearray(b"x")
    return bytes(changed)


@pytest.mark.parametrize("name", WRITERS)
@pytest.mark.parametrize("count", [40, pytest.param(2000, marks=pytest.mark.full)])
def test_altered_bytes_are_read_or_refused_in_one_line(tmp_path, name, count):
    path = tmp_path / name
    WRITERS[name](path)
    wish = Wish((str(path),), labels=LABELS_OF.get(name, "y"))
    understand(wish)
    content = path.read_bytes()
    rng = np.random.default_rng(7)
    for k in range(count):
        path.write_bytes(altered(content, rng))
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            said = ""
            try:
                understand(wish)
            except DataError as error:
                said = str(error)
            assert said.isprintable(), k
