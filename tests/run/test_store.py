"""Records: written whole or not at all, read with care, nothing lost."""

from __future__ import annotations

import contextlib
import dataclasses
import errno
import hashlib
import io
import json
import os
import re
import struct
import time
import zipfile
from concurrent.futures import ThreadPoolExecutor
from multiprocessing import get_context

import numpy as np
import pytest

from benchmark.contracts import Job, Provenance, Record
from benchmark.run.arrays_file import packed, score_digest, unpacked
from benchmark.run.record_file import (
    SCHEMA_VERSION,
    SCORES_DIGEST,
    RecordError,
    is_outdated,
    record_text,
    sha256,
)
from benchmark.run.store import RecordStore, read_record

JOB = Job("toy", "Prior", 3)
SCORES = np.array([[0.25, 0.5], [1.0, 0.0]], np.float32)


def record(**changes):
    base = Record(
        schema_version=SCHEMA_VERSION,
        dataset="toy",
        method="Prior",
        seed=3,
        config_hash="abc",
        settings={"options": {"epochs": 5}},
        status="done",
        profile="tiny",
        preset="default",
        scoring="soft",
        threshold="fixed",
        provenance=Provenance.LOOK_ALIKE,
        data_hash="d",
        score_digest=score_digest(SCORES),
        seconds={"fit": 1.5},
    )
    return dataclasses.replace(base, **changes)


@pytest.fixture
def store(tmp_path):
    return RecordStore(tmp_path / "runs")


def test_a_record_comes_back_as_it_was_written(store):
    folder = store.write(record(), {"scores": SCORES, "labels": np.eye(2, dtype=np.uint8)})
    assert folder == store.root / "toy" / "Prior" / "3-abc"
    found = store.find(JOB, "abc")
    assert found == record()
    np.testing.assert_array_equal(store.arrays(found)["scores"], SCORES)


def test_the_digest_is_that_of_little_endian_float32_in_row_order():
    by_hand = hashlib.sha256(struct.pack("<4f", 0.25, 0.5, 1.0, 0.0)).hexdigest()
    assert score_digest(SCORES) == by_hand
    assert score_digest(np.asfortranarray(SCORES.astype(">f8"))) == by_hand


def test_a_process_killed_while_writing_leaves_nothing_that_counts(store):
    process = get_context("fork").Process(target=_die_while_writing, args=(store,))
    process.start()
    process.join()
    assert store.find(JOB, "abc") is None
    assert store.scan().records == ()
    assert store.scan().broken == ()
    store.write(record(), {"scores": SCORES})
    assert store.find(JOB, "abc").status == "done"


def _die_while_writing(store):
    import os

    os.fsync = lambda _: os._exit(9)
    store.write(record(), {"scores": SCORES})


