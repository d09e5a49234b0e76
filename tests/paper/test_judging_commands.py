"""`compare`, and what it shares with `significance` and `explain`: what they print, write and refuse."""

import json
import re
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest
from references import JUDGED_BEFORE, REFERENCE, answer, folder
from tiny_benchmark import ToyData, method, registry

from benchmark.cli import main
from benchmark.contracts import Provenance
from benchmark.paper.compare import judge_all
from benchmark.paper.evidence import Evidence
from benchmark.paper.gather import gather
from benchmark.paper.printed import read_paper
from benchmark.registry import discover
from benchmark.run.bench import Bench
from benchmark.run.config import ConfigError

ROOT = Path(__file__).resolve().parents[2]


def test_compare_judges_the_committed_reference_and_writes_beside_it(judged):
    results, (code, out, err), _ = judged
    assert code == 0, err
    verdicts = pd.read_csv(folder(results) / "verdicts.csv", keep_default_na=False)
    assert len(verdicts) == 120  # of the 300 printed cells, those on ML2000
    assert set(verdicts.loc[verdicts["method"] == "CS3G", "verdict"]) == {"not comparable"}
    tested = verdicts[verdicts["verdict"] != "not comparable"]
    assert set(tested["provenance"]) == {"rebuilt"}
    assert "reproduced" not in set(tested["verdict"])  # on rebuilt features it says so
    assert (folder(results) / "verdicts.md").read_text(encoding="utf-8") in out
    assert (folder(results) / "claims.md").read_text(encoding="utf-8") in out
    claims = pd.read_csv(folder(results) / "claims.csv", keep_default_na=False).set_index(["id", "side"])
    assert "(on our features)" in claims.loc[("poor-for-want-of-modalities", "ours"), "scope"]
    assert claims.loc[("constantly-corrected", "ours"), "verdict"] == "not supported"


def test_compare_for_programs_says_the_same_with_null_for_what_does_not_exist(judged, judged_for_programs):
    (judgement,) = json.loads(judged_for_programs.out)
    assert judgement["exit_code"] == judged_for_programs.code == 0
    assert judgement["totals"]["distinct"] == 80
    missing = next(row for row in judgement["verdicts"] if row["method"] == "CS3G")
    assert missing["p_holm"] is None
    written = pd.read_csv(folder(judged[0]) / "verdicts.csv")
    counts = judgement["totals"]["counts"]
    distinct = written[~written["repeats"]]
    assert counts == {name: int((distinct["verdict"] == name).sum()) for name in counts}


def test_the_committed_verdicts_are_those_of_the_committed_references(tmp_path):
    made = tmp_path / "reference" / "paper"
    shutil.copytree(REFERENCE / "paper", made, ignore=JUDGED_BEFORE)
    told = answer(tmp_path, "compare")
    assert (told.code, told.err) == (0, "")  # look-alikes, which support no verdict, are no fault
    folders = sorted(path.parent.relative_to(REFERENCE) for path in REFERENCE.glob("paper/*/verdicts.csv"))
    assert len(folders) > 1
    for path in (at / name for at in folders for name in ("verdicts.csv", "claims.csv")):
        # Digits of a p-value may differ between versions of scipy, a verdict may not.
        pd.testing.assert_frame_equal(
            pd.read_csv(tmp_path / "reference" / path), pd.read_csv(REFERENCE / path), rtol=1e-4, atol=1e-9
        )


def gathered(results, seeds=None):
    """Read the reference of ML2000 in a results folder."""
    bench = Bench.of(
        discover(),
        profile="paper",
        methods=None,
        datasets="ml2000",
        seeds=seeds,
        data_dir=results,
        results_dir=results,
    )
    (found,) = gather(bench, reference=True)
    return found.evidence


def judgement_of(evidence, *claims):
    """Judge all cells and the claims that are named."""
    paper = read_paper()
    (judgement,) = judge_all(
        [evidence], replace(paper, claims=[claim for claim in paper.claims if claim["id"] in claims])
    )
    return judgement


