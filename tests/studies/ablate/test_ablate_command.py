"""`run_all.py ablate`: from jobs to effects, resumed where it stopped, with refused levels told apart."""

import csv
import io
import json
import shutil

import pandas as pd
import pytest
from ablate_methods import study_registry

from benchmark.cli import main
from benchmark.contracts import Provenance
from benchmark.run.pool import Summary
from benchmark.run.store import RecordStore
from benchmark.score.metrics import METRICS
from benchmark.score.reading import read_scores
from benchmark.studies.ablate import conduct, report
from benchmark.studies.ablate.figure import draw_ranking

SMALL = ["--jobs", "1", "--device", "cpu", "--profile", "tiny"]
FACTORS = ["--seeds", "2", "--factors", "sharpness,bias,threshold"]


def places(folder):
    return ["--results", str(folder), "--data", str(folder)]


@pytest.fixture(autouse=True)
def no_figure(monkeypatch):
    """Write an empty figure: drawing takes longer than a toy's study."""
    monkeypatch.setattr(report, "draw_ranking", lambda *given: given[-1].touch())


@pytest.fixture(scope="module")
def finished_once(tmp_path_factory):
    """Run the study of `FACTORS` once."""
    folder = tmp_path_factory.mktemp("finished")
    assert main(["ablate", *FACTORS, *SMALL, *places(folder)], study_registry()) == 0
    return folder


@pytest.fixture
def finished(finished_once, tmp_path):
    """Return the folder of a finished study of `FACTORS`, a copy below `tmp_path`."""
    shutil.copytree(finished_once, tmp_path, dirs_exist_ok=True)
    return tmp_path / "ablate" / "tiny"


@pytest.fixture
def ablate(tmp_path, capsys):
    """Call the command in a results folder of its own; return exit code, output and errors."""

    def call(*arguments, toys=None):
        code = main(["ablate", *arguments, *SMALL, *places(tmp_path)], toys or study_registry())
        printed = capsys.readouterr()
        return code, printed.out, printed.err

    return call


def folders(tmp_path):
    return {path.parent: path.stat().st_mtime_ns for path in tmp_path.glob("ablate/tiny/runs/**/record.json")}


def test_study_runs_resumes_and_tells_refused_levels(ablate, tmp_path):
    code, out, _ = ablate("--seeds", "2", "--factors", "sharpness,trouble,threshold,ddof")
    made = folders(tmp_path)
    assert code == 1  # failed jobs
    # The baseline, two levels of sharpness and two of trouble, on two seeds each, and nowhere else.
    assert len(made) == 10
    assert not (tmp_path / "runs").exists()
    assert "trouble = always: 2 of 2 seeds without a result; failed: FloatingPointError" in out
    assert "trouble = seed1: 1 of 2 seeds without a result" in out
    assert "refused: rule 'eq13@holdout' needs scores of held-out rows" in out
    effects = pd.read_csv(tmp_path / "ablate" / "tiny" / "effects.csv")
    always = effects[(effects["factor"] == "trouble") & (effects["level"] == "always")]
    assert (always["n_pairs"] == 0).all()
    assert always["effect"].isna().all()
    ranking = pd.read_csv(tmp_path / "ablate" / "tiny" / "ranking.csv").set_index("factor")
    assert ranking.loc["trouble", "n_without"] == 2

    ablate("--seeds", "2", "--factors", "sharpness,trouble,threshold,ddof")  # failed jobs: once again
    retried = folders(tmp_path)
    changed = {folder.parent.name for folder in made if made[folder] != retried[folder]}
    assert changed == {"M3LA[trouble=always]", "M3LA[trouble=seed1]"}
    _, out, _ = ablate("--seeds", "2", "--factors", "sharpness,trouble,threshold,ddof")
    assert folders(tmp_path) == retried  # nothing ran
    assert "0 to run" in out


def test_readings_after_training_are_those_of_the_stored_scores(ablate, tmp_path):
    assert ablate("--seeds", "3", "--factors", "threshold,scoring")[0] == 0
    effects = pd.read_csv(tmp_path / "ablate" / "tiny" / "effects.csv").set_index(
        ["factor", "level", "metric"]
    )
    store = RecordStore(tmp_path / "ablate" / "tiny" / "runs" / "screening")
    records = store.scan().records
    assert {record.method for record in records} == {"M3LA"}  # nothing else was trained
    for name, other, scoring, rule in (
        ("threshold", "fixed", "soft", "fixed"),
        ("scoring", "hard", "hard", "eq16a"),
    ):
        for metric in ("hamming_loss", "ranking_loss"):
            by_hand = [
                read_scores(store.arrays(record), scoring, rule).metrics[metric]
                - read_scores(store.arrays(record), "soft", "eq16a").metrics[metric]
                for record in records
            ]
            row = effects.loc[name, other, metric]
            assert row["difference"] == pytest.approx(sum(by_hand) / 3, rel=1e-5, abs=1e-9)
            assert row["n_pairs"] == 3


