"""`run_all.py drift` from end to end, on a benchmark of toys."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from xml.etree import ElementTree

import drift_methods as toys
import numpy as np
import pandas as pd
import pytest
from rich.console import Console
from tiny_benchmark import method, registry

from benchmark.cli import main
from benchmark.run.bench import Bench
from benchmark.run.config import Running
from benchmark.run.devices import available_pool
from benchmark.run.plan import make_plan
from benchmark.run.pool import run_plan
from benchmark.run.progress import Progress
from benchmark.run.record_file import SCHEMA_VERSION

SEEDS = ("--seeds", "4")
REFITS = 2


def with_method(estimator, **options):
    """Return a benchmark in which the method `Learner` is made by `estimator`, beside a fixed one."""
    return registry(
        method("Learner", estimator, **options), method("Fixed", toys.Frequencies), datasets=(toys.DATA,)
    )


ORIGINAL, OTHER_SEEDS, WRONG_LOSS = map(with_method, (toys.Descent, toys.OtherSeeds, toys.WrongLoss))


def call(folder, *arguments, benchmark=ORIGINAL, seeds=SEEDS):
    flags = ("--profile", "tiny", "--results", str(folder), "--data", str(folder), *seeds)
    return main([*arguments, *flags], benchmark)


def run(folder, benchmark=ORIGINAL, n_seeds=4, **choice):
    """Make the records that are missing, without the tables that the command `run` would write."""
    choice |= {"profile": "tiny", "seeds": str(n_seeds), "data_dir": folder, "results_dir": folder}
    bench, running = Bench.of(benchmark, **choice), Running.of(jobs=1, device="cpu")
    plan = make_plan(bench)
    progress = Progress(plan.to_run(), running.jobs, Console(stderr=True))
    return run_plan(plan, bench, running, available_pool(running.device), progress)


@pytest.fixture(scope="module")
def referenced(tmp_path_factory):
    """A results folder with records, a reference of them with refit noise, and records of later versions."""
    folder = tmp_path_factory.mktemp("referenced")
    run(folder)
    assert call(folder, "reference", "--refit-noise", str(REFITS), "--jobs", "1") == 0
    for benchmark in (OTHER_SEEDS, WRONG_LOSS):
        run(folder, benchmark, methods="learner")
    return folder


@pytest.fixture
def folder(referenced, tmp_path):
    """A copy of it to play with."""
    return Path(shutil.copytree(referenced, tmp_path / "results"))


@pytest.fixture
def reference(folder):
    return folder / "reference" / "tiny" / "toy"


@pytest.fixture
def record(folder, reference):
    """The folder of a record that the reference was made of."""
    per_seed = pd.read_csv(reference / "per_seed.csv", dtype=str)
    version = per_seed.loc[per_seed["method"] == "Learner", "config_hash"].iloc[0]
    return folder / "runs" / "toy" / "Learner" / f"2-{version}"


@pytest.fixture
def elsewhere(reference):
    """Make the reference one of another machine, so that scores need not agree bit by bit."""
    path = reference / "environment.json"
    environments = json.loads(path.read_text())
    for environment in environments:
        environment["libraries"]["numpy"] = "0.1"
    path.write_text(json.dumps(environments))


@pytest.fixture
def judged(folder, capsys):
    """Call drift in the copy; return exit code, output and errors."""

    def drift(*arguments, **keywords):
        capsys.readouterr()
        code = call(folder, "drift", *arguments, **keywords)
        printed = capsys.readouterr()
        return code, printed.out, printed.err

    return drift


def test_refits_keep_the_split_and_change_only_what_the_method_draws(reference):
    noise = pd.read_csv(reference / "refit_noise.csv")
    per_seed = pd.read_csv(reference / "per_seed.csv")
    assert set(noise.loc[noise["method"] == "Learner", "refit"]) == set(range(1, REFITS + 1))
    assert set(noise.loc[noise["method"] == "Fixed", "refit"]) == {1}  # one shows that it never varies
    digests = {
        (row.method, row.seed): row.score_digest
        for row in per_seed.drop_duplicates(["method", "seed"]).itertuples()
    }
    for row in noise.itertuples():
        same = row.score_digest == digests[row.method, row.seed]
        assert same == (row.method == "Fixed")  # whose scores depend on the rows alone
    hashes = per_seed.groupby("method")["config_hash"].unique().to_dict()
    assert all(row.config_hash in hashes[row.method] for row in noise.itertuples())


def test_records_that_repeat_the_reference_are_no_drift(judged):
    code, out, err = judged()
    assert (code, err) == (0, "")
    assert out.startswith("## No drift")


def test_new_method_seeds_fail_where_every_bit_should_agree(judged):
    code, out, _ = judged(benchmark=OTHER_SEEDS)
    assert code == 1
    assert "where every bit should agree" in out


@pytest.mark.usefixtures("elsewhere")
def test_new_method_seeds_pass_the_paired_band(judged):
    code, out, _ = judged("--json", benchmark=OTHER_SEEDS)
    report = json.loads(out)
    assert code == report["exit_code"] == 0
    learner = next(pair for pair in report["pairs"] if pair["method"] == "Learner")
    assert learner["scores"] == "differ for 4 of 4 seeds"
    assert any(cell["p_value"] is not None for cell in report["cells"] if cell["method"] == "Learner")


@pytest.mark.usefixtures("elsewhere")
def test_one_changed_line_of_a_loss_fails_by_the_band_alone(judged, tmp_path):
    xml, summary = tmp_path / "new" / "junit.xml", tmp_path / "summary.md"
    code, out, _ = judged("--junit", str(xml), "--summary", str(summary), benchmark=WRONG_LOSS)
    assert code == 1
    assert "scores need not agree bit by bit: numpy 0.1 -> " in out
    assert "estimator (Descent -> WrongLoss)" in out
    assert summary.read_text() + "\n" == out
    suite = ElementTree.parse(xml).getroot().find("testsuite")
    cases = {
        case.get("name"): case for case in suite.iter("testcase") if case.get("classname") == "toy.Learner"
    }
    assert [child.tag for child in cases["scores"]] == ["skipped"]  # digests had no say
    failed = {case.get("classname") for case in suite.iter("testcase") if case.find("failure") is not None}
    assert failed == {"toy.Learner"}
    assert int(suite.get("tests")) == 2 * (20 + 1)
    assert int(suite.get("failures")) == len(list(suite.iter("failure"))) > 0


def test_stale_records_cannot_be_judged(judged):
    code, out, _ = judged(benchmark=with_method(toys.Descent, steps=21))
    assert code == 2
    assert "records of seeds 0, 1, 2, 3 are only of another version" in out


def test_failed_jobs_cannot_be_judged(folder, judged):
    benchmark = with_method(toys.Failing)
    assert len(run(folder, benchmark).failures) == 1
    code, out, _ = judged(benchmark=benchmark)
    assert code == 2
    assert "current records: failed for seed 1" in out


def test_scores_that_were_altered_are_named_as_what_cannot_be_judged(record, judged):
    path = record / "scores.npz"
    arrays = dict(np.load(path))
    np.savez_compressed(path, **{**arrays, "scores": arrays["scores"][::-1]})
    code, out, _ = judged()
    assert code == 2
    assert "a record cannot be read" in out


def test_a_record_of_another_schema_cannot_be_judged(record, judged):
    for other in set(record.parent.glob("2-*")) - {record}:
        shutil.rmtree(other)
    path = record / "record.json"
    path.write_text(path.read_text().replace(f'"schema_version": {SCHEMA_VERSION}', '"schema_version": 99'))
    code, out, err = judged()
    assert code == 2
    assert "records of seeds 2 are not there" in out
    assert "schema_version 99" in err


def test_altered_scores_cannot_be_judged(record, judged):
    path = record / "scores.npz"
    path.write_bytes(path.read_bytes()[:-40] + bytes(40))
    code, _, err = judged()
    assert code == 2
    assert "run again" in err


@pytest.mark.parametrize(
    ("flags", "told"),
    [
        (("--seeds", "2"), "seeds differ: the reference has seeds 0 to 3, the current records seeds 0, 1"),
        (("--seeds", "6"), "records of seeds 4, 5 are not there"),
    ],
)
def test_other_seeds_than_the_reference_cannot_be_judged(judged, flags, told):
    code, out, _ = judged(seeds=flags)
    assert code == 2
    assert told in out


@pytest.mark.parametrize("flags", [(), ("--datasets", "toy")])
def test_without_a_reference_nothing_can_be_judged(judged, reference, flags):
    shutil.rmtree(reference)
    code, out, err = judged(*flags)
    assert (code, out) == (2, "")
    assert "holds no reference of toy" in err
    assert len(err.splitlines()) == 1


def newer(*datasets):
    """Return the benchmark with a method that somebody added since the reference was written."""
    return registry(
        method("Learner", toys.Descent),
        method("Fixed", toys.Frequencies),
        method("Newcomer", toys.Newcomer),
        datasets=(toys.DATA, *datasets),
    )


def test_a_new_method_is_named_and_decides_nothing_until_it_is_accepted(folder, judged, tmp_path):
    benchmark = newer()
    run(folder, benchmark, methods="newcomer")
    xml = tmp_path / "junit.xml"
    code, out, err = judged("--junit", str(xml), benchmark=benchmark)
    assert (code, err) == (0, "")
    assert [line.split()[3] for line in out.splitlines() if "not in the reference" in line] == ["Newcomer"]
    suite = ElementTree.parse(xml).getroot().find("testsuite")
    (case,) = (case for case in suite.iter("testcase") if case.get("classname") == "toy.Newcomer")
    assert case.find("skipped").get("message").startswith("not in the reference")
    code, out, _ = judged("--json", "--methods", "newcomer", benchmark=benchmark)
    assert code == 2  # there is nothing else to judge
    assert [pair["verdict"] for pair in json.loads(out)["pairs"]] == ["not in the reference"]
    reason = ("--accept", "--reason", "a new method", "--refit-noise", "0")
    assert judged(*reason, benchmark=benchmark)[0] == 0
    assert "not in the reference" in (folder / "reference" / "tiny" / "toy" / "accepted.md").read_text()
    code, out, _ = judged(benchmark=benchmark)
    assert code == 0
    assert "not in the reference" not in out


def test_a_new_data_set_is_named_and_decides_nothing(folder, judged):
    benchmark = newer(toys.LearnableData("another", expected=toys.DATA.expected))
    run(folder, benchmark, n_seeds=1, datasets="another", methods="fixed")
    code, out, err = judged(benchmark=benchmark)
    assert (code, err) == (0, "")
    named = [line.split()[1:4:2] for line in out.splitlines() if "not in the reference" in line]
    assert named == [["another", "Fixed"]]
    code, out, err = judged("--datasets", "toy,another", benchmark=benchmark)
    assert (code, out) == (2, "")
    assert "holds no reference of another" in err


def test_a_method_of_the_reference_that_is_gone_cannot_be_judged(judged):
    code, out, _ = judged(benchmark=registry(method("Learner", toys.Descent), datasets=(toys.DATA,)))
    assert code == 2
    assert "no method of this version" in out


@pytest.mark.usefixtures("elsewhere")
def test_without_refits_a_stochastic_method_that_moves_cannot_be_judged(judged, reference):
    (reference / "refit_noise.csv").unlink()
    code, out, _ = judged(benchmark=OTHER_SEEDS)
    assert code == 2
    assert "reference --refit-noise N" in out


@pytest.mark.parametrize(
    ("name", "content", "told"),
    [
        ("per_seed.csv", "a,b\n1,2\n", "lacks the columns"),
        ("per_seed.csv", None, "is missing"),
        ("refit_noise.csv", "a,b\n1,2\n", "lacks the columns"),
        ("environment.json", "[", "is not JSON"),
        ("settings.json", "[]", "holds no dict"),
    ],
)
def test_a_damaged_reference_is_named_and_refused(judged, reference, name, content, told):
    (reference / name).unlink()
    if content is not None:
        (reference / name).write_text(content)
    code, out, err = judged()
    assert (code, out) == (2, "")
    assert name in err
    assert told in err
    assert len(err.splitlines()) == 1


def test_accepting_fits_again_on_the_splits_of_before(judged, reference):
    path = reference / "refit_noise.csv"
    stored = pd.read_csv(path)
    stored[stored["seed"] < 2].to_csv(path, index=False)
    assert judged("--accept", "--reason", "x", "--jobs", "1", benchmark=WRONG_LOSS)[0] == 0
    after = pd.read_csv(path)
    assert set(after.loc[after["method"] == "Learner", "seed"]) == {0, 1}


def test_accepting_makes_the_records_the_reference_and_keeps_the_reason(judged, reference):
    benchmark = WRONG_LOSS
    before = pd.read_csv(reference / "refit_noise.csv")
    reason = ("--reason", "absent labels\nno longer count")
    assert judged("--accept", *reason, "--jobs", "1", benchmark=benchmark)[0] == 0
    note = (reference / "accepted.md").read_text()
    assert "> absent labels\n> no longer count" in note
    assert "| toy" in note
    assert "Learner" in note
    after = pd.read_csv(reference / "refit_noise.csv")
    same = before["method"] == "Fixed"
    pd.testing.assert_frame_equal(
        after[after["method"] == "Fixed"].reset_index(drop=True), before[same].reset_index(drop=True)
    )
    assert set(after.loc[after["method"] == "Learner", "config_hash"]).isdisjoint(before["config_hash"])
    assert set(after["refit"]) == set(range(1, REFITS + 1))
    assert judged(benchmark=benchmark)[0] == 0
    assert judged()[0] == 1  # the loss as it was is now what differs
    assert judged("--accept", "--reason", "again", "--jobs", "1", benchmark=benchmark)[0] == 0
    day = note.split()[1]
    again = f"## {day}\n\n> again\n\nNo number had changed.\n\n"
    assert (reference / "accepted.md").read_text() == note + again


@pytest.mark.parametrize(
    ("flags", "keywords", "told"),
    [
        (("--accept",), {}, "--accept needs --reason"),
        (("--accept", "--reason", " "), {}, "--accept needs --reason"),
        (("--accept", "--reason", "x", "--methods", "learner"), {}, "leave out --methods"),
        (
            ("--accept", "--reason", "x"),
            {"seeds": ("--seeds", "5")},
            "2 of 10 jobs are not done, first Learner seed 4",
        ),
        (("--accept", "--reason", "x", "--refit-noise", "-1"), {}, "--refit-noise: -1 is out of range"),
        (("--reason", "x"), {}, "--reason goes with --accept"),
        (("--refit-noise", "3"), {}, "--refit-noise goes with --accept"),
    ],
)
def test_an_acceptance_that_makes_no_sense_changes_nothing(judged, reference, flags, keywords, told):
    before = {path: path.read_bytes() for path in reference.iterdir()}
    code, out, err = judged(*flags, **keywords)
    assert (code, out) == (2, "")
    assert told in err
    assert {path: path.read_bytes() for path in reference.iterdir()} == before


def test_refits_that_fail_are_not_stored(tmp_path, capsys):
    benchmark = registry(method("Learner", toys.FailingRefits), datasets=(toys.DATA,))
    run(tmp_path, benchmark, n_seeds=1)
    flags = ("--refit-noise", "1", "--jobs", "1")
    assert call(tmp_path, "reference", *flags, benchmark=benchmark, seeds=("--seeds", "1")) == 2
    assert "1 of 1 fits of refit 1 did not finish" in capsys.readouterr().err
    assert not (tmp_path / "reference" / "tiny" / "toy" / "refit_noise.csv").exists()
