"""Seeds that train as one job leave the records that they would leave alone."""

from __future__ import annotations

import dataclasses
import json

import numpy as np
import pytest
from expected_times import known_machine
from tiny_benchmark import Careful, Prior, ToyData, Unstorable, fit_each, fit_nothing, method, registry

from benchmark.cli import main
from benchmark.run.bench import Bench
from benchmark.run.config import ConfigError, Running
from benchmark.run.plan import expected_total, make_plan, side_by_side
from benchmark.run.side_by_side import run_trials_together
from benchmark.run.trial import run_trial

pytestmark = pytest.mark.usefixtures("warm_fork_server")


def together(name="Together", estimator=Careful, fit=fit_each, **options):
    return dataclasses.replace(method(name, estimator, **options), fit_together=fit)


def run(folder, toys, *flags):
    folder.mkdir(exist_ok=True)
    places = ["--results", str(folder), "--data", str(folder), "--jobs", "1", "--device", "cpu"]
    return main(["run", "--profile", "tiny", *places, *flags], toys)


def records(folder):
    found = {}
    for path in sorted(folder.glob("runs/toy/*/*/record.json")):
        record = json.loads(path.read_text(encoding="utf-8"))
        found[record["method"], record["seed"]] = record
    return found


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


def test_records_of_a_batch_are_those_of_single_jobs(tmp_path, capsys):
    toys = registry(together(), method("Alone"))
    assert run(tmp_path / "one", toys, "--seeds", "3") == 0
    capsys.readouterr()
    assert run(tmp_path / "batch", toys, "--seeds", "3", "--batch-seeds") == 0
    assert "toy: 6/6 jobs, 2/2 methods, 3/3 seeds done" in capsys.readouterr().out
    single, batched = records(tmp_path / "one"), records(tmp_path / "batch")
    assert set(single) == set(batched)
    for key, record in single.items():
        for name in ("score_digest", "config_hash", "status"):
            assert batched[key][name] == record[name]
        assert set(batched[key]["seconds"]) == set(record["seconds"])
    assert batched["Together", 0]["environment"]["side_by_side"] == 3
    assert "side_by_side" not in batched["Alone", 0]["environment"]
    assert run(tmp_path / "batch", toys, "--seeds", "3") == 0
    assert "0 to run" in capsys.readouterr().out


def test_a_seed_in_trouble_leaves_its_traceback_and_the_others_their_scores(tmp_path):
    toys = registry(together(estimator=Prior, trouble="raise", troubled_seeds=(1,)))
    assert run(tmp_path, toys, "--seeds", "3", "--batch-seeds") == 1
    found = records(tmp_path)
    assert [found["Together", seed]["status"] for seed in range(3)] == ["done", "failed", "done"]
    assert "ValueError: this seed is in trouble" in found["Together", 1]["error"]


def test_arrays_that_no_file_can_hold_fail_their_own_job_alone(tmp_path):
    assert run(tmp_path, registry(together(estimator=Unstorable)), "--seeds", "2", "--batch-seeds") == 1
    found = records(tmp_path)
    assert [found["Together", seed]["status"] for seed in range(2)] == ["failed", "done"]
    assert "allow_pickle" in found["Together", 0]["error"]
    assert not list(tmp_path.glob("runs/toy/Together/0-*/scores.npz"))


@pytest.mark.parametrize(("fit", "message"), [(fit_nothing, "2 of 2 cannot be fitted"), (None, "")])
def test_a_batch_that_cannot_be_fitted_fails_all_its_jobs(tmp_path, fit, message):
    toys = registry(together(fit=fit))
    code = run(tmp_path, toys, "--seeds", "2", "--batch-seeds")
    found = records(tmp_path)
    if fit is None:  # no way to train side by side: one by one
        assert (code, {record["status"] for record in found.values()}) == (0, {"done"})
        return
    assert code == 1
    assert all(message in record["error"] for record in found.values())


def test_a_batch_that_dies_leaves_a_record_of_each_job(tmp_path):
    toys = registry(together(estimator=Prior, trouble="kill", troubled_seeds=(1,)))
    assert run(tmp_path, toys, "--seeds", "2", "--batch-seeds") == 1
    assert {record["status"] for record in records(tmp_path).values()} == {"killed"}
    assert all("SIGKILL" in record["error"] for record in records(tmp_path).values())


def test_only_seeds_of_one_setup_whose_method_can_are_joined(tmp_path):
    toys = registry(together("A"), method("B"), together("C"))
    planned = make_plan(Bench.of(toys, seeds="5", data_dir=tmp_path, results_dir=tmp_path)).to_run()
    batches = side_by_side(planned, 2)
    sizes = {name: [len(b) for b in batches if b[0].job.method == name] for name in "ABC"}
    assert sizes == {"A": [2, 2, 1], "B": [1] * 5, "C": [2, 2, 1]}
    assert all(len({(j.job.dataset, j.job.method) for j in batch}) == 1 for batch in batches)
    assert sorted(j.job.seed for batch in batches for j in batch if j.job.method == "A") == list(range(5))


def test_a_batch_is_expected_to_keep_one_worker_busy_for_all_its_seeds(tmp_path):
    bench = Bench.of(registry(together("A")), seeds="4", data_dir=tmp_path, results_dir=tmp_path)
    planned = make_plan(bench, machine=known_machine(tmp_path, {"A": 100.0})).to_run()
    totals = [expected_total(planned, 2, batch_seeds)[0].seconds for batch_seeds in (1, 3, 4)]
    assert totals == [200.0, 300.0, 400.0]


def test_a_time_budget_and_batches_of_seeds_exclude_each_other(tmp_path, capsys):
    assert run(tmp_path, registry(), "--batch-seeds", "--time-budget", "1h") == 2
    assert "give one of the two" in capsys.readouterr().err


def test_no_seed_at_a_time_is_refused(tmp_path, capsys):
    with pytest.raises(ConfigError, match="--batch-seeds 0"):
        Running.of(batch_seeds=0)
    assert run(tmp_path, registry(), "--batch-seeds", "x") == 2
    assert "--batch-seeds" in capsys.readouterr().err
