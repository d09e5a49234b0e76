"""Progress: one line for each data set, failures at once, and few lines where nothing is redrawn."""

from __future__ import annotations

import io

import pytest
from expected_times import known_machine
from rich.console import Console
from tiny_benchmark import ToyData, method, registry

from benchmark.contracts import Job
from benchmark.run import progress
from benchmark.run.bench import Bench
from benchmark.run.plan import make_plan
from benchmark.run.progress import Progress
from benchmark.run.task import JobResult

TWO = (ToyData("home"), ToyData("away"))


@pytest.fixture(autouse=True)
def clock(monkeypatch):
    """A clock that stands still until it is told otherwise."""
    now = [1000.0]
    monkeypatch.setattr(progress.time, "monotonic", lambda: now[0])
    return now


def planned(tmp_path, *methods, seeds="2", datasets=None, seconds=None):
    """The jobs of a run in their order, of a known length or of none."""
    found = registry(
        *map(method, methods),
        datasets=datasets or (ToyData(),),
    )
    bench = Bench.of(found, seeds=seeds, data_dir=tmp_path, results_dir=tmp_path)
    return make_plan(bench, machine=known_machine(tmp_path, seconds or {})).to_run()


def shown(jobs, results, workers=1, console=None, **flags):
    """What is printed while jobs end."""
    output = io.StringIO()
    with Progress(jobs, workers, console or Console(file=output, width=80), **flags) as told:
        for result in results:
            told.finished(result)
    return output.getvalue().splitlines()


def done(job, seconds=1.0):
    return JobResult(getattr(job, "job", job), "done", seconds)


def test_without_a_terminal_a_data_set_has_one_line_when_it_is_through(tmp_path):
    jobs = planned(tmp_path, "A", "B")
    lines = shown(jobs, map(done, jobs))
    assert lines == ["toy: 4/4 jobs, 2/2 methods, 2/2 seeds done; ended after 0.0 s"]


def test_a_line_says_what_is_done_running_and_left_of_each_data_set(tmp_path, clock):
    jobs = planned(tmp_path, "A", "B", datasets=TWO)
    order = [(one.job.dataset, one.job.method, one.job.seed) for one in jobs]
    assert order[:5] == [
        *(("home", "A", 0), ("home", "B", 0), ("away", "A", 0), ("away", "B", 0)),
        ("home", "A", 1),
    ]
    told = Progress(jobs, 2, Console(file=io.StringIO()))
    told.finished(done(jobs[0], 10.0))
    told.finished(done(jobs[2], 10.0))  # while B on home goes on
    clock[0] += 4.0
    home, away, all_ = told._lines(tuple(told.open))
    assert home.startswith("home: 1/4 jobs, 0/2 methods, 0/2 seeds done, about ")
    assert home.endswith(" left; running B seed 0")
    assert away.endswith("; running B seed 0")
    assert all_.startswith("all: 2/8 jobs ended, about ")
    told.finished(done(jobs[1], 10.0))
    assert told._lines(("home",))[0].startswith("home: 2/4 jobs, 0/2 methods, 1/2 seeds done")


def test_time_left_is_that_of_the_queue_and_follows_what_jobs_took(tmp_path, clock):
    """A takes 10 s and B 30 s. On two workers: A0 to 10, B0 to 30, A1 10 to 20, B1 20 to 50."""
    jobs = planned(tmp_path, "A", "B", seconds={"A": 10.0, "B": 30.0})
    told = Progress(jobs, 2, Console(file=io.StringIO()))
    assert "about 50 s left" in told._lines(("toy",))[0]
    clock[0] += 10.0
    told.finished(done(jobs[0], 10.0))
    assert "about 40 s left" in told._lines(("toy",))[0]
    clock[0] += 5.0
    assert "about 35 s left" in told._lines(("toy",))[0]
    # B takes 12 s here: A1 goes on for 5 s, then B1, which starts now.
    told.finished(done(jobs[1], 12.0))
    assert "about 12 s left" in told._lines(("toy",))[0]


