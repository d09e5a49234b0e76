"""Tables, JSON and TOML from elsewhere: refused by what is wrong, before memory is taken for it."""

from __future__ import annotations

import csv
import os
import time
import tracemalloc

import pandas as pd
import pytest

from benchmark.contracts import Job
from benchmark.run.record_file import RecordError
from benchmark.run.store import RecordStore
from benchmark.untrusted import MOST_TABLE, MOST_TEXT, read_json, read_table, read_toml


def refused(read, path, message):
    """Within a second or two, and with no more memory than the file's own size a few times over."""
    tracemalloc.start()
    started = time.process_time()
    with pytest.raises(ValueError, match=message):
        read(path)
    assert time.process_time() - started < 5
    assert tracemalloc.get_traced_memory()[1] < 2**29
    tracemalloc.stop()


def test_a_table_is_what_pandas_makes_of_it(tmp_path):
    path = tmp_path / "table.csv"
    path.write_text('a,b\n1,"x, y"\n\n2,"two\nlines"\n')
    pd.testing.assert_frame_equal(read_table(path, dtype={"b": str}), pd.read_csv(path))


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"a,b\n1,2\n1,2,3\n", "line 3 has 3 fields, the header 2"),
        (b"a,b\n1,2,3\n1,2,3\n", "line 2 has 3 fields"),  # pandas would make an index of the first
        (b"a,b\n1\n", "line 2 has 1 fields"),
        (b"a\n" + b"1" * 200_000 + b"\n", "larger than field limit"),
        (b"a,b\n\xff,1\n", "utf-8"),
        (b"", "No columns"),
        (b",".join([b"a"] * 2_000) + b"\n", "more than 1000 columns"),
    ],
    ids=["ragged", "index", "short", "field", "bytes", "empty", "columns"],
)
def test_a_table_of_something_else_is_refused(tmp_path, content, message):
    path = tmp_path / "table.csv"
    path.write_bytes(content)
    before = csv.field_size_limit(2**30)  # as a reader of another library may leave it
    try:
        with pytest.raises(ValueError, match=message):
            read_table(path)
        assert csv.field_size_limit() == 2**30
    finally:
        csv.field_size_limit(before)


@pytest.mark.parametrize(
    ("read", "most"), [(read_table, MOST_TABLE), (read_json, MOST_TEXT), (read_toml, MOST_TEXT)]
)
def test_what_is_too_large_is_refused_before_it_is_read(tmp_path, read, most):
    path = tmp_path / "large"
    path.touch()
    os.truncate(path, 2**40)  # takes no room on the disk
    refused(read, path, f"more than {most:,} bytes")


def test_commas_without_end_are_refused(tmp_path):
    path = tmp_path / "commas.csv"
    path.write_bytes(b"," * (MOST_TABLE // 8))
    refused(read_table, path, "more than 1000 columns")


@pytest.mark.parametrize(
    ("read", "content"),
    [
        (read_json, "[" * 200_000),
        (read_json, '{"a":' * 200_000),
        (read_toml, "a = " + "[" * 200_000),
        (read_toml, "a = " + "{b = " * 20_000),
        (read_json, "9" * 10_000),
        (read_toml, "a = " + "9" * 10_000),
        (read_json, "nothing"),
        (read_toml, "nothing"),
    ],
)
def test_deep_and_endless_text_is_refused(tmp_path, read, content):
    path = tmp_path / "text"
    path.write_text(content)
    refused(read, path, ".")


@pytest.mark.parametrize("name", ["..", ".", "", "../../etc", "a/b", "a\\b", "/etc", ".hidden", "a\0b"])
def test_a_name_cannot_lead_out_of_the_store(tmp_path, name):
    store = RecordStore(tmp_path)
    for job, config_hash in ((Job(name, "M", 0), "a"), (Job("d", name, 0), "a"), (Job("d", "M", 0), name)):
        with pytest.raises(RecordError, match="is no name of a data set, a method or a hash"):
            store.folder(job, config_hash)
        with pytest.raises(RecordError), store.lock(job, config_hash):
            pass
    assert list(tmp_path.iterdir()) == []


def test_names_of_studies_stay_names(tmp_path):
    store = RecordStore(tmp_path)
    assert (
        store.folder(Job("ml2000", "M3LA[bias=0.5]", 3), "abc")
        == tmp_path / "ml2000" / "M3LA[bias=0.5]" / "3-abc"
    )
