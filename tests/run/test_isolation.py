"""One function in one child process: its result, its failure, its death, its time limit."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from multiprocessing import forkserver

import psutil
import pytest
from child_functions import (
    add,
    die,
    exit_quietly,
    fail,
    grow,
    grow_in_a_child,
    hang_with_a_child,
    kill_the_fork_server,
)

from benchmark.run.isolation import run_isolated
from benchmark.run.memory import out_of_memory_kills


def test_a_result_comes_back():
    outcome = run_isolated(add, (2, 3))
    assert (outcome.reason, outcome.value) == ("finished", 5)


def test_an_exception_comes_back_as_its_traceback():
    outcome = run_isolated(fail, ())
    assert outcome.reason == "raised"
    assert "KeyError: 'lost'" in outcome.message


@pytest.mark.parametrize("limits", [{}, {"memory_limit": 2**40}, {"time_limit": 60.0}])
@pytest.mark.parametrize(("number", "name"), [(signal.SIGKILL, "SIGKILL"), (signal.SIGSEGV, "SIGSEGV")])
def test_a_death_is_told_with_its_signal(number, name, limits):
    outcome = run_isolated(die, (number,), **limits)
    assert outcome.reason == "killed"
    assert name in outcome.message


def test_a_silent_exit_is_told_with_its_code():
    outcome = run_isolated(exit_quietly, ())
    assert outcome.reason == "exited"
    assert "exit code 3" in outcome.message


def test_the_time_limit_kills_the_child_and_its_children(tmp_path):
    note = tmp_path / "pids"
    outcome = run_isolated(hang_with_a_child, (str(note),), time_limit=4)
    assert outcome.reason == "timeout"
    assert "limit of 4 s" in outcome.message
    assert outcome.seconds < 30
    for pid in note.read_text().split():
        assert gone(int(pid))


@pytest.mark.parametrize("function", [grow, grow_in_a_child])
def test_the_memory_limit_kills_the_child_and_its_children(tmp_path, function):
    note = tmp_path / "pids"
    limit = 700 * 2**20
    outcome = run_isolated(function, (str(note), 800), time_limit=100, memory_limit=limit)
    assert outcome.reason == "out-of-memory"
    assert re.search("killed as it used [0-9,]+ MiB, more than the limit of 700 MiB", outcome.message)
    for pid in note.read_text().split():
        assert gone(int(pid))


def test_a_child_within_its_memory_limit_is_left_alone(tmp_path):
    assert run_isolated(grow, (str(tmp_path / "pids"), 10), memory_limit=2**31).value is None


def test_a_kill_by_the_system_for_memory_is_told_from_another(monkeypatch):
    counts = iter((7, 8))
    monkeypatch.setattr("benchmark.run.isolation.out_of_memory_kills", lambda: next(counts))
    outcome = run_isolated(die, (signal.SIGKILL,))
    assert (outcome.reason, "memory ran out" in outcome.message) == ("out-of-memory", True)


def test_the_systems_own_count_of_kills_for_memory_is_read(tmp_path):
    counters = tmp_path / "vmstat"
    assert out_of_memory_kills(counters) == 0
    counters.write_text("pgfault 3\noom_kill 12\noom_kill_x 5\n")
    assert out_of_memory_kills(counters) == 12


def test_a_limit_of_months_is_none_that_waiting_cannot_count():
    assert run_isolated(add, (2, 3), time_limit=90 * 24 * 3600.0).value == 5


def gone(pid, patience=10.0):
    deadline = time.monotonic() + patience
    while time.monotonic() < deadline:
        try:
            if psutil.Process(pid).status() == psutil.STATUS_ZOMBIE:
                return True
        except psutil.NoSuchProcess:
            return True
        time.sleep(0.05)
    return False


@pytest.mark.parametrize("limits", [{}, {"memory_limit": 2**40}])
def test_a_job_outlives_its_fork_server(tmp_path, limits):
    outcome = run_isolated(kill_the_fork_server, (str(tmp_path / "pid"), 1.0), time_limit=60.0, **limits)
    assert (outcome.reason, outcome.value) == ("finished", "done")
    assert run_isolated(add, (2, 3)).value == 5


def test_a_job_without_fork_server_still_has_its_limit(tmp_path):
    outcome = run_isolated(kill_the_fork_server, (str(tmp_path / "pid"), 600.0), time_limit=2.0)
    assert outcome.reason == "timeout"
    assert gone(int((tmp_path / "pid").read_text()))


def test_a_fork_server_that_is_killed_before_it_makes_the_child_costs_another_start(monkeypatch):
    read, calls = forkserver.read_signed, []

    def lose_the_first(fd):
        calls.append(fd)
        if len(calls) == 1:
            raise EOFError("unexpected EOF")
        return read(fd)

    monkeypatch.setattr(forkserver, "read_signed", lose_the_first)
    assert run_isolated(add, (2, 3)).value == 5


def test_what_a_fork_server_imports_first_is_no_part_of_a_jobs_time(monkeypatch):
    read = forkserver.read_signed
    monkeypatch.setattr(forkserver, "read_signed", lambda fd: (time.sleep(2.0), read(fd))[1])
    assert run_isolated(time.sleep, (0.0,), time_limit=1.5).reason == "finished"


def test_a_worker_ends_with_a_run_that_is_killed(tmp_path):
    note = tmp_path / "pid"
    worker = (
        "import os, pathlib, time; from benchmark.run.isolation import end_with; end_with(os.getppid()); "
        f"pathlib.Path({str(note)!r}).write_text(str(os.getpid())); time.sleep(600)"
    )
    run = f"import subprocess, sys; subprocess.run([sys.executable, '-c', {worker!r}])"
    program = subprocess.Popen([sys.executable, "-c", run])
    deadline = time.monotonic() + 60
    while not (note.exists() and note.read_text()):
        assert time.monotonic() < deadline
        time.sleep(0.05)
    program.kill()
    program.wait()
    assert gone(int(note.read_text()))


def test_a_worker_loads_no_method_and_no_torch():
    program = "import sys, benchmark.run.worker; print(*sys.modules)"
    loaded = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert "benchmark.run.worker" in loaded.stdout.split()
    assert not {"torch", "sklearn", "pandas", "m3la", "baselines"} & set(loaded.stdout.split())


def test_a_fork_server_ends_with_its_worker_also_while_it_imports(tmp_path):
    package, note = tmp_path / "sklearn", tmp_path / "note"
    package.mkdir()
    lines = ["import os, time", f"open({str(note)!r}, 'w').write(str(os.getpid()))"]
    (package / "__init__.py").write_text("\n".join([*lines, "time.sleep(600)"]))
    server = f"import sys; sys.path.insert(0, {str(tmp_path)!r}); import benchmark.run.preloaded"
    worker = f"import subprocess, sys; subprocess.run([sys.executable, '-c', {server!r}])"
    program = subprocess.Popen([sys.executable, "-c", worker])
    deadline = time.monotonic() + 60
    while not (note.exists() and note.read_text()):
        assert time.monotonic() < deadline
        time.sleep(0.05)
    pid = int(note.read_text())
    try:
        assert not gone(pid, patience=1.0)
        program.kill()
        assert gone(pid)
    finally:
        program.kill()
        program.wait()
        if psutil.pid_exists(pid):
            os.kill(pid, signal.SIGKILL)
