"""A method that reads modalities one by one, from its job to record, tables and reference."""

from __future__ import annotations

from pathlib import Path

import pytest
from tiny_benchmark import HalfTraced, OneByOne, method, registry

from benchmark.cli import main
from benchmark.contracts import Job
from benchmark.run.store import RecordStore
from benchmark.score.acquisition import read_extraction

pytestmark = pytest.mark.usefixtures("warm_fork_server")
RUN = ("--profile", "tiny", "--seeds", "2", "--jobs", "1")
SELECTED = RUN[:4]


def test_the_cost_reaches_record_tables_and_reference(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Four test rows, of which two read both modalities."""
    toys = registry(method("Reader", OneByOne), method("Prior"))
    places = ("--results", str(tmp_path), "--data", str(tmp_path))
    assert main([*RUN, *places], toys) == 0, capsys.readouterr().err
    store = RecordStore(tmp_path / "runs")
    extractions = {record.job: read_extraction(store.arrays(record)) for record in store.scan().records}
    for seed in (0, 1):
        assert extractions[Job("toy", "Prior", seed)] == {}
        assert extractions[Job("toy", "Reader", seed)] == {
            "modalities_per_reading": 1.5,
            "cost_per_reading": 2.0,
            "modalities_per_instance": 1.5,
            "cost_per_instance": 2.0,
            "share_with_unread": 0.5,
            "n_modalities": 2.0,
            "cost_of_all": 3.0,
        }
    row = "| toy‡, Reader | *1.500±0.000* | *2.000±0.000* |"
    table = " ".join((tmp_path / "tables" / "cost.md").read_text(encoding="utf-8").split())
    assert row in table
    assert "Prior" not in table
    assert main(["reference", *SELECTED, *places], toys) == 0
    reference = tmp_path / "reference" / "tiny" / "toy"
    assert row in " ".join((reference / "cost.md").read_text(encoding="utf-8").split())
    assert (reference / "cost.tex").is_file()


def test_half_a_trace_is_refused_with_what_is_missing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    toys = registry(method("Reader", HalfTraced))
    assert main([*RUN, "--results", str(tmp_path), "--data", str(tmp_path)], toys) == 2
    assert "has n_read but not reading_cost, extracted, modality_costs" in capsys.readouterr().err
