"""Timing on an accelerator, pretended on the processor, and what made-up times say."""

from __future__ import annotations

import dataclasses

import pytest
import torch
from tiny_benchmark import registry

from benchmark.contracts import Shape
from benchmark.run.devices import DeviceError
from benchmark.studies.speed import on_device
from benchmark.studies.speed.command import COMMANDS
from benchmark.studies.speed.device_table import (
    BARS,
    Device,
    DeviceTiming,
    device_bars,
    render_device_speed,
)

CARD = Device("NVIDIA H200", "2.13.0", "13.0")
SHAPE = Shape(n=100, q=3, dims=(5, 4))


def timing(method: str = "M3LA", dataset: str = "ml2000", **changes: float) -> DeviceTiming:
    made_up = DeviceTiming(
        method,
        dataset,
        steps=30,
        plain_ms=13.2,
        captured_ms=2.4,
        ours_ms=1.5,
        launches=180.0,
        first_seconds=3.0,
        useful_gflop=60.0,
        sgemm_before=50_000.0,
        sgemm_after=51_000.0,
    )
    return dataclasses.replace(made_up, **changes)


def test_what_is_computed_from_times() -> None:
    found = timing(ours_ms=1.5, useful_gflop=60.0)
    assert found.ratio == pytest.approx(8.8)
    assert found.useful_gflops == pytest.approx(40_000)
    assert found.sgemm_share == pytest.approx(40_000 / 50_500)
    assert found.to_json()["launches"] == 180.0


def test_bars_are_met_missed_or_not_judged() -> None:
    met = {bar.text: bar.met for bar in device_bars([timing(), timing("MCC", "msra", ours_ms=11.0)])}
    assert list(met.values()) == [True, True, False]
    assert [bar.met for bar in device_bars([timing(sgemm_after=30_000.0)])] == [None, None]
    assert [bar.met for bar in device_bars([timing(steps=5)])] == [None, None]
    assert [bar.met for bar in device_bars([timing(ours_ms=1.65)])] == [False, True]
    assert not device_bars([timing("DMP", "fcvid")])


def test_every_printed_bar_is_about_a_method_that_is_timed() -> None:
    assert {method for method, _ in BARS} == set(on_device.ESTIMATORS)


def test_the_table_shows_card_times_launches_share_and_bars() -> None:
    page = render_device_speed([timing(), timing("DMP", "msra", ours_ms=5.0)], CARD)
    assert "NVIDIA H200" in page
    (row,) = (line for line in page.splitlines() if line.startswith("| M3LA"))
    cells = [cell.strip() for cell in row.strip("|").split("|")]
    assert cells[2:] == ["13.2", "2.40", "1.50", "8.8", "180", "40000", "50000, 51000", "0.79"]
    assert "NOT MET" in page
    assert "does not count" not in page.lower()
    assert "fewer than 30" in render_device_speed([timing(steps=3)], CARD)


@pytest.mark.parametrize("method", ["M3LA", "DMP", "MCC"])
def test_every_form_can_be_timed(method: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(on_device, "EPOCH_STEPS", 2)
    found = on_device.time_on_device(method, "toy", SHAPE, 2, "cpu", lambda: 100.0)
    assert min(found.plain_ms, found.captured_ms, found.ours_ms) > 0
    assert found.launches > 50
    assert on_device.card("cpu").cuda == "none"


def test_steps_can_be_called_one_by_one() -> None:
    steps = on_device.group("M3LA", SHAPE, "cpu", hidden=4)
    with on_device.called_not_replayed():
        assert len(on_device.time_group(steps, 20)[1]) == 2
    assert on_device.sgemm_rate("cpu", 64) > 0


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a card here")
def test_without_a_card_it_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    import argparse

    parser = argparse.ArgumentParser()
    COMMANDS["speed"].add_flags(parser)
    with pytest.raises(DeviceError, match="torch finds no GPU here"):
        COMMANDS["speed"].run(parser.parse_args(["--device", "cuda"]), registry())
    assert not capsys.readouterr().out
