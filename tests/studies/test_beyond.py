"""`run_all.py beyond`: ranks and claims over data sets with seeds of their own, and what is missing."""

from __future__ import annotations

import dataclasses
import shutil

import numpy as np
import pandas as pd
import pytest
from tiny_benchmark import Busy, Careful, ToyData, method, registry

from benchmark.cli import main
from benchmark.contracts import MethodSpec, Provenance
from benchmark.exit_codes import CANNOT, FINDING, OK
from benchmark.paper.beyond import read_beyond
from benchmark.paper.claim import parse_claims
from benchmark.paper.evidence import Evidence, as_one
from benchmark.paper.printed import read_paper
from benchmark.paper.ranks import critical_difference
from benchmark.registry import discover
from benchmark.run.config import ConfigError, load_profile
from benchmark.score.metrics import METRICS
from benchmark.studies.beyond.command import HERE
from benchmark.studies.beyond.judge import judge_claims, pairs_frame, rank_all, ranks_frame
from benchmark.studies.beyond.measured import NOTHING
from benchmark.studies.beyond.rules import Rules, read_rules
from benchmark.studies.beyond.sources import read_measured
from benchmark.studies.beyond.text import cost
from benchmark.tables.aggregate import PER_SEED_COLUMNS
from datasets.formats.known import known_datasets

SETS = tuple(f"set{k}" for k in range(6))
ROWS = tuple(MethodSpec(name, type(name, (), {})) for name in ("A", "B", "C"))
CLAIM = {
    "id": "a-before-b",
    "section": "I",
    "quote": "A is better",
    "reading": "A is significantly better than B.",
    "check": "difference",
    "methods": ("A",),
    "rivals": ("B",),
    "metrics": ("macro_f1", "hamming_loss"),
    "criterion": "significant",
    "need": 1.0,
    "sides": ("paper", "ours"),
}


def rules(**changed):
    known = {
        "methods": ("A", "B", "C"),
        "claims": ("a-before-b",),
        "seeds": dict.fromkeys(SETS, "4"),
        "over": {"all": SETS, "some": SETS[:5]},
        "rankings": {"all rows": ("A", "B", "C")},
    }
    return Rules(**{**known, **changed})


def of_set(name, seeds=4, gains=(0.2, 0.1, 0.0)):
    """A data set on which A, B and C are better by their gains than chance, whichever way a metric points."""
    noise = np.random.default_rng(0).normal(scale=1e-3, size=(seeds, len(ROWS)))
    rows = [
        {
            **dict.fromkeys(PER_SEED_COLUMNS, ""),
            **{"dataset": name, "method": spec.id, "seed": seed, "metric": metric.id, "status": "done"},
            **{"provenance": "real", "data_hash": name, "config_hash": spec.id},
            "value": 0.5 + (gain + noise[seed, k]) * (1 if metric.direction == "up" else -1),
        }
        for k, (spec, gain) in enumerate(zip(ROWS, gains, strict=True))
        for seed in range(seeds)
        for metric in METRICS
    ]
    frame = pd.DataFrame(rows, columns=list(PER_SEED_COLUMNS))
    return Evidence(frame, frame.iloc[:0], None, ROWS, tuple(range(seeds)), "an example", (name,))


def test_each_data_set_is_held_to_its_own_seeds():
    together = as_one([of_set("set0", seeds=4), of_set("set1", seeds=3)])
    for name, n in (("set0", 4), ("set1", 3)):
        values, reason = together.comparable(name, "A", "macro_f1")
        assert (len(values), reason) == (n, "")
    short = dataclasses.replace(of_set("set1", seeds=3), seeds=(0, 1, 2, 3))
    assert "seed 3 missing" in as_one([of_set("set0"), short]).comparable("set1", "A", "macro_f1")[1]


def test_methods_are_ranked_over_the_sets_and_pairs_tested():
    (over_all, over_some) = rank_all(rules(), as_one([of_set(name) for name in SETS]))
    ranks = ranks_frame([over_all]).query("metric == 'hamming_loss'")
    assert ranks["mean_rank"].tolist() == [1, 2, 3]
    assert ranks["critical_difference"].unique() == pytest.approx(critical_difference(3, 6))
    pairs = pairs_frame([over_all])
    assert set(pairs["better"]) == {"A", "B"}
    assert pairs["p_holm"].max() == pytest.approx(3 * 2 / 2**6)
    assert over_some.tests == ()  # five data sets are too few for Wilcoxon's test


def test_a_set_on_which_a_method_is_missing_is_left_out_by_name():
    parts = [of_set(name) for name in SETS]
    lost = parts[0].as_printed.query("method != 'B'")
    parts[0] = dataclasses.replace(parts[0], as_printed=lost)
    over_all, _ = rank_all(rules(), as_one(parts))
    assert over_all.tests == ()
    assert over_all.left_out == ("set0: B: not run",)


