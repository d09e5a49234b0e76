"""Seeds that train as one job leave the records that they would leave alone."""

from __future__ import annotations

import numpy as np
import pytest
from pretended import OnAnyDevice, RunOn, pretended, together
from tiny_benchmark import Careful, Prior, ToyData, Unstorable, fit_each, fit_nothing, method, registry

from benchmark.run.side_by_side import run_trials_together
from benchmark.run.trial import run_trial


class CarefulOnDevice(OnAnyDevice, Careful):
    """Both."""


class PriorOnDevice(OnAnyDevice, Prior):
    """Both."""


class UnstorableOnDevice(OnAnyDevice, Unstorable):
    """Both."""


def on_a_device(folder, *toys, seeds="3"):
    return RunOn(folder, registry(*toys), pretended(folder, 1), seeds)


def test_trials_side_by_side_are_those_of_each_seed_alone():
    data, seeds = ToyData().load(None), (0, 1, 2)
    methods = [Careful(random_state=seed) for seed in seeds]
    trials = run_trials_together(methods, fit_each, data, seeds, max_train_rows=20)
    for seed, trial in zip(seeds, trials, strict=True):
        alone = run_trial(Careful(random_state=seed), data, seed, max_train_rows=20)
        assert set(trial.arrays) == set(alone.arrays) >= {"holdout_scores", "holdout_labels"}
        for name, array in alone.arrays.items():
            np.testing.assert_array_equal(trial.arrays[name], array)
        assert set(trial.seconds) == set(alone.seconds)


def test_records_of_a_group_are_those_of_single_jobs(tmp_path):
    toys = together(estimator=CarefulOnDevice), method("Alone")
    one, group = RunOn(tmp_path / "one", registry(*toys), seeds="3"), on_a_device(tmp_path / "group", *toys)
    assert one().counts == group().counts == {"done": 6}
    single, grouped = one.records(), group.records()
    assert set(single) == set(grouped)
    for key, record in single.items():
        for name in ("score_digest", "config_hash", "status"):
            assert getattr(grouped[key], name) == getattr(record, name)
        assert set(grouped[key].seconds) == set(record.seconds)
    assert grouped["Together", 0].environment["side_by_side"] == 3
    assert "side_by_side" not in grouped["Alone", 0].environment
    assert group().counts == {}


def test_a_seed_in_trouble_leaves_its_traceback_and_the_others_their_scores(tmp_path):
    run = on_a_device(tmp_path, together(estimator=PriorOnDevice, trouble="raise", troubled_seeds=(1,)))
    run()
    found = run.records()
    assert [found["Together", seed].status for seed in range(3)] == ["done", "failed", "done"]
    assert "ValueError: this seed is in trouble" in found["Together", 1].error


def test_arrays_that_no_file_can_hold_fail_their_own_job_alone(tmp_path):
    run = on_a_device(tmp_path, together(estimator=UnstorableOnDevice), seeds="2")
    run()
    found = run.records()
    assert [found["Together", seed].status for seed in range(2)] == ["failed", "done"]
    assert "allow_pickle" in found["Together", 0].error
    assert not list(tmp_path.glob("runs/toy/Together/0-*/scores.npz"))


@pytest.mark.parametrize(("fit", "message"), [(fit_nothing, "2 of 2 cannot be fitted"), (None, "")])
def test_a_group_that_cannot_be_fitted_fails_all_its_jobs(tmp_path, fit, message):
    run = on_a_device(tmp_path, together(estimator=PriorOnDevice, fit=fit), seeds="2")
    run()
    found = run.records().values()
    if fit is None:  # no way to train together: one by one
        assert {record.status for record in found} == {"done"}
        return
    assert {record.status for record in found} == {"failed"}
    assert all(message in record.error for record in found)


def test_a_group_that_dies_leaves_a_record_of_each_job(tmp_path):
    run = on_a_device(
        tmp_path, together(estimator=PriorOnDevice, trouble="kill", troubled_seeds=(1,)), seeds="2"
    )
    run()
    assert {record.status for record in run.records().values()} == {"killed"}
    assert all("SIGKILL" in record.error for record in run.records().values())
