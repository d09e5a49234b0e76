"""`run_all.py conventions`: from stored records to tables, and what it says where there are none."""

import json

from tiny_benchmark import method, registry

from benchmark.score.conventions import CONVENTIONS


def test_stored_records_are_printed_and_damaged_ones_told(recorded, tmp_path):
    run = recorded(method("A"), method("B"))
    code, out, err = run("conventions")
    assert (code, err) == (0, "")
    assert all(convention.heading in out for convention in CONVENTIONS.values())
    code, out, _ = run("conventions", "--methods", "B", "--json")
    cells = json.loads(out)
    assert code == 0
    assert {cell["method"] for cell in cells} == {"B"}
    assert {cell["scoring"] for cell in cells} == {"soft", "hard"}
    assert {cell["n_seeds"] for cell in cells} == {2}
    assert None in {cell["mean"] for cell in cells if cell["metric"] == "example_auc"}  # MULAN has none
    scores = next(tmp_path.glob("runs/toy/A/0-*/scores.npz"))
    scores.write_bytes(scores.read_bytes()[:-30])
    code, out, err = run("conventions")
    assert code == 1
    assert str(scores) in err
    assert "A: 1 seeds" in out


def test_without_records_it_says_so_with_exit_code_2(recorded):
    run = recorded(method("A"))
    code, out, err = run("conventions", "--methods", "A", toys=registry(method("A", blur=0.5)))
    assert (code, out) == (2, "")
    assert "no finished, current record" in err
    assert "2 are stale" in err
    assert len(err.splitlines()) == 1