def test_claims_are_judged_on_each_set_and_over_all():
    parts = [of_set(name) for name in SETS[:5]] + [of_set("set5", gains=(0.1, 0.2, 0.0))]
    found = judge_claims(rules(), parse_claims([CLAIM]), as_one(parts)).set_index("over")
    assert found["verdict"].to_dict() == {
        **dict.fromkeys(SETS[:5], "supported"),
        "set5": "contradicted",
        "all": "partly supported",
        "some": "supported",
    }
    assert set(found["side"]) == {"ours"}
    assert found.loc["all", ["cells", "significantly_better", "significantly_worse"]].tolist() == [12, 10, 2]


def test_what_is_written_of_ranks_and_claims_is_read_again(tmp_path):
    together = as_one([of_set(name) for name in SETS])
    ranked, some = rank_all(rules(), together)
    claims = judge_claims(rules(), parse_claims([CLAIM]), together)
    frames = {
        "claims": claims,
        "ranks": ranks_frame([ranked, some]),
        "pairs": pairs_frame([ranked, some]),
        "datasets": pd.DataFrame({"dataset": SETS, "title": [name.upper() for name in SETS]}),
    }
    assert read_beyond(tmp_path) is None
    for name, frame in frames.items():
        frame.to_csv(tmp_path / f"{name}.csv", index=False)
    sets = ", ".join(f'{{ id = "{name}" }}' for name in SETS)
    (tmp_path / "rules.toml").write_text(f"datasets = [{sets}]\nover = {{ all = [], some = [] }}\n")
    found = read_beyond(tmp_path)
    assert (found.judged, found.titles["set3"], len(found.over_all())) == (SETS, "SET3", 1)
    for read, made in zip(found.rank_tests("all rows"), ranked.tests, strict=True):
        assert (read.metric, read.n_datasets) == (made.metric, 6)
        assert (read.p_value, read.critical_difference) == pytest.approx(
            (made.p_value, made.critical_difference)
        )
        assert read.ranks.to_dict() == made.ranks.to_dict()
        assert read.pairwise.to_dict() == made.pairwise.to_dict()
    assert found.rank_tests("other rows") == ()


def test_a_claim_that_the_paper_does_not_make_is_refused():
    with pytest.raises(ConfigError, match="no claim 'zebra'"):
        rules(claims=("zebra",)).general(parse_claims([CLAIM]))


def test_the_committed_rules_name_what_there_is():
    found, known = read_rules(HERE / "rules.toml"), discover()
    assert set(found.methods) == set(known.methods)
    assert set(found.seeds) <= set(known.datasets) | set(known_datasets())
    assert len(found.over["all eight"]) == 8
    recipes = [name for name in found.over["one recipe"] if name.startswith("ml2000")]
    assert (len(found.over["one recipe"]), recipes) == (6, ["ml2000"])
    general = {claim.id for claim in found.general(parse_claims(read_paper().claims))}
    assert {claim["id"] for claim in read_paper().claims} - general == {"msra-lower"}
    cut = load_profile("beyond").dataset_limits
    assert {name for name, seeds in found.seeds.items() if seeds == "5"} == set(cut)


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ("claims = []\n", "expected the keys"),
        ("methods = 3", "of another kind"),
        ('over = { x = ["zebra"] }', "'x' names 'zebra'"),
        ('rankings = { x = ["zebra"] }', "'x' names 'zebra'"),
        ("=", "rules.toml"),
    ],
)
def test_wrong_rules_are_refused(tmp_path, changed, message):
    lines = {
        "methods": 'methods = ["A"]',
        "claims": "claims = []",
        "datasets": 'datasets = [{ id = "toy", seeds = "2" }]',
        "over": "over = {}",
        "rankings": "rankings = {}",
    }
    key = changed.partition(" ")[0]
    lines = {**lines, key: changed} if "expected" not in message else {key: changed}
    (tmp_path / "rules.toml").write_text("\n".join(lines.values()))
    with pytest.raises(ConfigError, match=message):
        read_rules(tmp_path / "rules.toml")


TOY_RULES = """
methods = ["A", "B", "C"]
claims = []
datasets = [{ id = "first", seeds = "2" }, { id = "second", seeds = "3" }]
over = { both = ["first", "second"] }
rankings = { rows = ["A", "B", "C"] }
"""


def toy_registry():
    sets = (
        ToyData("first", "First", kind=Provenance.REAL, in_paper=False),
        ToyData("second", "Second", kind=Provenance.REAL, version=1, in_paper=False),
    )
    return registry(method("A"), method("B", Careful), method("C", Busy), datasets=sets)


