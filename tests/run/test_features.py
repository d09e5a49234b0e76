"""`--data` that gives nothing, and features that are fitted for one seed: refused, or named and marked."""

from __future__ import annotations

import json

import numpy as np
import pandas as pd
import pytest
from tiny_benchmark import Careful, method, registry

from benchmark.cli import main
from benchmark.contracts import DataError, Provenance, Shape
from benchmark.run.features import data_directory, leaking_seeds
from datasets.lookalike import LookAlikeBacked

pytestmark = pytest.mark.usefixtures("without_page")


def toy(id):
    return LookAlikeBacked(id, id.upper(), Shape(60, 3, (4, 2)), ("colour", "shape"), "", cardinality=1.5)


FIRST, SECOND = toy("ml2000"), toy("taobao")
BOTH = registry(method("BR"), method("DMP", Careful, blur=0.5), datasets=(FIRST, SECOND))


@pytest.fixture
def data(tmp_path, monkeypatch):
    """A folder with features of the first data set, and a cache of its own."""
    monkeypatch.setenv("M3LA_CACHE", str(tmp_path / "cache"))
    monkeypatch.delenv("M3LA_DATA", raising=False)
    put(tmp_path / "data" / FIRST.id)
    return tmp_path / "data"


def put(folder, **origin):
    folder.mkdir(parents=True)
    random = np.random.default_rng(0)
    np.save(folder / "colour.npy", random.normal(size=(60, 4)).astype(np.float32))
    np.save(folder / "shape.npy", random.normal(size=(60, 2)).astype(np.float32))
    np.save(folder / "labels.npy", random.integers(0, 2, size=(60, 3)))
    if origin:
        (folder / "provenance.json").write_text(json.dumps(origin))


@pytest.fixture
def run(tmp_path, capsys):
    """Call the command line on the toys; return exit code, output and errors."""

    def call(command, *arguments, data=None, toys=BOTH):
        places = ["--results", str(tmp_path / "results"), "--profile", "tiny"]
        given = [] if data is None else ["--data", str(data)]
        more = ["--jobs", "1"] if command == "run" else []
        code = main([command, *map(str, arguments), *places, *given, *more], toys)
        printed = capsys.readouterr()
        return code, printed.out, printed.err

    return call


def refused(folder, *parts, wanted=(FIRST, SECOND), named=()):
    with pytest.raises(DataError) as caught:
        data_directory(str(folder), wanted, named)
    for part in (str(folder), "--data", *parts):
        assert part in str(caught.value)
    assert "\n" not in str(caught.value)


def test_features_that_are_there_are_found(data):
    assert data_directory(str(data), [FIRST], [FIRST.id]) == data
    assert data_directory(str(data), [FIRST, SECOND]) == data


def test_the_data_sets_own_folder_is_answered_with_the_folder_above(data):
    refused(data / "ml2000", "expected features in a folder ml2000 or taobao", f"the folder above, {data}")
    (data / "ml2000").rename(data / "mine")
    refused(data / "mine", "colour.npy", f"move the files into {data / 'mine' / 'ml2000'}")


def test_one_level_too_high_is_answered_with_the_level_below(data):
    refused(data.parent, "found data", f"give --data {data}")


def test_a_misspelt_folder_is_answered_with_its_right_name(data):
    (data / "ml2000").rename(data / "ml200")
    refused(data, "found ml200", "rename ml200 to ml2000")
    (data / "taobao").mkdir()
    refused(data, "found ml200, taobao", "fill taobao", wanted=[SECOND])


def test_an_empty_folder_or_an_unrelated_one_is_answered_with_both_ways_out(tmp_path):
    refused(tmp_path, "found nothing", "see the README", "leave out --data")
    for k in range(12):
        (tmp_path / f"{k:02}").mkdir()
    refused(tmp_path, "00, 01, 02, 03, 04, 05, 06, 07 and 4 more")


def test_one_that_is_chosen_by_name_must_be_there_and_one_that_a_pattern_gave_need_not(data):
    refused(data, "expected features in a folder taobao", "found ml2000", "pattern", named=[SECOND.id])
    data_directory(str(data), (FIRST, SECOND), [FIRST.id])


