"""Runs on dask workers in folders of their own: same bits, what travels, deaths, refusals, ends of runs."""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import subprocess
import sys
import threading
import time
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import replace
from pathlib import Path

import psutil
import pytest
from pretended import notes, pretended, together
from test_runner import Toys
from tiny_benchmark import Careful, Deadly, ToyData, fit_each, method, registry

from benchmark.contracts import Provenance
from benchmark.registry import discover
from benchmark.run import remote, remote_data
from benchmark.run.backends import BackendError, Call, connected, count_workers, workers_of
from benchmark.run.cluster import Cluster, _unfit, _WorkerLostError, outside_sources
from benchmark.run.devices import DevicePool
from benchmark.run.fingerprint import FingerprintError, code_digest
from benchmark.run.remote import Introduction
from benchmark.run.remote_data import Data, SentDataset, packed
from benchmark.run.task import make_task

pytest.importorskip("distributed")
ROOT = Path(__file__).resolve().parents[2]
PATIENCE = 60.0


class Machines:
    """A scheduler, and workers that know of this project no more than a copy of its packages."""

    def __init__(self, folder, stack, n_workers):
        self.folder, self.stack, self.copy = folder, stack, folder / "copy"
        for package in ("benchmark", "baselines", "m3la", "datasets"):
            shutil.copytree(ROOT / package, self.copy / package)
        self.environment = {
            **os.environ,
            "PYTHONPATH": str(self.copy),
            "M3LA_CACHE": str(folder / "cache"),
            "DASK_DISTRIBUTED__WORKER__DAEMON": "False",
        }
        where = folder / "scheduler.json"
        self.scheduler = self.start(
            "scheduler", "--host", "127.0.0.1", "--port", "0", "--scheduler-file", where
        )
        wait_for(where.exists)
        while not (text := where.read_text()).rstrip().endswith("}"):
            time.sleep(0.05)
        self.address = text.partition('"address": "')[2].partition('"')[0]
        with_nanny = ("--nthreads", "1", "--nworkers", n_workers, "--local-directory", folder / "scratch")
        self.workers = self.start("worker", self.address, *with_nanny)
        with connected(self.address, 1) as client:
            client.wait_for_workers(n_workers, timeout=PATIENCE)

    def start(self, kind, *arguments):
        command = [sys.executable, "-m", f"distributed.cli.dask_{kind}", "--no-dashboard"]
        with (self.folder / f"{kind}.log").open("w") as log:
            program = subprocess.Popen(
                [*command, *map(str, arguments)], cwd=self.copy, env=self.environment, stdout=log, stderr=log
            )
        self.stack.callback(end, program)
        return program

    def sent(self):
        return sorted(path.parts[-3] for path in self.folder.glob("scratch/*/*/m3la-data/*.npz"))


def end(program):
    """Kill a program and all below it."""
    try:
        family = [*psutil.Process(program.pid).children(recursive=True), psutil.Process(program.pid)]
    except psutil.NoSuchProcess:
        family = []
    for process in family:
        with suppress(psutil.NoSuchProcess):
            process.kill()
    psutil.wait_procs(family, timeout=10)
    program.wait(timeout=10)


def wait_for(condition):
    limit = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < limit
        time.sleep(0.05)


@contextmanager
def machines_in(folder, n_workers):
    with ExitStack() as stack:
        yield Machines(folder, stack, n_workers)


@pytest.fixture(scope="module")
def machines(tmp_path_factory):
    with machines_in(tmp_path_factory.mktemp("machines"), 2) as started:
        yield started


@pytest.fixture
def bench(tmp_path):
    return Toys(tmp_path)


def digests(toys):
    return {
        record.job: record.score_digest for record in toys.store.scan().records if record.status == "done"
    }


def on(machines):
    return {"backend": "dask", "scheduler": machines.address}


