"""A time budget keeps whole seeds, and says what it has no room for."""

from __future__ import annotations

import dataclasses
import time

import pytest
from expected_times import known_machine
from rich.console import Console
from tiny_benchmark import OnDevice, method, registry

from benchmark.cli import main
from benchmark.run.bench import Bench
from benchmark.run.budget import within_budget
from benchmark.run.config import ConfigError, Limits, Running, parse_duration
from benchmark.run.describe import describe_plan
from benchmark.run.devices import DevicePool
from benchmark.run.plan import Plan, make_plan
from benchmark.run.pool import run_plan
from benchmark.run.progress import Progress
from benchmark.run.task import Deadline, make_task
from benchmark.run.times import Machine
from benchmark.run.worker import supervise

A_AND_B = {"A": 10.0, "B": 30.0}
TWO_JOBS = Running(jobs=2)


def plan_of(tmp_path, seconds, *unknown, seeds="3"):
    """A plan whose jobs take so many seconds each, or an unknown time."""
    found = registry(*map(method, (*seconds, *unknown)))
    bench = Bench.of(found, seeds=seeds, data_dir=tmp_path, results_dir=tmp_path)
    return make_plan(bench, machine=known_machine(tmp_path, seconds))


def jobs(plan: Plan) -> list[tuple[str, int]]:
    return [(planned.job.method, planned.job.seed) for planned in plan.to_run()]


@pytest.mark.parametrize(
    ("budget", "kept", "left_out"),
    [
        # Two workers: A0 ends at 10, B0 at 30, A1 at 20, B1 at 50, A2 at 40, B2 would at 70.
        (70, [("A", 0), ("B", 0), ("A", 1), ("B", 1), ("A", 2), ("B", 2)], []),
        (65, [("A", 0), ("B", 0), ("A", 1), ("B", 1), ("A", 2)], [("B", 2)]),
        # B1 does not fit, so that nothing of seed 2 begins, though A2 would.
        (45, [("A", 0), ("B", 0), ("A", 1)], [("B", 1), ("A", 2), ("B", 2)]),
        (10, [("A", 0)], [("B", 0), ("A", 1), ("B", 1), ("A", 2), ("B", 2)]),
    ],
)
def test_seeds_are_taken_one_after_the_other_while_they_fit(tmp_path, budget, kept, left_out):
    plan = plan_of(tmp_path, A_AND_B)
    cut = within_budget(plan, 2, budget)
    assert jobs(cut) == kept
    assert [(planned.job.method, planned.job.seed) for planned in cut.left_out] == left_out
    assert {planned.job for planned in cut.jobs} == {planned.job for planned in plan.jobs}
    assert all(planned.state == "missing" for planned in cut.jobs)


def test_jobs_of_unknown_length_come_last_and_all_of_them_may_start(tmp_path):
    plan = plan_of(tmp_path, A_AND_B, "C", seeds="2")
    assert jobs(within_budget(plan, 1, 100)) == [("A", 0), ("B", 0), ("A", 1), ("B", 1), ("C", 0), ("C", 1)]
    assert jobs(within_budget(plan_of(tmp_path, {}, "C"), 1, 1)) == [("C", 0), ("C", 1), ("C", 2)]


def test_a_job_of_unknown_length_is_of_no_later_seed_than_the_first_that_does_not_fit(tmp_path):
    plan = plan_of(tmp_path, A_AND_B, "C", seeds="2")
    assert jobs(within_budget(plan, 1, 25)) == [("A", 0), ("C", 0)]


def test_the_plan_names_what_is_left_out(tmp_path):
    plan = plan_of(tmp_path, A_AND_B)
    text = describe_plan(within_budget(plan, 2, 45), TWO_JOBS)
    assert "6 jobs, 0 done, 3 to run on 2 at a time" in text
    assert "left out, as the time budget has no room for them: 3 jobs" in text
    assert "  toy B, seeds 1 to 2" in text
    assert "  toy A, seeds 2" in text


def test_more_jobs_than_cores_are_expected_to_take_no_less_time(tmp_path, monkeypatch):
    monkeypatch.setattr("benchmark.run.config.available_cores", lambda: 1)
    plan = plan_of(tmp_path, A_AND_B)
    assert "on 2 at a time, about 2.0 min (1.6 to 2.5)" in describe_plan(plan, TWO_JOBS)


def test_too_little_time_for_anything_is_refused_with_the_shortest_job(tmp_path):
    plan = plan_of(tmp_path, A_AND_B)
    with pytest.raises(
        ConfigError, match=r"too short for any job: the shortest, toy A seed 0, takes about 10 s"
    ):
        within_budget(plan, 2, 9)


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("2h", 7200),
        ("90m", 5400),
        ("1h30m", 5400),
        ("45s", 45),
        ("1.5 h", 5400),
        ("5min", 300),
        ("1H 1M 1S", 3661),
    ],
)
def test_times_are_read_as_people_write_them(text, seconds):
    assert parse_duration(text, "--time-budget") == seconds


