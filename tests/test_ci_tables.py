"""CI's check of a run's tables finds what it is there to find."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from types import ModuleType

import pandas as pd
import pytest

from benchmark.registry import discover
from benchmark.score.metrics import METRICS

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
    registry = discover()
    keys = [
        (dataset, method.id, metric.id)
        for dataset in registry.datasets
        for method in registry.methods.values()
        if method.datasets is None or dataset in method.datasets
        for metric in METRICS
    ]
    frame = pd.DataFrame(keys, columns=["dataset", "method", "metric"])
    return frame.assign(mean=0.5, n_seeds=2, n_failed=0)


def test_complete_metrics_pass(check: ModuleType) -> None:
    assert check.missing_numbers(complete_metrics()) == []


@pytest.mark.parametrize(("column", "value"), [("mean", float("nan")), ("n_failed", 1), ("n_seeds", 0)])
def test_a_cell_without_all_its_seeds_is_named(check: ModuleType, column: str, value: float) -> None:
    metrics = complete_metrics().astype({column: float})
    cell = (metrics["dataset"] == "taobao") & (metrics["method"] == "CC") & (metrics["metric"] == "coverage")
    metrics.loc[cell, column] = value
    assert check.missing_numbers(metrics) == ["taobao/CC/coverage"]


def test_an_absent_row_is_named(check: ModuleType) -> None:
    metrics = complete_metrics()
    gone = metrics[~((metrics["dataset"] == "msra") & (metrics["method"] == "BR"))]
    assert check.missing_numbers(gone) == [f"msra/BR/{metric.id}" for metric in METRICS]


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