def test_workers_without_the_users_disk_give_the_bits_and_records_of_this_machine(bench, machines):
    toys = registry(
        method("Prior"),
        method("Careful", Careful),
        method("Bad", trouble="raise"),
        method("Dead", trouble="kill"),
    )
    here = Toys(bench.folder / "here")
    ends = {"done": 6, "failed": 1, "killed": 1}
    assert here.run(toys).counts == bench.run(toys, **on(machines)).counts == ends
    assert digests(bench) == digests(here)
    for one, other in zip(here.inventory(toys).records(), bench.inventory(toys).records(), strict=True):
        same = dict.fromkeys(("seconds", "processor_seconds", "peak_mib", "error"))
        assert replace(one, **same) == replace(other, **same)
        assert ("SIGKILL" in other.error, "in trouble" in other.error) == (
            "SIGKILL" in one.error,
            "in trouble" in one.error,
        )
        assert str(bench.folder) not in repr(other)
        if one.status == "done":
            assert {*here.store.arrays(one)} == {*bench.store.arrays(other)}
    sent = machines.sent()  # the toys' code and data are in no copy
    assert sent
    assert len(set(sent)) == len(sent)
    bench.run(registry(method("Prior", blur=0.2)), **on(machines))
    assert machines.sent() == sent
    assert not list(machines.folder.glob("scratch/*/*/tmp*"))


def test_other_data_with_the_same_method_travel_again(bench, machines):
    before = machines.sent()
    toys = registry(datasets=(ToyData(version=7, split_id="rows"),))
    here = Toys(bench.folder / "here")
    here.run(toys)
    bench.run(toys, **on(machines))
    assert digests(bench) == digests(here)
    assert len(machines.sent()) > len(before)


def test_seeds_side_by_side_return_a_record_each(bench, machines):
    spec = replace(method(), fit_together=fit_each)
    slots = bench.inventory(registry(spec), seeds=(0, 1, 2)).slots
    tasks = tuple(make_task(slot, bench.bench(registry(spec))) for slot in slots)
    with connected(machines.address, 1) as client:
        (results,) = Cluster(client, "cpu", ()).run([Call(tasks)])
    assert [result.status for result in results] == ["done"] * 3
    assert len(digests(bench)) == 3


def test_a_worker_that_dies_costs_its_job_one_retry_and_two_make_it_fail(bench, machines):
    unlucky = method("Unlucky", Deadly, note=str(bench.folder / "once"))
    deadly = method("Deadly", Deadly, note=str(bench.folder / "twice"), times=2)
    toys = registry(unlucky, deadly, method("Good"))
    assert bench.run(toys, seeds=(0,), **on(machines)).counts == {"done": 2, "killed": 1}
    (failed,) = (record for record in bench.store.scan().records if record.status == "killed")
    assert failed.method == "Deadly"
    assert failed.error.startswith("two dask workers died while the job ran: tcp://")
    assert [len((bench.folder / name).read_text()) for name in ("once", "twice")] == [2, 2]


def test_a_line_that_closes_counts_as_a_lost_worker_and_an_error_as_itself(machines):
    from distributed.comm import CommClosedError

    def give(error):  # not a function of this module, which no worker has
        raise error

    with connected(machines.address, 1) as client:
        cluster, (worker, *_) = Cluster(client, "cpu", ()), workers_of(client)
        cluster.alive = workers_of(client)
        with pytest.raises(_WorkerLostError):
            cluster._ask(worker, give, CommClosedError())
        with pytest.raises(TimeoutError, match="of the function"):
            cluster._ask(worker, give, TimeoutError("of the function"))


def test_a_worker_that_is_being_met_is_waited_for_and_none_is_not(monkeypatch):
    monkeypatch.setattr("benchmark.run.cluster.PATIENCE_SECONDS", 0.2)
    monkeypatch.setattr("benchmark.run.cluster.POLL_SECONDS", 0.1)
    cluster, looks = Cluster(None, "cpu", ()), iter(range(6))

    def look(_):
        cluster.alive = {"far": {}}
        cluster.fit |= {"far"} if next(looks, None) is None else set()

    monkeypatch.setattr(cluster, "_look", look)
    assert cluster._free(set(), None) == ["far"]
    monkeypatch.setattr(cluster, "_look", lambda _: None)
    cluster.alive = {}
    with pytest.raises(BackendError, match="no worker left"):
        cluster._free(set(), None)


def test_an_answer_may_take_longer_than_a_look_at_the_workers(bench, machines, monkeypatch):
    monkeypatch.setattr("benchmark.run.cluster.POLL_SECONDS", 1e-3)
    assert bench.run(registry(), **on(machines)).counts == {"done": 2}


