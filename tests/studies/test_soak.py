"""A short soak: a run of toys is killed, and what it leaves is that of an undisturbed one."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from benchmark.run.child import run_tasks
from benchmark.run.store import RecordStore
from benchmark.run.task import make_task
from benchmark.studies import leak, soak

PLUGIN = """import time

import numpy as np
from sklearn.base import BaseEstimator

from benchmark.contracts import MethodSpec


class Slowly(BaseEstimator):
    FACTORS = ()

    def fit(self, modalities, labels, holdout=None):
        time.sleep(0.4)
        self.frequencies_ = labels.mean(axis=0)
        return self

    def predict_scores(self, modalities):
        return np.tile(self.frequencies_, (len(modalities[0]), 1))


METHODS = (MethodSpec(id="Slowly", estimator=Slowly, options={}, in_paper=False),)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="looks for processes by their environment")
@pytest.mark.parametrize("kills", [2, pytest.param(5, marks=pytest.mark.full)])
def test_kills_lose_and_leave_nothing(tmp_path, kills):
    plugin = tmp_path / "toys.py"
    plugin.write_text(PLUGIN)
    flags = ["--profile", "tiny", "--datasets", "ml2000", "--plugin", str(plugin), "--methods", "Slowly"]
    told = soak.soak_through(soak.Soak(tmp_path / "soak", [*flags, "--seeds", "6", "--jobs", "2"], 0), kills)
    assert sum(bool(line["struck"]) for line in told) == kills
    assert told[-1]["code"] == 0
    assert [text for line in told for text in line["found"]] == []
    again = soak.soak_through(soak.Soak(tmp_path / "soak", [], 0), kills)
    assert again == told  # nothing is done twice


def results(folder, undisturbed):
    return list(soak.differences(folder, undisturbed))


def test_what_a_killed_run_lost_doubled_or_altered_is_told(tmp_path):
    ours, theirs = tmp_path / "ours", tmp_path / "theirs"
    bench = leak.bench_in(theirs, 3)
    tasks = [make_task(slot, bench) for slot in bench.inventory().slots]
    for task in tasks:
        run_tasks([task], "cpu")
    (theirs / "tables").mkdir()
    (theirs / "tables" / "metrics.csv").write_text("a")
    shutil.copytree(theirs, ours)
    (ours / "tables" / "resources.md").write_text("Table R: this run's seconds")
    assert results(ours, theirs) == []
    (ours / "tables" / "metrics.csv").write_text("b")
    (ours / "tables" / "half.csv").write_text("")
    folders = sorted((ours / "runs" / "tiny" / "Frequencies").iterdir())
    shutil.rmtree(folders[0])
    (folders[1] / "record.json").write_text(json.dumps({}))
    told = "\n".join(results(ours, theirs))
    assert "tables/metrics.csv differs" in told
    assert "tables/half.csv differs" in told
    assert f"{folders[0].relative_to(ours / 'runs')}: recorded in one of the two only" in told
    assert "unreadable: " in told


def test_what_is_left_over_is_told(tmp_path):
    folder = tmp_path / "soak"
    store = RecordStore(folder / "disturbed" / "runs")
    store.require_writable()
    for name in (".a.partial", "tables/.metrics.csv.x"):
        path = folder / "disturbed" / name
        path.parent.mkdir(exist_ok=True)
        path.write_text("")
    temporary = tmp_path / "temporary"
    (temporary / "hook").mkdir(parents=True)
    (temporary / "forgotten").write_text("")
    gone = subprocess.Popen([sys.executable, "-c", ""])  # no process of ours, which may hold semaphores
    gone.wait()
    named, older = (soak.SHARED / f"sem.loky-{gone.pid}-{name}-of-a-test" for name in ("left", "before"))
    older.write_text("")  # by one that had this process's number before
    try:
        ours = soak.Soak(folder, (), 0)
        named.write_text("")
        told = list(soak.leftovers(ours, temporary, {gone.pid}))
    finally:
        named.unlink(missing_ok=True)
        older.unlink()
    assert {Path(text).name for text in told} == {".a.partial", ".metrics.csv.x", "forgotten", named.name}