def run_what_is_printed(printed, toys, **changed):
    """Run the printed commands; `changed`: values of their flags."""
    for line in printed.splitlines():
        words = line.partition("run_all.py ")[2].split()
        for flag, value in changed.items():
            words[words.index(f"--{flag}") + 1] = value
        assert main(["run", *words, "--device", "cpu", "--jobs", "1"], toys) == OK


@pytest.fixture
def toys():
    return toy_registry()


@pytest.fixture(scope="module")
def records(tmp_path_factory):
    """All records, made once."""
    results = tmp_path_factory.mktemp("records")
    for name, seeds in (("first", "2"), ("second", "3")):
        words = ["run", "--profile", "tiny", "--datasets", name, "--seeds", seeds, "--results", str(results)]
        assert main([*words, "--device", "cpu", "--jobs", "1"], toy_registry()) == OK
    return results / "runs"


@pytest.fixture
def beyond(tmp_path, toys, capsys):
    (tmp_path / "rules.toml").write_text(TOY_RULES)
    places = ["--data", str(tmp_path), "--results", str(tmp_path), "--profile", "tiny"]

    def call(*more):
        out = ["--rules", str(tmp_path / "rules.toml"), "--out", str(tmp_path / "out")]
        code = main(["beyond", *places, *out, *more], toys)
        return code, capsys.readouterr().out

    return call


@pytest.fixture
def tables(beyond, records, tmp_path):
    """The folder of all tables, of which the records are gone."""
    shutil.copytree(records, tmp_path / "runs")
    assert beyond()[0] == OK
    shutil.rmtree(tmp_path / "runs")
    return tmp_path / "out"


def files(folder):
    return {one.name: one.read_bytes() for one in folder.iterdir()}


def test_the_commands_that_it_prints_make_what_is_missing(beyond, toys, tmp_path):
    code, printed = beyond()
    assert code == CANNOT
    assert not (tmp_path / "out").exists()
    lines = [line for line in printed.splitlines() if "lacking" in line]
    assert [line.partition(";")[0] for line in lines] == [
        "first: 6 of 6 jobs lacking",
        "second: 9 of 9 jobs lacking",
    ]
    run_what_is_printed(lines[0], toys)
    beyond()
    told = (tmp_path / "out" / "beyond.md").read_text()
    assert "Unfinished: 1 of 2 data sets have all their jobs: First." in told
    run_what_is_printed(lines[1], toys)
    code, printed = beyond()
    assert code == OK
    assert "lacking" not in printed
    jobs = pd.read_csv(tmp_path / "out" / "jobs.csv")
    assert jobs.groupby(["dataset", "method"])["seed"].nunique().unstack().to_numpy().tolist() == [
        [2] * 3,
        [3] * 3,
    ]
    assert (jobs["processor_seconds"] > 0).all()
    report = (tmp_path / "out" / "beyond.md").read_text()
    assert "by the clock" not in report
    assert "Unfinished" not in report
    assert "Profile tiny: " in report
    assert report.count("Table D") == 2
    made = files(tmp_path / "out")
    beyond()
    assert files(tmp_path / "out") == made


def test_cost_is_in_processor_hours_where_records_have_them():
    jobs = pd.DataFrame(
        {
            "dataset": "toys",
            "method": ["A", "A", "B"],
            "seconds": [3600.0, 9000.0, 1800.0],
            "processor_seconds": [0.0, 7200.0, 1080.0],
            "peak_mib": [1, 3, 2],
        }
    )
    told = " ".join(cost(jobs, {}).split())
    assert told.startswith("Processor hours: 3.3. Most memory of a job: 3 MiB. Of 1 of the 3 jobs only hours")
    assert "| A | 3.000 | 3.000 |" in told
    assert "| B | 0.300 | 0.300 |" in told
    assert "by the clock" not in cost(jobs[1:], {})


def test_a_data_set_that_is_not_here_is_said_with_its_import(tmp_path, beyond):
    (tmp_path / "rules.toml").write_text(TOY_RULES.replace("second", "emotions"))
    code, printed = beyond("--dry-run")
    assert code == OK
    assert f"data import --known emotions --out {tmp_path / 'emotions'}" in printed


def test_tables_outlive_the_records_and_the_data(beyond, toys, tables):
    made = files(tables)
    code, printed = beyond()
    assert (code, "lacking" in printed) == (OK, False)
    assert files(tables) == made
    del toys.datasets["second"]
    assert beyond()[0] == OK
    assert files(tables) == made


