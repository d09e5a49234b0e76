"""`verify` names what is wrong with records and repeats them to the bit; `clean` removes what it named."""

from __future__ import annotations

import json
import re
import shlex
import shutil

import numpy as np
import pytest
from tiny_benchmark import Careful, OneByOne, method, registry

from benchmark.cli import build_parser, main
from benchmark.contracts import Job
from benchmark.run.arrays_file import score_digest
from benchmark.run.record_file import SCORES_DIGEST, record_text, sha256
from benchmark.run.store import RecordStore
from benchmark.run.verify import array_faults

TOYS = registry(method("Prior"), method("Careful", Careful), method("Reader", OneByOne))


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """Records of two seeds of each toy, made once."""
    folder = tmp_path_factory.mktemp("made")
    flags = ["--profile", "tiny", "--seeds", "2", "--jobs", "1", "--data", str(folder)]
    assert main([*flags, "--results", str(folder)], TOYS) == 0
    return folder


@pytest.fixture
def call(made, tmp_path, capsys):
    """Call a command on a copy of the records; return exit code and output."""
    folder = tmp_path / "results"
    shutil.copytree(made, folder)

    def call(*arguments, toys=TOYS):
        where = ["--profile", "tiny", "--results", str(folder), "--data", str(folder)]
        code = main([*arguments, *where], toys)
        printed = capsys.readouterr()
        return code, printed.out + printed.err

    call.folder = folder
    call.record = next(folder.glob("runs/toy/Prior/0-*"))
    capsys.readouterr()
    return call


def signed(folder, arrays=None, **fields):
    """Write a record anew as somebody would who also writes every digest anew."""
    path = folder / "record.json"
    content = json.loads(path.read_text())
    if arrays is not None:
        np.savez_compressed(folder / "scores.npz", **arrays)
        fields |= {
            SCORES_DIGEST: sha256((folder / "scores.npz").read_bytes()),
            "score_digest": score_digest(arrays["scores"]),
        }
    path.write_text(record_text(content | fields))


def test_whole_records_are_fine(call):
    code, said = call("verify", "--seeds", "2")
    assert code == 0
    assert "6 records, 6 done, 0 made by an older version, 0 stale at profile tiny, 0 faults" in said


def test_an_empty_folder_cannot_be_verified(tmp_path, capsys):
    assert main(["verify", "--results", str(tmp_path), "--data", str(tmp_path)], TOYS) == 2
    assert "to make them: python run_all.py run" in capsys.readouterr().err


@pytest.mark.parametrize("file", ["record.json", "scores.npz"])
def test_an_altered_byte_is_a_finding_that_names_the_file(call, file):
    path = call.record / file
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)
    code, said = call("verify", "--seeds", "2")
    assert code == 1
    assert f"damaged: {path}" in said
    assert "1 faults" in said
    assert "run again: python run_all.py run" in said


def test_settings_of_another_hash_are_a_finding(call):
    settings = json.loads((call.record / "record.json").read_text())["settings"]
    signed(call.record, settings=settings | {"max_train_rows": 7})
    code, said = call("verify", "--seeds", "2")
    assert code == 1
    assert f"{call.record}: its settings have the hash" in said


def test_a_faulty_record_of_refits_or_of_a_study_is_found_too(call):
    refit = call.folder / "runs" / ".refits" / "1"
    refit.mkdir(parents=True)
    shutil.copytree(call.record.parents[1], refit / "toy")
    (next(refit.glob("toy/Prior/0-*")) / "scores.npz").write_bytes(b"")
    code, said = call("verify", "--seeds", "2")
    assert code == 1
    assert ".refits" in said
    assert "12 records" in said


ARRAYS = {
    "scores": np.full((4, 3), 0.5, np.float32),
    "labels": np.ones((4, 3), np.uint8),
    "test_index": np.arange(4),
    "train_label_frequencies": np.ones(3),
}


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({}, None),
        ({"labels": np.ones((4, 2), np.uint8)}, "labels has 2 for q, scores has 3"),
        ({"test_index": np.arange(5)}, "test_index has 5 for n, scores has 4"),
        ({"train_phi": np.ones(3)}, r"train_phi has the shape \(3,\)"),
        ({"step_scores": np.ones((4, 2, 9), np.float32)}, "step_scores has 9 for q"),
        ({"scores": np.full((4, 3), np.nan, np.float32)}, "scores are not all numbers from 0 to 1"),
        ({"scores": np.full((4, 3), 2, np.float32)}, "scores are not all numbers from 0 to 1"),
        ({"labels": np.full((4, 3), 7, np.uint8)}, "labels are not all 0 or 1"),
        ({"holdout_scores": np.ones((4, 3), np.float32), "holdout_labels": np.ones((5, 3))}, "5 for h"),
    ],
)
def test_arrays_that_fit_nothing_are_named(change, said):
    found = "; ".join(array_faults(ARRAYS | change))
    assert (found == "") if said is None else re.search(said, found)