def test_a_reference_without_decoding_steps_cannot_judge_the_claim_about_them(results):
    (folder(results) / "steps.csv").unlink()
    judgement = judgement_of(gathered(results), "constantly-corrected")
    assert (judgement.exit_code, judgement.problems) == (0, ())
    claim = judgement.claims.set_index("side").loc["ours"]
    assert claim["verdict"] == "cannot judge"
    assert "keeps no decoding steps per seed" in claim["reason"]


def of(frame, **values):
    """Say which rows have these values."""
    return (frame[list(values)] == list(values.values())).all(axis=1)


@pytest.mark.parametrize(
    ("spoil", "problem"),
    [
        (
            lambda frame: frame[~of(frame, method="BR", seed=3)],
            "ml2000/BR: cannot judge: seed 3 missing (10 printed cells)",
        ),
        (
            lambda frame: frame.assign(
                value=frame["value"].mask(of(frame, method="BR", seed=3, metric="macro_auc"))
            ),
            "ml2000/BR: cannot judge: undefined (nan or infinite) for seed 3 (1 printed cells)",
        ),
        (
            lambda frame: frame[~of(frame, method="BR", metric="macro_auc")],
            "ml2000/BR: cannot judge: no macro_auc of it in the reference of profile paper (1 printed cells)",
        ),
        (
            lambda frame: frame.assign(
                config_hash=frame["config_hash"].mask(
                    of(frame, method="CC") & (frame["seed"] > 4), "0123456789ab"
                )
            ),
            "ml2000/CC: cannot judge: mixes versions of the method",
        ),
        (
            lambda frame: frame[frame["threshold"] != "eq16a"],
            "ml2000/M3LA: cannot judge: read by another rule or scoring",
        ),
    ],
    ids=["missing seed", "undefined", "no metric", "two versions", "another rule"],
)
def test_what_cannot_be_judged_is_a_problem_that_is_told(results, spoil, problem):
    path = folder(results) / "per_seed.csv"
    spoil(pd.read_csv(path)).to_csv(path, index=False)
    judgement = judgement_of(gathered(results, seeds="8"))
    assert judgement.exit_code == 1
    assert any(line.startswith(problem) for line in judgement.problems)
    assert all(line.startswith(problem[:10]) for line in judgement.problems)  # and of no other method


def test_a_problem_is_told_by_the_command_with_exit_code_1(run, results):
    path = folder(results) / "per_seed.csv"
    frame = pd.read_csv(path)
    frame[~of(frame, method="BR", seed=3)].to_csv(path, index=False)
    code, _, err = run("compare", "--seeds", "8")
    assert code == 1
    assert "ml2000/BR: cannot judge: seed 3 missing (10 printed cells)" in err


def test_references_of_several_data_sets_are_judged_as_one(run, results, judged_for_programs):
    """A copy of ML2000's reference as another data set's: claims see both, and Holm's family is both."""
    other = results / "reference" / "paper" / "msra"
    shutil.copytree(folder(results), other)
    for name in ("per_seed.csv", "metrics.csv", "steps.csv"):
        path = other / name
        path.write_text(path.read_text(encoding="utf-8").replace("ml2000,", "msra,"), encoding="utf-8")
    code, out, err = run("compare", "--json")
    assert code == 0, err
    found = {judgement["verdicts"][0]["dataset"]: judgement for judgement in json.loads(out)}
    assert set(found) == {"msra", "ml2000"}
    assert {row["dataset"] for row in found["msra"]["verdicts"]} == {"msra"}
    assert (other / "verdicts.md").is_file()
    assert found["msra"]["claims"] == found["ml2000"]["claims"]
    claims = {(claim["id"], claim["side"]): claim for claim in found["msra"]["claims"]}
    assert "of 20 cells" in claims["constantly-corrected", "ours"]["numbers"]
    assert not any("msra: not run" in json.dumps(claim) for claim in found["msra"]["claims"])
    before, now = (
        pd.DataFrame(judgement["verdicts"]).set_index(["table", "method", "metric"])
        for judgement in (json.loads(judged_for_programs.out)[0], found["ml2000"])
    )
    tested = before["p_holm"].notna() & (before["p_holm"] > 0) & (before["p_holm"] < 0.5)
    assert (now["p_holm"][tested] >= before["p_holm"][tested]).all()
    assert (now["p_holm"][tested] > before["p_holm"][tested]).any()


