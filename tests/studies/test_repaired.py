"""The preset `repaired` is the committed winner, and learns what the labels' correlation alone can tell."""

from __future__ import annotations

import json
from pathlib import Path

import pandas as pd

from baselines.problem_transform.binary_relevance import METHODS as BINARY_RELEVANCE
from benchmark.contracts import MethodSpec
from benchmark.studies.controls import run_one
from benchmark.studies.repaired import describe, rank, rank_rules, read_candidates
from m3la.estimator import M3LA
from m3la.rows import METHODS, REPAIRED

RESULTS = Path(__file__).parents[2] / "results" / "repaired"


def test_the_preset_is_the_committed_winner_with_its_threshold_rule() -> None:
    trials = pd.read_csv(RESULTS / "trials.csv")
    candidates = read_candidates(RESULTS / "candidates.toml")
    winner = rank(trials, "fixed").index[0]
    assert dict(REPAIRED) == candidates[winner]
    spec = next(spec for spec in METHODS if spec.id == "M3LA-repaired")
    assert spec.threshold == rank_rules(trials, winner).index[0]
    assert set(trials["dataset"]) == {"emotions", "scene", "yeast"}
    assert (RESULTS / "choice.md").read_text() == describe(trials, candidates)


def test_every_trial_used_the_options_that_its_candidate_names() -> None:
    trials = pd.read_csv(RESULTS / "trials.csv")
    candidates = read_candidates(RESULTS / "candidates.toml")
    for name, text in set(zip(trials["candidate"], trials["options"], strict=True)):
        assert json.loads(text) == candidates[name]


def test_m3la_beats_br_fair_where_only_the_labels_correlation_carries_the_signal() -> None:
    small = {**REPAIRED, "hidden": 64, "epochs": 60}
    fair = next(spec for spec in BINARY_RELEVANCE if spec.id == "BR-fair")
    ours, theirs = (
        {row["metric"]: row["value"] for row in run_one(spec, "label_signal", 400, 0)}
        for spec in (MethodSpec("M3LA-repaired", M3LA, small), fair)
    )
    assert theirs["xor_macro_auc"] < 0.6
    assert ours["xor_macro_auc"] > 0.9
    assert ours["macro_auc"] > theirs["macro_auc"] + 0.1