def test_a_missing_array_is_a_finding(call):
    arrays = dict(np.load(call.record / "scores.npz"))
    del arrays["labels"]
    signed(call.record, arrays)
    code, said = call("verify", "--seeds", "2")
    assert code == 1
    assert f"{call.record}: lacks labels" in said


def test_repeated_jobs_give_the_same_bits_and_leave_no_record(call):
    before = sorted(path.name for path in call.folder.rglob("*"))
    code, said = call("verify", "--seeds", "2", "--bitwise", "3", "--jobs", "1")
    assert code == 0
    assert "3 of 3 jobs gave the same bits again" in said
    assert sorted(path.name for path in call.folder.rglob("*")) == before


def test_a_bit_that_does_not_come_again_is_a_finding(call):
    arrays = dict(np.load(call.record / "scores.npz"))
    arrays["train_label_frequencies"] = np.nextafter(arrays["train_label_frequencies"], 1)
    signed(call.record, arrays)
    code, said = call("verify", "--seeds", "2", "--bitwise", "6", "--jobs", "1")
    assert code == 1
    assert "differs: toy Prior seed 0: train_label_frequencies differ" in said
    assert "5 of 6 jobs" in said


def test_only_current_jobs_are_repeated(call):
    code, said = call("verify", "--bitwise", "1", "--methods", "Prior", toys=registry(method(blur=0.3)))
    assert code == 2
    assert "are stale" in said or "holds no finished, current record" in said


LEFT = (".7-abc.partial", ".8-abc.old", "9-abc.broken-1", "9-abc.outdated-2")


@pytest.fixture
def littered(call):
    pair = call.record.parent
    for name in LEFT:
        (pair / name).mkdir()
        (pair / name / "record.json").write_text("{}")
    for name in (".git", "7-abc.mine", "7-abc.partial", ".9-abc.broken-1"):
        (pair / name).mkdir()  # nobody's that is known
    return call


def test_leftovers_are_named_by_both_and_removed_only_when_asked(littered):
    code, said = littered("verify", "--seeds", "2")
    assert code == 0
    assert all(f"left over: {littered.record.parent / name}:" in said for name in LEFT)
    (words,) = re.findall("to remove what is left over: python run_all.py (.*)", said)
    assert build_parser().parse_args(shlex.split(words)).results == littered.folder
    before = sorted(littered.folder.rglob("*"))
    code, said = littered("clean")
    assert code == 0
    assert "to remove these 4: python run_all.py clean --profile tiny" in said
    assert "--yes" in said
    assert sorted(set(littered.folder.rglob("*")) - set(before)) == []
    assert set(before) <= set(littered.folder.rglob("*"))
    named = [line.partition(": ")[0] for line in said.splitlines()[:-1]]
    assert littered("clean", "--yes")[0] == 0
    gone = {path for path in before if path.is_relative_to(littered.folder / "runs") and not path.exists()}
    assert {str(path) for path in gone if path.parent == littered.record.parent} == set(named)
    assert littered("verify", "--seeds", "2")[0] == 0
    assert "nothing to remove" in littered("clean")[1]


def test_what_is_being_written_is_neither_named_nor_removed(littered):
    store = RecordStore(littered.folder / "runs")
    with store.lock(Job("toy", "Prior", 7), "abc") as mine:
        assert mine
        assert ".partial" not in littered("verify", "--seeds", "2")[1]
        assert ".partial" not in littered("clean", "--yes")[1]
    assert (littered.record.parent / ".7-abc.partial").exists()


def test_stale_records_go_only_with_their_flag_and_current_ones_never(call):
    changed = registry(method("Prior", blur=0.3), method("Careful", Careful), method("Reader", OneByOne))
    assert "2 stale at profile tiny" in call("verify", "--seeds", "2", toys=changed)[1]
    assert "nothing to remove" in call("clean", toys=changed)[1]
    assert "nothing to remove" in call("clean", "--stale", "--methods", "Reader", toys=changed)[1]
    code, said = call("clean", "--stale", toys=changed)
    assert code == 0
    assert "to remove these 2:" in said
    assert "clean --profile tiny" in said
    assert "--stale --yes" in said
    assert call.record.exists()
    call("clean", "--stale", "--yes", toys=changed)
    assert not call.record.exists()
    assert "4 records, 4 done" in call("verify", "--seeds", "2")[1]


def test_a_link_is_never_followed_to_be_removed(call, tmp_path):
    kept = tmp_path / "kept"
    kept.mkdir()
    (call.record.parent / ".7-abc.partial").symlink_to(kept)
    assert "nothing to remove" in call("clean", "--yes")[1]
    assert kept.exists()
