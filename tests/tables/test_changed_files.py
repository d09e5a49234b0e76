"""Changed files in every reader of records, references and tables: refused by name, or read as they are."""

from __future__ import annotations

import io
import json
import random
import re
import resource
import shutil
import time
import zipfile
from collections import Counter

import numpy as np
import pandas as pd
import pytest
from tiny_benchmark import OneByOne, method, registry

from benchmark.audit.gather import read_audit_table
from benchmark.contracts import Array
from benchmark.drift.reference import read_reference_folder, read_refits
from benchmark.paper.gather import read_reference
from benchmark.paper.printed import PAPER, read_cells, read_claims, read_margins
from benchmark.run.arrays_file import score_digest
from benchmark.run.config import load_profile
from benchmark.run.record_file import SCORES_DIGEST, is_outdated, record_text, sha256
from benchmark.run.store import RecordStore, read_record
from benchmark.studies.ablate.measured import read_measured
from benchmark.tables.reference import read_environments, read_settings
from benchmark.tables.traces import Traces, read_traces, write_traces

FEW, MANY = 40, 7_500
"""Changed files for each reader, in CI and with `-m full`."""
ODD = (
    *(b"", b"0", b"-1", b"nan", b"inf", b"-inf", b"1e400", b"0.5", b"true", b"null", b"9" * 400, b"9" * 5000),
    *(b'"', b"'", b",", b"\n", b"\r", b"\0", b"\xff", b"\xef\xbb\xbf", b"{", b"}", b"[", b"]", b"=", b"#"),
    *(b"[" * 5000, b"../../x", b"/etc/passwd", b"=1+1", b"\xe2\x80\xae", b"1_0", b"0x10", b"1e3", b" "),
    *(b"a" * 70_000, b",,,,", b'"""', b"1970-01-01", b"done", b"failed", b"macro_auc", b"toy", b"hard"),
)
SECONDS = 5
"""Of processor time for any one file, of a machine that others use too."""


def changed(content: bytes, draw: random.Random) -> bytes:
    """Change a file in one to four places, each in one of the ways in which files go wrong."""
    for _ in range(draw.randint(1, 4)):
        content = draw.choice(CHANGES)(content, draw)
    return content


def _flip(content, draw):
    if not content:
        return content
    where = draw.randrange(len(content))
    return content[:where] + bytes([content[where] ^ (1 << draw.randrange(8))]) + content[where + 1 :]


def _cut(content, draw):
    return content[: draw.randrange(len(content) + 1)]


def _insert(content, draw):
    where = draw.randrange(len(content) + 1)
    return content[:where] + draw.choice(ODD) + content[where:]


def _replace_token(content, draw):
    tokens = list(re.finditer(rb"[^,\n\s:\[\]{}\"=]+", content))
    if not tokens:
        return content
    token = draw.choice(tokens)
    return content[: token.start()] + draw.choice(ODD) + content[token.end() :]


def _move_line(content, draw):
    lines = content.split(b"\n")
    taken = draw.choice(lines)
    if draw.random() < 0.5:
        lines.remove(taken)
    lines.insert(draw.randrange(len(lines) + 1), taken)
    return b"\n".join(lines)


def _drop_line(content, draw):
    lines = content.split(b"\n")
    del lines[draw.randrange(len(lines))]
    return b"\n".join(lines)


def _repeat(content, draw):
    start = draw.randrange(len(content) + 1)
    part = content[start : start + draw.randint(1, 200)]
    return content[:start] + part * draw.choice((2, 3, 50)) + content[start:]


CHANGES = (_flip, _cut, _insert, _replace_token, _move_line, _drop_line, _repeat)


def changed_archive(content: bytes, draw: random.Random) -> bytes:
    """Change the bytes, or an array inside an archive that is valid again."""
    if draw.random() < 0.4:
        return changed(content, draw)
    packed = io.BytesIO()
    with (
        zipfile.ZipFile(io.BytesIO(content)) as old,
        zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as new,
    ):
        names = old.namelist()
        chosen = draw.choice(names)
        for name in names:
            data = old.read(name)
            if name == chosen:
                data = draw.choice((_other_array, _other_header, lambda data, draw: changed(data, draw)))(
                    data, draw
                )
            if name != chosen or draw.random() < 0.9:
                new.writestr(name if draw.random() < 0.97 else "../" + name, data)
    return packed.getvalue()


