"""Tables with a column per metric hold what the frames with a row per metric hold."""

from __future__ import annotations

import dataclasses
import json
import re
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from tiny_benchmark import Careful, OneByOne, Prior, method

from benchmark.exit_codes import CANNOT, FINDING
from benchmark.registry import discover
from benchmark.run.bench import Bench
from benchmark.tables.accepted import left_out_of_references, read_accepted, read_references, write_reference
from benchmark.tables.reference import METRIC_COLUMNS, lengthen, widen
from benchmark.tables.results import ListedDataset, results_of
from benchmark.tables.write import render_layouts

ROOT = Path(__file__).resolve().parents[2]

KEYS = ("dataset", "method", "seed", "step")


def frame(pairs, seeds=(3, 0), steps=(2, 1), metrics=METRIC_COLUMNS):
    rows = [
        (dataset, method, seed, step, metric)
        for dataset, method in pairs
        for seed in seeds
        for step in steps
        for metric in metrics
    ]
    values = np.random.default_rng(0).random(len(rows))
    return pd.DataFrame(rows, columns=[*KEYS, "metric"]).assign(value=values)


def test_pairs_keep_their_order_and_the_other_keys_are_sorted():
    wide = widen(frame([("z", "B"), ("z", "A"), ("a", "C")]), KEYS)
    assert list(wide.columns) == [*KEYS, *METRIC_COLUMNS]
    assert list(wide["method"].unique()) == ["B", "A", "C"]
    assert [*zip(wide["seed"], wide["step"], strict=True)][:4] == [(0, 1), (0, 2), (3, 1), (3, 2)]


def test_lengthening_undoes_widening():
    long = frame([("z", "B"), ("a", "A")])
    long.loc[3, "value"] = np.nan
    back = lengthen(widen(long, KEYS), KEYS)
    order = [*KEYS, "metric"]
    pd.testing.assert_frame_equal(
        back.sort_values(order, ignore_index=True), long.sort_values(order, ignore_index=True)
    )


def test_nothing_gives_a_table_with_columns_alone():
    wide = widen(frame([]), KEYS)
    assert wide.empty
    assert list(wide.columns) == [*KEYS, *METRIC_COLUMNS]


class Stepwise(Prior):
    """Reads the left modality first, and doubts its scores until it has read the right one."""

    def trace(self, modalities):
        scores = self.predict_scores(modalities)
        orders = np.tile([0, 1], (len(scores), 1))
        return {"step_scores": np.stack([scores * 0.9, scores], axis=1).astype(np.float32), "orders": orders}


def files(folder):
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def test_methods_that_are_not_named_stay_in_a_reference(recorded, tmp_path):
    run = recorded(method("Reader", Stepwise), method("Prior", OneByOne), method("Careful", Careful))
    folder = tmp_path / "reference" / "tiny" / "toy"
    assert run("reference")[0] == 0
    whole = files(folder)
    assert {"decoding.csv", "steps.csv", "acquisition.csv", "resources.csv"} <= set(whole)
    assert len(pd.read_csv(folder / "decoding.csv")) > 0
    for name in ("Prior", "Reader,Careful", "*r*"):
        assert run("reference", "--methods", name)[0] == 0
        assert files(folder) == whole
    shutil.rmtree(tmp_path / "runs" / "toy" / "Reader")
    assert run("reference", "--methods", "Prior,Careful")[0] == 0
    assert files(folder) == whole
    assert run("reference", "--methods", "Prior,Reader")[0] == FINDING  # one has no records, and stays too
    assert files(folder) == whole
    assert run("reference")[0] == FINDING  # all methods: one has no records
    assert set(pd.read_csv(folder / "per_seed.csv")["method"]) == {"Prior", "Careful"}


def test_tables_of_references_are_those_of_their_records(recorded, tmp_path):
    run = recorded(method("Reader", Stepwise), method("Prior", OneByOne), method("Careful", Careful))
    assert run("reference")[0] == 0
    code, printed, _ = run("tables")
    assert code == 0
    of_records = {name: text for name, text in files(tmp_path / "tables").items() if not name.endswith("csv")}
    assert {"steps.md", "cost.md", "table2_as-printed.md", "table2_equal.tex", "table1.md"} <= set(of_records)
    root = tmp_path / "reference" / "tiny"
    shutil.rmtree(tmp_path / "runs")
    code, again, _ = run("tables", "--reference")
    assert code == 0
    assert again.splitlines()[:-1] == printed.splitlines()[:-1]
    assert {path.name: path.read_bytes() for path in root.iterdir() if path.is_file()} == of_records
    code, less, _ = run("tables", "--reference", "--methods", "Prior,Careful")
    assert code == 0
    assert "not in the reference, or left out by --methods" in less
    assert "nothing is written: this leaves out Reader" in less
    few = dataclasses.replace(run.bench, seeds=(0,))
    assert left_out_of_references(few) == "seeds are others than those of the references"
    assert left_out_of_references(run.bench) == ""
    assert {path.name: path.read_bytes() for path in root.iterdir() if path.is_file()} == of_records
    per_seed = root / "toy" / "per_seed.csv"
    kept = per_seed.read_text()
    for spoilt, what in (
        (kept.splitlines()[0] + "\n", "holds no job"),
        (re.sub(r",micro_auc,[^,]*,", ",micro_auc,9.5,", kept), "holds a value that its metric cannot have"),
        (re.sub(r",coverage,[^,]*,", ",coverage,inf,", kept), "holds a value that its metric cannot have"),
    ):
        assert spoilt != kept
        per_seed.write_text(spoilt)
        code, _, told = run("tables", "--reference")
        assert code == CANNOT
        assert what in told
    assert {path.name: path.read_bytes() for path in root.iterdir() if path.is_file()} == of_records


