"""The time expected before a run: hints in seconds of this machine, and what finished records add."""

from __future__ import annotations

import dataclasses
import json

import pytest
from tiny_benchmark import Busy, BusyAndCareful, Prior, method, registry

from benchmark.contracts import Probe, Shape
from benchmark.registry import Selection
from benchmark.run import pace as pace_module
from benchmark.run.config import Limits, Profile, RunConfig
from benchmark.run.devices import DevicePool
from benchmark.run.pace import PACE_FILE, measured_pace, pace_key, probe_data
from benchmark.run.plan import Catalogue, make_plan
from benchmark.run.pool import run_plan
from benchmark.run.progress import Progress
from benchmark.run.store import RecordStore

pytestmark = pytest.mark.usefixtures("warm_fork_server")
SHAPE = Shape(60, 3, (4, 2))


def worker(name="Worker", estimator=Busy, **options):
    probe = Probe(SHAPE, seconds=0.2, options={"seconds": 0.5}, shorter={"seconds": 0.1})
    spec = method(name, estimator, seconds=3.0, **options)
    return dataclasses.replace(spec, seconds_hint=lambda *_: 1.0, probe=probe)


def test_pace_is_what_the_probe_takes_here_over_what_it_took_there(tmp_path):
    """0.5 s less 0.1 s of work, half of which it took there."""
    for spec in (worker(), worker("Held", estimator=BusyAndCareful)):
        found = measured_pace([spec], 1, tmp_path / spec.id)
        assert found == {pace_key(spec): pytest.approx(2.0, rel=0.15)}


def test_what_a_probe_waits_for_does_not_count(tmp_path):
    """As when other programs have the cores: such a pace would be kept, and be wrong an hour later."""
    waiting = worker(estimator=Prior)
    spec = dataclasses.replace(waiting, probe=dataclasses.replace(waiting.probe, shorter=None))
    found = measured_pace([spec], 1, tmp_path)
    assert found[pace_key(spec)] < 0.5  # by the clock it would be 2.5


def test_a_pace_is_kept_for_this_code_and_number_of_workers(tmp_path, monkeypatch):
    first = measured_pace([worker()], 1, tmp_path)
    calls = []
    monkeypatch.setattr(pace_module, "_measure", lambda spec: calls.append(spec.id) or 7.0)
    assert measured_pace([worker()], 1, tmp_path) == first
    assert calls == []
    assert set(measured_pace([worker()], 2, tmp_path).values()) == {7.0}
    monkeypatch.setattr(pace_module, "code_digest", lambda *_: "edited")
    assert set(measured_pace([worker()], 1, tmp_path).values()) == {7.0}
    assert calls == ["Worker", "Worker"]
    assert len(json.loads((tmp_path / PACE_FILE).read_text())) == 3


@pytest.mark.parametrize("content", ["", "[1]", '{"a": "b"}', "\x00"])
def test_a_damaged_file_of_paces_is_measured_anew(tmp_path, monkeypatch, content):
    (tmp_path / PACE_FILE).write_text(content)
    monkeypatch.setattr(pace_module, "_measure", lambda _: 3.0)
    assert set(measured_pace([worker()], 1, tmp_path).values()) == {3.0}
    assert list(json.loads((tmp_path / PACE_FILE).read_text()).values()) == [3.0]


def test_a_probe_that_fails_leaves_the_hint_as_it_is(tmp_path):
    spec = worker(trouble="raise", troubled_seeds=(0,))
    assert measured_pace([spec], 1, tmp_path) == {}


def test_methods_without_probe_or_hint_are_not_timed(tmp_path):
    bare = method("Bare")
    assert measured_pace([bare, dataclasses.replace(worker(), seconds_hint=None)], 1, tmp_path) == {}
    assert not (tmp_path / PACE_FILE).exists()


def test_drawn_data_have_the_shape_and_labels_of_both_kinds():
    modalities, labels = probe_data(SHAPE)
    assert [x.shape for x in modalities] == [(60, 4), (60, 2)]
    assert labels.shape == (60, 3)
    assert (labels.sum(0) > 0).all()
    assert (labels.sum(0) < 60).all()


def per_row(shape, options):
    return 10.0 * shape.n * options["epochs"]


@pytest.fixture
def expected(tmp_path):
    """Expected seconds of the one job of a toy method under a profile's caps, and whether records say so."""

    def ask(run=False, pace=None, **limits):
        spec = dataclasses.replace(method("Timed", epochs=4), seconds_hint=per_row)
        toys = registry(spec)
        config = RunConfig(
            Profile("tiny", "for tests", limits=Limits(**limits)),
            Selection(("Timed",)),
            Selection(("toy",)),
            (0,),
            data_dir=tmp_path,
            results_dir=tmp_path,
        )
        store = RecordStore(tmp_path / "runs")
        plan = make_plan(config, toys, store, Catalogue(tmp_path), pace=pace)
        if run:
            from rich.console import Console

            run_plan(
                plan, config, store, DevicePool(("cpu",), tmp_path), Progress((), 1, Console(quiet=True))
            )
            plan = make_plan(config, toys, store, Catalogue(tmp_path))
        cell = plan.jobs[0].cell
        return cell.expected_seconds, cell.measured

    return ask


def test_without_records_the_hint_counts_in_seconds_of_this_machine(expected):
    """40 rows and 4 epochs; a cap leaves 18 training rows, 4 of the test and 2 epochs."""
    assert expected() == (1600.0, False)
    assert expected(max_train_rows=18, epochs=2) == (440.0, False)
    spec = dataclasses.replace(method("Timed", epochs=4), seconds_hint=per_row)
    assert expected(pace={pace_key(spec): 0.5}) == (800.0, False)


def test_a_finished_record_tells_its_own_time_and_scales_the_hint_of_larger_jobs(expected):
    took, measured = expected(run=True, max_train_rows=18, epochs=2)
    assert measured
    assert 0 < took < 440
    assert expected() == (pytest.approx(1600 * took / 440), True)