@pytest.mark.parametrize("text", ["", "2", "h", "soon", "-1h", "0m", "1m2h", "1e3s", "nan s"])
def test_what_is_no_time_is_refused_with_the_remedy(text):
    with pytest.raises(ConfigError, match="write it like 2h, 90m, 1h30m or 45s"):
        parse_duration(text, "--time-budget")


class Left(Deadline):
    """Of which always so many seconds are left, however slow this machine is."""

    def left(self) -> float:
        return self.at


def task_of(tmp_path, *methods):
    bench = Bench.of(registry(*methods), seeds="1", data_dir=tmp_path, results_dir=tmp_path)
    return bench, make_task(bench.inventory().slots[0], bench)


@pytest.mark.parametrize(
    ("left", "expected", "why"),
    [
        (0.3, None, "stopped"),
        (0.3, 0.1, "stopped"),
        (60.0, 61.0, "not expected to end"),
        (0.0, None, "not expected to end"),
    ],
)
def test_a_job_that_has_no_time_left_is_stopped_or_never_started_and_leaves_no_record(
    tmp_path, left, expected, why
):
    bench, task = task_of(tmp_path, method("Hangs", trouble="hang"))
    (result,) = supervise((task,), DevicePool(("cpu",), tmp_path), Left(left, expected))
    assert result.status == "left out"
    assert why in result.error
    assert bench.store.scan().records == ()
    assert bench.inventory().slots[0].state == "missing"


def test_a_jobs_own_limit_comes_before_the_end_of_the_run(tmp_path):
    bench, task = task_of(tmp_path, method("Hangs", trouble="hang"))
    limited = dataclasses.replace(task, limits=Limits(time_limit_seconds=0.2))
    (result,) = supervise((limited,), DevicePool(("cpu",), tmp_path), Left(600.0, None))
    assert result.status == "timeout"
    assert [record.status for record in bench.store.scan().records] == ["timeout"]


def test_a_run_waits_for_no_device_beyond_its_end(tmp_path):
    _, task = task_of(tmp_path, method("OnDevice", OnDevice, log=str(tmp_path / "log")))
    pool = DevicePool(("cuda:0",), tmp_path)
    with pool.lease():
        (result,) = supervise((task,), pool, Left(0.3, None))
    assert (result.status, result.error) == ("left out", "no device became free in time")


def test_what_jobs_took_in_this_run_decides_which_others_start(tmp_path):
    """The table says 1 s of each; once the first has said that it takes longer than is left, none starts."""
    bench = Bench.of(registry(method("A")), seeds="3", data_dir=tmp_path, results_dir=tmp_path)
    plan = make_plan(bench, machine=known_machine(tmp_path, {"A": 1.0}))
    progress = Progress(plan.to_run(), 1, Console(quiet=True))
    progress.finished = lambda result: Progress.finished(
        progress, dataclasses.replace(result, seconds=1000.0)
    )
    summary = run_plan(
        plan, bench, Running(jobs=1), DevicePool(("cpu",), tmp_path), progress, time.time() + 600
    )
    assert summary.counts == {"done": 1, "left out": 2}
    assert [planned.job.seed for planned in plan.without_time(summary.left_out)] == [1, 2]


def test_a_run_within_a_budget_leaves_the_rest_for_the_next_run(tmp_path, capsys, monkeypatch):
    machine = known_machine(tmp_path, {"A": 0.1, "B": 1000.0})
    monkeypatch.setattr(Machine, "of", lambda *_: machine)
    found = registry(method("A"), method("B"))
    flags = ["--seeds", "2", "--results", str(tmp_path), "--data", str(tmp_path), "--jobs", "1"]
    assert main([*flags, "--time-budget", "5m"], found) == 0
    out = capsys.readouterr().out
    assert out.count("toy B, seeds 0 to 1") == 2  # by the plan, and at the end
    assert main(["status", *flags[:-2]], found) == 0
    rows = [line.split() for line in capsys.readouterr().out.splitlines() if line.startswith("toy")]
    assert rows == [["toy", "A", "1", "1", "0", "0"], ["toy", "B", "0", "2", "0", "0"]]


def test_a_run_ends_with_its_budget_though_a_job_hangs(tmp_path, capsys):
    found = registry(method("A"), method("Hangs", trouble="hang"))
    flags = ["--seeds", "1", "--results", str(tmp_path), "--data", str(tmp_path), "--jobs", "1"]
    assert main([*flags, "--methods", "A"], found) == 0
    capsys.readouterr()
    assert main([*flags, "--time-budget", "2s"], found) == 0
    out = capsys.readouterr().out
    assert "unknown until the first job has ended" in out
    assert "toy Hangs seed 0 left out" in out
    assert "  toy Hangs, seeds 0" in out
    assert "run again" in out
    assert not list(tmp_path.glob("runs/toy/Hangs/*"))
