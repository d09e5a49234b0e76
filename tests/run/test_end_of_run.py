"""What a run says before it starts and when it has ended: in few lines, each with what to do next."""

from __future__ import annotations

from dataclasses import replace

import pytest
from expected_times import known_machine
from tiny_benchmark import ToyData, method, registry

from benchmark.cli import main
from benchmark.contracts import Provenance
from benchmark.run.times import Machine


def test_a_run_with_whatever_happens_ends_in_25_lines(tmp_path, capsys, monkeypatch):
    """Six data sets, eight methods of which two fail everywhere, and two for which there is no time."""
    machine = known_machine(tmp_path, {"Late": 1000.0, "Later": 1000.0})
    monkeypatch.setattr(Machine, "of", lambda *_: machine)
    names = ("BR", "CC", "DMP", "M3LA")
    bad = [method(name, trouble="raise", troubled_seeds=(0, 1)) for name in ("Bad", "Worse")]
    toys = registry(
        *[replace(method(name), in_paper=True) for name in names],
        *bad,
        method("Late"),
        method("Later"),
        datasets=(
            ToyData(),
            *(ToyData(name, kind=Provenance.REAL) for name in ("ml2000", "one", "two", "three")),
            ToyData("fcvid"),
        ),
    )
    places = ["--results", str(tmp_path), "--data", str(tmp_path), "--jobs", "1"]
    code = main(["--profile", "paper", "--seeds", "2", "--time-budget", "9m", *places], toys)
    printed = capsys.readouterr()
    end = printed.out.partition("\n\n")[2].splitlines() + printed.err.splitlines()
    assert code == 1
    assert len(end) <= 25, "\n".join(end)
    assert any(line.startswith("12 failed jobs") for line in end)
    assert any("no room for them: 50 jobs" in line for line in end)
    assert [line for line in end if line.startswith("ML2000")]
    assert [line for line in end if "best" in line and "toy" in line] == [
        "FCVID‡, toy‡: look-alike, not the real data; no row there is called best"
    ]


@pytest.fixture
def said(tmp_path, capsys, monkeypatch):
    """What a command prints on a machine of which it is known how long methods take."""

    def call(*arguments, toys, seconds):
        machine = known_machine(tmp_path, seconds)
        monkeypatch.setattr(Machine, "of", lambda *_: machine)
        main([*arguments, "--results", str(tmp_path), "--data", str(tmp_path), "--jobs", "1"], toys)
        return capsys.readouterr().out

    return call


MIXED = (ToyData("ml2000", kind=Provenance.REBUILT), ToyData())


def test_a_long_run_says_what_less_of_it_gives_and_that_it_can_be_stopped(said):
    toys = registry(method("A"), datasets=MIXED)
    out = said("--dry-run", "--seeds", "4", toys=toys, seconds={"A": 1500.0})
    assert "--datasets ml2000: without look-alikes, which support no claim, time unknown" in out
    assert "--time-budget 1h: 2 of these jobs, seed by seed" in out  # of 25 minutes each
    assert "Ctrl-C stops it at any time" in out


def test_a_short_run_says_none_of_that(said):
    toys = registry(method("A"), datasets=(ToyData(),))
    out = said("--dry-run", "--seeds", "4", toys=toys, seconds={"A": 60.0})
    assert "4 jobs, 0 done, 4 to run on 1 at a time, about 4.0 min" in out
    assert "--time-budget" not in out
    assert "Ctrl-C" not in out


def test_a_choice_of_no_job_says_how_to_choose_some(said):
    elsewhere = replace(method("A"), datasets=("home",))
    toys = registry(elsewhere, datasets=(ToyData(),))
    for flags in ((), ("--dry-run",)):
        assert "no job: the chosen methods run on other data sets, unless each is named in full" in said(
            *flags, "--methods", "A*", toys=toys, seconds={}
        )


def test_what_is_real_alone_or_already_cut_is_offered_no_smaller(said):
    toys = registry(method("A"), datasets=(ToyData(),))
    out = said("--dry-run", "--seeds", "4", "--time-budget", "30m", toys=toys, seconds={"A": 1500.0})
    assert "--datasets" not in out
    assert "of these jobs" not in out


@pytest.mark.usefixtures("without_page")
def test_after_a_cut_run_the_printed_protocol_is_next_and_after_that_the_verdicts(said, tmp_path):
    toys = registry(method("A"), datasets=MIXED)
    assert (
        f"next, how long the printed protocol takes: python run_all.py --datasets ml2000 "
        f"--data {tmp_path} --dry-run" in said("--profile", "tiny", "--seeds", "1", toys=toys, seconds={})
    )
    out = said("--profile", "paper", "--seeds", "1", toys=toys, seconds={})
    assert "next, what of the paper that reproduces: python run_all.py compare --seeds 1 --data" in out
    own = registry(method("A"), datasets=(ToyData("mine", kind=Provenance.REAL, in_paper=False),))
    out = said("--datasets", "mine", "--seeds", "1", toys=own, seconds={})
    assert (
        "next, which method is better than which: python run_all.py significance --datasets mine --seeds 1"
        in out
    )