@pytest.mark.parametrize("text", ["", " ", "a\0b", "~nobody-of-this-name/x"])
def test_a_text_that_names_no_folder_is_refused_rather_than_left_out(text):
    with pytest.raises(DataError, match="--data"):
        data_directory(text, [FIRST])


def test_the_variable_is_held_to_the_same_and_an_empty_one_is_none(data, monkeypatch):
    monkeypatch.setenv("M3LA_DATA", str(data / "ml2000"))
    with pytest.raises(DataError, match=r"\$M3LA_DATA names this one"):
        data_directory(None, [FIRST])
    monkeypatch.setenv("M3LA_DATA", "")
    assert data_directory(None, [FIRST]).name == "data"


@pytest.mark.parametrize(
    "command", [("run",), ("run", "--dry-run"), ("status",), ("tables",), ("compare",), ("drift",)]
)
def test_every_command_refuses_a_path_that_gave_nothing_and_writes_nothing(run, data, tmp_path, command):
    for given in ((), ("--datasets", "taobao")):
        code, out, err = run(*command, *given, data=data if given else data / "ml2000")
        assert (code, out) == (2, "")
        assert err.count("\n") == 1
        assert "expected features in a folder" in err
    assert not (tmp_path / "results").exists()


def test_plan_and_captions_name_where_each_data_set_came_from(run, data, tmp_path):
    put(data / "other", provenance="real")
    code, out, err = run("run", "--datasets", "*", "--seeds", "2", data=data)
    assert code == 0, err
    assert f"ml2000 (real, the user's own in {data / 'ml2000'}): 4 jobs" in out
    assert "taobao (look-alike): 4 jobs" in out
    out = run("run", "--datasets", "*", "--seeds", "2", "--dry-run", data=data)[1]
    assert f"features: ml2000 the user's own in {data / 'ml2000'}; taobao a look-alike" in out
    for table in ("table1", "table2_as-printed", "table2_equal", "table3_equal"):
        for form in ("md", "tex"):
            text = (tmp_path / "results" / "tables" / f"{table}.{form}").read_text()
            assert "ML2000: The user's own features." in text
            assert ("Synthetic look-alike" in text) == ("table3" not in table)
    assert "the user's own features" in run("compare", data=data)[1]
    assert "the user's own features" in run("significance", data=data)[1]


def test_what_was_not_run_is_listed_with_its_source_too(run, data, tmp_path):
    put(data / "taobao", provenance="rebuilt", note="Made from pictures.")
    assert run("run", "--datasets", "ml2000", "--seeds", "1", data=data)[0] == 0
    assert "TAOBAO: The user's own features." in (tmp_path / "results" / "tables" / "table1.md").read_text()


def test_seeds_that_leak_are_those_that_the_features_are_not_for():
    assert leaking_seeds("toy", None, (0, 1)) == leaking_seeds("toy", 1, (1,)) == ()
    assert leaking_seeds("toy", 1, (0, 1, 2), allowed=True) == (0, 2)
    with pytest.raises(
        DataError, match=r"^toy: .*fit_on: train:7 .*seeds 0, 1 would .*--seeds 7-7, or --allow-leak"
    ):
        leaking_seeds("toy", 7, (0, 1))


@pytest.fixture
def fitted(data):
    """Features of the first data set that are fitted on the training rows of seed 1."""
    for path in (data / FIRST.id).iterdir():
        path.unlink()
    (data / FIRST.id).rmdir()
    put(data / FIRST.id, provenance="rebuilt", fit_on="train:1")
    return data


def test_seeds_that_the_features_are_not_for_are_refused_with_both_remedies(run, fitted, tmp_path):
    flags = ("--datasets", "ml2000", "--seeds", "3")
    code, out, err = run("run", *flags, data=fitted)
    assert (code, out, err.count("\n")) == (2, "", 1)
    for part in ("ml2000: ", "fit_on: train:1", "seeds 0, 2 would test", "--seeds 1-1", "--allow-leak"):
        assert part in err
    assert not list(tmp_path.glob("results/**/*.json"))


