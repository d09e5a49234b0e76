"""Groups on pretended devices: a lasting process each, replaced when it dies, with the bits of fresh ones."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import threading
import time
from contextlib import suppress
from itertools import pairwise
from pathlib import Path

import pretended
import psutil
import pytest
from pretended import (
    Meddler,
    Meeting,
    MeetingOnCores,
    Noting,
    RunOn,
    fit_few,
    fit_none,
    fit_refused,
    fit_wide,
    notes,
    together,
)
from test_same_bits import METHODS, small
from tiny_benchmark import Prior, ToyData, method, registry

from benchmark.contracts import Shape, Streams
from benchmark.files import temporary_folder
from benchmark.registry import discover
from benchmark.run import on_devices
from benchmark.run.arrays_file import score_digest
from benchmark.run.backends import BackendError
from benchmark.run.devices import DevicePool
from benchmark.run.isolation import Child
from benchmark.run.scratch import FOLDER, SHARED
from benchmark.run.trial import run_trial

ROOT = Path(__file__).resolve().parents[2]


def apart(spans):
    """Whether none of some spans began before the one before it had ended."""
    return all(
        ended <= began for (*_, ended), (_, _, began, _) in pairwise(sorted(spans, key=lambda s: s[2]))
    )


def undisturbed(seeds):
    """Return the digests of the toys' scores for some seeds, one after another in this process."""
    found, data = {}, ToyData()
    for seed in seeds:
        trial = run_trial(Prior(random_state=Streams(data.id, seed)), data.load(None), seed)
        found[seed] = score_digest(trial.arrays["scores"])
    return found


def assert_undisturbed(run, seeds):
    expected = undisturbed(range(seeds))
    assert run.digests() == {(name, seed): expected[seed] for name, seed in run.digests()}


def test_seeds_of_a_method_are_one_job_on_a_device_in_a_process_that_stays(tmp_path):
    log = str(tmp_path / "log")
    toys = registry(together("A", log=log), together("B", log=log), method("C", Noting, log=log))
    run = RunOn(tmp_path, toys, pretended.pretended(tmp_path, 1), seeds="12")
    assert run().counts == {"done": 36}
    (spans,) = notes(log).values()
    assert len({pid for pid, *_ in spans}) == 1
    assert apart(spans)
    found = {key: record.environment.get("side_by_side") for key, record in run.records().items()}
    assert [found["A", seed] for seed in range(12)] == [10] * 10 + [2] * 2
    assert {found["C", seed] for seed in range(12)} == {None}
    assert {record.environment["accelerator"] for record in run.records().values()} == {"pretended"}
    assert_undisturbed(run, 12)


def test_methods_that_use_no_device_run_on_the_cores_meanwhile(tmp_path):
    """Each of the two waits until the other is at work."""
    log = str(tmp_path / "log")
    meeting = [str(tmp_path / name) for name in ("device", "cores")]
    toys = registry(
        together("A", estimator=Meeting, log=log, meeting=meeting),
        method("P", MeetingOnCores, log=log, meeting=meeting[::-1]),
    )
    run = RunOn(tmp_path, toys, pretended.pretended(tmp_path, 1), seeds="3")
    assert run(jobs=2).counts == {"done": 6}
    found = notes(log)
    assert len({pid for pid, *_ in found["pretended:0"]}) == 1
    assert len({pid for pid, *_ in found["cores"]}) == 3


def test_a_process_is_warm_before_it_waits_for_its_device(tmp_path, monkeypatch):
    toys = registry(together(log=str(tmp_path / "log")))
    pool, seen = pretended.pretended(tmp_path, 1), []
    run = RunOn(tmp_path, toys, pool)
    warm, supervise = Child.call, on_devices.supervise

    def called(child, function, arguments, **limits):
        seen.append(function.__name__)
        return warm(child, function, arguments, **limits)

    def supervised(*given):
        seen.append("lease")
        return supervise(*given)

    monkeypatch.setattr(Child, "call", called)
    monkeypatch.setattr(on_devices, "supervise", supervised)
    run()
    assert seen == ["warm_up", "lease", "run_in_turn"]


def test_a_run_that_waits_for_a_device_can_be_interrupted(tmp_path):
    pool = pretended.pretended(tmp_path, 1)
    run = RunOn(tmp_path, registry(together(log=str(tmp_path / "log"))), pool)

    def interrupt():
        time.sleep(1.0)
        signal.pthread_kill(threading.main_thread().ident, signal.SIGINT)

    # A shell starts its background processes, which tests may be, with Ctrl-C ignored.
    former = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        threading.Thread(target=interrupt).start()
        with pool.lease():
            summary = run()
    finally:
        signal.signal(signal.SIGINT, former)
    assert (summary.interrupted, summary.counts, run.records()) == (True, {}, {})