def test_a_job_ends_with_its_run(bench, machines):
    toys = registry(method("Good"), method("Endless", trouble="hang"))
    tasks = [make_task(slot, bench.bench(toys)) for slot in bench.inventory(toys, seeds=(0,)).slots]
    with connected(machines.address, 1) as client:
        results = Cluster(client, "cpu", ()).run([Call((task,)) for task in tasks])
        assert [result.status for result in next(results)] == ["done"]
        assert jobs_of(machines)
        results.close()
        wait_for(lambda: not jobs_of(machines))
    assert len(digests(bench)) == 1


def jobs_of(machines):
    """Return the processes of jobs: children of fork servers, which are children of workers."""
    servers, jobs = [], []
    for process in psutil.Process(machines.workers.pid).children(recursive=True):
        with suppress(psutil.NoSuchProcess):  # also of one that has ended, but is not yet taken notice of
            if "forkserver" in " ".join(process.cmdline()):
                jobs += [process] if process.parent() in servers else []
                servers.append(process)
    return jobs


def test_workers_that_cannot_be_trusted_with_jobs_are_refused_before_any_runs(bench, machines, monkeypatch):
    source = machines.copy / "m3la" / "reference.py"
    text = source.read_text(encoding="utf-8")
    try:
        source.write_text(text + "\n", encoding="utf-8")
        with pytest.raises(BackendError, match=r"tcp://.*was edited after it had started; start it again"):
            bench.run(registry(), **on(machines))
    finally:
        source.write_text(text, encoding="utf-8")
    monkeypatch.setattr(remote, "LOADED", "0" * 64)
    with pytest.raises(BackendError, match=r"tcp://.*has other code .*here 000000000000.*git pull"):
        bench.run(registry(), **on(machines))
    assert bench.store.scan().records == ()


GOOD = Introduction(remote.LOADED, False, False, "")


@pytest.mark.parametrize(
    ("threads", "answer", "said"),
    [
        (1, GOOD, ""),
        (2, GOOD, "dask worker mine (tcp://far:1) runs 2 threads, and they .* start it with --nthreads 1"),
        (1, ModuleNotFoundError("benchmark"), "cannot import this project's code"),
        (1, replace(GOOD, childless=True), "DASK_DISTRIBUTED__WORKER__DAEMON=False"),
        (1, replace(GOOD, trouble="--device cuda: torch finds no GPU here"), "torch finds no GPU here"),
        (1, OSError("timed out"), "does not answer"),
    ],
)
def test_a_worker_is_refused_by_name_with_the_remedy(threads, answer, said):
    reason = _unfit("tcp://far:1", {"name": "mine", "nthreads": threads}, answer)
    pattern = ".*".join(re.escape(part) for part in said.split(" .* "))
    assert re.search(pattern, reason) if said else not reason


def test_a_scheduler_that_dies_leaves_what_is_done_and_the_run_says_how_to_go_on(bench, tmp_path):
    toys, raised = registry(method("Slow", seconds=0.3)), []
    (tmp_path / "machines").mkdir()
    with machines_in(tmp_path / "machines", 1) as doomed:

        def run():
            try:
                bench.run(toys, seeds=range(20), **on(doomed))
            except BackendError as error:
                raised.append(str(error))

        running = threading.Thread(target=run)
        running.start()
        wait_for(lambda: digests(bench))
        doomed.scheduler.kill()
        running.join(PATIENCE)
    assert raised
    assert "scheduler is gone; finished jobs are kept, and the same command goes on" in raised[0]
    done = digests(bench)
    assert 0 < len(done) < 20
    assert bench.store.scan().broken == ()
    assert bench.run(toys, seeds=range(20)).counts == {"done": 20 - len(done)}


def test_an_address_where_no_scheduler_answers_is_named(monkeypatch):
    monkeypatch.setattr("benchmark.run.backends.CONNECT_SECONDS", 1.0)
    with pytest.raises(
        BackendError, match=r"no dask scheduler answers at 'tcp://127.0.0.1:9'.*dask scheduler"
    ):
        count_workers("tcp://127.0.0.1:9")


