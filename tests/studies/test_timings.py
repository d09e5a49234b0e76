"""The table of timings: what is run whole, what is scaled, and that the study goes on from where it was."""

from __future__ import annotations

from dataclasses import replace

import pytest
from tiny_benchmark import Careful, Prior, ToyData, fit_each, method, registry

from benchmark.run.bench import Bench
from benchmark.run.devices import DevicePool
from benchmark.run.times import Timing, read_timings
from benchmark.studies import timings


@pytest.mark.parametrize(
    ("spec", "asked", "seconds"),
    [
        # 2 s at once and 3 s an epoch: 5 s for one epoch, 14 s for four, 302 s for a hundred.
        (method("Long", epochs=100), [1, 4], 302.0),
        (method("Short", epochs=20), [None], 7.0),
        (method("MayStopEarly", Careful, epochs=100), [None], 7.0),
    ],
    ids=lambda value: getattr(value, "id", ""),
)
def test_only_many_epochs_that_are_all_run_are_scaled_from_a_few(tmp_path, monkeypatch, spec, asked, seconds):
    seen = []

    def timed(_bench, _pair, epochs=None):
        seen.append(epochs)
        return 7.0 if epochs is None else 2.0 + 3.0 * epochs

    monkeypatch.setattr(timings, "timed", timed)
    bench = Bench.of(registry(spec), data_dir=tmp_path, results_dir=tmp_path)
    assert timings.measured(bench, ("toy", spec.id)) == seconds
    assert seen == asked


def test_a_job_is_timed_in_a_process_of_its_own_and_leaves_no_record(tmp_path):
    bench = Bench.of(registry(method("A")), data_dir=tmp_path, results_dir=tmp_path / "results")
    assert timings.timed(bench, ("toy", "A"), 1) > 0
    assert not bench.store.scan().records


def test_a_job_that_fails_is_not_timed(tmp_path):
    toys = registry(method("Bad", trouble="raise"))
    bench = Bench.of(toys, data_dir=tmp_path, results_dir=tmp_path / "results")
    with pytest.raises(RuntimeError, match="Bad on toy cannot be timed"):
        timings.timed(bench, ("toy", "Bad"))


def test_rows_are_added_one_by_one_in_their_places_and_read_again(tmp_path):
    rows = tuple(Timing("toy", name, "quick", "Some 1 2", "AVX2", 0.5, 1.25) for name in "AB")
    for row in rows[::-1]:
        timings.add_row(tmp_path / "timings.csv", row)
    assert read_timings(tmp_path / "timings.csv") == rows


class OnDevice(Prior):
    """Uses whatever device it is given, and takes no time for an epoch."""

    def __init__(self, epochs=5, trouble="", device="cpu", random_state=0):
        super().__init__(epochs=epochs, trouble=trouble, random_state=random_state)
        self.device = device

    def get_params(self, deep=True):  # noqa: ARG002 - the protocol
        return {name: getattr(self, name) for name in ("epochs", "trouble", "device", "random_state")}


def test_on_a_card_groups_are_timed_of_the_methods_that_use_it_in_one_process(tmp_path, monkeypatch, capsys):
    """Ten seeds of Together, one of Single, nothing of what runs on cores; what fails has no row."""
    pool = DevicePool(("pretended:0", "pretended:1"), tmp_path / "locks")
    monkeypatch.setattr(timings, "available_pool", lambda _: pool)
    monkeypatch.setattr(timings, "data_directory", lambda *_: tmp_path)
    ran, call = [], timings.Child.call

    def called(child, function, arguments, **limits):
        ran.append((child, function.__name__, len(arguments[0])))
        return call(child, function, arguments, **limits)

    monkeypatch.setattr(timings.Child, "call", called)
    toys = registry(
        replace(method("Together", OnDevice), fit_together=fit_each),
        method("Single", OnDevice),
        method("Bad", OnDevice, trouble="raise"),
        method("OnCores"),
        datasets=(ToyData(),),
    )
    path = tmp_path / "timings.csv"
    for _ in range(2):  # what it has it does not time again
        timings.main(["--device", "cuda", "--profiles", "tiny", "--out", str(path)], toys)
    assert "Bad on toy cannot be timed: " in capsys.readouterr().err
    assert [size for _, name, size in ran if name == "group_seconds"] == [10, 1, 1, 1]
    assert len({id(child) for child, *_ in ran}) == 2
    rows = read_timings(path)
    assert [(row.method, row.processor, row.cpu_capability, row.device) for row in rows] == [
        ("Single", "pretended", "", "pretended"),
        ("Together", "pretended", "", "pretended"),
    ]


@pytest.mark.parametrize(
    ("epochs", "asked", "seconds"),
    [(100, [5, 25], 302.0), (20, [None], 7.0)],
)
def test_many_epochs_on_a_card_are_scaled_from_more_of_them(tmp_path, monkeypatch, epochs, asked, seconds):
    seen = []

    def timed(_bench, _pair, epochs=None, _card=None):
        seen.append(epochs)
        return 7.0 if epochs is None else 2.0 + 3.0 * epochs

    monkeypatch.setattr(timings, "timed", timed)
    bench = Bench.of(registry(method("Long", epochs=epochs)), data_dir=tmp_path, results_dir=tmp_path)
    assert timings.measured(bench, ("toy", "Long"), timings.Card("cuda:0", None)) == seconds
    assert seen == asked