def test_final_stage_combines_the_largest_factors_of_training(ablate, finished, tmp_path, monkeypatch):
    monkeypatch.setattr(report, "draw_ranking", draw_ranking)
    flags = ["--seeds", "2", "--factors", "sharpness,bias,noise,label", "--final", "--final-seeds", "2"]
    code, out, err = ablate(*flags, "--json")
    document = json.loads(out)
    assert (code, document["exit_code"]) == (0, 0)
    assert "16 jobs" in err  # 2^3 configurations, two seeds
    screening, final = document["stages"]
    first = [row["factor"] for row in screening["ranking"] if row["kind"] == "training"][:3]
    assert "label" not in first  # it changes nothing
    terms = {row["term"] for row in final["contrasts"]}
    assert len(terms) == 7
    assert " × ".join(first) in terms
    assert final["configurations_tried"] == 8
    assert {row["n_pairs"] for row in final["contrasts"]} == {2}
    text = (finished / "ablate.md").read_text()
    assert "Of 8 configurations tried here after 6 before" in text
    svg = (finished / "ablate_screening.svg").read_bytes()
    before = folders(tmp_path)

    code, _, err = ablate(*flags[:4])  # without --final: what was recorded of it stays in the report
    assert folders(tmp_path) == before
    assert set(pd.read_csv(finished / "contrasts.csv")["n_pairs"]) == {2}
    assert code == 1
    assert "final: 64 of 80 jobs were not run" in err  # by default it has ten seeds
    assert (finished / "ablate_screening.svg").read_bytes() == svg
    assert b"<dc:date>" not in svg


def test_the_table_of_finished_jobs_holds_the_metrics_of_their_stored_scores(finished):
    with (finished / "measured.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))  # pandas rounds the last digit of a number that it reads
    store = RecordStore(finished / "runs" / "screening")
    records = {(record.method, record.seed): record for record in store.scan().records}
    assert len(rows) == len(records) == 8  # the baseline, two levels of sharpness and one of bias
    for row in rows:
        record = records.pop((row["method"], int(row["seed"])))
        reading = read_scores(store.arrays(record), "soft", "eq16a")
        assert {metric.id: float(row[metric.id]) for metric in METRICS} == reading.metrics
        assert (row["config_hash"], row["score_digest"]) == (record.config_hash, record.score_digest)


def test_a_study_goes_on_from_its_table_of_finished_jobs_without_their_records(ablate, finished):
    folder = finished
    before = {name: (folder / name).read_bytes() for name in ("effects.csv", "values.csv", "measured.csv")}
    shutil.rmtree(folder / "runs")
    code, out, _ = ablate(*FACTORS)
    assert code == 0
    assert "2 to run" in out  # the baseline, whose scores are read by other rules
    assert {path.parts[-3] for path in (folder / "runs").glob("**/record.json")} == {"M3LA"}
    for name in ("effects.csv", "values.csv"):
        assert (folder / name).read_bytes() == before[name]
    tables = (before["measured.csv"], (folder / "measured.csv").read_bytes())
    pd.testing.assert_frame_equal(*(pd.read_csv(io.BytesIO(data)) for data in tables))


def test_finished_jobs_of_another_version_run_again_and_their_rows_go(ablate, finished):
    path = finished / "measured.csv"
    table = pd.read_csv(path)
    bias = table["method"] == "M3LA[bias=up]"
    table.assign(config_hash=table["config_hash"].where(~bias, "0123456789ab"), macro_auc=0.25).to_csv(
        path, index=False
    )
    shutil.rmtree(finished / "runs")
    _, out, _ = ablate(*FACTORS)
    assert "4 to run" in out
    now = pd.read_csv(path)
    assert "0123456789ab" not in set(now["config_hash"])
    values = pd.read_csv(finished / "values.csv")
    taken = values[(values["metric"] == "macro_auc") & (values["factor"] == "sharpness")]["value"]
    anew = values[(values["metric"] == "macro_auc") & (values["factor"] == "bias")]["value"]
    assert set(taken) == {0.25}
    assert 0.25 not in set(anew)


def test_an_interrupted_study_keeps_what_is_finished(ablate, finished, monkeypatch):
    path = finished / "measured.csv"
    before = pd.read_csv(path)
    before = before[~before["method"].str.contains("sharpness")].reset_index(drop=True)
    for folder in finished.glob("runs/screening/ml2000/*sharpness*"):
        shutil.rmtree(folder)
    path.unlink()
    monkeypatch.setattr(conduct, "run_plan", lambda *_: Summary(interrupted=True))
    code, _, err = ablate(*FACTORS)
    assert code == 130
    assert "goes on from there" in err
    pd.testing.assert_frame_equal(pd.read_csv(path), before)


def test_an_interrupted_study_of_other_code_loses_no_row_of_the_earlier_one(ablate, finished, monkeypatch):
    path = finished / "measured.csv"
    earlier = pd.read_csv(path).assign(config_hash=lambda table: "0" + table["config_hash"].str[1:])
    earlier.to_csv(path, index=False)
    shutil.rmtree(finished / "runs")
    monkeypatch.setattr(conduct, "run_plan", lambda *_: Summary(interrupted=True))
    assert ablate(*FACTORS)[0] == 130
    pd.testing.assert_frame_equal(pd.read_csv(path), earlier)


def test_a_study_with_other_epochs_keeps_the_jobs_of_the_first(ablate, finished):
    path = finished / "measured.csv"
    before = pd.read_csv(path)
    ablate("--seeds", "2", "--factors", "bias", "--epochs", "1")
    now = pd.read_csv(path)
    assert sorted(set(now["epochs"])) == [1, 2]
    assert set(before["config_hash"]) < set(now["config_hash"])
    assert len(now) == len(before) + 4


def test_a_narrower_study_loses_no_finished_job(ablate, finished):
    path = finished / "measured.csv"
    before = pd.read_csv(path)
    ablate("--seeds", "2", "--factors", "bias")
    pd.testing.assert_frame_equal(pd.read_csv(path), before)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("stage,method\na,b\n", "lacks the columns seed, config_hash"),
        ("\x00", "lacks the columns"),
        ("", "is no table"),
    ],
)
def test_a_damaged_table_of_finished_jobs_is_refused_with_the_remedy(ablate, tmp_path, text, message):
    (tmp_path / "ablate" / "tiny").mkdir(parents=True)
    (tmp_path / "ablate" / "tiny" / "measured.csv").write_text(text)
    code, _, err = ablate(*FACTORS)
    assert code == 2
    assert message in err
    assert "delete it to measure anew" in err


