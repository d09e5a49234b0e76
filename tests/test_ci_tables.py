"""CI's check of a run's tables finds what it is there to find."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from types import ModuleType

import pandas as pd
import pytest
from tiny_benchmark import Prior, ToyData, registry

from benchmark.contracts import MethodSpec
from benchmark.score.metrics import METRICS

TOYS = registry(
    MethodSpec("A", Prior),
    MethodSpec("B", Prior, datasets=("zoo",)),
    datasets=(ToyData(), ToyData(id="zoo")),
)
SCRIPT = Path(__file__).resolve().parents[1] / ".ci" / "check_tables.py"


@pytest.fixture(scope="module")
def check() -> ModuleType:
    spec = importlib.util.spec_from_file_location("check_tables", SCRIPT)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def complete_metrics() -> pd.DataFrame:
    """One row per data set, method that runs there by default, and metric."""
    pairs = (("toy", "A"), ("zoo", "A"), ("zoo", "B"))
    keys = [(*pair, metric.id) for pair in pairs for metric in METRICS]
    frame = pd.DataFrame(keys, columns=["dataset", "method", "metric"])
    return frame.assign(mean=0.5, n_seeds=2, n_failed=0)


def test_complete_metrics_pass(check: ModuleType) -> None:
    assert check.missing_numbers(complete_metrics(), TOYS) == []


@pytest.mark.parametrize(("column", "value"), [("mean", float("nan")), ("n_failed", 1), ("n_seeds", 0)])
def test_a_cell_without_all_its_seeds_is_named(check: ModuleType, column: str, value: float) -> None:
    metrics = complete_metrics().astype({column: float})
    cell = (metrics["dataset"] == "zoo") & (metrics["method"] == "A") & (metrics["metric"] == "coverage")
    metrics.loc[cell, column] = value
    assert check.missing_numbers(metrics, TOYS) == ["zoo/A/coverage"]


def test_an_absent_row_is_named(check: ModuleType) -> None:
    metrics = complete_metrics()
    gone = metrics[~((metrics["dataset"] == "zoo") & (metrics["method"] == "B"))]
    assert check.missing_numbers(gone, TOYS) == [f"zoo/B/{metric.id}" for metric in METRICS]


def test_cells_that_are_no_numbers_are_named(check: ModuleType) -> None:
    text = (
        "**Table:** caption\n\n"
        "| methods | FCVID | MSRA |\n"
        "|:---|:---|:---|\n"
        "| BR | *0.790±0.013* | **0.812±0.009** |\n"
        "| CC | nan±nan | 0.79 |\n"
        "| DMP | – (a) | nan |\n"
        "| M3LA-$W_{co}$ | 0.912 | 0.5±0.1 |\n"
    )
    assert check.unreadable_cells(text, {"BR", "CC", "M3LA-$W_{co}$"}) == [
        "CC: 'nan±nan'",
        "CC: '0.79'",
        "M3LA-$W_{co}$: '0.5±0.1'",
    ]


def test_an_empty_folder_fails(check: ModuleType, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert check.main(tmp_path) == 1
    assert "table1.md is missing or empty" in capsys.readouterr().err