@pytest.mark.parametrize("trouble", ["kill", "exit", "hang"])
def test_a_process_that_dies_or_passes_a_limit_costs_its_group_one_retry_and_is_replaced(tmp_path, trouble):
    log = str(tmp_path / "log")
    toys = registry(together("Bad", log=log, trouble=trouble, troubled_seeds=(1,)), together("Good", log=log))
    run = RunOn(tmp_path, toys, pretended.pretended(tmp_path, 1), seeds="3")
    status = {"kill": "killed", "exit": "failed", "hang": "timeout"}[trouble]
    assert run(job_timeout=15.0 if trouble == "hang" else None).counts == {status: 3, "done": 3}
    found = run.records()
    assert {found["Bad", seed].attempts for seed in range(3)} == {2}
    attempts = [pid for pid, seed, *_ in notes(log)["pretended:0"] if seed == 0]
    assert (
        len(attempts) == len(set(attempts)) == 3
    )  # twice of Bad, once of Good, each in a process of its own
    assert run().counts == {}


def test_an_exception_ends_no_process_and_is_not_retried_at_once(tmp_path):
    log = str(tmp_path / "log")
    toys = registry(together("Bad", log=log, trouble="raise"), together("Good", log=log))
    run = RunOn(tmp_path, toys, pretended.pretended(tmp_path, 1), seeds="3")
    assert run().counts == {"failed": 1, "done": 5}
    assert run.records()["Bad", 0].attempts == 1
    assert len({pid for pid, *_ in notes(log)["pretended:0"]}) == 1


def test_eight_devices_of_which_one_is_killed_again_and_again_leave_the_results_of_an_undisturbed_run(
    tmp_path,
):
    """Every record is written once, no two processes are ever at the same seed, and every device is used."""
    log = str(tmp_path / "log")
    toys = registry(*(together(f"M{k}", log=log, seconds=0.15) for k in range(4)))
    run = RunOn(tmp_path, toys, pretended.pretended(tmp_path, 8), seeds="60")
    over, done, killed = threading.Event(), {}, []

    def disturb():
        generator = random.Random(0)
        while not over.wait(0.7):
            for path in tmp_path.glob("runs/toy/*/[!.]*/record.json"):
                with suppress(FileNotFoundError):  # it is being replaced by that of the retry
                    if '"status": "done"' in path.read_text():
                        done.setdefault(path, path.stat().st_mtime_ns)
            if (lasting := children()) and len(killed) < 12:
                killed.append(generator.choice(lasting))
                killed[-1].kill()

    killer = threading.Thread(target=disturb)
    killer.start()
    try:
        summary = run()
    finally:
        over.set()
        killer.join()
    for _ in range(3):  # what was hit twice
        if set(summary.counts) != {"done"}:
            summary = run(retry_failed=True)
    assert len(killed) > 3
    assert {record.status for record in run.records().values()} == {"done"}
    assert {path: path.stat().st_mtime_ns for path in done} == done
    found = notes(log)
    assert len(found) == 8
    assert all(apart(spans) for spans in found.values())
    assert_undisturbed(run, 60)
    assert len(run.digests()) == 240


def children():
    """Return the lasting processes: children of this process's fork server."""
    found = []
    for server in psutil.Process().children():
        if "forkserver" in " ".join(server.cmdline()):
            found += server.children()
    return found


@pytest.mark.parametrize(
    ("fit", "sizes", "widths"),
    [(fit_few, [3, 3, 3, 3, 3, 3, 2, 2, 2, 2], [3, 3, 3, 2, 2] * 2), (fit_wide, [5] * 10, [5] * 10)],
)
def test_a_group_that_does_not_fit_is_split_and_its_records_say_so(tmp_path, fit, sizes, widths):
    log = str(tmp_path / "log")
    toys = registry(together(fit=fit, log=log))
    run = RunOn(tmp_path, toys, pretended.pretended(tmp_path, 1))
    assert run().counts == {"done": 10}
    found = [run.records()["Together", seed].environment for seed in range(10)]
    assert sorted((one["side_by_side"] for one in found), reverse=True) == sizes
    assert {one["did_not_fit"] for one in found} == {10}
    assert sorted(one["width"] for one in found) == sorted(max(3, w) if fit is fit_few else w for w in widths)
    assert_undisturbed(run, 10)


def test_seeds_that_cannot_train_together_are_trained_one_after_another(tmp_path):
    run = RunOn(
        tmp_path,
        registry(together(fit=fit_refused, log=str(tmp_path / "log"))),
        pretended.pretended(tmp_path, 1),
    )
    assert run().counts == {"done": 10}
    assert not any("side_by_side" in record.environment for record in run.records().values())
    assert_undisturbed(run, 10)