def test_dry_run_prints_jobs_and_makes_nothing(ablate, tmp_path):
    code, out, _ = ablate("--dry-run", "--final", "--factors", "label,bias")
    assert code == 0
    assert "M3LA[label=1%2Fq]" in out
    assert "9 jobs, 0 done, 9 to run" in out
    assert "80 jobs" in out
    code, out, _ = ablate("--dry-run", "--json", "--factors", "bias", "--seeds", "2")
    assert [job["method"] for job in json.loads(out)] == ["M3LA", "M3LA[bias=up]"] * 2
    assert not (tmp_path / "ablate").exists()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--seeds", "0"], "not understood"),
        (["--seeds", "4,"], "one seed"),
        (["--seeds", "1"], "one seed"),
        (["--epochs", "0"], "is out of range; write 1 to"),
        (["--factors", "sharpnes"], "did you mean 'sharpness'"),
        (["--final", "--final-epochs", "-3"], "is out of range; write 1 to"),
        (["--final", "--final-seeds", "1"], "one seed"),
    ],
)
def test_flags_that_cannot_be_used_are_named(ablate, tmp_path, arguments, message):
    code, out, err = ablate(*arguments)
    assert (code, out) == (2, "")
    assert message in err
    assert not (tmp_path / "ablate").exists()


def test_look_alike_data_are_refused_before_any_training(ablate, tmp_path):
    code, _, err = ablate(toys=study_registry(Provenance.LOOK_ALIKE))
    assert code == 2
    assert "look-alike" in err
    assert not (tmp_path / "ablate").exists()


def test_all_failed_is_cannot_judge(ablate):
    toys = study_registry()
    spec = toys.methods["M3LA"]
    object.__setattr__(spec, "options", {"trouble": "always"})
    code, out, err = ablate("--seeds", "2", "--factors", "bias", toys=toys)
    assert code == 2
    assert "cannot judge" in err
    assert "bias = up: 2 of 2 seeds without a result; failed: FloatingPointError: the loss is nan" in out


def test_altered_scores_make_no_pair_and_are_told(ablate, finished):
    altered = next(finished.glob("runs/screening/ml2000/M3LA/0-*/scores.npz"))
    other = next(finished.glob("runs/screening/ml2000/M3LA[[]bias=up]/0-*/scores.npz"))
    altered.write_bytes(other.read_bytes())
    (finished / "measured.csv").unlink()
    code, out, err = ablate("--seeds", "2", "--factors", "bias,scoring", "--json")
    assert code == 2  # one seed is left to each effect
    assert "scores.npz differs from its digest" in err
    assert "cannot judge" in err
    effects = json.loads(out)["stages"][0]["effects"]
    assert {row["n_pairs"] for row in effects} == {1}
    assert {row["effect_low"] for row in effects} == {None}
    assert {row["reason"] for row in effects} >= {"baseline: no readable record", "no readable record"}
    table = pd.read_csv(finished / "measured.csv")
    assert list(table["method"] + table["seed"].astype(str)) == ["M3LA1", "M3LA[bias=up]0", "M3LA[bias=up]1"]
