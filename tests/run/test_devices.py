"""Leases of pretended devices: never two jobs on one, and never one lost."""

from __future__ import annotations

import dataclasses
import errno
import multiprocessing
import os
import time
from itertools import pairwise

import pytest
import torch
from child_functions import use
from joblib import Parallel, delayed
from tiny_benchmark import OnDevice, ToyData, method, registry

from benchmark.registry import Selection
from benchmark.run.bench import Bench
from benchmark.run.config import Limits, Profile
from benchmark.run.devices import DeviceError, DevicePool, available_pool, parse_devices
from benchmark.run.plan import make_plan
from benchmark.run.task import make_task
from benchmark.run.worker import supervise

TWO = ("pretended:0", "pretended:1")


@pytest.fixture
def pool(tmp_path):
    return DevicePool(TWO, tmp_path / "locks")


def test_six_jobs_in_four_processes_never_share_one_of_two_devices(pool):
    uses = Parallel(n_jobs=4, backend="loky")(delayed(use)(pool, 0.15) for _ in range(6))
    assert {device for device, _, _ in uses} == set(TWO)
    assert_apart(uses)


def assert_apart(uses):
    for device in TWO:
        spans = sorted((started, ended) for used, started, ended in uses if used == device)
        assert all(ended <= started for (_, ended), (started, _) in pairwise(spans))


def test_an_exception_gives_the_lease_back(pool):
    with pytest.raises(RuntimeError, match="boom"), pool.lease(), pool.lease():
        raise RuntimeError("boom")
    with pool.lease(timeout=1) as first, pool.lease(timeout=1) as second:
        assert {first, second} == set(TWO)


def hold(pool, ready):
    with pool.lease(), pool.lease():
        ready.set()
        time.sleep(600)


def test_a_killed_holder_gives_its_leases_back(pool):
    context = multiprocessing.get_context("fork")
    ready = context.Event()
    holder = context.Process(target=hold, args=(pool, ready))
    holder.start()
    assert ready.wait(30)
    with (
        pytest.raises(TimeoutError, match=r"pretended:0, pretended:1 became free within 0\.3 s"),
        pool.lease(0.3),
    ):
        pass
    holder.kill()
    holder.join()
    with pool.lease(timeout=5) as device:
        assert device in TWO


@pytest.mark.parametrize("trouble", ["raise", "kill", "hang"])
def test_a_job_that_fails_dies_or_hangs_gives_its_lease_back(tmp_path, pool, trouble):
    toys = registry(method("OnDevice", Troubled, log=str(tmp_path / "log"), trouble=trouble))
    result = run_one(tmp_path, pool, toys, time_limit=1.0 if trouble == "hang" else None)
    assert result.status == {"raise": "failed", "kill": "killed", "hang": "timeout"}[trouble]
    with pool.lease(timeout=0.5), pool.lease(timeout=0.5):
        pass


class Troubled(OnDevice):
    def __init__(self, log="", device="cpu", trouble="", random_state=0):
        super().__init__(log=log, device=device, random_state=random_state)
        self.trouble = trouble

    def get_params(self, deep=True):  # noqa: ARG002 - the protocol
        return {name: getattr(self, name) for name in ("log", "device", "trouble", "random_state")}


def test_a_method_is_given_the_device_that_its_job_leased(tmp_path, pool):
    toys = registry(method("OnDevice", OnDevice, log=str(tmp_path / "log")))
    assert run_one(tmp_path, pool, toys).status == "done"
    assert (tmp_path / "log").read_text().split()[0] in TWO


def test_a_method_without_the_parameter_takes_no_lease(tmp_path, pool):
    with pool.lease(), pool.lease():
        assert run_one(tmp_path, pool, registry()).status == "done"


def run_one(tmp_path, pool, toys, time_limit=None):
    names = Selection(tuple(toys.methods))
    bench = Bench(toys, Profile("tiny", ""), names, Selection((ToyData().id,)), (0,), tmp_path, tmp_path)
    task = make_task(make_plan(bench).jobs[0], bench)
    task = dataclasses.replace(task, limits=Limits(time_limit_seconds=time_limit))
    (result,) = supervise((task,), pool)
    return result


@pytest.mark.parametrize(
    ("text", "cuda_count", "devices"),
    [
        ("auto", 0, ("cpu",)),
        ("auto", 2, ("cuda:0", "cuda:1")),
        ("CPU", 2, ("cpu",)),
        ("cuda", 2, ("cuda:0", "cuda:1")),
        ("cuda:1", 2, ("cuda:1",)),
        ("cuda:0,1", 2, ("cuda:0", "cuda:1")),
        ("cuda:1,1", 2, ("cuda:1",)),
    ],
)
def test_device_flags_are_understood(text, cuda_count, devices):
    assert parse_devices(text, cuda_count) == devices


@pytest.mark.parametrize(
    ("text", "cuda_count", "message"),
    [
        ("cuda", 0, "no GPU"),
        ("cuda:2", 2, "cuda:2 not here"),
        ("gpu", 1, "not understood"),
        ("cuda:", 1, "not under"),
    ],
)
def test_devices_that_are_not_there_are_refused(text, cuda_count, message):
    with pytest.raises(DeviceError, match=message):
        parse_devices(text, cuda_count)


def test_devices_that_cannot_be_locked_are_refused_before_any_job(tmp_path, monkeypatch):
    fcntl = pytest.importorskip("fcntl")

    def no_locks(*_):
        raise OSError(errno.ENOLCK, os.strerror(errno.ENOLCK))

    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    assert available_pool("cuda", tmp_path).devices == ("cuda:0", "cuda:1")
    monkeypatch.setattr(fcntl, "flock", no_locks)
    with pytest.raises(DeviceError, match=r"No locks available.*\$TMPDIR, or use --device cpu"):
        available_pool("cuda", tmp_path)
    assert available_pool("cpu", tmp_path).devices == ("cpu",)
