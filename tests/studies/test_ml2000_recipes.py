"""Kept measurements of the recipes on ML2000's images: current, repeatable, and what the report says."""

from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from benchmark.studies import ml2000_recipes as study
from benchmark.studies.ml2000_features import ALL, measure
from datasets.recipes.catalogue import RECIPES
from datasets.recipes.ml2000 import kept_file
from datasets.recipes.store import npz_bytes

KEPT = Path(__file__).resolve().parents[2] / "results" / "ml2000_features"


@pytest.fixture(scope="module")
def frame() -> pd.DataFrame:
    return pd.read_csv(KEPT / "recipes.csv")


def test_what_was_measured_are_the_kept_features_of_each_recipe_over_ten_seeds(frame: pd.DataFrame) -> None:
    assert list(frame["recipe"].unique()) == list(RECIPES)
    for name, recipe in RECIPES.items():
        rows = frame[frame["recipe"] == name]
        digest = hashlib.sha256(kept_file(name, "features.npz").read_bytes()).hexdigest()
        assert rows["sha256"].unique().tolist() == [digest]
        assert list(rows["features"].unique()) == [study.TOGETHER, *recipe.dims]
        for _, of_metric in rows.groupby(["features", "metric"]):
            assert of_metric["seed"].tolist() == list(range(10))


def test_each_number_of_the_report_follows_from_the_csv(frame: pd.DataFrame) -> None:
    assert (KEPT / "recipes.md").read_text(encoding="utf-8") == study.describe(frame)


@pytest.mark.parametrize("name", RECIPES)
def test_a_seed_measured_again_gives_the_kept_figures(name: str, frame: pd.DataFrame) -> None:
    features, labels = study.feature_sets(name)
    rows = frame[(frame["recipe"] == name) & (frame["features"] == study.TOGETHER) & (frame["seed"] == 0)]
    kept = rows.set_index("metric")["value"]
    found = measure(features[study.TOGETHER], labels, 0, study.C)
    assert found[ALL, "macro_auc"] == pytest.approx(kept["macro_auc"], abs=1e-3)
    assert found[ALL, "macro_f1"] == pytest.approx(kept["macro_f1"], abs=6e-3)


def test_no_modality_is_without_any_signal_but_faces(frame: pd.DataFrame) -> None:
    """Landscapes show hardly a face; a descriptor at chance otherwise would be a broken one."""
    auc = frame[frame["metric"] == "macro_auc"].groupby(["recipe", "features"])["value"].mean()
    assert auc.drop(("msra", "face")).min() > 0.7


def test_command_writes_csv_and_report_of_small_files(tmp_path: Path, monkeypatch, capsys) -> None:
    random = np.random.default_rng(0)
    labels = random.integers(0, 2, (120, 2), dtype=np.uint8)
    for name in RECIPES:
        arrays = {part: labels + random.normal(size=(120, 2)) for part in ("a", "b")}
        (tmp_path / f"{name}.npz").write_bytes(npz_bytes({**arrays, "labels": labels}))
    monkeypatch.setattr(study, "kept_file", lambda name, _: tmp_path / f"{name}.npz")
    assert study.main(["--seeds", "2", "--out", str(tmp_path / "out")]) == 0
    written = pd.read_csv(tmp_path / "out" / "recipes.csv")
    assert len(written) == 3 * 3 * 2 * 2
    assert (tmp_path / "out" / "recipes.md").read_text() == study.describe(written)
    mean = written.query("recipe == 'msra' and features == 'a' and metric == 'macro_auc'")["value"].mean()
    assert f"{mean:.4f}" in capsys.readouterr().out
