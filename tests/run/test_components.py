"""Wide modalities as principal components of the training rows: what is fitted, hashed and run."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from tiny_benchmark import Measured, ToyData, fit_each, method, registry

from benchmark.cli import main
from benchmark.contracts import Shape
from benchmark.run import bench as run_bench
from benchmark.run.bench import Bench
from benchmark.run.components import WIDE, with_components
from benchmark.run.config import Limits, Profile
from benchmark.run.split import split

WIDTHS = (5, WIDE + 20)
WIDE_TOY = ToyData("wide", "WIDE", Shape(60, 3, WIDTHS), split_id="toy")
WHOLE, CUT = Profile("whole", ""), Profile("cut", "", limits=Limits(components=8))


@pytest.fixture
def data():
    return WIDE_TOY.load(None)


def bench(tmp_path, profile, data=WIDE_TOY):
    toys = registry(method("Measured", Measured), datasets=(data,))
    return dataclasses.replace(
        Bench.of(toys, seeds="3", data_dir=tmp_path, results_dir=tmp_path), profile=profile
    )


def test_the_wide_modality_alone_is_cut_and_split_labels_and_hash_stay(data):
    cut = with_components(data, 0, 8)
    assert [x.shape for x in cut.modalities] == [(60, 5), (60, 8)]
    np.testing.assert_array_equal(cut.modalities[0], data.modalities[0])
    assert cut.modalities[1].dtype == data.modalities[1].dtype
    assert (cut.data_hash, cut.rows_id) == (data.data_hash, data.rows_id)
    np.testing.assert_array_equal(cut.labels, data.labels)


def test_components_are_those_of_the_training_rows(data):
    train = split("toy", 60, 1).train
    strong = (data.modalities[1] @ np.diag(np.geomspace(1, 1e-6, WIDTHS[1]))).astype(np.float32)
    data = dataclasses.replace(data, modalities=(data.modalities[0], strong))
    rows, cut = strong[train], with_components(data, 1, 8).modalities[1][train]
    _, values, _ = np.linalg.svd(rows - rows.mean(axis=0))
    np.testing.assert_allclose(np.linalg.norm(cut, axis=0), values[:8], rtol=0.01)
    np.testing.assert_allclose(cut.mean(axis=0), 0, atol=1e-4)


def test_test_rows_move_nothing_of_the_training_rows(data):
    parts = split("toy", 60, 1)
    others = data.modalities[1].copy()
    others[parts.test] = 1e3
    changed = dataclasses.replace(data, modalities=(data.modalities[0], others))
    first, second = (with_components(x, 1, 8).modalities[1] for x in (data, changed))
    np.testing.assert_array_equal(first[parts.train], second[parts.train])
    assert not np.allclose(first[parts.test], second[parts.test])


def test_capped_training_rows_are_the_ones_that_count(data):
    first, more = (split("toy", 60, 1).train[part] for part in (slice(20), slice(20, None)))
    others = data.modalities[1].copy()
    others[more] = 1e3
    changed = dataclasses.replace(data, modalities=(data.modalities[0], others))
    cut = [with_components(x, 1, 8, max_train_rows=20).modalities[1][first] for x in (data, changed)]
    np.testing.assert_array_equal(*cut)


def test_there_are_never_more_than_half_as_many_components_as_training_rows(data):
    assert with_components(data, 0, 500).modalities[1].shape == (60, 27)
    assert with_components(data, 0, 500, max_train_rows=20).modalities[1].shape == (60, 10)


def test_the_hash_knows_of_components_where_a_modality_is_wide_and_nowhere_else(tmp_path):
    whole, cut = (bench(tmp_path, profile).setup("wide", "Measured") for profile in (WHOLE, CUT))
    assert cut.settings["components"] == 8
    assert "components" not in whole.settings
    assert cut.settings["code"] != whole.settings["code"]  # the code that cuts is part of it
    assert cut.config_hash != whole.config_hash
    narrow = [bench(tmp_path, profile, ToyData()).setup("toy", "Measured") for profile in (WHOLE, CUT)]
    assert narrow[0].settings == narrow[1].settings


def test_jobs_of_a_run_train_on_components_and_their_records_say_so(tmp_path, monkeypatch):
    monkeypatch.setattr(run_bench, "load_profile", lambda _: CUT)
    toys = registry(method("Measured", Measured), datasets=(WIDE_TOY,))
    places = ["--results", str(tmp_path), "--data", str(tmp_path), "--device", "cpu", "--jobs", "1"]
    assert main(["run", "--seeds", "2", *places], toys) == 0
    chosen = bench(tmp_path, CUT)
    for slot in chosen.inventory().slots[:2]:
        assert slot.record.settings["components"] == 8
        assert chosen.store.arrays(slot.record)["widths"].tolist() == [5, 8]


def test_seeds_with_components_of_their_own_do_not_train_side_by_side(tmp_path):
    toys = registry(
        dataclasses.replace(method("Measured", Measured), fit_together=fit_each), datasets=(WIDE_TOY,)
    )
    for profile, together in ((WHOLE, True), (CUT, False)):
        chosen = dataclasses.replace(bench(tmp_path, profile), registry=toys)
        assert chosen.setup("wide", "Measured").seeds_train_together is together
