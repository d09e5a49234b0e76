"""Records on disk that become tables, and those that cannot: told by name, whatever is wrong with them."""

import json
from dataclasses import replace

import numpy as np
import pytest
from tiny_benchmark import HalfTraced, OneByOne, method, registry

from benchmark.run.record_file import SCORES_DIGEST, record_text, sha256
from benchmark.tables.results import Entries, results_of


def words(path):
    return " ".join(path.read_text(encoding="utf-8").split())


def test_the_cost_of_modalities_reaches_tables_and_reference(recorded, tmp_path):
    """Four test rows, of which two read both modalities."""
    run = recorded(method("Reader", OneByOne), method("Prior"))
    row = "| toy‡, Reader | *1.500±0.000* | *2.000±0.000* | *1.500±0.000* | *2.000±0.000* | *0.500±0.000* |"
    assert run("tables")[0] == 0
    assert row in words(tmp_path / "tables" / "cost.md")
    assert "Prior" not in words(tmp_path / "tables" / "cost.md")
    assert run("reference")[0] == 0
    reference = tmp_path / "reference" / "tiny" / "toy"
    assert row in words(reference / "cost.md")
    assert (reference / "cost.tex").is_file()


def test_a_record_that_its_methods_rule_cannot_read_is_told_and_left_out(recorded):
    run = recorded(method("A"), method("B"))
    held_out = registry(method("A"), replace(method("B"), threshold="eq16b@holdout"))
    code, out, err = run("tables", toys=held_out)
    assert code == 1
    assert "| A " in out
    told = [line for line in err.splitlines() if line.startswith("left out: ")]
    assert len(told) == 2
    for seed, line in enumerate(told):
        assert f"/runs/toy/B/{seed}-" in line.replace("\\", "/")
        assert "rule 'eq16b@holdout' needs scores of held-out rows" in line
        assert "correct the method's threshold rule or its trace" in line
    code, out, err = run("conventions", toys=held_out)
    assert code == 1
    assert "A: 2 seeds" in out
    assert err.count("needs scores of held-out rows") == 2


def test_a_trace_that_lacks_half_is_told_with_what_is_missing(recorded):
    run = recorded(method("Reader", HalfTraced))
    code, _, err = run("tables")
    assert code == 1
    assert err.count("has n_read but not reading_cost, extracted, modality_costs") == 2
    assert "/runs/toy/Reader/0-" in err.replace("\\", "/")


def test_damaged_and_incomplete_files_are_told_and_the_others_read(recorded, tmp_path):
    run = recorded(method("A"), method("B"), method("C"))
    truncated, stripped = (next(tmp_path.glob(f"runs/toy/{m}/0-*/scores.npz")) for m in ("A", "B"))
    truncated.write_bytes(truncated.read_bytes()[:-30])
    with np.load(stripped) as content:
        scores = content["scores"]
    np.savez(stripped, scores=scores)
    signed = stripped.with_name("record.json")
    content = json.loads(signed.read_text()) | {SCORES_DIGEST: sha256(stripped.read_bytes())}
    signed.write_text(record_text(content))
    results, unreadable = results_of(run.bench, run.bench.inventory())
    jobs = results.as_printed[["method", "seed"]].drop_duplicates().itertuples(index=False, name=None)
    assert list(jobs) == [("A", 1), ("B", 1), ("C", 0), ("C", 1)]
    messages = "\n".join((*run.bench.inventory().broken, *unreadable))
    assert str(truncated) in messages
    assert f"{stripped.parent} lacks labels, train_label_frequencies" in messages


def test_what_a_reader_cannot_use_is_told_once_and_entries_go_on(recorded):
    bench = recorded(method("A")).bench
    entries = Entries(bench.inventory(), bench.store)
    read = entries.read(lambda record, arrays: arrays["scores" if record.seed == 1 else "of another kind"])
    assert [scores.shape for scores in read] == [(4, 3)]
    (message,) = entries.unreadable
    assert "of another kind" in message


def test_a_record_counts_for_every_profile_that_does_not_limit_it(recorded):
    bench = recorded(method("A")).bench
    inventory = bench.inventory()
    other = replace(inventory, profile=replace(inventory.profile, name="other"))
    assert {record.profile for record, _ in Entries(other, bench.store)} == {"other"}


@pytest.mark.parametrize("command", ["tables", "conventions"])
def test_every_records_arrays_are_read_once(recorded, monkeypatch, command):
    run = recorded(method("A"), method("B"))
    store, read = type(run.bench.store), []
    arrays = store.arrays

    def counted(self, record):
        read.append((record.method, record.seed))
        return arrays(self, record)

    monkeypatch.setattr(store, "arrays", counted)
    assert run(command)[0] == 0
    assert sorted(read) == [("A", 0), ("A", 1), ("B", 0), ("B", 1)]
