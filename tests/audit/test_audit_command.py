"""`run_all.py audit`: what it prints of the paper and of our tables, and its exit codes."""

import json
from pathlib import Path

import numpy as np
import pytest

from benchmark.audit.gather import label_facts
from benchmark.cli import main

ROOT = Path(__file__).resolve().parents[2]
REFERENCES = sorted(path.parent for path in (ROOT / "results" / "reference").glob("*/*/per_seed.csv"))
PAPER = ROOT / "results" / "paper"
HEADER = "metric,direction,dataset,method,mean,std,bold\n"
AGGREGATED = (
    "dataset,method,metric,mean,std,n_seeds,profile,threshold,scoring\n"
    "ml2000,A,macro_f1,0.5,0.1,{},paper,fixed,soft\n"
)


@pytest.fixture
def run(monkeypatch, capsys):
    """Call the command without features of the user's; return exit code, output and errors."""
    monkeypatch.delenv("M3LA_DATA", raising=False)

    def call(*arguments):
        code = main(["audit", *map(str, arguments)])
        printed = capsys.readouterr()
        return code, printed.out, printed.err

    return call


def test_the_committed_audit_of_the_paper_is_current(run):
    code, out, _ = run()
    assert code == 1
    assert out == (PAPER / "audit.md").read_text(encoding="utf-8"), (
        "write it again: run_all.py audit > results/paper/audit.md"
    )


def test_what_arithmetic_can_know_of_the_papers_tables(run):
    """Compared with the audit that was made by hand before there was a program."""
    report = json.loads(run("--json")[1])
    cells = {
        (f["level"], f["table"][-10:], f["dataset"], f["method"], *f["metrics"]) for f in report["findings"]
    }
    assert cells == {
        ("impossible", "table3.csv", "ml2000", "M3LA-Wco", "micro_auc"),
        ("impossible", "table2.csv", "ml2000", "MCC", "ranking_loss", "example_auc"),
        ("impossible", "table3.csv", "ml2000", "MCC", "ranking_loss", "example_auc"),
        ("impossible", "table3.csv", "ml2000", "MCC", "ranking_loss"),
        ("impossible", "table2.csv", "taobao", "MCC", "coverage", "ranking_loss"),
        ("suspicious", "table2.csv", "taobao", "MCC", "coverage", "example_auc"),
        ("suspicious", "table2.csv", "fcvid", "MCC", "coverage", "ranking_loss"),
        ("suspicious", "table2.csv", "fcvid", "MCC", "coverage", "example_auc"),
        ("suspicious", "table2.csv", "fcvid", "M3LA", "ranking_loss", "example_auc"),
    }
    implied = {
        (line["quantity"], line["dataset"], line["method"]): line["value"]
        for line in report["implied"]
        if line["table"].endswith("table2.csv")
    }
    for dataset, cardinality in {"fcvid": 1.00, "msra": 2.62, "ml2000": 1.23, "taobao": 1.09}.items():
        for method in ("BR", "CC"):
            found = implied["cardinality", dataset, method]
            assert found == pytest.approx(cardinality, abs=0.015)
    predicted = {
        ("msra", "BR"): 23.5,
        ("msra", "M3LA"): 1.27,
        ("taobao", "M3LA"): 0.81,
        ("fcvid", "M3LA"): 0.88,
        ("ml2000", "M3LA"): 1.21,
        ("taobao", "CC"): 1.10,
    }
    for cell, number in predicted.items():
        # By hand with cardinalities of one or two digits fewer.
        assert implied["predicted labels", *cell] == pytest.approx(number, abs=0.025)


def test_the_papers_digits_look_cut_off(run):
    notes = json.loads(run("--json")[1])["notes"]
    assert any("table2.csv: in 11 of 16 rows" in note for note in notes)


@pytest.mark.parametrize("name", ["metrics.csv", "per_seed.csv"])
@pytest.mark.parametrize("folder", REFERENCES, ids=lambda p: p.name)
def test_our_reference_tables_hold_no_contradiction(run, folder, name):
    code, out, err = run("--table", folder / name)
    assert (code, err) == (0, "")
    assert "0 impossible, 0 suspicious" in out


def test_a_changed_number_of_ours_is_found(run, tmp_path):
    source = (ROOT / "results" / "reference" / "tiny" / "ml2000" / "per_seed.csv").read_text().splitlines()
    k = next(i for i, line in enumerate(source) if ",ranking_loss," in line)
    parts = source[k].split(",")
    parts[4] = str(float(parts[4]) / 4)
    source[k] = ",".join(parts)
    path = tmp_path / "per_seed.csv"
    path.write_text("\n".join(source) + "\n")
    code, out, _ = run("--table", path)
    assert code == 1
    assert f"ml2000/{parts[1]}/seed {parts[2]}" in out