def _other_array(data, draw):
    array = np.load(io.BytesIO(data))
    made = draw.choice(
        (
            lambda: array.reshape(-1),
            lambda: array[:-1] if array.ndim else array,
            lambda: array.astype("<M8[s]") if array.dtype.kind in "iu" else array.astype("S8"),
            lambda: np.full(array.shape, np.nan),
            lambda: np.zeros((2, 2), [("a", "f4"), ("b", "i2")]),
            lambda: np.array("text"),
            lambda: np.zeros(0),
            lambda: np.zeros((3000, 3000), np.uint8),
        )
    )()
    stream = io.BytesIO()
    np.save(stream, made)
    return stream.getvalue()


def _other_header(data, draw):
    size = draw.choice((b"9" * 12, b"-1", b"0", b"9" * 30, b"True"))
    return re.sub(rb"'shape': \((\d+)", b"'shape': (" + size, data, count=1)


REFERENCE = (
    "per_seed.csv",
    "metrics.csv",
    "steps.csv",
    "settings.json",
    "environment.json",
    "refit_noise.csv",
)
TOYS = registry(method("Reader", OneByOne), method("Prior"))


@pytest.fixture
def made(recorded, tmp_path):
    """A reference of toys with all files that a reference may hold, and the records that it is of."""
    run = recorded(*TOYS.methods.values())
    assert run("reference")[0] == 0
    folder = tmp_path / "reference" / "tiny" / "toy"
    per_seed = pd.read_csv(folder / "per_seed.csv")
    keys = [name for name in per_seed if name not in ("metric", "value", "preset")]
    wide = per_seed.pivot(index=keys, columns="metric", values="value").reset_index()
    for name, extra in (("refit_noise.csv", "refit"), ("steps.csv", "step")):
        wide.assign(**{extra: 1}).to_csv(folder / name, index=False)
    axes = {"s": 2, "m": 2, "q": 3, "p": 4}
    shapes = ("s", "mm", "qmm", "mm", "qmm", "sqq", "qq", "sp", "p")
    arrays = [np.ones([axes[axis] for axis in shape], np.float32) for shape in shapes]
    write_traces(folder / "traces.npz", {("toy", "Reader"): Traces(*arrays)})
    return run.bench, folder


def drift_reader(_bench, folder):
    found = read_reference_folder(folder, "toy")
    assert set(found.per_seed["dataset"]) == {"toy"}
    assert_numbers(found.per_seed, ("seed", "value"))


def paper_reader(bench, folder):
    found = read_reference(folder.parent, "toy", bench)
    assert_numbers(found.as_printed, ("seed", "value"))
    assert set(found.as_printed["seed"]) <= {0, 1}
    assert found.steps is None or set(found.steps["method"]) <= set(TOYS.methods)


def audit_reader(file):
    return lambda _bench, folder: read_audit_table(folder / file, file)


def assert_numbers(frame, columns):
    for column in columns:
        assert pd.api.types.is_numeric_dtype(frame[column]) or frame.empty


def traces_reader(_bench, folder):
    for traces in read_traces(folder / "traces.npz", "toy").values():
        m, q = len(traces.attention), len(traces.phi)
        assert traces.reading.shape == (m, m)
        assert traces.attention_by_label.shape == (q, m, m)
        assert isinstance(traces.loss, Array if isinstance(Array, type) else np.ndarray)


READERS = {
    **{f"drift {name}": (name, drift_reader) for name in ("per_seed.csv", "refit_noise.csv")},
    **{f"drift {name}": (name, drift_reader) for name in ("settings.json", "environment.json")},
    **{f"paper {name}": (name, paper_reader) for name in ("per_seed.csv", "metrics.csv", "steps.csv")},
    **{f"audit {name}": (name, audit_reader(name)) for name in ("per_seed.csv", "metrics.csv")},
    "traces.npz": ("traces.npz", traces_reader),
}


