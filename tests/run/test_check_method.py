"""A method in one file: checked, run and printed without a further line; what is wrong with it is said."""

from __future__ import annotations

import itertools

import pytest
from tiny_benchmark import ToyData

from benchmark.cli import main
from benchmark.registry import METHOD_SOURCES, Registry, discover
from benchmark.run.check_method import CHECKS

METHOD = """
import numpy as np
from sklearn.base import BaseEstimator

from benchmark.contracts import Factor, MethodSpec


class Frequencies(BaseEstimator):
    FACTORS = (Factor("power", (1.0, 0.5), "left open"),)

    def __init__(self, power=1.0):
        self.power = power

    def fit(self, modalities, labels, holdout=None):
        self.frequencies_ = labels.mean(axis=0) ** self.power
        return self

    def predict_scores(self, modalities):
        return np.tile(self.frequencies_, (len(modalities[0]), 1))


METHODS = (MethodSpec("Frequencies", Frequencies, in_paper=False),)
"""
HALF_A_TRACE = """return self

    def trace(self, modalities):
        return {'n_read': np.ones((4, 1), int)}
"""
EMPTY = Registry({}, {"toy": ToyData()})


_names = itertools.count()


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(tmp_path)
    return tmp_path


def written(folder, name, text=METHOD):
    path = folder / f"{name}.py"
    path.write_text(text)
    return str(path)


def test_one_file_is_checked_and_run_and_printed_below_the_rule(folder, capsys):
    assert main(["check-method", written(folder, "one_file_method")], EMPTY) == 0
    printed = capsys.readouterr().out.splitlines()
    assert printed == [f"ok    Frequencies: {check}" for check in CHECKS]
    registry = Registry(discover((*METHOD_SOURCES, "one_file_method"), ()).methods, EMPTY.datasets)
    places = ["--results", str(folder), "--data", str(folder), "--jobs", "1", "--device", "cpu"]
    assert main(["--profile", "tiny", "--seeds", "1", "--methods", "Frequencies", *places], registry) == 0
    table = (folder / "tables" / "table2_as-printed.md").read_text()
    above, below = table.split("*not in the paper:*")[:2]
    assert "| M3LA " in above
    assert "| Frequencies " in below


@pytest.mark.parametrize(
    ("old", "new", "check", "problem"),
    [
        ('"power", (', '"powr", (', "factors are", "the factor 'powr' is no parameter of __init__"),
        ("power=1.0", "power=2.0", "factors are", "default power=2.0 is not among its levels (1.0, 0.5)"),
        ("in_paper=False", 'threshold="eq31"', "its rule", "threshold 'eq31' is unknown; did you mean"),
        ("in_paper=False", 'datasets=("tyo",)', "its rule", "'tyo' is unknown; did you mean 'toy'?"),
        ("in_paper=False", 'options={"power": 3}', "its rule", "power=3 is not among the declared"),
        ("in_paper=False", 'options={"power": True}', "its rule", "power=True is not among the declared"),
        ("in_paper=False", 'threshold="eq13@holdout"', "can be read", "hold"),
        ("(len(modalities[0]), 1)", "(2, 1)", "right shape", "shape (2, 3), not (rows, labels) = (4, 3)"),
        ("** self.power", "+ 1", "are soft", "leaves [0, 1]"),
        ("self.power = power", "self.powers = power", "can be cloned", "no attribute 'power'"),
        ("modalities[0])", "modalities[1])", "one modality", "IndexError: tuple index out of range"),
        ("labels.mean(axis=0)", "np.random.default_rng().random(3)", "same bits", "two fits with one random"),
        ("return self\n", "labels[:] = 0\n        return self\n", "left alone", "read-only"),
        ("return self\n", HALF_A_TRACE, "traces", "has n_read but not reading_cost"),
    ],
)  # fmt: skip
def test_a_broken_promise_is_one_line_that_names_it(folder, capsys, old, new, check, problem):
    assert old in METHOD
    name = f"broken_method{next(_names)}"
    assert main(["check-method", written(folder, name, METHOD.replace(old, new))], EMPTY) == 1
    lines = [line for line in capsys.readouterr().out.splitlines() if line.startswith("FAIL")]
    assert any(check in line.partition(": ")[2] and problem in line for line in lines), lines


@pytest.mark.parametrize(
    ("name", "text", "problem"),
    [
        ("lacks_methods", "x = 1", "lacks_methods.py declares no method; add METHODS = (MethodSpec("),
        ("imports_what_is_not_there", "import no_such_thing", "No module named 'no_such_thing'"),
        ("is_no_python", "def", "is_no_python cannot be imported (SyntaxError"),
        (
            "declares_text",
            "METHODS = ('M3LA',)",
            "declares_text.METHODS holds 'M3LA'; it must be a MethodSpec",
        ),
        ("json", METHOD, "the name 'json' stands for"),
        (
            "shouts",
            METHOD.replace("in_paper=False", 'scoring="Hard"'),
            "scoring 'Hard' is not one of soft, hard",
        ),
        ("twin", METHOD.replace('"Freq', '"freq'), "'frequencies' of"),
    ],
)
def test_a_file_that_cannot_be_checked_is_refused_in_one_line(folder, capsys, name, text, problem):
    written(folder, "first_of_twins")
    toys = Registry(discover(("first_of_twins",), ()).methods, EMPTY.datasets)
    assert main(["check-method", written(folder, name, text)], toys) == 2
    err = capsys.readouterr().err
    assert problem in err
    assert len(err.splitlines()) == 1


def test_a_file_that_is_not_there_is_refused(capsys):
    assert main(["check-method", "no/such/method.py"], EMPTY) == 2
    assert "no such file; name a Python file that declares METHODS" in capsys.readouterr().err


def test_the_projects_own_methods_are_found_by_file_and_by_module(capsys):
    registry = discover(("baselines.problem_transform.binary_relevance",))
    for source in (
        "baselines/problem_transform/binary_relevance.py",
        "baselines.problem_transform.binary_relevance",
    ):
        assert main(["check-method", source], registry) == 0
        assert "ok    BR-fair: the same seed gives the same bits" in capsys.readouterr().out
