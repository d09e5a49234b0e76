"""Every command that lacks something says what to do next, and what it says can be typed."""

from __future__ import annotations

import re
import shlex

import pytest
from tiny_benchmark import ToyData, method, registry

from benchmark.cli import COMMANDS, build_parser, main
from benchmark.contracts import Provenance
from benchmark.run.flags import Command

TOYS = registry(method("BR"), method("CC"), datasets=(ToyData("ml2000", kind=Provenance.REBUILT),))
LACKING = {
    "tables": ["tables"],
    "conventions": ["conventions"],
    "status": ["status"],
    "compare": ["compare"],
    "compare a reference": ["compare", "--reference"],
    "significance": ["significance"],
    "significance of a reference": ["significance", "--reference"],
    "explain": ["explain", "BR", "ml2000", "coverage"],
    "explain a reference": ["explain", "BR", "ml2000", "coverage", "--reference"],
    "drift": ["drift"],
    "drift that is meant": ["drift", "--accept", "--reason", "because"],
    "reference": ["reference"],
    "verify": ["verify"],
}


def suggested(text):
    """The command lines in a message, up to the end of a sentence's part."""
    found = re.findall(r"python (run_all\.py .+?)(?=; |, | and then |$)", text, flags=re.MULTILINE)
    return [shlex.split(line)[1:] for line in found]


def understood(words):
    words = words if words[0] in COMMANDS else ["run", *words]
    return build_parser().parse_args(words)


@pytest.mark.parametrize("arguments", LACKING.values(), ids=LACKING.keys())
def test_without_records_and_references_the_command_that_helps_is_named(tmp_path, capsys, arguments):
    folder = tmp_path / "it's a folder"
    folder.mkdir()
    places = ["--results", str(folder), "--data", str(tmp_path), "--profile", "tiny"]
    code = main([*arguments, *places], TOYS)
    assert code == {"status": 0, "reference": 1}.get(arguments[0], 2)
    printed = capsys.readouterr()
    lines = suggested(printed.out + printed.err)
    assert lines
    for words in lines:
        parsed = understood(words)
        if "--reference" not in words:
            assert parsed.profile == "tiny"
            assert parsed.results == folder
            assert parsed.data == str(tmp_path)


def test_what_is_suggested_after_a_run_can_be_typed_and_works(tmp_path, capsys):
    places = ["--results", str(tmp_path), "--data", str(tmp_path), "--seeds", "2", "--jobs", "1"]
    assert main(["--profile", "tiny", *places], TOYS) == 0
    for words in suggested(capsys.readouterr().out):
        assert main(words, TOYS) == 0, words
    assert main(["drift", "--profile", "tiny", *places[:-2]], TOYS) == 2
    for words in suggested(capsys.readouterr().err):
        assert main(words, TOYS) == 0, words
    assert main(["drift", "--profile", "tiny", *places[:-2]], TOYS) == 0


def test_failures_are_answered_with_their_tracebacks_and_the_way_to_try_again(tmp_path, capsys):
    toys = registry(method("Bad", trouble="raise"), method("BR"), datasets=tuple(TOYS.datasets.values()))
    places = ["--results", str(tmp_path), "--data", str(tmp_path), "--seeds", "1"]
    assert main(["--profile", "tiny", "--jobs", "1", *places], toys) == 1
    (words,) = suggested(capsys.readouterr().err)
    assert main(words, toys) == 1
    assert "Traceback (most recent call last)" in capsys.readouterr().out


def test_a_reference_that_is_not_there_is_answered_with_those_that_are(tmp_path, capsys):
    for there in ("paper/ml2000", "tiny/msra"):
        (tmp_path / "reference" / there).mkdir(parents=True)
    places = ["--results", str(tmp_path), "--data", str(tmp_path), "--profile", "quick"]
    for command in (["compare", "--reference"], ["drift"]):
        assert main([*command, *places], TOYS) == 2
        assert "there are: paper/ml2000, tiny/msra)" in capsys.readouterr().err


def test_missing_numbers_of_a_reference_are_answered_with_the_run_that_makes_them(tmp_path, capsys):
    places = ["--results", str(tmp_path), "--data", str(tmp_path), "--profile", "tiny", "--seeds", "2"]
    assert main(["--jobs", "1", *places], TOYS) == 0
    assert main(["reference", *places], TOYS) == 0
    for path in (tmp_path / "runs").rglob("record.json"):
        path.unlink()
    capsys.readouterr()
    assert main(["drift", *places], TOYS) == 2
    assert "2 methods without current numbers; to make them: python run_all.py run" in capsys.readouterr().err


@pytest.mark.parametrize("name", ["tables", "compare", "data"])
def test_ctrl_c_is_answered_in_one_line(name, tmp_path, capsys, monkeypatch):
    def interrupted(*_):
        raise KeyboardInterrupt

    monkeypatch.setitem(COMMANDS, name, Command("", COMMANDS[name].add_flags, interrupted))
    assert (
        main([name, *(["check", "ml2000"] if name == "data" else ["--results", str(tmp_path)])], TOYS) == 130
    )
    assert capsys.readouterr().err == (
        "interrupted; the same command starts again, and keeps what had been finished\n"
    )


def test_a_table_that_is_not_there_is_named_with_what_would_do(tmp_path, capsys):
    assert main(["audit", "--table", str(tmp_path / "none.csv"), "--data", str(tmp_path)], TOYS) == 2
    assert "none.csv: no such file; name a CSV" in capsys.readouterr().err
