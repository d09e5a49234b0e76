"""Runs of toy jobs end to end: records, failures, retries, resuming, several runs and workers at once."""

from __future__ import annotations

import dataclasses
import io
import json
import math
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import numpy as np
import psutil
import pytest
import tiny_benchmark
from rich.console import Console
from tiny_benchmark import Careful, Deadly, FirstFails, ToyData, method, quick_and_slow, registry

from benchmark.cli import main
from benchmark.contracts import Job, Provenance, Shape
from benchmark.registry import Selection
from benchmark.run.backends import BackendError, refuse_threads
from benchmark.run.bench import Bench
from benchmark.run.config import Limits, Profile, Running
from benchmark.run.describe import describe_status
from benchmark.run.devices import DevicePool
from benchmark.run.plan import make_plan
from benchmark.run.pool import run_plan
from benchmark.run.processes import parallel
from benchmark.run.progress import Progress
from benchmark.run.store import RecordStore
from benchmark.run.times import Machine


class Toys:
    """A results folder, and runs of toy methods in it."""

    def __init__(self, folder):
        self.folder = folder
        self.store = RecordStore(folder / "runs")
        self.printed = ""

    def bench(self, toys, seeds=(0, 1), profile=None, methods=None):
        return Bench(
            toys,
            profile or Profile("tiny", "for tests"),
            methods or Selection(tuple(toys.methods)),
            Selection(tuple(toys.datasets)),
            seeds,
            data_dir=self.folder,
            results_dir=self.folder,
        )

    def inventory(self, toys, **choice):
        return self.bench(toys, **choice).inventory()

    def plan(self, toys, *, retry_failed=False, **choice):
        return make_plan(self.bench(toys, **choice), retry_failed=retry_failed)

    def run(self, toys, *, jobs=1, backend="loky", scheduler=None, retry_failed=False, **choice):
        how = {
            name: choice.pop(name) for name in ("job_timeout", "job_memory", "fail_fast") if name in choice
        }
        running = Running(jobs, backend=backend, scheduler=scheduler, **how)
        plan = self.plan(toys, retry_failed=retry_failed, **choice)
        output = io.StringIO()
        progress = Progress(plan.to_run(), jobs, Console(file=output))
        devices = DevicePool(("cpu",), self.folder)
        summary = run_plan(plan, self.bench(toys, **choice), running, devices, progress)
        self.printed = output.getvalue()
        return summary

    def states(self, toys, **choice):
        return [slot.state for slot in self.inventory(toys, **choice).slots]


@pytest.fixture
def bench(tmp_path):
    return Toys(tmp_path)


def test_a_run_leaves_a_whole_record_of_each_job(bench):
    toys = registry(method("Careful", Careful, blur=0.5))
    summary = bench.run(toys)
    assert summary.counts == {"done": 2}
    record = bench.plan(toys).jobs[0].record
    arrays = bench.store.arrays(record)
    assert set(arrays) >= {"scores", "labels", "test_index"}
    assert arrays["scores"].dtype == np.float32
    assert arrays["scores"].shape == (4, 3)
    assert arrays["holdout_scores"].shape == arrays["holdout_labels"].shape == (4, 3)
    assert arrays["train_phi"].shape == (3, 3)
    data = ToyData().load(Path())
    train = np.setdiff1d(np.arange(40), arrays["test_index"])
    np.testing.assert_allclose(arrays["train_label_frequencies"], data.labels[train].mean(axis=0))
    np.testing.assert_array_equal(arrays["labels"], data.labels[arrays["test_index"]])
    assert set(record.seconds) == {"load", "fit", "predict"}
    assert record.peak_mib > 10
    assert 0 < record.processor_seconds < 60
    assert record.environment["torch_threads"] == 1


