"""Generated files before the readers: what was saved comes back, or a one-line refusal, and nothing else.

Each property holds against an oracle that shares no code with the reader: the saved array and numpy's own
reader, the standard library's `json` and `hashlib`, scipy's reader of ARFF. `pytest -m full` draws
some hundred times as many files as a run by default.
"""

from __future__ import annotations

import contextlib
import hashlib
import io
import json
import os
import shutil
import signal
import tracemalloc
import warnings

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from scipy.io import arff

from benchmark.contracts import DataError, Provenance, Shape
from datasets.formats.arff import label_positions, read_arff, read_label_names
from datasets.formats.checksums import CHECKSUMS, verify_checksums
from datasets.formats.folder import PROVENANCE_FILE, PROVENANCE_KEYS, read_origin
from datasets.formats.npy import read_array
from datasets.lookalike import LookAlikeBacked

SPARE = 64 * 2**20
"""Bytes that a reader may use beside twice what a file declares."""
SECONDS = 20
"""After which a reader counts as hanging."""


def sizes(full: int):
    """Ask for 100 files by default, and for all with `-m full`."""
    return pytest.mark.parametrize("examples", [100, pytest.param(full, marks=pytest.mark.full)])


def hold(examples, files, holds):
    """Draw files and demand of each that `holds(file)` is true of it, in time and in bounds of memory."""

    @settings(max_examples=examples, database=None, suppress_health_check=list(HealthCheck))
    @given(files)
    def run(file):
        signal.setitimer(signal.ITIMER_REAL, SECONDS)
        tracemalloc.start()
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("error")
                holds(file)
            assert tracemalloc.get_traced_memory()[1] < SPARE
        finally:
            tracemalloc.stop()
            signal.setitimer(signal.ITIMER_REAL, 0)

    def hangs(*_):
        raise AssertionError(f"no answer in {SECONDS} seconds")

    former = signal.signal(signal.SIGALRM, hangs)
    try:
        run()
    finally:
        signal.signal(signal.SIGALRM, former)


@contextlib.contextmanager
def refused_in_one_line():
    """Let a refusal pass if it is fit to be printed; any other exception goes on."""
    try:
        yield
    except DataError as error:
        text = str(error)
        assert ": expected " in text
        assert ", found " in text
        assert text.isprintable()
        assert len(text) < 2000


def altered(content: st.SearchStrategy[bytes]) -> st.SearchStrategy[bytes]:
    """Cut, flip, insert and append bytes."""
    place, few = st.floats(0, 1), st.binary(min_size=1, max_size=6)

    def at(data, where):
        return int(where * len(data))

    return st.one_of(
        st.builds(lambda data, p: data[: at(data, p)], content, place),
        st.builds(lambda data, p: data[at(data, p) :], content, place),
        st.builds(lambda data, p, new: data[: at(data, p)] + new + data[at(data, p) :], content, place, few),
        st.builds(
            lambda data, p, new: data[: at(data, p)] + new + data[at(data, p) + len(new) :],
            content,
            place,
            few,
        ),
        st.builds(lambda data, new: data + new, content, few),
        st.binary(max_size=300),
    )


# Arrays

DTYPES = ("?", "i1", "u1", "<i2", ">i4", "<i8", ">u8", "<f2", ">f4", "<f4", "<f8", ">f8")
OTHER_DTYPES = (
    "<c8",
    "<U3",
    "|S2",
    "|O",
    "|V4",
    "<M8[s]",
    "<f16",
    [("a", "<f4")],
    [("a", "<i4"), ("b", "|b1")],
)
NUMBERS = (0, 1, 2, 3, 5, -1, -2, 10**6, 10**12, 2**63, 10**400, True, False, 2.0, "2")
shapes = st.tuples(st.integers(1, 6), st.integers(1, 5))


@st.composite
def saved_arrays(draw):
    """An array as numpy saves it, and the bytes."""
    shape, dtype = draw(shapes), np.dtype(draw(st.sampled_from(DTYPES)))
    raw = draw(
        st.binary(
            min_size=shape[0] * shape[1] * dtype.itemsize, max_size=shape[0] * shape[1] * dtype.itemsize
        )
    )
    if dtype.kind == "b":
        raw = bytes(value & 1 for value in raw)
    array = np.frombuffer(raw, dtype).reshape(shape)
    array = np.asfortranarray(array) if draw(st.booleans()) else array
    stream = io.BytesIO()
    np.lib.format.write_array(stream, array, draw(st.sampled_from([None, (1, 0), (2, 0), (3, 0)])))
    return array, stream.getvalue()