@pytest.mark.parametrize("command", ["compare", "significance"])
@pytest.mark.parametrize(
    ("choice", "why"),
    [
        (("--methods", "M3LA,BR"), "this leaves out BR-fair, .*"),
        (("--seeds", "4"), "seeds are others than those of the references"),
    ],
)
def test_of_a_choice_of_what_references_hold_nothing_is_kept_beside_them(run, results, command, choice, why):
    before = {path for path in results.rglob("*") if path.is_file()}
    code, out, _ = run(command, *choice)
    assert code == 0
    assert re.search(rf"^nothing is written: .*{why}$", out, re.MULTILINE)
    assert {path for path in results.rglob("*") if path.is_file()} == before
    assert run(command)[0] == 0
    assert {path for path in results.rglob("*") if path.is_file()} > before


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda path: (path / "per_seed.csv").unlink(), "per_seed.csv is missing"),
        (lambda path: (path / "per_seed.csv").write_text(""), "per_seed.csv cannot be read"),
        (lambda path: (path / "per_seed.csv").write_text("dataset,seed\n"), "lacks the columns"),
        (
            lambda path: (path / "per_seed.csv").write_text(
                (path / "per_seed.csv").read_text().replace(",0.9", ",o.9")
            ),
            "holds a value that is not a number",
        ),
        (
            lambda path: (path / "metrics.csv").write_text(
                (path / "metrics.csv").read_text().replace(",paper,", ",tiny,")
            ),
            "was made with profile tiny",
        ),
        (
            lambda path: (path / "metrics.csv").write_text(
                (path / "metrics.csv").read_text().replace(",paper,", ",,", 1)
            ),
            "was made with profile nan",
        ),
        (
            lambda path: (path / "per_seed.csv").write_text(
                (path / "per_seed.csv").read_text().replace("ml2000,BR,", "ml2000,,", 1)
            ),
            "does not say where nan comes from",
        ),
        (
            lambda path: (path / "metrics.csv").write_text(
                (path / "metrics.csv").read_text().replace("ml2000,BR,", "ml2000,XX,")
            ),
            "does not say where BR comes from",
        ),
        (
            lambda path: (path / "steps.csv").write_text(
                (path / "steps.csv").read_text().replace("ml2000,M3LA,0,1,", "ml2000,M3LA,0,first,")
            ),
            "holds a step that is not a number",
        ),
        (lambda path: shutil.rmtree(path), "holds no reference of"),
    ],
    ids=[
        "no file",
        "empty",
        "columns",
        "text",
        "profile",
        "no profile",
        "no method",
        "provenance",
        "steps",
        "no folder",
    ],
)
def test_a_reference_that_cannot_be_used_is_refused_with_exit_code_2(run, results, spoil, message):
    spoil(folder(results))
    code, out, err = run("compare")
    assert code == 2
    assert message in err
    assert not out
    assert not (results / "reference" / "paper" / "ml2000" / "verdicts.md").exists()


@pytest.mark.parametrize("command", ["compare", "significance"])
def test_seeds_that_no_reference_has_are_refused_in_one_line(run, command):
    code, out, err = run(command, "--seeds", "20-25")
    assert (code, out) == (2, "")
    assert "holds no number of the chosen methods and seeds; correct --methods or --seeds" in err
    assert err.count("\n") == 1


@pytest.mark.parametrize("command", [("significance",), ("explain", "BR", "ml2000", "coverage")])
def test_the_other_commands_refuse_a_missing_reference_too(run, results, command):
    shutil.rmtree(folder(results))
    code, out, err = run(*command)
    assert (code, out) == (2, "")
    assert "holds no reference of" in err


