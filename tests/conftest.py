"""Makes `tests/` importable for all tests and their child processes, and starts their fork server warm."""

import os

# Tests run one process per core; a process that then takes every core for itself slows all of them down.
# Numerical libraries read this when they are loaded.
os.environ.setdefault("OMP_NUM_THREADS", "1")
# So do runs: one that is not told how many jobs at a time takes one a core, each with processes of its own.
if (worker := os.environ.get("PYTEST_XDIST_WORKER")) and hasattr(os, "sched_setaffinity"):
    cores = sorted(os.sched_getaffinity(0))
    os.sched_setaffinity(0, {cores[int(worker.removeprefix("gw")) % len(cores)]})

import hypothesis
import pytest

from benchmark.run.isolation import run_isolated
from benchmark.run.seeding import limit_threads_of_new_processes
from benchmark.run.task import PRELOAD

# How long an example takes says how busy the machine is, and decides no test.
hypothesis.settings.register_profile("untimed", deadline=None)
hypothesis.settings.load_profile("untimed")


def pytest_collection_modifyitems(items):
    """Begin with the longest tests, so that no process is left with them at the end."""
    items.sort(key=lambda item: item.path.name != "test_docs.py")


@pytest.fixture(scope="session", autouse=True)
def _warm_fork_server():
    """Start this process's fork server with what jobs import; without it, every child imports it anew."""
    limit_threads_of_new_processes()
    assert run_isolated(int, (), preload=(*PRELOAD, "tiny_benchmark")).reason == "finished"


@pytest.fixture
def without_page(monkeypatch):
    """Runs end with their tables, and leave out the page, which takes seconds and has tests of its own."""
    monkeypatch.setattr("benchmark.report.command.write_report", lambda *_, **__: ())