def test_a_record_says_whether_its_rule_looks_at_test_scores(bench):
    eq13 = dataclasses.replace(method("Calibrated"), threshold="eq13")
    bench.run(registry(method("Fixed"), eq13), seeds=(0,))
    said = {record.method: record.transductive for record in bench.store.scan().records}
    assert said == {"Fixed": False, "Calibrated": True}


def test_records_name_no_machine_and_no_folder(bench):
    bench.run(registry())
    text = next(bench.folder.glob("runs/*/*/*/record.json")).read_text()
    import getpass
    import platform

    environment = json.dumps(json.loads(text)["environment"])
    assert str(Path.home()) not in text
    assert platform.node() not in environment
    assert str(bench.folder) not in text
    assert getpass.getuser() not in environment


def test_a_second_run_has_nothing_to_do(bench):
    bench.run(registry())
    assert bench.states(registry()) == ["done", "done"]
    assert bench.run(registry()).counts == {}


def test_a_failing_job_keeps_its_traceback_and_stops_no_other(bench):
    toys = registry(method("Bad", trouble="raise"), method("Good"))
    summary = bench.run(toys)
    assert summary.counts == {"failed": 1, "done": 3}
    record = next(planned.record for planned in bench.plan(toys).jobs if planned.state == "failed")
    assert record.error.startswith("Traceback")
    assert "ValueError: this seed is in trouble" in record.error
    assert "Bad seed 0 FAILED" in bench.printed


@pytest.mark.parametrize(("trouble", "signal_name"), [("kill", "SIGKILL"), ("crash", "SIGSEGV")])
def test_a_job_that_dies_is_a_record_of_its_own_status_and_stops_no_other(bench, trouble, signal_name):
    toys = registry(method("Bad", trouble=trouble), method("Good"))
    assert bench.run(toys, seeds=(0,)).counts == {"killed": 1, "done": 1}
    assert signal_name in bench.plan(toys, seeds=(0,)).jobs[0].record.error


def test_a_job_that_hangs_is_timed_out(bench):
    toys = registry(method("Bad", trouble="hang"))
    profile = Profile("tiny", "", limits=Limits(time_limit_seconds=12))
    assert bench.run(toys, profile=profile).counts == {"timeout": 1, "done": 1}
    record = bench.plan(toys, profile=profile).jobs[0].record
    assert (record.status, record.error) == ("timeout", "killed after the time limit of 12 s")


def test_every_end_is_one_record_with_its_reason_and_the_rest_goes_on(bench):
    """A hang, a crash, a kill, memory, an exception, an exit, under limits that change no hash."""
    troubles = {
        **{"hang": "timeout", "crash": "killed", "kill": "killed", "swallow": "out-of-memory"},
        **{"raise": "failed", "exit": "failed"},
    }
    toys = registry(method("Good"), *(method(trouble, trouble=trouble) for trouble in troubles))
    limits = {"job_timeout": 30.0, "job_memory": 900 * 2**20}
    summary = bench.run(toys, seeds=(0, 1), jobs=2, **limits)
    assert summary.counts == {"done": 8, "timeout": 1, "killed": 2, "out-of-memory": 1, "failed": 2}
    found = {job.job.method: job.record for job in bench.plan(toys, seeds=(0,)).jobs}
    assert {name: record.status for name, record in found.items()} == {"Good": "done"} | troubles
    assert {name: record.attempts for name, record in found.items()} == dict.fromkeys(found, 1)
    assert found["hang"].error == "killed after the time limit of 30 s"
    assert "more than the limit of 900 MiB" in found["swallow"].error
    assert "SIGSEGV" in found["crash"].error
    assert "SIGKILL" in found["kill"].error
    assert "exit code 3" in found["exit"].error
    assert "this seed is in trouble" in found["raise"].error
    assert "swallow seed 0 OUT OF MEMORY" in bench.printed
    assert bench.states(toys, seeds=(0,)).count("failed") == 6


