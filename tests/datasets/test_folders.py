"""Data sets of a user's own are found below a folder, run by their name, and get a table of their own."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from benchmark.cli import main
from benchmark.contracts import DataError, Provenance, Shape
from benchmark.registry import RegistryError, SelectionError, discover
from datasets import ml2000_msra, ml2000_taobao
from datasets.folders import find_datasets
from datasets.formats.manifest import Manifest, write_dataset


def make(folder: Path, rows: int = 60, **more: str) -> None:
    rng = np.random.default_rng(rows)
    modalities = [rng.normal(size=(rows, d)).astype(np.float32) for d in (4, 3)]
    labels = (np.stack([modalities[0][:, 0], modalities[1][:, 0]], axis=1) > 0).astype(np.uint8)
    files = {"left": "left.npy", "right": "right.npy"}
    statement = {"title": "My data", "provenance": Provenance.REAL, **more}
    write_dataset(folder, Manifest(modalities=files, **statement), modalities, labels)


def test_a_folder_says_what_it_is_and_one_that_is_broken_says_so_when_it_is_chosen(tmp_path: Path) -> None:
    make(tmp_path / "mine")
    make(tmp_path / "other")
    (tmp_path / "other" / "dataset.toml").write_text("title = 3\n", encoding="utf-8")
    (tmp_path / "notes").mkdir()
    mine, other = find_datasets(tmp_path)
    assert (mine.id, mine.title, mine.in_paper) == ("mine", "My data", False)
    assert mine.expected == Shape(60, 2, (4, 3))
    assert mine.load(tmp_path).shape == mine.expected
    assert mine.provenance(tmp_path) is Provenance.REAL
    with pytest.raises(DataError, match=r"dataset\.toml"):
        other.load(tmp_path)


def test_an_id_of_the_project_is_refused_and_all_means_the_papers(tmp_path: Path) -> None:
    make(tmp_path / "mine")
    registry = discover().with_datasets_of(tmp_path)
    assert registry.select_datasets("all").ids == ("fcvid", "ml2000", "msra", "taobao")
    assert registry.select_datasets("min*").ids == ("mine",)
    with pytest.raises(SelectionError, match="found below --data DIR"):
        discover().select_datasets("mine")
    make(tmp_path / "ML2000")
    with pytest.raises(RegistryError, match="the id 'ml2000' is taken; rename the folder"):
        discover().with_datasets_of(tmp_path)


@pytest.mark.usefixtures("without_page")
def test_it_is_run_like_any_other_and_has_a_table_of_its_own(tmp_path: Path, capsys) -> None:
    make(tmp_path / "data" / "mine", note="Half of it | was * drawn.")
    given = ["--data", str(tmp_path / "data"), "--datasets", "mine", "--profile", "tiny", "--seeds", "2"]
    given += ["--methods", "BR,CC", "--results", str(tmp_path / "results")]
    assert main([*given, "--jobs", "1"]) == 0
    capsys.readouterr()
    assert main(["tables", *given]) == 0
    printed = capsys.readouterr().out
    assert "Table D (My data), as printed" in printed
    assert "Table II" not in printed
    tables = tmp_path / "results" / "tables"
    assert (
        "mine" not in (tables / "table2_as-printed.md").read_text(encoding="utf-8").split("| methods", 1)[1]
    )
    assert set(pd.read_csv(tables / "per_seed.csv")["dataset"]) == {"mine"}
    assert main(["significance", *given]) == 0
    assert "mine" in capsys.readouterr().out
    assert main(["compare", *given]) == 2


@pytest.mark.usefixtures("without_page")
def test_a_broken_neighbour_stays_out_of_a_run_that_did_not_ask_for_it(tmp_path: Path, capsys) -> None:
    for name in ("mine", "neighbour"):
        make(tmp_path / "data" / name)
    given = ["--data", str(tmp_path / "data"), "--profile", "tiny", "--seeds", "1", "--methods", "BR"]
    given += ["--results", str(tmp_path / "results"), "--datasets"]
    assert main([*given, "neighbour"]) == 0
    (tmp_path / "data" / "neighbour" / "dataset.toml").write_text("title = 3\n", encoding="utf-8")
    capsys.readouterr()
    assert main([*given, "mine"]) == 0
    assert "mine" in capsys.readouterr().out
    assert main(["tables", *given, "mine"]) == 0
    assert capsys.readouterr().out.count("Table D") == 1
    assert main([*given, "neighbour"]) == 2


def test_data_sets_of_the_same_rows_share_splits_hold_outs_and_randomness(tmp_path: Path) -> None:
    from benchmark.registry import Registry
    from benchmark.run.bench import Bench
    from benchmark.run.task import make_task

    for name in ("first", "second"):
        make(tmp_path / name, split_id="shared")
    make(tmp_path / "third")
    registry: Registry = discover().with_datasets_of(tmp_path)
    chosen = {"methods": "BR", "seeds": "1", "data_dir": tmp_path, "results_dir": tmp_path / "results"}
    slots = Bench.of(registry, datasets="first,second,third", **chosen)
    tasks = {slot.job.dataset: make_task(slot, slots) for slot in slots.inventory().slots}
    assert [tasks[name].rows_id for name in ("first", "second", "third")] == ["shared", "shared", "third"]
    assert tasks["first"].blank.settings["split_id"] == "shared"
    assert "split_id" not in tasks["third"].blank.settings


@pytest.mark.parametrize("spec", [ml2000_taobao.DATASET, ml2000_msra.DATASET], ids=lambda spec: spec.id)
def test_ml2000_under_other_recipes_has_its_rows_and_splits(spec, tmp_path: Path) -> None:
    from datasets import ml2000

    first, other = ml2000.DATASET.load(tmp_path), spec.load(tmp_path)
    assert np.array_equal(first.labels, other.labels)
    assert (other.rows_id, first.rows_id) == ("ml2000", "ml2000")
    assert other.provenance is Provenance.REBUILT