def test_a_seed_that_does_not_fit_alone_is_out_of_memory(tmp_path):
    toys = registry(together(fit=fit_none, log=str(tmp_path / "log")))
    run = RunOn(tmp_path, toys, pretended.pretended(tmp_path, 1), seeds="3")
    assert run().counts == {"out-of-memory": 3}
    assert "CUDA out of memory" in run.records()["Together", 2].error


def test_a_lone_seed_that_does_not_fit_in_a_group_of_its_own_trains_in_a_narrower_one(tmp_path):
    toys = registry(together(fit=fit_wide, log=str(tmp_path / "log")))
    run = RunOn(tmp_path, toys, pretended.pretended(tmp_path, 1), seeds="1")
    assert run().counts == {"done": 1}
    environment = run.records()["Together", 0].environment
    assert (environment["did_not_fit"], environment["width"]) == (1, 5)
    assert_undisturbed(run, 1)


def test_a_lasting_process_gives_the_bits_of_a_fresh_one_for_each_job(tmp_path, monkeypatch):
    """Each real method, and one that scores with what its process holds and leaves it otherwise."""
    found = discover(dataset_sources=()).methods
    data = (ToyData(expected=Shape(80, 3, (4, 2))), ToyData("other", expected=Shape(70, 4, (3, 5))))
    names = [name for name in METHODS if name != "CS3G"]  # which has another form on a device
    toys = registry(*(small(found[name]) for name in names), method("Meddler", Meddler), datasets=data)
    supervise, given = on_devices.supervise, []
    monkeypatch.setattr(on_devices, "supervise", lambda *how: given.append(how[3]) or supervise(*how))
    lasting = RunOn(tmp_path, toys, DevicePool(("cpu:0",), tmp_path / "locks"), seeds="1")
    fresh = RunOn(tmp_path / "fresh", toys, seeds="1")
    assert lasting().counts == fresh().counts == {"done": 2 * (len(names) + 1)}
    assert bits(lasting) == bits(fresh)
    used = {r.method for r in lasting.records().values() if r.environment["device"] == "cpu:0"}
    assert used == {"M3LA", "DMP", "MCC", "Meddler"}
    assert (len(given), len(set(given))) == (2 * len(used), 1)


def bits(run):
    return {
        record.job: {name: array.tobytes() for name, array in run.bench.store.arrays(record).items()}
        for record in run.bench.store.scan().records
    }


def test_the_memory_of_a_job_is_its_own_though_its_process_stays():
    """The first job holds 300 MiB more than the second."""
    if not Path("/proc/self/clear_refs").exists():
        pytest.skip("the system cannot count anew")
    with Child(("pretended",)) as child:
        before = child.call(pretended.peak_after, (0,)).value
        large = child.call(pretended.peak_after, (300,)).value
        after = child.call(pretended.peak_after, (0,)).value
    assert large > before + 250
    assert after < large - 200


def test_a_device_that_cannot_be_used_ends_the_run_and_fails_no_job(tmp_path, capsys):
    toys = registry(*(together(name, log=str(tmp_path / "log")) for name in "AB"))
    run = RunOn(tmp_path, toys, DevicePool(("cuda:0", "cuda:1"), tmp_path / "locks"))
    with pytest.raises(BackendError, match="no device can be used any more"):
        run()
    assert "cuda:1 cannot be used: " in capsys.readouterr().err
    assert run.records() == {}


def test_sigterm_leaves_no_process_no_semaphore_and_no_folder(tmp_path):
    program = subprocess.Popen(
        [sys.executable, pretended.__file__, str(tmp_path)],
        cwd=ROOT,
        env={
            **os.environ,
            "PYTHONPATH": os.pathsep.join(map(str, (ROOT, ROOT / "tests", ROOT / "tests/run"))),
        },
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    deadline = time.monotonic() + 300
    while len(list(tmp_path.glob("runs/toy/*/*/record.json"))) < 12:
        assert program.poll() is None, program.stdout.read()
        assert time.monotonic() < deadline
        time.sleep(0.05)
    started = psutil.Process(program.pid).children(recursive=True)
    program.terminate()
    said = program.communicate(timeout=120)[0]
    assert program.returncode == 130, said
    assert "goes on from there" in said
    assert "leaked" not in said
    assert psutil.wait_procs(started, timeout=60)[1] == []
    pids = {program.pid, *(process.pid for process in started)}
    assert not [p for p in temporary_folder(FOLDER).glob("*") if int(p.name.rpartition("-")[2]) in pids]
    assert not [p for p in SHARED.glob("*") if any(f"-{pid}-" in p.name for pid in pids)]
    assert not [p for p in (tmp_path / "runs").rglob(".*") if p.name not in (".locks",)]
