"""Every command and snippet of `docs/`, run page by page in a copy of the project, as pasted."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
# `findings.md` is made of tables, see `tests/studies/test_findings.py`.
PAGES = sorted(path for path in (ROOT / "docs").glob("*.md") if path.stem != "findings")
COPIED = (
    "benchmark",
    "baselines",
    "m3la",
    "datasets",
    "run_all.py",
    "pyproject.toml",
    "results/beyond/rules.toml",
    "results/paper",
    "results/timings.csv",
)
BLOCK = re.compile(r"```(bash|python)\n(.*?)```", re.DOTALL)


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """The project without its results but those that commands read."""
    for name in (*COPIED, "results/reference/paper/ml2000"):
        source, target = ROOT / name, tmp_path / "project" / name
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copytree(source, target) if source.is_dir() else shutil.copy(source, target)
    return tmp_path / "project"


# Clusters take as long as all other pages; `tests/run/test_cluster.py` does the same with less.
LONG = ("many-machines",)


@pytest.mark.parametrize(
    "page",
    [pytest.param(p, id=p.stem, marks=[pytest.mark.full] if p.stem in LONG else []) for p in PAGES],
)
def test_every_command_and_snippet_of_a_page_runs(page: Path, copy: Path) -> None:
    environment = {**os.environ, "PYTHONPATH": str(copy), "M3LA_CACHE": str(copy / "cache")}
    environment["PATH"] = f"{Path(sys.executable).parent}{os.pathsep}{environment['PATH']}"
    blocks = BLOCK.findall(page.read_text(encoding="utf-8"))
    assert blocks
    for language, text in blocks:
        if named := re.match(r"# (\w+\.py)\n", text):
            (copy / named[1]).write_text(text, encoding="utf-8")
            continue
        steps = [[sys.executable, "-c", text]] if language == "python" else [["bash", "-ec", text]]
        for step in steps:
            done = subprocess.run(
                step, cwd=copy, env=environment, capture_output=True, text=True, check=False
            )
            assert done.returncode == 0, f"{text}\n{done.stdout[-2000:]}\n{done.stderr[-3000:]}"


def test_links_between_pages_lead_somewhere() -> None:
    for page in (ROOT / "docs").glob("*.md"):
        for target in re.findall(r"\]\(([^)#:]+)\)", page.read_text(encoding="utf-8")):
            assert (page.parent / target).exists(), f"{page.name}: {target}"
