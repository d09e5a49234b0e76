"""The accelerator's study, pretended on a processor: its parts, and going on with what is missing."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch

from benchmark.exit_codes import CANNOT, FINDING, OK
from benchmark.studies.accelerator import __main__ as study
from benchmark.studies.accelerator import checks, parts
from benchmark.studies.accelerator.parts import Lease, Part
from benchmark.studies.accelerator.text import render
from benchmark.studies.speed import on_device
from benchmark.studies.speed.device_table import BARS

DEVICE = {"name": "NVIDIA H200", "torch": "2.13.0", "cuda": "13.0"}


@pytest.fixture
def pretended(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Lease:
    monkeypatch.setattr(on_device, "EPOCH_STEPS", 2)
    return Lease("cpu", tmp_path, pretend=True)


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a card here")
def test_without_a_card_it_says_what_it_needs(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert study.main(["--out", str(tmp_path)]) == CANNOT
    said = capsys.readouterr().err
    assert all(word in said for word in ("NVIDIA GPU", "16 cores", "8 minutes", "--pretend"))
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("part", ["gradients", "digests", "books", "training"])
def test_checks_hold_on_a_processor(part: str, pretended: Lease) -> None:
    found = getattr(checks, part)(pretended)["checks"]
    assert found
    assert all(each["met"] is True for each in found), found


def test_a_check_that_fails_is_a_finding(pretended: Lease, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(checks, "GRADIENTS", -1.0)
    assert not any(each["met"] for each in checks.gradients(pretended)["checks"])


def test_times_and_ways_are_measured_in_the_forms_that_a_processor_has(pretended: Lease) -> None:
    (timing,) = parts.times("M3LA", "ml2000", pretended)["timings"]
    assert timing["ours_ms"] > 0
    ways = parts.ways("M3LA", "ml2000", pretended)["ways"]
    assert [way["way"] for way in ways] == ["called", "replayed", "reference, replayed"]
    assert ways[1]["launches"] < ways[2]["launches"]


def test_every_bar_has_a_part_and_a_lease_has_room_for_each() -> None:
    named = parts.parts()
    assert {f"times-{method}-{name}" for method, name in BARS} <= named.keys()
    assert all(part.seconds <= study.LEASE_SECONDS for part in named.values())


def test_the_run_at_paper_is_judged_by_what_run_and_drift_return(tmp_path: Path) -> None:
    (tmp_path / "reference").mkdir()
    calls: list[list[str]] = []

    def call(codes: list[int]) -> list[bool | None]:
        def run_all(arguments: list[str]) -> int:
            calls.append(arguments)
            return codes[len(calls) % 2 - 1]

        found = parts.paper(Lease("cuda:0", tmp_path), run_all)["checks"]
        return [each["met"] for each in found]

    assert call([0, 0]) == [True, True, True]
    assert call([0, 1]) == [True, True, False]
    assert call([1, 2]) == [False, None, False]
    assert calls[0][:3] == ["run", "--datasets", "ml2000"]
    assert calls[0][-2:] == ["--device", "cuda:0"]
    assert calls[1][0] == "drift"


def test_a_call_goes_on_where_the_last_one_ended(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    ran: list[str] = []

    def part(name: str, met: bool | None = True) -> Part:
        def run(_: Lease) -> dict[str, object]:
            ran.append(name)
            if name == "broken" and ran.count(name) == 1:
                raise RuntimeError("CUDA error: made up")
            return {"checks": [checks.check(name, "1", "1", met)]}

        return Part(1, run)

    toys = {name: part(name) for name in ("one", "broken", "two")}
    monkeypatch.setattr(study, "parts", lambda: toys)
    arguments = ["--pretend", "--out", str(tmp_path)]
    assert study.main(arguments) == FINDING
    assert "CUDA error: made up" in (tmp_path / "report.md").read_text()
    assert study.main(arguments) == OK
    assert ran == ["one", "broken", "two", "broken"]
    assert study.main([*arguments, "--again", "--parts", "two"]) == OK
    assert ran[-1] == "two"
    toys["two"] = part("two", met=False)
    assert study.main([*arguments, "--again"]) == FINDING
    with pytest.raises(SystemExit):
        study.main([*arguments, "--parts", "three"])


def test_a_part_for_which_there_is_no_time_waits(tmp_path: Path) -> None:
    def never(_: Lease) -> dict[str, object]:
        raise AssertionError

    lease = Lease("cpu", tmp_path)  # as on a card, but for where it computes
    study._run({"long": Part(500, never)}, lease, tmp_path, 480, again=False)
    assert not list(tmp_path.iterdir())


def test_the_report_names_the_card_of_every_number() -> None:
    timing = {
        **{"method": "M3LA", "dataset": "ml2000", "steps": 60, "plain_ms": 13.2, "captured_ms": 2.4},
        **{"ours_ms": 1.5, "launches": 180.0, "first_seconds": 3.0, "useful_gflop": 60.0},
        **{"sgemm_before": 5e4, "sgemm_after": 5e4, "share": 0.8},
    }
    way = {"method": "M3LA", "dataset": "ml2000", "way": "called", "first_seconds": 1.0, "ms": 20.0}
    page = render(
        {
            "times-M3LA-ml2000": {"device": DEVICE, "seconds": 20.0, "timings": [timing]},
            "ways-M3LA-ml2000": {"device": DEVICE, "seconds": 90.0, "ways": [{**way, "launches": 620.0}]},
            "digests": {
                "device": DEVICE,
                "seconds": 50.0,
                "checks": [checks.check("digests", "a | b", "the same", False)],
            },
        }
    )
    assert "NVIDIA H200" in page
    assert "| M3LA" in page
    assert "620" in page
    assert "NOT MET" in page
    assert json.dumps(DEVICE["torch"]).strip('"') in page