def test_no_command_reads_records_of_other_seeds_without_the_flag(run, fitted):
    flags = ("--datasets", "ml2000", "--seeds", "3")
    assert run("run", *flags, "--allow-leak", data=fitted)[0] == 0
    assert run("reference", *flags, "--allow-leak", data=fitted)[0] == 0
    for command in ("status", "tables", "compare", "significance", "drift", "conventions", "reference"):
        code, out, err = run(command, *flags, data=fitted)
        assert (code, out, err.count("\n")) == (2, "", 1)
        assert "--allow-leak" in err


def test_the_seed_that_they_are_for_runs_unmarked(run, fitted, tmp_path):
    code, _, err = run("run", "--datasets", "ml2000", "--seeds", "1-1", data=fitted)
    assert code == 0, err
    assert set(pd.read_csv(tmp_path / "results/tables/per_seed.csv")["provenance"]) == {"rebuilt"}
    assert not any("leak" in path.read_text() for path in (tmp_path / "results/tables").iterdir())


def test_other_seeds_can_be_allowed_and_are_then_marked_in_everything(run, fitted, tmp_path):
    results = tmp_path / "results"
    flags = ("--datasets", "ml2000", "--seeds", "3", "--allow-leak")
    code, out, err = run("run", *flags, data=fitted)
    assert code == 0, err
    assert "leaked" in out.split("BR")[0]
    for name in ("table1", "table2_as-printed", "table2_equal", "table3_as-printed", "table3_equal"):
        for form, mark in (("md", "¶"), ("tex", r"\P{}")):
            text = (results / "tables" / f"{name}.{form}").read_text()
            assert f"ML2000{mark}" in text
            assert "seeds 0, 2 test on rows" in text
    for name in ("per_seed.csv", "metrics.csv"):
        assert set(pd.read_csv(results / "tables" / name)["provenance"]) == {"leaked"}
    for path in results.glob("runs/*/*/*/record.json"):
        record = json.loads(path.read_text())
        assert record["provenance"] == record["settings"]["provenance"] == "leaked"
        assert "seeds 0, 2 test on rows" in record["data_note"]
    said = "ml2000: leaked, as seeds test on rows that the features were fitted on"
    assert said in run("compare", *flags, data=fitted)[1]
    assert set(pd.read_csv(results / "tables" / "verdicts.csv")["provenance"].dropna()) == {"leaked"}
    assert said in run("significance", *flags, data=fitted)[1]
    assert "(leaked)" in run("conventions", *flags, data=fitted)[1]
    assert run("reference", *flags, data=fitted)[0] == 0
    assert said in run("drift", *flags, data=fitted)[1]
    assert said in run("drift", "--json", *flags, data=fitted)[1]
    code, out, err = run("compare", "--reference", *flags, data=fitted)
    assert said in out, err


def test_records_of_allowed_seeds_never_enter_a_run_without_the_flag_or_the_other_way_round(run, fitted):
    assert run("run", "--datasets", "ml2000", "--seeds", "2", "--allow-leak", data=fitted)[0] == 0
    code, out, _ = run("run", "--datasets", "ml2000", "--seeds", "1-1", "--dry-run", data=fitted)
    assert code == 0
    assert "2 jobs, 0 done, 2 to run" in out


def test_a_run_of_another_data_set_leaves_out_what_does_not_suit_its_seeds(run, fitted, tmp_path):
    assert run("run", "--datasets", "ml2000", "--seeds", "1-1", data=fitted)[0] == 0
    put(fitted / "taobao", provenance="real")
    code, _, err = run("run", "--datasets", "taobao", "--seeds", "2", data=fitted)
    assert code == 0, err
    assert set(pd.read_csv(tmp_path / "results/tables/per_seed.csv")["dataset"]) == {"taobao"}


def test_a_look_alike_stays_one_whatever_leaks(run, fitted, tmp_path):
    origin = {"provenance": str(Provenance.LOOK_ALIKE), "fit_on": "train:1"}
    (fitted / "ml2000" / "provenance.json").write_text(json.dumps(origin))
    assert run("run", "--datasets", "ml2000", "--seeds", "2", data=fitted)[0] == 2
    assert run("run", "--datasets", "ml2000", "--seeds", "2", "--allow-leak", data=fitted)[0] == 0
    assert set(pd.read_csv(tmp_path / "results/tables/per_seed.csv")["provenance"]) == {"look-alike"}
    assert "seed 0 test on rows" in (tmp_path / "results/tables/table2_equal.md").read_text()
