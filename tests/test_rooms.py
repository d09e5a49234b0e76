"""Names carry purity: what judges, counts or computes touches no file and draws nothing."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
PURE_NAMES = ("band", "cause", "claims", "evidence", "judge", "numbers", "verdicts")
"""Modules of these names, in whichever room of `ROOMS`, are pure, and so is each one of a folder `rules`."""
ROOMS = ("paper", "drift", "audit")
PURE_ROOMS = (
    "score",
    "inference.py",
    "tables/layout.py",
    "tables/cells.py",
    "tables/aggregate.py",
    "data/checks",
    "data/check.py",
)
FILES = ("pathlib", "os", "io", "shutil", "tempfile", "json", "csv", "tomllib", "sys")


def pure_modules() -> list[Path]:
    benchmark = ROOT / "benchmark"
    named = [benchmark / room / f"{name}.py" for room in ROOMS for name in PURE_NAMES]
    rules = [path for room in ROOMS for path in (benchmark / room).glob("rules/*.py")]
    whole = [
        path
        for name in PURE_ROOMS
        for path in ([benchmark / name] if name.endswith(".py") else (benchmark / name).glob("*.py"))
    ]
    return sorted({path for path in (*named, *rules, *whole) if path.is_file()})


def imported(tree: ast.AST) -> set[str]:
    names: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            names.add(node.module or "")
    return {name.partition(".")[0] for name in names}


@pytest.mark.parametrize("path", pure_modules(), ids=lambda path: str(path.relative_to(ROOT)))
def test_a_pure_module_touches_no_file(path: Path) -> None:
    tree = ast.parse(path.read_text(encoding="utf-8"))
    assert not imported(tree) & {*FILES, "rich", "matplotlib"}
    calls = {
        node.func.id for node in ast.walk(tree) if isinstance(node, ast.Call) and hasattr(node.func, "id")
    }
    assert not calls & {"open", "print", "input"}
    methods = {
        node.func.attr for node in ast.walk(tree) if isinstance(node, ast.Call) and hasattr(node.func, "attr")
    }
    assert not methods & {"read_csv", "to_csv", "read_text", "write_text", "load", "savez"}


def test_every_room_has_a_judge() -> None:
    rooms = {path.parent.name for path in pure_modules()}
    assert {"paper", "drift", "audit", "score"} <= rooms


def test_what_pure_modules_import_draws_nothing() -> None:
    names = [".".join(path.relative_to(ROOT).with_suffix("").parts) for path in pure_modules()]
    names = [name.removesuffix(".__init__") for name in names]
    program = f"import sys, {', '.join(names)}; print(*sorted(sys.modules))"
    loaded = subprocess.run(
        [sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert not {"rich", "matplotlib", "torch"} & set(loaded.stdout.split())