def test_look_alikes_and_capped_profiles_leave_nothing_to_judge(run, results):
    for dataset in ("ml2000", "msra"):
        shutil.copytree(REFERENCE / "tiny" / dataset, results / "reference" / "tiny" / dataset)
    code, _, err = run("compare", "--profile", "tiny")
    assert code == 2
    assert "no printed cell is comparable" in err
    verdicts = pd.read_csv(results / "reference" / "tiny" / "ml2000" / "verdicts.csv", keep_default_na=False)
    assert "profile tiny is not the printed protocol" in set(verdicts["reason"])
    verdicts = pd.read_csv(results / "reference" / "tiny" / "msra" / "verdicts.csv", keep_default_na=False)
    assert {"look-alike data"} <= set(verdicts["reason"])
    assert set(verdicts["verdict"]) == {"not comparable"}


def test_a_data_set_that_the_paper_does_not_have_is_refused():
    nothing = pd.DataFrame()
    with pytest.raises(ConfigError, match="the paper prints nothing of mine"):
        judge_all([Evidence(nothing, nothing, None, (), (0,), "mine", ("mine",))], read_paper())


def test_no_records_are_no_silent_pass(results, capsys):
    places = ["--results", str(results)]
    for command in (["compare"], ["significance"], ["explain", "BR", "ml2000", "coverage"]):
        assert main([*command, *places]) == 2
        printed = capsys.readouterr()
        assert "record of the chosen data sets, methods and seeds at profile" in printed.err
        assert not printed.out
    assert not (results / "tables").exists()


@pytest.mark.usefixtures("without_page")
def test_records_are_judged_and_those_of_another_version_are_not(tmp_path, capsys):
    data = (ToyData(id="ml2000", kind=Provenance.REBUILT),)
    places = ["--results", str(tmp_path), "--data", str(tmp_path), "--seeds", "2"]
    first = registry(method("BR"), method("CC", blur=0.5), datasets=data)
    assert main(["run", "--jobs", "1", *places], first) == 0
    capsys.readouterr()
    assert main(["compare", *places], first) == 0
    verdicts = pd.read_csv(tmp_path / "tables" / "verdicts.csv", keep_default_na=False)
    assert set(verdicts.loc[verdicts["method"].isin(["BR", "CC"]), "n_seeds"]) == {2}
    assert set(verdicts.loc[verdicts["method"] == "M3LA", "reason"]) == {"method not implemented"}
    assert main(["explain", "BR", "ml2000", "coverage", *places], first) == 0
    assert "runs/ml2000/BR/0-" in capsys.readouterr().out

    toy = registry(method("BR"), method("CC", blur=0.5), datasets=(*data, ToyData()))
    assert main(["compare", "--datasets", "toy", *places], toy) == 2
    assert "holds no finished, current record" in capsys.readouterr().err

    changed = registry(method("BR"), method("CC", blur=0.6), datasets=data)
    assert main(["compare", *places], changed) == 1
    assert (
        "ml2000/CC: cannot judge: the records of seeds 0, 1 are of another version" in capsys.readouterr().err
    )
    assert main(["compare", "--methods", "CC", *places], changed) == 2
    assert main(["significance", *places], changed) == 2
    assert main(["explain", "CC", "ml2000", "coverage", *places], changed) == 2
    assert "of another version" in capsys.readouterr().err

    broken = next(tmp_path.glob("runs/ml2000/BR/0-*")) / "record.json"
    broken.write_text("{")
    assert main(["explain", "BR", "ml2000", "coverage", *places], first) == 1
    printed = capsys.readouterr()
    assert "over 1 seeds" in printed.out
    assert str(broken.parent) in printed.err


def test_help_of_the_judging_commands_imports_nothing_heavy():
    for command in ("compare", "significance", "explain"):
        call = f"benchmark.cli.main(['{command}', '--help'])"
        program = f"import sys, benchmark.cli; {call}; print(sorted(sys.modules))"
        shown = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True)
        assert "--reference" in shown.stdout
        heavy = ("torch", "sklearn", "pandas", "numpy", "statsmodels", "matplotlib")
        assert not any(f"'{name}'" in shown.stdout for name in heavy)