@pytest.mark.parametrize("file", ["record.json", "scores.npz"])
def test_a_truncated_record_counts_as_not_done_and_is_kept_when_replaced(store, file):
    folder = store.write(record(), {"scores": SCORES})
    whole = (folder / file).read_bytes()
    (folder / file).write_bytes(whole[: len(whole) // 2])
    assert store.find(JOB, "abc") is None
    scan = store.scan()
    assert scan.records == ()
    assert file in scan.broken[0]
    assert "run again" in scan.broken[0]
    store.write(record(), {"scores": SCORES})
    assert store.find(JOB, "abc").status == "done"
    assert (folder.with_name("3-abc.broken-1") / file).read_bytes() == whole[: len(whole) // 2]
    assert store.scan().broken == ()


@pytest.mark.parametrize("name", ["scores", "labels", "step_scores", "thresholds"])
def test_an_archive_written_anew_with_another_array_is_refused(store, name):
    arrays = dict.fromkeys(("scores", "labels", "step_scores", "thresholds"), SCORES)
    folder = store.write(record(), arrays)
    np.savez_compressed(folder / "scores.npz", **(arrays | {name: SCORES + 0.1}))
    with pytest.raises(RecordError, match="differs from its digest"):
        store.arrays(record())


@pytest.mark.parametrize("forgotten", [True, False])
def test_scores_that_are_not_those_of_the_record_are_refused(store, forgotten):
    folder = store.write(record(score_digest="" if forgotten else "0" * 64), {"scores": SCORES})
    with pytest.raises(RecordError, match="scores differ from the digest"):
        store.arrays(read_record(folder))


@pytest.mark.parametrize("file", ["record.json", "scores.npz"])
def test_an_altered_byte_anywhere_is_refused(store, file):
    path = store.write(record(), {"scores": SCORES, "labels": np.eye(2, dtype=np.uint8)}) / file
    whole = path.read_bytes()
    for position in range(len(whole)):
        for flipped in (0xFF, 0x01, 0x20):  # 0x20: another case, a blank for a line break's neighbour
            altered = bytearray(whole)
            altered[position] ^= flipped
            path.write_bytes(altered)
            if altered == whole.replace(b'version": 3', b'version": 2'):
                assert is_outdated(read_record(path.parent))  # so it is run again
            else:
                with pytest.raises(RecordError):
                    store.arrays(read_record(path.parent))


def npz(compression=zipfile.ZIP_DEFLATED, **members):
    """An archive with right checksums of whatever bytes; `np.savez` could not write most of these."""
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w", compression) as archive:
        for name, data in members.items():
            archive.writestr(f"{name}.npy", data)
    return content.getvalue()


def npy(array, swap=(b"", b"")):
    stream = io.BytesIO()
    np.save(stream, array)
    return stream.getvalue().replace(*swap)


@pytest.mark.parametrize(
    "content",
    [
        npz(labels=npy(SCORES)),
        npz(zipfile.ZIP_LZMA, scores=npy(SCORES)),
        npz(scores=npy(SCORES, (b"'descr': '", b"'descr': ('"))),  # a bracket without its fellow
        npz(scores=npy(SCORES, (b"(2, 2), }    ", b"(2, 2000000000000), }"))),
        npz(scores=npy(np.zeros((2, 2), "M8[s]"))),
        npz(scores=npy(np.full((2, 2), "half"))),
    ],
    ids=["no-scores", "lzma", "header", "huge", "dates", "text"],
)
def test_an_archive_of_something_else_is_refused(store, content):
    folder = store.write(record(), {"scores": SCORES})
    (folder / "scores.npz").write_bytes(content)
    signed(folder, **{SCORES_DIGEST: sha256(content)})
    with pytest.raises(RecordError, match=r"scores\.npz.*delete"):
        store.arrays(record())


def test_an_archive_that_unpacks_to_more_than_a_record_holds_is_refused_before_it_does(store):
    large = npz(scores=npy(SCORES), zeros=npy(np.zeros(2**29, np.uint8)))
    assert len(large) < 2**20
    folder = store.write(record(), {"scores": SCORES})
    (folder / "scores.npz").write_bytes(large)
    signed(folder, **{SCORES_DIGEST: sha256(large)})
    with pytest.raises(RecordError, match="would take more than"):
        store.arrays(record())


@pytest.mark.parametrize("field", [field.name for field in dataclasses.fields(Record)])
@pytest.mark.parametrize("value", [None, [], {}, "", -1.5, True, "\ud800", {"a": [[]]}])
def test_a_field_of_another_kind_is_refused_or_read(store, field, value):
    folder = store.write(record(), {"scores": SCORES})
    signed(folder, **{field: value})
    with contextlib.suppress(RecordError):
        found = getattr(read_record(folder), field)
        assert isinstance(found, type(getattr(record(), field))) or field == "peak_mib"


def test_deep_json_is_refused(store):
    folder = store.write(record(), {"scores": SCORES})
    (folder / "record.json").write_text("[" * 100_000)
    with pytest.raises(RecordError, match="cannot be read"):
        read_record(folder)


def altered(folder, **changes):
    """Change fields and leave the digest."""
    path = folder / "record.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))


def signed(folder, **changes):
    """Change fields as somebody who also writes the digest anew."""
    path = folder / "record.json"
    path.write_text(record_text(json.loads(path.read_text()) | changes))


@pytest.mark.parametrize("version", [SCHEMA_VERSION + 1, 0, None, "1", [1]])
def test_a_record_of_an_unknown_schema_is_named_with_both_versions(store, version):
    folder = store.write(record(), {"scores": SCORES})
    altered(folder, schema_version=version)
    with pytest.raises(
        RecordError, match=re.escape(f"schema_version {version!r}, this program reads 1 to 3")
    ):
        read_record(folder)


def test_a_record_of_an_older_schema_is_read_but_not_done_and_kept_when_replaced(store):
    folder = store.write(record(), {"scores": SCORES})
    altered(folder, schema_version=1, metrics={"macro_auc": 0.5}, transductive=False)
    scan = store.scan()
    assert (scan.records, scan.broken) == ((record(schema_version=1),), ())
    assert store.find(JOB, "abc") is None
    old = (folder / "record.json").read_bytes()
    for k in (1, 2):
        store.write(record(), {"scores": SCORES + 0.0})
        assert store.find(JOB, "abc") == record()
        assert (folder.with_name(f"3-abc.outdated-{k}") / "record.json").read_bytes() == old
        assert store.scan().records == (record(),)
        (folder / "record.json").write_bytes(old)


def test_an_unknown_field_is_refused_in_a_record_of_this_schema(store):
    folder = store.write(record(), {"scores": SCORES})
    signed(folder, metrics={})
    with pytest.raises(RecordError, match=r"lacks, adds or misuses a field.*metrics"):
        read_record(folder)


def test_a_record_in_another_jobs_folder_is_refused(store):
    folder = store.write(record(), {"scores": SCORES})
    moved = folder.rename(folder.with_name("4-abc"))
    with pytest.raises(RecordError, match="toy/Prior/3-abc"):
        read_record(moved)


def test_a_second_holder_does_not_get_the_lock(store):
    with store.lock(JOB, "abc") as first, RecordStore(store.root).lock(JOB, "abc") as second:
        assert first
        assert not second
    with store.lock(JOB, "abc") as again:
        assert again


def test_a_failed_record_is_replaced_by_a_later_one(store):
    store.write(record(status="failed", error="Traceback"))
    store.write(record(attempts=2), {"scores": SCORES})
    assert store.find(JOB, "abc").attempts == 2
    assert [folder.name for folder in (store.root / "toy" / "Prior").iterdir()] == ["3-abc"]


def test_a_full_disk_names_the_file_and_leaves_the_earlier_record_and_nothing_else(store, monkeypatch):
    def full(_):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    store.write(record(attempts=1), {"scores": SCORES})
    with monkeypatch.context() as patched:
        patched.setattr(os, "fsync", full)
        for arrays, name in (({"scores": SCORES}, "scores.npz"), (None, "record.json")):
            with pytest.raises(OSError, match=f"No space left on device.*{name}") as caught:
                store.write(record(attempts=2), arrays)
            assert caught.value.errno == errno.ENOSPC
    assert store.find(JOB, "abc").attempts == 1
    assert [path.name for path in (store.root / "toy" / "Prior").iterdir()] == ["3-abc"]
    store.write(record(attempts=3), {"scores": SCORES})
    assert store.find(JOB, "abc").attempts == 3


@pytest.mark.parametrize("code", [errno.ENOLCK, errno.EOPNOTSUPP, errno.ENOSYS])
@pytest.mark.parametrize("writes", [True, False])
def test_a_file_system_without_locks_is_refused_before_any_job(store, monkeypatch, code, writes):
    fcntl = pytest.importorskip("fcntl")

    def no_locks(*_):
        raise OSError(code, os.strerror(code))

    if writes:
        store.require_writable()
    monkeypatch.setattr(fcntl, "flock", no_locks)
    with pytest.raises(RecordError, match="files cannot be locked there") as caught:
        store.require_writable()
    assert str(store.root) in str(caught.value)
    assert os.strerror(code) in str(caught.value)
    assert "--results" in str(caught.value)
    assert list((store.root / ".locks").iterdir()) == []


def test_threads_parse_one_header_at_a_time(monkeypatch):
    """Python 3.11 raises SystemError now and then where two do."""
    content, at_work, most = packed({f"a{k}": np.zeros(3) for k in range(5)}), [], []
    parse = np.lib.format.read_array_header_1_0

    def watched(stream):
        at_work.append(1)
        most.append(len(at_work))
        time.sleep(0.002)
        at_work.pop()
        return parse(stream)

    monkeypatch.setattr(np.lib.format, "read_array_header_1_0", watched)
    with ThreadPoolExecutor(4) as threads:
        found = list(threads.map(unpacked, [content] * 8))
    assert all(len(one) == 5 for one in found)
    assert (len(most), max(most)) == (40, 1)
