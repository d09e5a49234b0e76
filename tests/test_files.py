"""Files are whole or as before, in UTF-8 whatever the machine's encoding, and a failure names them."""

from __future__ import annotations

import ast
import errno
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from benchmark.files import naming, temporary_folder, this_process, write_csv, write_text

ROOT = Path(__file__).resolve().parents[1]
SOURCES = sorted(
    path
    for package in ("benchmark", "baselines", "m3la", "datasets")
    for path in (ROOT / package).rglob("*.py")
)
ONLY_IN_FILES = {"write_text", "write_bytes", "savefig"}
"""Methods of paths and figures; the functions of `benchmark.files` are no methods."""


def full(*_: object) -> None:
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def test_a_text_is_utf_8_with_its_own_line_ends(tmp_path: Path) -> None:
    write_text(tmp_path / "new" / "a.md", "±\n→\n")
    assert (tmp_path / "new" / "a.md").read_bytes() == "±\n→\n".encode()
    write_text(tmp_path / "b", "half \ud83d")
    assert (tmp_path / "b").read_bytes() == b"half \\ud83d"
    write_csv(tmp_path / "c.csv", pd.DataFrame({"x": [1 / 3]}), "%.3g")
    assert (tmp_path / "c.csv").read_bytes() == b"x\n0.333\n"


def test_a_full_disk_names_the_file_and_leaves_the_earlier_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "a.md"
    write_text(path, "earlier")
    monkeypatch.setattr(Path, "write_bytes", full)
    with pytest.raises(OSError, match=r"No space left on device.*a\.md") as caught:
        write_text(path, "later")
    assert caught.value.errno == errno.ENOSPC
    assert path.read_text(encoding="utf-8") == "earlier"
    assert [entry.name for entry in tmp_path.iterdir()] == ["a.md"]


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no device that is always full")
def test_what_is_no_ordinary_file_is_written_to_directly() -> None:
    write_text(Path("/dev/null"), "x")
    assert not Path("/dev/null").is_file()
    with pytest.raises(OSError, match="/dev/full"):
        write_text(Path("/dev/full"), "x")


def test_a_link_stays_one(tmp_path: Path) -> None:
    (tmp_path / "there").mkdir()
    (tmp_path / "a.md").symlink_to(tmp_path / "there" / "a.md")
    for text in ("one", "two"):
        write_text(tmp_path / "a.md", text)
    assert (tmp_path / "a.md").is_symlink()
    assert (tmp_path / "there" / "a.md").read_text(encoding="utf-8") == "two"


def test_what_numpy_could_not_write_is_named_too(tmp_path: Path) -> None:
    with pytest.raises(OSError, match=r"x\.npy: 40 requested and 12 written"), naming(tmp_path / "x.npy"):
        raise OSError("40 requested and 12 written")
    with pytest.raises(FileNotFoundError, match="other"), naming(tmp_path / "x.npy"):
        np.load(tmp_path / "other")


def test_a_user_without_a_name_has_a_temporary_folder(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("LOGNAME", "USER", "LNAME", "USERNAME", "HOME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(os, "getuid", lambda: 123_456, raising=False)
    assert temporary_folder("m3la-devices").name == "m3la-devices-123456"


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(ROOT)))
def test_every_file_is_opened_in_a_named_encoding_and_written_in_one_place(path: Path) -> None:
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if not isinstance(node, ast.Call) or not isinstance(node.func, (ast.Name, ast.Attribute)):
            continue
        name = node.func.attr if isinstance(node.func, ast.Attribute) else node.func.id
        given = {keyword.arg for keyword in node.keywords}
        where = f"{path.relative_to(ROOT)}, line {node.lineno}: {name}"
        words = [argument.value for argument in node.args if isinstance(argument, ast.Constant)]
        if name in ("open", "fdopen", "read_text", "TemporaryFile", "NamedTemporaryFile"):
            binary = any(isinstance(word, str) and "b" in word for word in words) or "File" in name
            opens_text = not binary and not _is_device(node) and not _reads_by_itself(ast.unparse(node.func))
            assert not opens_text or "encoding" in given, where
        if name == "savefig":
            assert "format" in given, f"{where}: draw into memory, write with benchmark.files"
        elif name in ONLY_IN_FILES and isinstance(node.func, ast.Attribute):
            assert path.name == "files.py", where
        if name == "to_csv":
            assert not node.args, f"{where}: write with benchmark.files.write_csv"
            assert "lineterminator" in given, where


def _reads_by_itself(function: str) -> bool:
    """Pillow's, the operating system's, an archive's, and what decodes a user's file by its mark."""
    return "Image" in function or function in ("os.open", "archive.open", "read_text")


def _is_device(node: ast.Call) -> bool:
    return "os.devnull" in ast.unparse(node)


def test_what_killed_writers_left_is_removed_by_the_next_one_and_nothing_else(tmp_path):
    gone = subprocess.Popen([sys.executable, "-c", ""])
    gone.wait()
    machine, _, own = this_process().partition("-")
    left = [tmp_path / f".table.csv.{machine}-{gone.pid}.7"]
    kept = [
        tmp_path / f".table.csv.{machine}-{own}.7",  # at work
        tmp_path / f".table.csv.00000000-{gone.pid}.7",  # on another machine
        tmp_path / f".other.csv.{machine}-{gone.pid}.7",
        tmp_path / f"x.table.csv.{machine}-{gone.pid}.7",
        tmp_path / f".table.csv.{machine}-{gone.pid}.mine",
    ]
    for path in (*left, *kept):
        path.write_text("half")
    write_text(tmp_path / "table.csv", "whole")
    assert sorted(tmp_path.iterdir()) == sorted([*kept, tmp_path / "table.csv"])