def try_all(path, reader, number, change=changed, allowed=()):
    """Read changed forms of a file; count those refused. A refusal is a ValueError that names the file."""
    whole, draw, counts = path.read_bytes(), random.Random(path.name), Counter()
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    for k in range(number):
        content = change(whole, draw)
        path.write_bytes(content)
        started = time.process_time()
        try:
            reader()
            counts["read"] += 1
        except ValueError as error:
            counts["refused"] += 1
            said = str(error)
        except Exception as error:
            raise AssertionError((k, type(error), content[:3000])) from error
        else:
            said = path.name
        assert any(word in said for word in (path.name, *allowed)), (k, said, content[:2000])
        assert time.process_time() - started < SECONDS, k
    path.write_bytes(whole)
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 2**20, "KiB: more than 1 GiB"
    assert counts["refused"] > number / 20
    return counts


NUMBERS = [pytest.param(FEW, id="few"), pytest.param(MANY, id="many", marks=pytest.mark.full)]


@pytest.mark.parametrize("number", NUMBERS)
@pytest.mark.parametrize("name", READERS)
def test_a_changed_reference_is_refused_or_read(made, name, number):
    bench, folder = made
    file, reader = READERS[name]
    change = changed_archive if file.endswith("npz") else changed
    try_all(folder / file, lambda: reader(bench, folder), number, change, allowed=("reference",))


@pytest.mark.parametrize("number", NUMBERS)
@pytest.mark.parametrize("file", ["record.json", "scores.npz"])
def test_a_changed_record_is_refused_or_the_same(made, number, file):
    bench, _ = made
    store = bench.store
    (record, *_) = store.scan().records
    arrays = store.arrays(record)
    folder = store.folder(record.job, record.config_hash)

    def read():
        found = read_record(folder)
        if is_outdated(found):
            return
        assert found == record
        again = store.arrays(found)
        assert {name: array.tobytes() for name, array in again.items()} == {
            name: array.tobytes() for name, array in arrays.items()
        }

    try_all(folder / file, read, number, changed_archive if file.endswith("npz") else changed)


@pytest.mark.parametrize("number", NUMBERS)
def test_a_changed_archive_under_new_digests_is_refused_or_read(made, number):
    """Of somebody who writes every digest anew: then there is no telling, but no harm either."""
    store: RecordStore = made[0].store
    (record, *_) = store.scan().records
    folder = store.folder(record.job, record.config_hash)
    path, signed = folder / "scores.npz", json.loads((folder / "record.json").read_text())

    def read():
        content = path.read_bytes()
        digests = {SCORES_DIGEST: sha256(content)}
        try:
            with np.load(io.BytesIO(content)) as found:
                digests["score_digest"] = score_digest(found["scores"])
        except Exception:
            pass
        (folder / "record.json").write_text(record_text(signed | digests))
        store.arrays(read_record(folder))

    try_all(path, read, number, changed_archive)


@pytest.mark.parametrize("number", NUMBERS)
@pytest.mark.parametrize(
    ("file", "reader"),
    [
        ("table2.csv", lambda folder: read_cells(folder)),
        ("table2.csv", lambda folder: read_audit_table(folder / "table2.csv", "table2.csv")),
        ("margins.csv", lambda folder: read_margins(folder / "margins.csv")),
        ("claims.toml", lambda folder: read_claims(folder / "claims.toml")),
    ],
    ids=["cells", "audit", "margins", "claims"],
)
def test_a_changed_table_of_the_paper_is_refused_or_read(tmp_path, file, reader, number):
    folder = shutil.copytree(PAPER, tmp_path / "paper")
    try_all(folder / file, lambda: reader(folder), number)


@pytest.mark.parametrize("number", NUMBERS)
def test_a_changed_profile_is_refused_or_read(tmp_path, number):
    path = tmp_path / "mine.toml"
    path.write_text('description = "mine"\nseeds = "2"\nepochs = 3\n[datasets.toy]\nmax_train_rows = 5\n')
    try_all(path, lambda: load_profile("mine", tmp_path), number)


@pytest.mark.parametrize("number", NUMBERS)
def test_changed_measurements_of_a_study_are_refused_or_read(tmp_path, number):
    source = PAPER.parent / "ablate" / "measured.csv"
    (tmp_path / "measured.csv").write_bytes(b"".join(source.read_bytes().splitlines(keepends=True)[:20]))
    try_all(tmp_path / "measured.csv", lambda: read_measured(tmp_path), number)


@pytest.mark.parametrize("read", [read_environments, read_settings, read_refits])
def test_an_absent_file_is_nothing(tmp_path, read):
    assert not len(read(tmp_path))
