"""Copies of the committed reference of ML2000, and what the judging commands say of them."""

import contextlib
import io
import shutil
from pathlib import Path
from typing import NamedTuple

from benchmark.cli import main

REFERENCE = Path(__file__).resolve().parents[2] / "results" / "reference"
JUDGED_BEFORE = shutil.ignore_patterns("verdicts.*", "claims.*")


class Answer(NamedTuple):
    """What a command did."""

    code: int
    out: str
    err: str


def copy_of_the_reference(results):
    """Copy the committed reference of ML2000, without what was judged of it, into a results folder."""
    shutil.copytree(REFERENCE / "paper" / "ml2000", folder(results), ignore=JUDGED_BEFORE)


def folder(results):
    return results / "reference" / "paper" / "ml2000"


def answer(results, command, *arguments):
    """Call a command on the references of a results folder."""
    places = ["--results", str(results), "--reference"]
    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        code = main([command, *map(str, arguments), *places])
    return Answer(code, out.getvalue(), err.getvalue())
