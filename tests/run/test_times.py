"""Where the expected seconds of a job come from: jobs that ended here, else the table, else nowhere."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from expected_times import write_timings
from tiny_benchmark import OnDevice, method, registry

from benchmark.registry import discover
from benchmark.run import times
from benchmark.run.bench import Bench
from benchmark.run.config import ConfigError, profile_names
from benchmark.run.environment import processor
from benchmark.run.plan import make_plan
from benchmark.run.schedule import expected_total
from benchmark.run.task import make_task
from benchmark.run.times import Cpu, Expected, Machine, Timing, read_timings

ELSEWHERE = Cpu("Another 1 2", "NEON")
TOYS = registry(method("A", epochs=4), method("G", OnDevice, log="unused"))


@pytest.fixture
def bench(tmp_path):
    return Bench.of(TOYS, seeds="1", data_dir=tmp_path, results_dir=tmp_path)


@pytest.fixture
def machine(tmp_path, monkeypatch):
    """A machine on which two yardsticks at a time take 0.5 s each; its table says 10 s for A and G."""
    monkeypatch.setattr(times, "yardstick_seconds", {2: 0.5}.__getitem__)
    rows = (timing("A", 10.0, Cpu.here()), timing("G", 10.0, Cpu.here()))
    return Machine(cores=2, timings=write_timings(tmp_path / "timings.csv", *rows))


def timing(name: str, seconds: float, cpu: Cpu, profile: str = "paper", yardstick: float = 1.0) -> Timing:
    return Timing("toy", name, profile, *cpu, yardstick, seconds)


def expected(bench: Bench, machine: Machine, name: str = "A") -> Expected | None:
    plan = make_plan(bench, [("toy", name)], machine=machine)
    return plan.jobs[0].expected


def finish(bench, *seconds, name="A", status="done", changes=None, **environment):
    """Put records of ended jobs into the store, each with another hash, and so with other code or data."""
    (slot,) = bench.inventory([("toy", name)]).slots
    blank = make_task(slot, bench).blank
    options = {**blank.settings["options"], **(changes or {}).get("options", {})}
    settings = {**blank.settings, **(changes or {}), "options": options, "code": "of before"}
    count = len(bench.store.scan().records)
    for number, total in enumerate(seconds, count):
        record = dataclasses.replace(
            blank,
            config_hash=f"{number:012x}",
            settings=settings,
            status=status,
            seconds={"load": 0.25 * total, "fit": 0.75 * total},
            environment={"processor": processor(), "device": "cpu", **environment},
        )
        bench.store.write(record, {"scores": np.zeros((1, 1), np.float32)})


def test_the_table_counts_in_seconds_of_this_machine(bench, machine):
    """10 s where the yardstick takes 1 s are 5 s where it takes half of that; a quarter either way."""
    assert expected(bench, machine) == Expected(5.0, 4.0, 6.25, "table")


def test_rows_of_this_kind_of_machine_come_first(bench, machine, tmp_path):
    rows = [timing("A", 10.0, Cpu.here()), timing("A", 90.0, ELSEWHERE)]
    for order in (rows, rows[::-1]):
        write_timings(tmp_path / "timings.csv", *order)
        assert expected(bench, dataclasses.replace(machine)).seconds == 5.0
    write_timings(tmp_path / "timings.csv", timing("A", 90.0, ELSEWHERE, yardstick=1.5))
    assert expected(bench, dataclasses.replace(machine)).seconds == 30.0


def test_what_nobody_measured_is_unknown(bench, machine, tmp_path):
    write_timings(tmp_path / "timings.csv", timing("A", 10.0, Cpu.here(), profile="quick"))
    assert expected(bench, machine) is None
    (tmp_path / "timings.csv").unlink()
    assert expected(bench, dataclasses.replace(machine)) is None


def test_a_damaged_table_is_named_with_the_remedy(bench, machine, tmp_path):
    for content in ("dataset,seconds\ntoy,1\n", "dataset,method,yardstick,seconds\ntoy,A,1,x\n"):
        (tmp_path / "timings.csv").write_text(content)
        with pytest.raises(ConfigError, match=r"timings.csv is no table .*studies.timings"):
            expected(bench, dataclasses.replace(machine))


def test_jobs_that_ended_here_come_before_the_table(bench, machine):
    """Their median, between a tenth below the fastest and above the slowest; code and data may be others."""
    finish(bench, 11.0, 33.0, 20.0)
    found = expected(bench, machine)
    assert found == Expected(20.0, pytest.approx(10.0), pytest.approx(36.3), "finished jobs")


def test_jobs_with_other_options_count_where_none_has_the_same(bench, machine):
    finish(bench, 40.0, changes={"options": {"blur": 0.7}})
    assert expected(bench, machine).seconds == 40.0
    finish(bench, 20.0)
    assert expected(bench, machine).seconds == 20.0


@pytest.mark.parametrize("changes", [{"options": {"epochs": 2}}, {"max_train_rows": 5}, {"max_test_rows": 2}])
def test_jobs_under_other_limits_say_nothing(bench, machine, changes):
    finish(bench, 40.0, changes=changes)
    assert expected(bench, machine).source == "table"


@pytest.mark.parametrize(
    "facts",
    [{"processor": "Another 1 2"}, {"side_by_side": 3}, {"device": "cuda:0"}, {"status": "failed"}],
    ids=str,
)
def test_jobs_of_another_machine_or_kind_say_nothing(bench, machine, facts):
    finish(bench, 40.0, **facts)
    assert expected(bench, machine).source == "table"


def test_on_an_accelerator_only_jobs_that_ended_there_count(bench, machine):
    on_gpu = dataclasses.replace(machine, device="cuda")
    assert expected(bench, on_gpu, "G") is None
    finish(bench, 40.0, name="G")
    assert expected(bench, on_gpu, "G") is None
    finish(bench, 3.0, name="G", device="cuda:1")
    assert expected(bench, on_gpu, "G").seconds == 3.0
    assert expected(bench, machine, "G").seconds == 40.0
    # A method that can use none runs on the CPU all the same.
    assert expected(bench, on_gpu, "A").source == "table"


def test_a_card_has_rows_of_its_own_which_say_what_a_group_takes_unscaled(bench, machine, tmp_path):
    """Rows of another card say nothing of this one, and those of cards nothing of a processor."""
    cards = [
        dataclasses.replace(timing("G", seconds, Cpu(card, "")), device="cuda")
        for card, seconds in (("Another card", 90.0), ("This card", 30.0))
    ]
    on_card = dataclasses.replace(machine, device="cuda", card="This card", accelerators=1)
    for rows in (cards, cards[::-1]):
        write_timings(tmp_path / "timings.csv", *rows)
        assert expected(bench, dataclasses.replace(on_card), "G") == Expected(30.0, 24.0, 37.5, "table")
    assert expected(bench, dataclasses.replace(on_card, card="A third"), "G") is None
    assert expected(bench, dataclasses.replace(machine), "G") is None
    write_timings(tmp_path / "timings.csv", *cards, timing("G", 10.0, Cpu.here()))
    assert expected(bench, dataclasses.replace(machine), "G").seconds == 5.0


@pytest.mark.parametrize(
    ("facts", "seconds"),
    [
        ({"side_by_side": 10}, 40.0),  # each of ten has its share
        ({"side_by_side": 5, "did_not_fit": 10}, 40.0),  # two halves, one after the other
        ({}, 4.0),
        ({"accelerator": "Another card", "side_by_side": 10}, None),
    ],
    ids=str,
)
def test_groups_that_ended_on_this_card_tell_what_one_takes(bench, machine, facts, seconds):
    on_card = dataclasses.replace(machine, device="cuda", card="This card", accelerators=1)
    finish(bench, 4.0, name="G", **{"device": "cuda:0", "accelerator": "This card", **facts})
    found = expected(bench, on_card, "G")
    assert (found and found.seconds) == seconds


def test_a_table_without_devices_is_one_of_processors(tmp_path):
    path = tmp_path / "timings.csv"
    path.write_text(
        "dataset,method,profile,processor,cpu_capability,yardstick,seconds\ntoy,A,paper,some CPU,AVX2,0.2,3\n"
    )
    assert read_timings(path) == (Timing("toy", "A", "paper", "some CPU", "AVX2", 0.2, 3.0, "cpu"),)


def test_a_plan_for_no_machine_expects_nothing_and_measures_nothing(bench):
    assert expected_total(make_plan(bench).to_run(), 1) == (None, 2)


def test_expected_times_add_up_with_their_range(bench, machine, tmp_path):
    """Two seeds of 5 s on two cores, and 20 s that finished jobs tell: the longest job is the bound."""
    finish(bench, 20.0, name="G")
    two = dataclasses.replace(bench, seeds=(0, 1))
    total, unknown = expected_total(make_plan(two, [("toy", "A")], machine=machine).to_run(), 1)
    assert (total, unknown) == (Expected(10.0, 8.0, 12.5, "table"), 0)
    total, unknown = expected_total(make_plan(bench, machine=machine).to_run(), 2)
    assert (total.seconds, total.source, unknown) == (20.0, "table", 0)
    (tmp_path / "timings.csv").unlink()
    total, unknown = expected_total(make_plan(bench, machine=dataclasses.replace(machine)).to_run(), 2)
    assert (total.seconds, total.source, unknown) == (20.0, "finished jobs", 1)


def test_the_yardstick_is_left_alone_where_the_table_is_not_needed(bench, machine, monkeypatch):
    monkeypatch.setattr(times, "yardstick_seconds", {}.__getitem__)
    finish(bench, 20.0)
    assert expected(bench, machine).seconds == 20.0


def test_the_yardstick_takes_processor_time_in_as_many_processes_as_asked_for():
    assert times.yardstick_seconds(2, times=1) > 0


def test_the_committed_table_is_of_what_there_is():
    found = discover()
    rows = read_timings()
    keys = [(row.dataset, row.method, row.profile, row.device, row.cpu) for row in rows]
    assert len(set(keys)) == len(keys) > 0
    assert {row.dataset for row in rows} <= set(found.datasets)
    assert {row.method for row in rows} <= set(found.methods)
    assert {row.profile for row in rows} <= set(profile_names())
    assert all(row.seconds > 0 and row.yardstick > 0 for row in rows)


@pytest.mark.parametrize("seconds", ["nan", "-1", "inf", "0", "True", ""])
def test_a_table_of_timings_with_a_time_that_is_none_is_refused(tmp_path, seconds):
    path = tmp_path / "timings.csv"
    path.write_text(
        "dataset,method,profile,processor,cpu_capability,yardstick,seconds\n"
        f"toy,A,paper,some CPU,AVX2,0.2,{seconds}\n"
    )
    with pytest.raises(ConfigError, match=r"timings\.csv is no table of timings"):
        read_timings(path)