def test_the_shorter_time_limit_counts_of_profile_and_run(bench):
    toys = registry(method("Bad", trouble="hang"))
    profile = Profile("tiny", "", limits=Limits(time_limit_seconds=4))
    for seconds, told in ((2.0, "2 s"), (60.0, "4 s")):
        bench.run(toys, profile=profile, seeds=(0,), job_timeout=seconds)
        assert bench.plan(toys, profile=profile, seeds=(0,)).jobs[0].record.error.endswith(told)


@pytest.mark.parametrize("jobs", [1, 2])
def test_after_a_failure_no_job_starts_if_so_asked(bench, jobs):
    toys, seeds = registry(method("Bad", FirstFails, note=str(bench.folder / "note"))), range(8)
    summary = bench.run(toys, seeds=seeds, jobs=jobs, fail_fast=True)
    assert summary.counts["failed"] == 1
    assert sum(summary.counts.values()) <= 2 * jobs
    assert "missing" in bench.states(toys, seeds=seeds)
    assert sum(bench.run(toys, seeds=seeds, jobs=jobs).counts.values()) >= len(seeds) - 2 * jobs


def test_workers_that_are_killed_cost_their_jobs_another_start_and_no_more(bench):
    toys = registry(method("Deadly", Deadly, note=str(bench.folder / "note")), method("Good"), method("Best"))
    assert bench.run(toys, seeds=(0,), jobs=2).counts == {"done": 3}
    assert set(bench.states(toys, seeds=(0,))) == {"done"}


def test_a_job_that_kills_its_workers_is_a_record_and_the_rest_goes_on(bench):
    deadly = method("Deadly", Deadly, note=str(bench.folder / "note"), times=99)
    toys = registry(deadly, method("Good"), method("Best"))
    summary = bench.run(toys, seeds=(0,), jobs=2)
    assert summary.counts == {"killed": 1, "done": 2}
    found = [job.record for job in bench.plan(toys, seeds=(0,)).jobs if job.state == "failed"]
    assert [(record.method, record.status) for record in found] == [("Deadly", "killed")]
    assert {record.attempts for record in found} == {1}
    assert "two workers died while the job ran" in found[0].error
    assert "--job-memory" in found[0].error


def test_a_failed_job_is_retried_once_and_later_only_when_asked(bench):
    toys = registry(method("Bad", trouble="raise"))
    for attempts, counts in [(1, {"failed": 1}), (2, {"failed": 1}), (2, {})]:
        assert bench.run(toys, seeds=(0,)).counts == counts
        assert bench.plan(toys, seeds=(0,)).jobs[0].record.attempts == attempts
    assert bench.run(toys, seeds=(0,), retry_failed=True).counts == {"failed": 1}
    assert bench.plan(toys, seeds=(0,)).jobs[0].record.attempts == 3


def test_other_data_make_records_stale_and_jobs_run_again(bench):
    bench.run(registry())
    features = registry(datasets=(ToyData(version=1, kind=Provenance.REAL),))
    assert bench.states(features) == ["missing", "missing"]
    assert len(bench.inventory(features).stale) == 2
    bench.run(features)
    assert bench.states(features) == ["done", "done"]
    assert all(record.provenance is Provenance.REAL for record in bench.inventory(features).records())


def test_records_of_an_older_version_count_as_stale_and_are_not_replaced_silently(bench):
    bench.run(registry(), seeds=(0,))
    path = next(bench.folder.glob("runs/toy/Prior/*/record.json"))
    old = {**json.loads(path.read_text()), "schema_version": 1, "metrics": {}}
    path.write_text(json.dumps(old))
    inventory = bench.inventory(registry(), seeds=(0,))
    assert [record.job for record in inventory.stale] == [Job("toy", "Prior", 0)]
    assert (inventory.records(), inventory.broken) == ((), ())
    said = describe_status(inventory, (0,))
    assert "1 stale records (made by an older version of this program) are left out; run again" in said
    assert "other code" not in said
    bench.run(registry(), seeds=(0,))
    assert bench.states(registry(), seeds=(0,)) == ["done"]
    (kept,) = path.parent.parent.glob("*.outdated-1/record.json")
    assert json.loads(kept.read_text()) == old
    assert bench.inventory(registry(), seeds=(0,)).stale == ()