def test_a_copy_of_the_project_makes_its_own_data_so_that_they_need_not_travel(tmp_path):
    own = discover((), ("datasets.ml2000",)).datasets["ml2000"].load(tmp_path)
    data = Data("ml2000", own.data_hash, own.rows_id, own.provenance)
    assert remote_data._makes(data)
    assert not remote_data._makes(replace(data, data_hash="0" * 64))
    assert not remote_data._makes(replace(data, rows_id="other"))


def test_arrays_that_travelled_are_the_same_and_an_altered_file_is_refused(tmp_path):
    toy = ToyData().load(tmp_path)
    path = tmp_path / "sent.npz"
    content = packed(toy)
    path.write_bytes(content)
    data = Data(toy.id, toy.data_hash, toy.rows_id, Provenance.REAL)
    sent = SentDataset(data, path, hashlib.sha256(content).hexdigest())
    back = sent.load(tmp_path)
    for one, other in zip((*toy.modalities, toy.labels), (*back.modalities, back.labels), strict=True):
        assert (one.dtype, one.tobytes()) == (other.dtype, other.tobytes())
    path.write_bytes(content[:-1] + b"x")
    with pytest.raises(ValueError, match="altered after it came; restart this worker"):
        sent.load(tmp_path)


def test_code_beside_the_project_travels_with_its_package_and_installed_code_does_not(tmp_path, monkeypatch):
    package = tmp_path / "outsider"
    (package / "inner").mkdir(parents=True)
    for name in ("__init__.py", "method.py", "inner/__init__.py", "notes.txt"):
        (package / name).write_text("")
    monkeypatch.syspath_prepend(tmp_path)
    assert {*outside_sources(["outsider.method", "m3la.estimator", "sklearn.svm", "json"])} == {
        "outsider/__init__.py",
        "outsider/method.py",
        "outsider/inner/__init__.py",
    }
    assert {*outside_sources(["tiny_benchmark"])} == {"tiny_benchmark.py"}


def test_code_that_a_run_sends_takes_the_place_of_what_an_earlier_one_sent(tmp_path, monkeypatch):
    monkeypatch.setattr(sys, "path", [*sys.path])
    sent = [{"outside/__init__.py": b"", "outside/made.py": b"class A:\n    b = %d\n" % k} for k in (1, 2)]
    digests = []
    for sources in ({}, sent[0], {}, sent[1], sent[0]):
        remote._use(sources, tmp_path)
        if sources:
            digests.append(code_digest(("outside.made", "A")))
        else:
            with pytest.raises(FingerprintError):
                code_digest(("outside.made", "A"))
    assert digests[0] == digests[2] != digests[1]
    assert sum(Path(place).parent == tmp_path for place in sys.path) == 1


def test_a_worker_keeps_one_warm_process_for_its_device_until_the_code_is_another(bench):
    spec = together(log=str(bench.folder / "log"))
    toys = bench.bench(registry(spec, method("OnCores")), seeds=(0, 1, 2))
    tasks = [make_task(slot, toys) for slot in toys.inventory().slots]
    on_device, on_cores = ([t for t in tasks if t.uses_device == used] for used in (True, False))
    pool = pretended(bench.folder, 1)
    try:
        assert remote._child_of("code", pool, on_cores[0]) is None
        assert remote._child_of("code", DevicePool(("cpu",), bench.folder), on_device[0]) is None
        lasting = remote._child_of("code", pool, on_device[0])
        for task in on_device[:2]:
            assert remote._child_of("code", pool, task) is lasting
            (result,) = remote._supervised((task,), pool, None, lasting)
            assert result.status == "done"
        ((pid, *_), (other, *_)) = notes(bench.folder / "log")["pretended:0"]
        assert pid == other
        assert remote._child_of("other code", pool, on_device[0]) is not lasting
        wait_for(lambda: not psutil.pid_exists(pid))
        last = remote._child_of("other code", pool, on_device[0])
        last.stop()
        assert remote._supervised((on_device[2],), pool, None, last) == ()
        assert remote._child_of("other code", pool, on_device[0]) is not last
    finally:
        for child in remote._lasting.values():
            child.end()
        remote._lasting.clear()