@st.composite
def written_headers(draw):
    """A header of any content, well-formed Python or nearly, before some bytes of data."""
    numbers = st.one_of(st.sampled_from(NUMBERS), st.integers(-3, 7))
    shape = draw(
        st.one_of(shapes, st.lists(numbers, max_size=4).map(tuple), st.lists(numbers, max_size=2), numbers)
    )
    items = {
        "descr": draw(st.sampled_from((*DTYPES, *OTHER_DTYPES))),
        "fortran_order": draw(st.sampled_from((True, False, False, 0, 1, None, "True"))),
        "shape": shape,
    }
    if draw(st.integers(0, 5)) == 0:
        items.pop(draw(st.sampled_from(tuple(items))))
    if draw(st.integers(0, 5)) == 0:
        items[draw(st.sampled_from(("more", "Shape", "")))] = draw(st.sampled_from(NUMBERS))
    text = repr(dict(draw(st.permutations(list(items.items())))))
    text = draw(
        st.sampled_from((text, text[:-1] + ", }", text + " " * 50 + "\n", text * 2, text.replace("'", '"')))
    )
    text = draw(
        st.sampled_from((text, text, text, "(" * 3000 + text, text + "\0", text.replace(": ", " : ")))
    )
    version = draw(st.sampled_from((b"\1\0", b"\2\0", b"\3\0", b"\4\0", b"\1\1")))
    length = len(text.encode()) + draw(st.sampled_from((0, 0, 0, 0, 1, -1, 2**31)))
    width = 2 if version[0] == 1 else 4
    declared = (length % 2 ** (8 * width)).to_bytes(width, "little")
    return b"\x93NUMPY" + version + declared + text.encode() + draw(st.binary(max_size=120))


files = st.one_of(
    saved_arrays().map(lambda pair: (*pair, True)),
    st.builds(
        lambda pair, content: (pair[0], content, False),
        saved_arrays(),
        st.one_of(altered(saved_arrays().map(lambda pair: pair[1])), written_headers()),
    ),
    saved_arrays().flatmap(
        lambda pair: altered(st.just(pair[1])).map(lambda content: (pair[0], content, False))
    ),
)


