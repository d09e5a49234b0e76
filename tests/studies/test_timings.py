"""The table of timings: what is run whole, what is scaled, and that the study goes on from where it was."""

from __future__ import annotations

import pytest
from tiny_benchmark import Careful, method, registry

from benchmark.run.bench import Bench
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


@pytest.mark.usefixtures("warm_fork_server")
def test_a_job_is_timed_in_a_process_of_its_own_and_leaves_no_record(tmp_path):
    bench = Bench.of(registry(method("A")), data_dir=tmp_path, results_dir=tmp_path / "results")
    assert timings.timed(bench, ("toy", "A"), 1) > 0
    assert not bench.store.scan().records


@pytest.mark.usefixtures("warm_fork_server")
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
