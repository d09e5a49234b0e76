"""Kernels are kept for the next process where there is a place, and compiled all the same where none is."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

MODULE = str(Path(__file__).parents[2] / "benchmark" / "learning" / "kernel_cache.py")
KERNEL = """
from numba.core.caching import CompileResultCacheImpl, UserProvidedCacheLocator
CompileResultCacheImpl._locator_classes = [UserProvidedCacheLocator]  # else numba finds places of its own

from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
found = spec_from_file_location("kernel_cache", {module!r})  # by itself: its package takes seconds to import
kernel_cache = module_from_spec(found)
found.loader.exec_module(kernel_cache)
{before}

@kernel_cache.kept_njit(Path({shared!r}), error_model="numpy")
def twice(x):
    return 2 * x

assert twice(21) == 42
print(sum(twice.stats.cache_hits.values()), flush=True)
{after}
"""
CHILD = "import subprocess, sys; subprocess.run([sys.executable, sys.argv[0], 'child'], check=True)"
FULL = """
import errno
def full(*_, **__):
    raise OSError(errno.ENOSPC, "No space left on device")
"""


@pytest.fixture
def run(tmp_path: Path):
    """Run the program above in a process of its own; return what it printed and said."""

    def call(before: str = "", after: str = "", **environment: str) -> tuple[list[str], str]:
        script = tmp_path / "kernel.py"
        shared = tmp_path / "shared.py"
        shared.touch()
        program = KERNEL.format(module=MODULE, shared=str(shared), before=before, after=after)
        script.write_text(program, encoding="utf-8")
        (tmp_path / "temporary").mkdir(exist_ok=True)
        surroundings = {key: value for key, value in os.environ.items() if key != "NUMBA_CACHE_DIR"}
        surroundings["TMPDIR"] = str(tmp_path / "temporary")
        found = subprocess.run(
            [sys.executable, str(script)],
            env={**surroundings, **environment},
            capture_output=True,
            text=True,
            check=False,
        )
        assert found.returncode == 0, found.stderr
        return found.stdout.split(), found.stderr

    return call


def test_a_kernel_is_compiled_once_where_there_is_a_place(run, tmp_path: Path) -> None:
    for hits in ("0", "1"):
        assert run(NUMBA_CACHE_DIR=str(tmp_path / "kept")) == ([hits], "")


def test_a_kernel_is_compiled_again_when_what_it_shares_with_others_changed(run, tmp_path: Path) -> None:
    place = str(tmp_path / "kept")
    run(NUMBA_CACHE_DIR=place)
    (tmp_path / "shared.py").write_text("FACTOR = 3", encoding="utf-8")
    assert run(NUMBA_CACHE_DIR=place) == (["0"], "")
    assert run(NUMBA_CACHE_DIR=place) == (["1"], "")


def test_without_a_place_one_line_says_what_to_set_and_child_processes_share_what_was_compiled(
    run, tmp_path: Path
) -> None:
    after = f"import sys\nif 'child' not in sys.argv:\n    {CHILD}"
    hits, told = run(after=after)
    assert hits == ["0", "1"]
    assert len(told.splitlines()) == 1
    assert "no locator available" in told
    assert "set NUMBA_CACHE_DIR to a folder that can be written" in told
    assert list((tmp_path / "temporary").iterdir()) == []


@pytest.mark.parametrize("place", ["file", "file/in/it"])
def test_a_place_that_cannot_be_a_folder_is_none(run, tmp_path: Path, place: str) -> None:
    (tmp_path / "file").write_text("")
    hits, told = run(NUMBA_CACHE_DIR=str(tmp_path / place))
    assert hits == ["0"]
    assert len(told.splitlines()) == 1


def test_without_any_place_at_all_kernels_are_compiled(run) -> None:
    nowhere = f"{FULL}\nimport tempfile\ntempfile.mkdtemp = tempfile.TemporaryFile = full"
    hits, told = run(before=nowhere)
    assert hits == ["0"]
    assert len(told.splitlines()) == 1


def test_a_folder_without_room_is_no_place(run, tmp_path: Path) -> None:
    crammed = f"""{FULL}
found = kernel_cache._require_room
kernel_cache._require_room = lambda folder: full() if "kept" in folder else found(folder)
"""
    hits, told = run(before=crammed, NUMBA_CACHE_DIR=str(tmp_path / "kept"))
    assert hits == ["0"]
    assert "No space left on device" in told
    assert not list((tmp_path / "kept").rglob("*.nb?"))


def test_a_disk_that_fills_up_meanwhile_stops_nothing(run, tmp_path: Path) -> None:
    filling = (
        f"{FULL}\nfrom numba.core.caching import IndexDataCacheFile\nIndexDataCacheFile._save_data = full"
    )
    place = str(tmp_path / "kept")
    assert run(before=filling, NUMBA_CACHE_DIR=place) == (["0"], "")
    assert run(NUMBA_CACHE_DIR=place) == (["0"], "")
    assert run(NUMBA_CACHE_DIR=place) == (["1"], "")


@pytest.mark.parametrize("kind", ["nbi", "nbc"])
@pytest.mark.parametrize("content", [b"", b"garbage", b"\x80\x04."])
def test_a_damaged_file_is_replaced(run, tmp_path: Path, kind: str, content: bytes) -> None:
    place = str(tmp_path / "kept")
    run(NUMBA_CACHE_DIR=place)
    for path in (tmp_path / "kept").rglob(f"*.{kind}"):
        path.write_bytes(content)
    assert run(NUMBA_CACHE_DIR=place) == (["0"], "")
    assert run(NUMBA_CACHE_DIR=place) == (["1"], "")
