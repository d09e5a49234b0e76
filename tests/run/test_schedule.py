"""Which jobs train together, how long that takes on devices and cores, and what fits into a budget."""

from __future__ import annotations

import dataclasses
import io

import pytest
from expected_times import write_timings
from pretended import Noting, NotingOnCores, together
from rich.console import Console
from tiny_benchmark import method, registry

from benchmark.contracts import Job
from benchmark.run.bench import Bench
from benchmark.run.budget import within_budget
from benchmark.run.config import Running
from benchmark.run.describe import describe_plan
from benchmark.run.plan import make_plan
from benchmark.run.progress import Progress
from benchmark.run.schedule import GROUP, Places, expected_total, grouped
from benchmark.run.task import JobResult
from benchmark.run.times import Machine, Timing

GROUPS = together("A", log=""), together("C", log="")
SINGLE = method("B", Noting, log="")
ON_CORES = method("P", NotingOnCores, log="")
SECONDS = {"A": 30.0, "C": 20.0, "B": 4.0, "P": 10.0}


@pytest.fixture
def machine(tmp_path):
    """Two cards and four cores; the table says 30 and 20 s of a group, 4 s of a job there, 10 s on a core."""
    cards = [
        Timing("toy", name, "paper", "Some card", "", 1.0, seconds, "cuda")
        for name, seconds in SECONDS.items()
        if name != "P"
    ]
    on_core = Timing("toy", "P", "paper", "Some 1 2", "AVX2", 1.0, SECONDS["P"])
    table = write_timings(tmp_path / "timings.csv", *cards, on_core)
    machine = Machine("cuda", 4, table, accelerators=2, card="Some card")
    machine.__dict__["yardstick"] = 1.0  # as if measured
    return machine


def plan_of(tmp_path, machine, *methods, seeds="10"):
    bench = Bench.of(registry(*methods), seeds=seeds, data_dir=tmp_path, results_dir=tmp_path)
    return make_plan(bench, machine=machine)


def sizes(plan):
    groups = grouped(plan.to_run())
    assert all(len({(one.job.dataset, one.job.method) for one in group}) == 1 for group in groups)
    names = {group[0].job.method for group in groups}
    return {name: [len(g) for g in groups if g[0].job.method == name] for name in names}


def test_seeds_of_a_method_that_can_are_groups_of_ten_on_an_accelerator_and_single_jobs_elsewhere(
    tmp_path, machine
):
    methods = (*GROUPS, SINGLE, ON_CORES)
    assert sizes(plan_of(tmp_path, machine, *methods, seeds="23")) == {
        **{"A": [10, 10, 3], "C": [10, 10, 3]},
        **{"B": [1] * 23, "P": [1] * 23},
    }
    assert sizes(plan_of(tmp_path, machine, GROUPS[0], seeds="100")) == {"A": [GROUP] * 10}
    assert sizes(plan_of(tmp_path, Machine(timings=machine.timings), GROUPS[0])) == {"A": [1] * 10}


def test_each_device_that_there_is_a_group_for_takes_one_of_the_workers(tmp_path, machine):
    groups = grouped(plan_of(tmp_path, machine, GROUPS[0], ON_CORES).to_run())
    assert Places.of(groups, 4, 8) == Places(3, 1)
    assert Places.of(groups, 1, 8) == Places(1, 1)
    assert Places.of(groups, 4, 0) == Places(4)


@pytest.mark.parametrize(
    ("methods", "seeds", "seconds"),
    [
        ((GROUPS[0],), "10", 30.0),
        ((GROUPS[0],), "3", 30.0),  # a group takes the room of ten
        ((GROUPS[0],), "40", 60.0),  # four groups on two cards
        ((GROUPS[0], GROUPS[1]), "10", 30.0),  # a card each
        ((GROUPS[0], SINGLE), "10", 35.0),  # 30 s and ten times 4 s on two cards
        ((GROUPS[0], ON_CORES), "10", 100.0 / 3),  # meanwhile, on the three cores that one card leaves
        ((ON_CORES,), "10", 25.0),
    ],
)
def test_groups_run_one_after_another_on_each_card_while_the_cores_are_busy(
    tmp_path, machine, methods, seeds, seconds
):
    plan = plan_of(tmp_path, machine, *methods, seeds=seeds)
    total, unknown = expected_total(plan.to_run(), 4, plan.accelerators)
    assert (total.seconds, unknown) == (pytest.approx(seconds), 0)
    assert (total.least, total.most) == (pytest.approx(seconds / 1.25), pytest.approx(seconds * 1.25))


def test_the_plan_says_what_a_group_takes(tmp_path, machine):
    text = describe_plan(plan_of(tmp_path, machine, GROUPS[0], SINGLE), Running(4))
    (group,) = (line for line in text.splitlines() if line.startswith("toy") and " A " in line)
    (single,) = (line for line in text.splitlines() if line.startswith("toy") and " B " in line)
    assert "30 s for 10" in group
    assert "4.0 s" in single
    assert "for 10" not in single
    assert "on 4 at a time, 20 of them on accelerators, up to 10 seeds as one, about 35 s" in text


def test_a_time_budget_takes_groups_whole(tmp_path, machine):
    one_card = dataclasses.replace(machine, accelerators=1)
    one_card.__dict__["yardstick"] = 1.0
    plan = plan_of(tmp_path, one_card, *GROUPS, ON_CORES, seeds="20")
    chosen = within_budget(plan, 3, 55.0).to_run()
    # On the card A0-9 ends at 30 and C0-9 at 50, A10-19 would at 80; two cores have room for ten times 10 s.
    seeds = {name: sorted(p.job.seed for p in chosen if p.job.method == name) for name in "ACP"}
    assert seeds == {"A": [*range(10)], "C": [*range(10)], "P": [*range(10)]}
    assert [len(group) for group in grouped(chosen) if group[0].on_device] == [10, 10]


def test_progress_counts_a_group_once_on_its_device_and_the_others_beside_it(tmp_path, machine):
    plan = plan_of(tmp_path, machine, *GROUPS, ON_CORES, seeds="12")
    told = Progress(plan.to_run(), 3, Console(file=io.StringIO()), accelerators=1)
    line = told._lines(("toy",))[0]
    assert line.endswith("; running P seed 0, P seed 1, A seeds 0 to 9")
    assert ", about 1 min 40 s left; " in line  # on the card 2 * 30 + 2 * 20 s, on two cores 12 * 10 / 2 s
    for seed in range(10):
        told.finished(JobResult(Job("toy", "A", seed), "done", 4.0))
    assert told.expected(Job("toy", "A", 11)) == 40.0
    assert "C seeds 0 to 9" in told._lines(("toy",))[0]