@pytest.mark.parametrize(
    ("name", "spoil", "message"),
    [
        (
            "resources.csv",
            lambda text: text.replace(",25.0,", ",abc,"),
            "holds processor_seconds that no job took",
        ),
        (
            "resources.csv",
            lambda text: text.replace(",25.0,", ",inf,"),
            "holds processor_seconds that no job took",
        ),
        (
            "resources.csv",
            lambda text: text.replace(",25.0,", ",-1.0,"),
            "holds processor_seconds that no job took",
        ),
        ("resources.csv", lambda text: text + text.splitlines()[-1] + "\n", "holds a job twice"),
        ("environment.json", lambda _: "[1, 2]", "holds other things than environments"),
    ],
)
def test_what_no_job_can_have_taken_or_run_in_is_refused(recorded, tmp_path, name, spoil, message):
    run = recorded(method("Prior"))
    assert run("reference")[0] == 0
    path = tmp_path / "reference" / "tiny" / "toy" / name
    before = path.read_text()
    path.write_text(spoil(before))
    assert path.read_text() != before
    code, _, told = run("tables", "--reference")
    assert code == CANNOT
    assert message in told


def test_without_a_reference_tables_of_it_are_refused_with_the_command_that_helps(recorded):
    code, _, told = recorded(method("Prior"))("tables", "--reference")
    assert code == CANNOT
    assert "holds no reference of toy" in told


def test_a_reference_that_does_not_say_what_ran_where_is_left_as_it_is(recorded, tmp_path):
    run = recorded(method("Careful", Careful), method("Prior"))
    folder = tmp_path / "reference" / "tiny" / "toy"
    assert run("reference")[0] == 0
    old = pd.read_csv(folder / "resources.csv").drop(columns="environment")
    old.to_csv(folder / "resources.csv", index=False)
    assert run("reference", "--methods", "Prior")[0] == 0  # there is one environment
    environments = json.loads((folder / "environment.json").read_text())
    assert [one["jobs"] for one in environments] == [4]
    assert pd.read_csv(folder / "resources.csv")["environment"].nunique() == 1
    kept = files(folder)
    spoilt = {
        "resources.csv": old.to_csv(index=False).encode(),
        "environment.json": json.dumps([*environments, {"jobs": 1, "python": "2"}]).encode(),
    }
    for changes in (
        spoilt,
        {"environment.json": b"[]"},
        {"decoding.csv": None},
        {"per_seed.csv": kept["per_seed.csv"].replace(b",soft,", b",hard,")},
    ):
        for name, content in changes.items():
            (folder / name).unlink() if content is None else (folder / name).write_bytes(content)
        before = files(folder)
        code, _, told = run("reference", "--methods", "Prior")
        assert code == CANNOT, changes
        assert "write the reference of all methods again" in told
        assert files(folder) == before
        for name, content in kept.items():
            (folder / name).write_bytes(content)


def test_a_committed_reference_is_written_as_it_was_read(tmp_path):
    bench = Bench.of(
        discover(), profile="paper", datasets="ml2000", data_dir=tmp_path, results_dir=ROOT / "results"
    )
    nothing, _ = results_of(bench, bench.inventory([]))
    known = {"ml2000": bench.facts("ml2000")}
    specs = [spec for spec in bench.registry.datasets.values() if spec.in_paper]
    listed = tuple(ListedDataset.of(spec, bench, known.get(spec.id)) for spec in specs)
    like = dataclasses.replace(nothing, datasets=listed, seeds=bench.seeds)
    committed = bench.references_dir / "ml2000"
    # It was written before decodings were kept: those tables alone are not made again.
    older = shutil.copytree(committed, tmp_path / "older")
    (older / "decoding.csv").write_text("dataset,method,seed,metric,value\n")
    read = read_accepted(older, like)
    shutil.rmtree(older)
    write_reference(read, tmp_path)
    was, now = files(committed), files(tmp_path)
    tables = [name for name in was if name.startswith("table")]
    assert len(tables) == 10
    numbers = ["per_seed.csv", "metrics.csv", "steps.csv", "acquisition.csv", "traces.npz", "settings.json"]
    for name in (*tables, *numbers):
        assert now[name] == was[name], name
    assert json.loads(now["environment.json"]) == json.loads(was["environment.json"])


def test_committed_tables_of_all_references_are_those_of_each(tmp_path):
    bench = Bench.of(discover(), profile="paper", data_dir=tmp_path, results_dir=ROOT / "results")
    for name, text in render_layouts(read_references(bench)).items():
        committed = (bench.references_dir / name).read_text(encoding="utf-8")
        assert committed == text, f"run python run_all.py tables --reference: {name}"