def test_other_options_and_biting_caps_rerun_and_caps_that_bite_nothing_do_not(bench):
    bench.run(registry())
    assert bench.states(registry(method(blur=0.2))) == ["missing", "missing"]
    for limits, state in [
        (Limits(epochs=2), "missing"),
        (Limits(epochs=5), "done"),
        (Limits(max_train_rows=36), "done"),
        (Limits(max_train_rows=35), "missing"),
        (Limits(max_test_rows=3), "missing"),
        (Limits(time_limit_seconds=9), "done"),
    ]:
        assert bench.states(registry(), profile=Profile("tiny", "", limits=limits)) == [state, state], limits


def test_caps_take_the_first_rows_of_the_split(bench):
    toys = registry()
    bench.run(toys)
    whole = bench.store.arrays(bench.plan(toys).jobs[0].record)
    profile = Profile("tiny", "", limits=Limits(max_test_rows=3))
    bench.run(toys, profile=profile)
    capped = bench.store.arrays(bench.plan(toys, profile=profile).jobs[0].record)
    np.testing.assert_array_equal(capped["test_index"], whole["test_index"][:3])
    np.testing.assert_array_equal(capped["scores"], whole["scores"][:3])


def test_two_runs_at_once_share_the_jobs_and_spoil_nothing(bench):
    toys = registry(method("Slow", seconds=0.3))
    seeds = (0, 1, 2, 3)
    other = Toys(bench.folder)
    summaries = []
    threads = [
        threading.Thread(target=lambda b=b: summaries.append(b.run(toys, seeds=seeds)))
        for b in (bench, other)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert {"failed", "timeout"}.isdisjoint({status for summary in summaries for status in summary.counts})
    assert bench.states(toys, seeds=seeds) == ["done"] * 4
    assert bench.store.scan().broken == ()


def test_real_data_come_first_then_seeds(bench):
    toys = registry(
        method("A"), method("B"), datasets=(ToyData("fake"), ToyData("own", kind=Provenance.REBUILT))
    )
    jobs = [planned.job for planned in bench.plan(toys).jobs]
    assert jobs == [
        Job(dataset, name, seed) for dataset in ("own", "fake") for seed in (0, 1) for name in ("A", "B")
    ]


def test_a_method_meant_for_one_data_set_runs_elsewhere_only_when_named(bench):
    limited = dataclasses.replace(method("Special"), datasets=("home",))
    toys = registry(limited, datasets=(ToyData("home"), ToyData("away")))

    def where(selection):
        return [planned.job.dataset for planned in bench.plan(toys, seeds=(0,), methods=selection).jobs]

    assert where(Selection(("Special",))) == ["home"]
    assert where(Selection(("Special",), frozenset({"Special"}))) == ["home", "away"]


def test_a_finished_job_tells_how_long_others_take(bench):
    bench.run(registry(), seeds=(0,))
    (record,) = bench.store.scan().records
    plan = make_plan(bench.bench(registry()), machine=Machine())
    assert {planned.expected.seconds for planned in plan.jobs} == {sum(record.seconds.values())}


def test_a_method_with_scores_outside_the_unit_interval_fails_with_a_clear_message(bench):
    toys = registry(method("Wrong", blur=-1.0))
    bench.run(toys, seeds=(0,))
    assert "predict_scores leaves [0, 1]" in bench.plan(toys, seeds=(0,)).jobs[0].record.error


def test_code_edited_during_a_run_is_noticed(bench, monkeypatch):
    toys = registry()
    plan = bench.plan(toys, seeds=(0,))
    monkeypatch.setattr("benchmark.run.worker.code_digest", lambda _: "another")
    progress = Progress(plan.to_run(), 1, Console(file=io.StringIO()))
    pool = DevicePool(("cpu",), bench.folder)
    summary = run_plan(plan, bench.bench(toys, seeds=(0,)), Running(), pool, progress)
    assert "edited after this run was planned" in summary.failures[0].error
    assert bench.states(toys, seeds=(0,)) == ["missing"]


def test_two_workers_are_stopped_by_ctrl_c_keep_what_is_done_and_the_next_run_goes_on(bench, capsys):
    """Six quick jobs end, and Ctrl-C comes after the first of six slow ones; one worker does the rest."""
    flags = ["--profile", "tiny", "--seeds", "6", "--results", str(bench.folder), "--data", str(bench.folder)]
    program = subprocess.Popen(
        [sys.executable, tiny_benchmark.__file__, *flags, "--jobs", "2"],
        cwd=Path(__file__).resolve().parents[2],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        # A shell starts what runs in the background with Ctrl-C ignored, and children inherit that.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )
    while not list(bench.folder.glob("runs/toy/Slow/*/record.json")):
        assert program.poll() is None
        time.sleep(0.02)
    started = psutil.Process(program.pid).children(recursive=True)
    program.send_signal(signal.SIGINT)
    rest = program.stdout.read()
    assert program.wait(timeout=30) == 130, rest
    assert "goes on from there" in rest
    _, alive = psutil.wait_procs(started, timeout=10)
    assert alive == []

    done = {path: path.stat().st_mtime_ns for path in bench.folder.glob("runs/toy/*/*/record.json")}
    assert 7 <= len(done) < 12
    by_two_workers = {record.job: record.score_digest for record in bench.store.scan().records}
    assert main([*flags, "--jobs", "1"], quick_and_slow()) == 0
    assert f"12 jobs, {len(done)} done, {12 - len(done)} to run" in capsys.readouterr().out
    assert {path: path.stat().st_mtime_ns for path in done} == done
    assert len(list(bench.folder.glob("runs/toy/*/*/record.json"))) == 12

    alone = Toys(bench.folder / "one worker")
    alone.run(registry(), seeds=range(6))
    by_one = {record.seed: record.score_digest for record in alone.store.scan().records}
    assert len(set(by_one.values())) == 6
    assert all(digest == by_one[job.seed] for job, digest in by_two_workers.items())


def test_a_single_threaded_worker_of_dask_runs_jobs(bench):
    pytest.importorskip("distributed")
    assert bench.run(registry(), seeds=(0,), backend="dask").counts == {"done": 1}
    assert bench.states(registry(), seeds=(0,)) == ["done"]


def test_backends_with_threads_are_refused():
    with pytest.raises(BackendError, match="threading"), parallel("threading", 2):
        pass
    with pytest.raises(BackendError, match=r"runs 4 threads.*--nthreads 1"):
        refuse_threads({"tcp://somewhere": {"nthreads": 4}})
    refuse_threads({"tcp://somewhere": {"nthreads": 1}})


def test_phi_coefficients_equal_hand_worked_ones():
    from benchmark.run.trial import phi_coefficients

    # Columns: 1100, 1010, 0000; the first two agree on rows 1 and 4 and differ on 2 and 3: phi 0.
    labels = np.array([[1, 1, 0], [1, 0, 0], [0, 1, 0], [0, 0, 0]], np.uint8)
    phi = phi_coefficients(labels)
    np.testing.assert_allclose(phi[:2, :2], np.eye(2), atol=1e-12)
    assert all(math.isnan(value) for value in phi[2])
    opposite = phi_coefficients(np.array([[1, 0], [0, 1], [1, 0]]))
    assert opposite[0, 1] == pytest.approx(-1)


def test_toy_shapes_are_what_tests_assume():
    assert ToyData().load(Path()).shape == Shape(40, 3, (4, 2))