def test_what_another_version_measured_is_said_and_makes_way_for_this_one(beyond, toys, tables):
    made = files(tables)
    toys.datasets["first"] = dataclasses.replace(toys.datasets["first"], version=7)
    code, printed = beyond()
    assert code == FINDING
    assert "first: 6 of another version; python run_all.py" in printed
    assert files(tables) == made
    run_what_is_printed(printed.splitlines()[0], toys, methods="B")
    assert "first: 4 of another version; " in beyond()[1]
    jobs = pd.read_csv(tables / "jobs.csv").groupby(["dataset", "method"])["data_hash"].unique()
    assert jobs["first", "A"].tolist() == ["first-0-real"]
    assert jobs["first", "B"].tolist() == ["first-7-real"]
    assert jobs["second", "B"].tolist() == ["second-1-real"]


def test_seeds_of_two_versions_are_never_mixed(beyond, toys, tables):
    made = files(tables)
    toys.datasets["first"] = dataclasses.replace(toys.datasets["first"], version=7)
    printed = beyond("--dry-run")[1]
    run_what_is_printed(printed, toys, seeds="1,")
    code, told = beyond()
    assert code == FINDING
    assert printed.splitlines()[0] in told.splitlines()  # 1 seed replaces no 2
    assert files(tables) == made
    run_what_is_printed(printed, toys)
    assert beyond()[0] == OK
    per_seed = pd.read_csv(tables / "jobs.csv").groupby("dataset")["data_hash"].unique()
    assert per_seed["first"].tolist() == ["first-7-real"]


def test_a_job_that_fails_replaces_none_that_finished_and_lacks(beyond, tables):
    finished = read_measured(tables)
    one = finished.jobs["seed"] == 1
    failed = dataclasses.replace(
        finished,
        jobs=finished.jobs.assign(status=finished.jobs["status"].where(~one, "failed")),
        per_seed=finished.per_seed.assign(
            macro_f1=finished.per_seed["macro_f1"].where(finished.per_seed["seed"] != 1)
        ),
    )
    n = len(finished.jobs)
    assert (finished.lacking(n), failed.lacking(n)) == (0, one.sum())
    seeds = {"first": (0, 1), "second": (0, 1, 2)}
    for both in (failed.over(finished), finished.over(failed)):
        assert both.chosen(seeds, "ABC").files() == finished.files()
    for name, content in failed.files().items():
        (tables / name).write_text(content)
    code, told = beyond()
    assert code == FINDING
    assert "first: 3 of 6 jobs lacking; " in told
    words = told.partition("run_all.py ")[2].split()
    assert words[words.index("--seeds") + 1] == "1,"  # the one that lacks


@pytest.mark.usefixtures("tables")
def test_a_threshold_rule_of_another_version_is_seen(beyond, toys):
    toys.methods["A"] = dataclasses.replace(toys.methods["A"], threshold="half")
    code, told = beyond()
    assert code == FINDING
    assert "first: 2 of another version; " in told
    assert "second: 3 of another version; " in told


def test_whatever_is_empty_keeps_the_kinds_of_columns(tables):
    found = read_measured(tables)
    seeds = {"first": (0, 1), "second": (0, 1, 2)}
    for same in (found.over(NOTHING), NOTHING.over(found), found.over(found)):
        chosen = same.chosen(seeds, "ABC")
        assert chosen.files() == found.files()
        assert (chosen.per_seed.dtypes == found.per_seed.dtypes).all()
    assert NOTHING.over(NOTHING).chosen(seeds, "ABC").jobs.empty


def test_tables_of_another_profile_or_damaged_ones_are_refused(beyond, tables):
    made = files(tables)
    assert beyond("--profile", "quick")[0] == CANNOT
    fewer = tables.parent / "fewer.toml"
    fewer.write_text(TOY_RULES.replace('"3"', '"2"'))
    assert beyond("--rules", str(fewer))[0] == CANNOT  # would lose a seed
    (tables / "steps.csv").unlink()
    assert beyond()[0] == CANNOT
    (tables / "steps.csv").write_bytes(made["steps.csv"])
    for name, was, becomes in (
        ("jobs.csv", b"score_digest", b"digest"),
        ("datasets.csv", b"second", b"third"),
        ("settings.json", b"{", b"["),
        ("per_seed.csv", b"0.", b"x."),
        ("per_seed.csv", b"first,A,0", b"first,A,5"),
        ("jobs.csv", b"first,A,0", b"first,A,1"),
    ):
        (tables / name).write_bytes(made[name].replace(was, becomes))
        assert beyond()[0] == CANNOT, name
        (tables / name).write_bytes(made[name])
    assert beyond()[0] == OK
    assert files(tables) == made


def test_the_committed_tables_are_what_the_command_makes_of_them(tmp_path):
    shutil.copytree(HERE, tmp_path / "beyond")
    made = files(tmp_path / "beyond")
    assert main(["beyond", "--results", str(tmp_path), "--out", str(tmp_path / "beyond")]) in (OK, FINDING)
    assert files(tmp_path / "beyond") == made
