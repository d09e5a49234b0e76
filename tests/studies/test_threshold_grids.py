"""What eq. (13) and (16) choose by their grid: on scores made for it, and the committed table."""

from __future__ import annotations

import shutil

import numpy as np
import pandas as pd

from benchmark.contracts import Provenance, Record
from benchmark.exit_codes import CANNOT, FINDING, OK
from benchmark.run.arrays_file import score_digest
from benchmark.run.record_file import SCHEMA_VERSION
from benchmark.run.store import RecordStore
from benchmark.score.reading import read_scores
from benchmark.studies import threshold_grids
from benchmark.studies.beyond.sources import read_measured


def softmax_arrays(n=200, q=62, seed=0):
    """Scores of a softmax over many labels, of which half are relevant: all of them are near 1 / q."""
    rng = np.random.default_rng(seed)
    logits = rng.normal(scale=0.3, size=(n, q))
    scores = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    labels = (logits > 0).astype(np.uint8)
    return {
        "scores": scores.astype(np.float32),
        "labels": labels,
        "train_label_frequencies": labels.mean(axis=0),
    }


def test_the_printed_rules_are_those_of_the_records():
    arrays = softmax_arrays()
    rows = {(row["rule"], row["step"]): row for row in threshold_grids.by_rule(arrays)}
    for rule, step in (("eq13", 0.001), ("eq16a", 0.01), ("eq16b", 0.01)):
        metrics = read_scores(arrays, "soft", rule).metrics
        assert {name: rows[rule, step][name] for name in threshold_grids.METRICS} == {
            name: metrics[name] for name in threshold_grids.METRICS
        }


def test_a_grid_coarser_than_the_scores_cannot_reach_the_cardinality():
    rows = {(row["rule"], row["step"]): row for row in threshold_grids.by_rule(softmax_arrays())}
    wanted = rows["eq13", 0.001]["cardinality"]
    assert abs(rows["eq13", 0.001]["predicted"] - wanted) < 3
    assert abs(rows["eq16a", 0.001]["predicted"] - wanted) < 3
    assert abs(rows["eq16a", 0.01]["predicted"] - wanted) > 10
    assert rows["eq16a", 0.01]["thresholds"] == 1
    assert rows["eq13", 0.01]["thresholds"] == 1


def study(results, out):
    return threshold_grids.main(["--results", str(results), "--out", str(out)])


def test_records_of_the_committed_jobs_are_read_and_the_others_missed(tmp_path, capsys):
    store, jobs = RecordStore(tmp_path / "runs"), read_measured(threshold_grids.BEYOND).jobs
    own = jobs[(jobs["dataset"] == "emotions") & (jobs["method"] == "M3LA")]
    for seed, config_hash in own[["seed", "config_hash"]].itertuples(index=False, name=None):
        arrays = softmax_arrays(q=6, seed=int(seed))
        record = Record(
            schema_version=SCHEMA_VERSION,
            dataset="emotions",
            method="M3LA",
            seed=int(seed),
            config_hash=config_hash,
            settings={},
            status="done",
            profile="beyond",
            preset="default",
            scoring="soft",
            threshold="eq16a",
            provenance=Provenance.REAL,
            data_hash="d",
            score_digest=score_digest(arrays["scores"]),
        )
        store.write(record, arrays)
    out = tmp_path / "out"
    assert study(tmp_path, out) == FINDING
    assert "lacks records of M3LA on drugs, " in capsys.readouterr().err
    table = pd.read_csv(out / "thresholds.csv")
    assert set(table["dataset"]) == {"emotions"}
    assert (table["n_seeds"] == 10).all()
    by_hand = [
        row["macro_f1"]
        for seed in own["seed"]
        for row in threshold_grids.by_rule(softmax_arrays(q=6, seed=int(seed)))
        if (row["rule"], row["step"]) == ("eq13", 0.001)
    ]
    found = table.query("rule == 'eq13' and step == 0.001")["macro_f1"].item()
    np.testing.assert_allclose(found, np.mean(by_hand), rtol=1e-5)
    shutil.rmtree(store.folder(record.job, record.config_hash))  # one seed lacks: what was written stays
    assert study(tmp_path, out) == FINDING
    pd.testing.assert_frame_equal(pd.read_csv(out / "thresholds.csv"), table)
    shutil.rmtree(out)
    assert study(tmp_path, out) == CANNOT
    assert not out.exists()


def test_the_committed_table_is_made_again_without_records(tmp_path):
    out = shutil.copytree(threshold_grids.HERE, tmp_path / "out")
    assert study(tmp_path, out) in (OK, FINDING)
    for file in threshold_grids.HERE.iterdir():
        assert (out / file.name).read_bytes() == file.read_bytes(), file.name


def test_a_damaged_table_is_told(tmp_path, capsys):
    (tmp_path / "thresholds.csv").write_text("dataset\nemotions\n")
    assert study(tmp_path, tmp_path) == CANNOT
    assert "thresholds.csv lacks the columns" in capsys.readouterr().err
