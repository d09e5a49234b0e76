"""A time budget keeps whole seeds, and says what it has no room for."""

from __future__ import annotations

import dataclasses

import pytest
from tiny_benchmark import method, registry

from benchmark.cli import main
from benchmark.run.bench import Bench
from benchmark.run.budget import within_budget
from benchmark.run.config import ConfigError, Running, parse_duration
from benchmark.run.describe import describe_plan
from benchmark.run.plan import Plan, make_plan


def timed(name: str, seconds: float | None):
    hint = None if seconds is None else lambda *_: seconds
    return dataclasses.replace(method(name), seconds_hint=hint)


def plan_of(tmp_path, *methods, seeds="3"):
    found = registry(*methods)
    return make_plan(Bench.of(found, seeds=seeds, data_dir=tmp_path, results_dir=tmp_path))


def jobs(plan: Plan) -> list[tuple[str, int]]:
    return [(planned.job.method, planned.job.seed) for planned in plan.to_run()]


TWO_JOBS = Running(jobs=2)
A, B = timed("A", 10.0), timed("B", 30.0)


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
    plan = plan_of(tmp_path, A, B)
    cut = within_budget(plan, 2, budget)
    assert jobs(cut) == kept
    assert [(planned.job.method, planned.job.seed) for planned in cut.left_out] == left_out
    assert {planned.job for planned in cut.jobs} == {planned.job for planned in plan.jobs}
    assert all(planned.state == "missing" for planned in cut.jobs)


def test_a_job_of_unknown_length_counts_like_the_longest(tmp_path):
    plan = plan_of(tmp_path, A, timed("C", None), B, seeds="0-0")
    assert jobs(within_budget(plan, 1, 45)) == [("A", 0), ("C", 0)]


def test_the_plan_names_what_is_left_out(tmp_path):
    plan = plan_of(tmp_path, A, B)
    text = describe_plan(within_budget(plan, 2, 45), TWO_JOBS)
    assert "6 jobs, 0 done, 3 to run on 2 at a time" in text
    assert "left out, as the time budget has no room for them: 3 jobs" in text
    assert "  toy B, seeds 1 to 2" in text
    assert "  toy A, seeds 2" in text


def test_more_jobs_than_cores_are_expected_to_take_no_less_time(tmp_path, monkeypatch):
    monkeypatch.setattr("benchmark.run.config.available_cores", lambda: 1)
    plan = plan_of(tmp_path, A, B)
    assert "on 2 at a time, about 2 min 00 s" in describe_plan(plan, TWO_JOBS)


def test_too_little_time_for_anything_is_refused_with_the_shortest_job(tmp_path):
    plan = plan_of(tmp_path, A, B)
    with pytest.raises(
        ConfigError, match=r"too short for any job: the shortest, toy A seed 0, takes about 10 s"
    ):
        within_budget(plan, 2, 9)
    unknown = plan_of(tmp_path, timed("C", None))
    with pytest.raises(ConfigError, match="nobody knows"):
        within_budget(unknown, 2, 9)


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
    assert parse_duration(text) == seconds


@pytest.mark.parametrize("text", ["", "2", "h", "soon", "-1h", "0m", "1m2h", "1e3s", "nan s"])
def test_what_is_no_time_is_refused_with_the_remedy(text):
    with pytest.raises(ConfigError, match="write it like 2h, 90m, 1h30m or 45s"):
        parse_duration(text)


def test_a_run_within_a_budget_leaves_the_rest_for_the_next_run(tmp_path, capsys):
    found = registry(timed("A", 0.1), timed("B", 1000.0))
    flags = ["--seeds", "2", "--results", str(tmp_path), "--data", str(tmp_path), "--jobs", "1"]
    assert main([*flags, "--time-budget", "1m"], found) == 0
    out = capsys.readouterr().out
    assert "toy B, seeds 0 to 1" in out
    assert main(["status", *flags[:-2]], found) == 0
    rows = [line.split() for line in capsys.readouterr().out.splitlines() if line.startswith("toy")]
    assert rows == [["toy", "A", "1", "1", "0", "0"], ["toy", "B", "0", "2", "0", "0"]]