def by_numpy(path):
    """Return what numpy reads, or None."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return np.load(path, allow_pickle=False)
    except Exception:
        return None


@sizes(40_000)
def test_an_array_is_the_saved_one_or_refused(tmp_path, examples):
    path = tmp_path / "x.npy"

    def holds(file):
        array, content, whole = file
        path.write_bytes(content)
        with refused_in_one_line():
            found = read_array(path, array.shape)
            oracle = array if whole else by_numpy(path)
            assert isinstance(oracle, np.ndarray)
            assert (found.dtype, found.shape) == (oracle.dtype, array.shape) == (oracle.dtype, oracle.shape)
            assert found.tobytes() == oracle.tobytes()
            assert not whole or path.stat().st_size == len(content)
            return
        assert not whole, "a file as numpy saves it was refused"

    hold(examples, files, holds)


# What is said of features

keys = st.sampled_from((*PROVENANCE_KEYS, "fitted", "Provenance", ""))
words = st.one_of(
    st.sampled_from(
        (*map(str, Provenance), "all", "train:0", "train:7", "train:", "train:-1", "train:0-2", "real ")
    ),
    st.text(max_size=20),
)
values = st.one_of(
    words, words, st.none(), st.booleans(), st.integers(), st.floats(), st.lists(words, max_size=2)
)
statements = st.one_of(
    st.dictionaries(keys, values, max_size=4),
    st.dictionaries(st.sampled_from(PROVENANCE_KEYS), words, max_size=4),
    st.builds(lambda more: {"provenance": "real", **more}, st.dictionaries(keys, words, max_size=3)),
    values,
)
documents = st.builds(
    lambda content, ascii, encoding: json.dumps(content, ensure_ascii=ascii).encode(
        encoding, "surrogatepass"
    ),
    statements,
    st.booleans(),
    st.sampled_from(("utf-8", "utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-32")),
)


def stated(content):
    """Read a statement with the standard library alone; None if it is none."""
    for encoding in ("utf-8-sig", "utf-16"):
        with contextlib.suppress(ValueError, RecursionError):
            found = json.loads(content.decode(encoding), object_pairs_hook=list)
            if len(dict(found)) == len(found):
                return dict(found)
    return None


@sizes(15_000)
def test_a_statement_of_provenance_is_what_it_says_or_refused(tmp_path, examples):
    def holds(content):
        (tmp_path / PROVENANCE_FILE).write_bytes(content)
        with refused_in_one_line():
            found = read_origin(tmp_path)
            said = stated(content)
            assert said is not None
            assert said.keys() <= {*PROVENANCE_KEYS}
            assert all(isinstance(value, str) for value in said.values())
            assert found.provenance == said["provenance"]
            assert said.get("note", "") in found.note
            found.note.encode()
            fit_on = said.get("fit_on", "all")
            assert fit_on == ("all" if found.fit_seed is None else f"train:{fit_on.removeprefix('train:')}")
            assert found.fit_seed is None or int(fit_on.removeprefix("train:")) == found.fit_seed

    hold(examples, st.one_of(documents, altered(documents)), holds)


# Checksums

NAMES = ("bow.npy", "labels.npy")
FORMS = (
    "{sum}  {name}",
    "{sum} *{name}",
    "{sum}  ./{name}",
    "{sum}  here/{name}",
    "{sum} *here\\{name}",
    "SHA256 ({name}) = {sum}",
    "SHA2-256(./{name})= {sum}",
)
OTHER_FORMS = (
    "{name}  {sum}",
    "{sum}{name}",
    "MD5 ({name}) = {sum}",
    "{sum}  there/{name}",
    "{sum}  ../{name}",
    "x",
)
OTHER_NAMES = ("hog.npy", "", "..", "a\nb", CHECKSUMS, "n" * 300)


def sums(content):
    """Return some digests of a file, the right one first."""
    right = hashlib.sha256(content).hexdigest()
    others = (
        hashlib.md5(content).hexdigest(),
        hashlib.sha512(content).hexdigest(),
        right[:-1] + "g",
        "0" * 64,
    )
    return (right, right.upper(), *others)


CONTENT = {name: name.encode() * 5 for name in NAMES}
right_lines = st.lists(
    st.tuples(st.sampled_from(FORMS), st.sampled_from(NAMES), st.integers(0, 1)), max_size=4
)
any_lines = st.lists(
    st.tuples(
        st.sampled_from((*FORMS, *OTHER_FORMS)), st.sampled_from((*NAMES, *OTHER_NAMES)), st.integers(0, 5)
    ),
    max_size=4,
)


def listing(lines, between, encoding):
    texts = [form.format(name=name, sum=sums(CONTENT.get(name, b""))[which]) for form, name, which in lines]
    return between.join([*texts, ""]).encode(encoding)


ends = st.sampled_from(("\n", "\r\n", "\n\n", "\n# a comment\n", "\r"))
encodings = st.sampled_from(("utf-8", "utf-8-sig", "utf-16"))
lists = st.one_of(
    st.builds(
        lambda lines, *how: (listing(lines, *how), {name for _, name, _ in lines}),
        right_lines,
        ends,
        encodings,
    ),
    st.builds(lambda lines, *how: (listing(lines, *how), None), any_lines, ends, encodings),
    altered(st.builds(listing, right_lines, ends, encodings)).map(lambda content: (content, None)),
)


def says_what_is_right(line, folder):
    """Return whether a line has the digest of a file of the folder and the file's name, and no other word."""
    for path in folder.iterdir():
        digest = hashlib.sha256(path.read_bytes()).hexdigest()
        rest = line.lower().replace("\\", "/")
        if digest in rest and path.name in line:
            rest = rest.replace(digest, "").replace(path.name.lower(), "").replace("here/", "")
            return set(rest.replace("sha2-256", "").replace("sha256", "")) <= set(" *./()=\t/")
    return CHECKSUMS in line


@sizes(15_000)
def test_a_list_of_checksums_passes_only_if_every_line_is_right_and_every_array_listed(tmp_path, examples):
    folder = tmp_path / "here"
    folder.mkdir()
    for name, content in CONTENT.items():
        (folder / name).write_bytes(content)

    def holds(file):
        content, listed = file
        (folder / CHECKSUMS).write_bytes(content)
        with refused_in_one_line():
            verify_checksums(folder, NAMES)
            marked = content.startswith((b"\xff\xfe", b"\xfe\xff"))
            text = content.decode("utf-16" if marked else "utf-8-sig")
            lines = [
                line
                for line in text.replace("\r", "\n").split("\n")
                if line.strip() and line.strip()[0] != "#"
            ]
            assert all(says_what_is_right(line, folder) for line in lines)
            assert all(any(name in line for line in lines) for name in NAMES)
            return
        assert listed != set(NAMES), "a list in a usual form was refused"

    hold(examples, lists, holds)


# ARFF and XML

LABELS = ("b", "a")
rows = st.lists(
    st.tuples(
        *[
            st.one_of(
                st.floats(width=32).map(repr),
                st.sampled_from(("?", "1e400", "-0", "+.5", "0x1", "1_0", "red")),
            )
        ]
        * 2,
        *[st.sampled_from(("0", "1", "2", "?", ""))] * 2,
    ),
    max_size=4,
)
ROW = "1,2.5,0,1"
HEAD = """@relation toy
@attribute x numeric
@attribute 'y z' real
@attribute a {0,1}
@attribute b {1, 0}
@data
"""
arffs = st.one_of(
    rows.map(lambda rows: (HEAD + "\n".join(map(",".join, rows)) + "\n").encode()),
    altered(st.just((HEAD + f"{ROW}\n" * 3).encode())),
    st.permutations((HEAD + ROW).splitlines()).map(lambda lines: "\n".join(lines).encode()),
)