def test_a_job_that_is_late_leaves_no_negative_time(tmp_path, clock):
    told = Progress(planned(tmp_path, "A", seconds={"A": 10.0}, seeds="1"), 1, Console(file=io.StringIO()))
    clock[0] += 60.0
    assert "about 1.0 s left" in told._lines(("toy",))[0]


def test_what_nobody_knows_is_said_to_be_unknown(tmp_path):
    told = Progress(planned(tmp_path, "A"), 1, Console(file=io.StringIO()))
    assert "time left unknown" in told._lines(("toy",))[0]


def test_each_failure_is_told_at_once_with_its_reason(tmp_path):
    jobs = planned(tmp_path, "A", "B")
    failed = JobResult(jobs[0].job, "failed", 0.5, "Traceback\nValueError: boom [red]")
    late = JobResult(jobs[1].job, "timeout", 12.0, "killed after the time limit of 12 s")
    lines = shown(jobs, [failed, late, *map(done, jobs[2:])])
    assert lines[0] == "toy A seed 0 FAILED after 0.5 s: ValueError: boom [red]"
    assert lines[1] == "toy B seed 0 TIMED OUT after 12 s: killed after the time limit of 12 s"
    assert lines[2] == (
        "toy: 2/4 jobs, 0/2 methods, 1/2 seeds done, 1 FAILED, 1 TIMED OUT; ended after 0.0 s"
    )


def test_what_is_only_left_out_is_told_once_for_a_method(tmp_path):
    jobs = planned(tmp_path, "A", "B", seeds="50")
    late = [JobResult(one.job, "left out", error="it is not expected to end in time") for one in jobs]
    lines = shown(jobs, late)
    assert len(lines) == 3
    assert lines[0] == "toy A seed 0 left out: it is not expected to end in time"


def test_thousands_of_jobs_print_no_line_each(tmp_path, clock):
    """4000 jobs of 10 s: eleven hours, in which lines become rarer."""
    jobs = planned(tmp_path, "A", "B", seeds="1000", datasets=TWO)
    output = io.StringIO()
    with Progress(jobs, 1, Console(file=output)) as told:
        for number, one in enumerate(jobs):
            clock[0] += 10.0
            told.finished(JobResult(one.job, "failed" if number % 400 == 0 else "done", 10.0, "boom"))
    lines = output.getvalue().splitlines()
    assert sum("FAILED after 10 s: boom" in line for line in lines) == 10
    assert 50 < len(lines) < 400
    assert max(map(len, lines)) < 140


def test_a_terminal_is_redrawn_and_keeps_failures_above(tmp_path, monkeypatch):
    monkeypatch.setenv("TERM", "xterm")
    jobs, output = planned(tmp_path, "A", datasets=TWO), io.StringIO()
    console = Console(file=output, force_terminal=True, width=70)
    failed = JobResult(jobs[0].job, "failed", 0.5, "Traceback\nValueError: boom")
    shown(jobs, [failed, *map(done, jobs[1:])], console=console)
    printed = output.getvalue()
    assert "home A seed 0 FAILED after 0.5 s: ValueError: boom" in printed
    assert "\x1b[1A" in printed  # the cursor goes up, so that lines take the place of those before
    last = printed.rsplit("home: ", 1)[1]
    assert last.startswith("1/2 jobs, 0/1 methods, 1/2 seeds done, 1 FAILED; ended after")
    assert "away: 2/2 jobs, 1/1 methods, 2/2 seeds done" in last


def test_a_terminal_that_cannot_be_redrawn_gets_plain_lines(tmp_path, monkeypatch):
    monkeypatch.setenv("TERM", "dumb")
    jobs, output = planned(tmp_path, "A"), io.StringIO()
    shown(jobs, map(done, jobs), console=Console(file=output, force_terminal=True))
    assert len(output.getvalue().splitlines()) == 1
    assert "\x1b[1A" not in output.getvalue()


def test_a_name_from_outside_is_no_markup(tmp_path):
    jobs = planned(tmp_path, "A", seeds="1")
    job = Job(jobs[0].job.dataset, "A", 0)
    assert "[/bold]" in shown(jobs, [JobResult(job, "failed", 0.0, "ValueError: [/bold]")])[0]