@pytest.mark.parametrize(
    ("content", "flags", "message"),
    [
        ("a,b\n1,2\n", (), "neither of a published table"),
        (HEADER + "macro_f1,up,NOWHERE,A,0.5,0.1,0\n", (), "data set 'nowhere' is not registered"),
        (HEADER + "macro_f1,up,ML2000,A,high,0.1,0\n", (), "'high' is not a number"),
        (HEADER + "macro_f1,up,ML2000,A,1e999,0.1,0\n", (), "'1e999' is not a finite number up to 1e+09"),
        (HEADER + "macro_f1,up,ML2000,A,True,0.1,0\n", (), "'True' is not a number"),
        (AGGREGATED.format("x"), (), "n_seeds 'x' is no number of seeds"),
        (AGGREGATED.format("2.5"), (), "n_seeds '2.5' is no number of seeds"),
        (AGGREGATED.format("9" * 30), (), "is no number of seeds"),
        (HEADER, (), "no cell to audit"),
        ("metric,direction,method,mean,std,bold\nmacro_f1,up,A,1,0,0\n", (), "dataset missing"),
        (HEADER + "macro_f1,up,ML2000,A,0.5,0.1,0\n", ("--table", PAPER / "nothing.csv"), "nothing.csv"),
        (HEADER + "macro_f1,down,ML2000,A,0.5,0.1,0\n", (), "direction 'down'"),
        ("", (), "table.csv cannot be read as CSV (No columns"),
        (HEADER + '"a', (), "table.csv cannot be read as CSV"),
        (HEADER + "macro_f1,up,ML2000,A,,,0\n", (), "no cell of the table holds a number"),
        (HEADER + "macro_f1,up,ML2000,A,0.5,0.1,x\n", (), "bold 'x' is neither 1 nor 0"),
        (
            HEADER + "macro_f1,up,ML2000,A,0.5,0.1,0\n",
            ("--runs", "0"),
            "--runs: 0 is out of range; write 1 to",
        ),
    ],
)
def test_what_cannot_be_judged_is_said_in_one_line_with_exit_code_2(run, tmp_path, content, flags, message):
    path = tmp_path / "table.csv"
    path.write_text(content)
    code, out, err = run("--table", path, *flags)
    assert (code, out) == (2, "")
    assert message in err
    assert len(err.splitlines()) == 1


def test_how_many_runs_a_table_is_of_is_not_guessed(run, tmp_path):
    """Runs of .95, .95 and 0 have the deviation .548; among ten runs of that mean .508 is the most."""
    path = tmp_path / "table.csv"
    path.write_text(HEADER + "micro_auc,up,ML2000,A,0.633,0.548,0\n")
    assert run("--table", path)[0] == 0
    assert run("--table", path, "--runs", "3")[0] == 0
    code, out, _ = run("--table", path, "--runs", "10")
    assert code == 1
    assert "no 10 runs" in out


def test_bold_may_be_left_empty(run, tmp_path):
    path = tmp_path / "table.csv"
    path.write_text(HEADER + "micro_auc,up,ML2000,A,0.7,0.01,1\nmicro_auc,up,ML2000,B,0.6,0.01,\n")
    assert run("--table", path)[0] == 0
    path.write_text(HEADER + "micro_auc,up,ML2000,A,0.7,0.01,\nmicro_auc,up,ML2000,B,0.6,0.01,True\n")
    code, out, _ = run("--table", path)
    assert code == 1
    assert "is bold, but better is printed" in out


def test_the_same_table_twice_is_refused(run):
    code, _, err = run("--table", PAPER / "table2.csv", "--table", PAPER / "table2.csv")
    assert code == 2
    assert "given twice" in err


def test_a_table_without_data_sets_takes_its_name_from_the_flag(run):
    code, out, _ = run("--table", PAPER / "table3.csv", "--dataset", "ml2000")
    assert code == 1
    assert "0.342 of micro_auc 0.923" in out


def test_hard_methods_can_be_named(run, tmp_path):
    path = tmp_path / "table.csv"
    rows = ("hamming_loss,down,ML2000,A,0.212,0.001,0", "micro_f1,up,ML2000,A,0.651,0.001,0")
    path.write_text(HEADER + "\n".join((*rows, "micro_auc,up,ML2000,A,0.99,0.001,0")) + "\n")
    assert run("--table", path)[0] == 0
    assert run("--table", path, "--hard", "A")[0] == 1


def test_facts_bound_every_draw_of_test_rows():
    labels = np.zeros((100, 4), np.uint8)
    labels[:95, 0] = 1
    labels[:5] = 1
    facts = label_facts(labels, 10)
    assert (facts.unlabelled.lo, facts.unlabelled.hi) == (0, 0.5)
    assert (facts.fully_labelled.lo, facts.fully_labelled.hi) == (0, 0.5)
    assert facts.cardinality.lo < 1.1 < facts.cardinality.hi
    assert facts.mean_cardinality == pytest.approx(1.1)
    assert label_facts(labels[:95], 95).unlabelled.hi == 0
