"""A method that reads modalities one by one, from its job to record, tables and reference."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from tiny_benchmark import HalfTraced, OneByOne, method, registry

from benchmark.cli import main

pytestmark = pytest.mark.usefixtures("warm_fork_server")
RUN = ("--profile", "tiny", "--seeds", "2", "--jobs", "1")
SELECTED = RUN[:4]


def contents(folder: Path, method: str) -> list[dict]:
    paths = sorted((folder / "runs" / "toy" / method).glob("*/record.json"))
    return [json.loads(path.read_text(encoding="utf-8")) for path in paths]


def test_the_cost_reaches_record_tables_and_reference(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Four test rows, of which two read both modalities."""
    toys = registry(method("Reader", OneByOne), method("Prior"))
    places = ("--results", str(tmp_path), "--data", str(tmp_path))
    assert main([*RUN, *places], toys) == 0, capsys.readouterr().err
    assert [record["extraction"] for record in contents(tmp_path, "Prior")] == [{}, {}]
    readers = contents(tmp_path, "Reader")
    assert [record["extraction"] for record in readers] == 2 * [
        {
            "modalities_per_reading": 1.5,
            "cost_per_reading": 2.0,
            "modalities_per_instance": 1.5,
            "cost_per_instance": 2.0,
            "share_with_unread": 0.5,
            "n_modalities": 2.0,
            "cost_of_all": 3.0,
        }
    ]
    row = "| toy‡, Reader | *1.500±0.000* | *2.000±0.000* |"
    table = " ".join((tmp_path / "tables" / "cost.md").read_text(encoding="utf-8").split())
    assert row in table
    assert "Prior" not in table
    assert main(["reference", *SELECTED, *places], toys) == 0
    reference = tmp_path / "reference" / "tiny" / "toy"
    assert row in " ".join((reference / "cost.md").read_text(encoding="utf-8").split())
    assert (reference / "cost.tex").is_file()


def test_records_of_before_the_cost_was_kept_give_the_same_table(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    toys = registry(method("Reader", OneByOne))
    places = ("--results", str(tmp_path), "--data", str(tmp_path))
    assert main([*RUN, *places], toys) == 0, capsys.readouterr().err
    table = tmp_path / "tables" / "cost.md"
    before = table.read_text(encoding="utf-8")
    for path in (tmp_path / "runs").glob("toy/*/*/record.json"):
        content = json.loads(path.read_text(encoding="utf-8"))
        del content["extraction"]
        path.write_text(json.dumps(content), encoding="utf-8")
    table.unlink()
    assert main(["tables", *SELECTED, *places], toys) == 0
    assert table.read_text(encoding="utf-8") == before


def test_half_a_trace_is_a_failed_job_that_says_what_is_missing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    toys = registry(method("Reader", HalfTraced))
    assert main([*RUN, "--results", str(tmp_path), "--data", str(tmp_path)], toys) == 1
    capsys.readouterr()
    failed = contents(tmp_path, "Reader")
    assert [record["status"] for record in failed] == ["failed", "failed"]
    assert all("has n_read but not reading_cost, extracted, modality_costs" in r["error"] for r in failed)
    assert all(record["extraction"] == {} for record in failed)
