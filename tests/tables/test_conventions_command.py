"""`run_all.py conventions`: from stored records to tables, and what it says where there are none."""

import json

import pytest
from tiny_benchmark import method, registry

from benchmark.cli import main
from benchmark.score.conventions import CONVENTIONS

pytestmark = pytest.mark.usefixtures("warm_fork_server")


@pytest.fixture
def run(tmp_path, capsys):
    """Call the command line in a results folder of its own; return exit code, output and errors."""

    def call(*arguments, toys=None):
        places = ["--profile", "tiny", "--results", str(tmp_path), "--data", str(tmp_path)]
        code = main([*arguments, *places], toys or registry())
        printed = capsys.readouterr()
        return code, printed.out, printed.err

    return call


def test_stored_records_are_printed_and_damaged_ones_told(run, tmp_path):
    toys = registry(method("A"), method("B"))
    assert run("run", "--seeds", "2", "--jobs", "1", toys=toys)[0] == 0
    code, out, err = run("conventions", "--seeds", "2", toys=toys)
    assert (code, err) == (0, "")
    assert all(convention.title in out for convention in CONVENTIONS.values())
    code, out, _ = run("conventions", "--seeds", "2", "--methods", "B", "--json", toys=toys)
    cells = json.loads(out)
    assert code == 0
    assert {cell["method"] for cell in cells} == {"B"}
    assert {cell["scoring"] for cell in cells} == {"soft", "hard"}
    assert {cell["n_seeds"] for cell in cells} == {2}
    assert None in {cell["mean"] for cell in cells if cell["metric"] == "example_auc"}  # MULAN has none
    scores = next(tmp_path.glob("runs/toy/A/0-*/scores.npz"))
    scores.write_bytes(scores.read_bytes()[:-30])
    code, out, err = run("conventions", "--seeds", "2", toys=toys)
    assert code == 1
    assert str(scores) in err
    assert "A: 1 seeds" in out


def test_without_records_it_says_so_with_exit_code_2(run):
    code, out, err = run("conventions")
    assert (code, out) == (2, "")
    assert "no current finished record" in err
    assert len(err.splitlines()) == 1