def by_scipy(path):
    """Return the columns that scipy reads by name, None if it refuses the file."""
    try:
        table, meta = arff.loadarff(path)
        return {name: table[name].astype(np.float64) for name in meta.names()}
    except Exception:
        return None


@sizes(10_000)
def test_an_arff_file_holds_what_scipy_reads_or_is_refused(tmp_path, examples):
    path = tmp_path / "x.arff"

    def holds(content):
        path.write_bytes(content)
        with refused_in_one_line():
            table = read_arff(path).tables["x"]
            assert len(label_positions(LABELS, table, path)) == len(LABELS)
            for name, column in (by_scipy(path) or {}).items():
                np.testing.assert_array_equal([float(x) for x in table[name]], column)

    hold(examples, arffs, holds)


names = st.text(st.characters(codec="utf-8"), max_size=5)
XML = '<?xml version="1.0"?><labels xmlns="urn:x"><label name="a"/><label name="b"></label></labels>'


@sizes(5_000)
def test_a_list_of_labels_names_each_once_or_is_refused(tmp_path, examples):
    path = tmp_path / "x.xml"

    def holds(content):
        path.write_bytes(content)
        with refused_in_one_line():
            found = read_label_names(path)
            assert found
            assert all(found)
            assert len(set(found)) == len(found)

    listed = st.lists(names, max_size=3).map(
        lambda names: f"<labels>{''.join(f'<label name={name!r}/>' for name in names)}</labels>".encode()
    )
    hold(examples, st.one_of(listed, altered(st.just(XML.encode()))), holds)


# A whole folder

TOY = LookAlikeBacked("toy", "TOY", Shape(6, 2, (3, 1)), ("bow", "hog"), "", cardinality=1.0)
PLACES = ("bow.npy", "hog.npy", "labels.npy", PROVENANCE_FILE, CHECKSUMS)


def fill(folder):
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    random = np.random.default_rng(0)
    np.save(folder / "bow.npy", random.normal(size=(6, 3)))
    np.save(folder / "hog.npy", random.normal(size=(6, 1)).astype(np.float32))
    np.save(folder / "labels.npy", random.integers(0, 2, size=(6, 2)))
    (folder / PROVENANCE_FILE).write_text('{"provenance": "rebuilt", "fit_on": "train:0"}')
    texts = [f"{hashlib.sha256((folder / name).read_bytes()).hexdigest()}  {name}\n" for name in PLACES[:4]]
    (folder / CHECKSUMS).write_text("".join(texts))


def make_unusual(path, kind):
    path.unlink()
    make = {
        "absent": lambda: None,
        "folder": path.mkdir,
        "pipe": lambda: os.mkfifo(path),
        "device": lambda: path.symlink_to("/dev/zero"),
        "dangling": lambda: path.symlink_to("nowhere"),
        "loop": lambda: path.symlink_to(path.name),
        "empty": lambda: path.write_bytes(b""),
    }
    make[kind]()


KINDS = ("absent", "folder", "pipe", "device", "dangling", "loop", "empty")
harms = st.lists(
    st.tuples(
        st.sampled_from(PLACES),
        st.one_of(st.sampled_from(KINDS), st.tuples(st.integers(0, 400), st.binary(min_size=1, max_size=3))),
    ),
    max_size=3,
    unique_by=lambda harm: harm[0],
)


@sizes(15_000)
def test_a_harmed_folder_is_refused_and_an_unharmed_one_read(tmp_path, examples):
    folder = tmp_path / "toy"
    fill(folder)
    whole = {name: (folder / name).read_bytes() for name in PLACES}
    before = TOY.load(tmp_path).data_hash

    def holds(harms):
        fill(folder)
        for name, harm in harms:
            if isinstance(harm, str):
                make_unusual(folder / name, harm)
            else:
                place, new = harm
                data = whole[name]
                (folder / name).write_bytes(data[:place] + new + data[place + len(new) :])
        same = all((folder / name).is_file() and not (folder / name).is_symlink() for name in PLACES) and all(
            (folder / name).read_bytes() == content for name, content in whole.items()
        )
        with refused_in_one_line():
            found = TOY.load(tmp_path)
            if (folder / CHECKSUMS).exists() and (folder / PROVENANCE_FILE).exists():
                assert found.data_hash == before
                assert (found.provenance, found.fit_seed) == (Provenance.REBUILT, 0)
            return
        assert not same, "an unharmed folder was refused"

    hold(examples, harms, holds)
