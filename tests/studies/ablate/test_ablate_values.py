"""From records to values: jobs as they are, the baseline read in other ways, and why a value lacks."""

from math import isnan

import numpy as np
import pytest

from benchmark.contracts import MethodSpec, Provenance, Record
from benchmark.score.conventions import CONVENTIONS, metrics_under
from benchmark.score.metrics import METRICS
from benchmark.score.reading import read_scores
from benchmark.score.thresholds import RULES
from benchmark.studies.ablate.paired import AFTER_TRAINING, BASELINE, TRAINING
from benchmark.studies.ablate.values import (
    FACTORS_AFTER_TRAINING,
    NO_RECORD,
    collect_values,
    keys_after_training,
)

SPEC = MethodSpec("M", object, threshold="eq16a")
KEYS = {"M": (BASELINE, "", ""), "M[a=b]": (TRAINING, "a", "b")}


def record(method, seed, status="done", error=""):
    return Record(
        schema_version=2,
        dataset="d",
        method=method,
        seed=seed,
        config_hash="h",
        settings={},
        status=status,
        profile="tiny",
        preset="literal",
        scoring="soft",
        threshold="eq16a",
        provenance=Provenance.REBUILT,
        data_hash="x",
        error=error,
    )


def arrays(seed, one_class_row=False):
    generator = np.random.default_rng(seed)
    labels = (generator.random((30, 4)) < 0.4).astype(np.uint8)
    labels[:4] = np.eye(4, dtype=np.uint8)
    labels[~labels.any(axis=1), 0] = 1
    labels[labels.all(axis=1), 3] = 0
    if one_class_row:
        labels[5] = 0
    scores = (0.5 * labels + generator.random(labels.shape)).astype(np.float32) / 2
    return {"labels": labels, "scores": scores, "train_label_frequencies": labels.mean(axis=0)}


def value(values, *key):
    chosen = values.set_index(["kind", "factor", "level", "seed", "metric"]).loc[key]
    return chosen["value"], chosen["reason"]


def test_readings_of_the_baseline_equal_those_made_by_hand():
    entries = [(record("M", seed), arrays(seed)) for seed in (0, 1)]
    values = collect_values(entries, KEYS, (0, 1), SPEC, tuple(FACTORS_AFTER_TRAINING))
    for seed in (0, 1):
        stored = arrays(seed)
        own = read_scores(stored, "soft", "eq16a")
        hard = read_scores(stored, "hard", "eq16a")
        for metric in ("macro_f1", "ranking_loss", "coverage"):
            by_hand = {
                (BASELINE, "", ""): own.metrics[metric],
                (AFTER_TRAINING, "threshold", "fixed"): read_scores(stored, "soft", "fixed").metrics[metric],
                (AFTER_TRAINING, "scoring", "hard"): hard.metrics[metric],
                (AFTER_TRAINING, "convention", "lamda"): metrics_under(
                    CONVENTIONS["lamda"], stored["labels"], stored["scores"], own.predictions
                )[metric],
            }
            for key, expected in by_hand.items():
                assert value(values, *key, seed, metric)[0] == expected
    lamda = value(values, AFTER_TRAINING, "convention", "lamda", 0, "coverage")[0]
    assert lamda == pytest.approx(value(values, BASELINE, "", "", 0, "coverage")[0] - 1)  # counts from 0


def test_each_level_but_the_baseline_s_own_is_read_once():
    keys = keys_after_training(SPEC, tuple(FACTORS_AFTER_TRAINING))
    assert len(set(keys)) == len(keys) == len(RULES) - 1 + 1 + len(FACTORS_AFTER_TRAINING["convention"]) - 1
    assert (AFTER_TRAINING, "threshold", "eq16a") not in keys
    assert {factor for _, factor, _ in keys_after_training(SPEC, ["scoring"])} == {"scoring"}
    assert keys_after_training(SPEC, ["a"]) == ()


def test_a_lacking_value_says_why():
    entries = [
        (record("M", 0), arrays(0, one_class_row=True)),
        (record("M", 1, "failed", "Traceback ...\n  x\nDivergenceError: the loss is nan\n"), {}),
        (record("M[a=b]", 0, "timeout", "no result after 600 s"), {}),
    ]
    values = collect_values(entries, KEYS, (0, 1, 2), SPEC, ("threshold", "convention"))
    assert len(values) == (2 + len(RULES) - 1 + len(FACTORS_AFTER_TRAINING["convention"]) - 1) * 3 * len(
        METRICS
    )
    lacking = {
        (BASELINE, "", "", 1): "failed: DivergenceError: the loss is nan",
        (AFTER_TRAINING, "threshold", "fixed", 1): "failed: DivergenceError: the loss is nan",
        (BASELINE, "", "", 2): NO_RECORD,
        (TRAINING, "a", "b", 0): "timeout: no result after 600 s",
        (AFTER_TRAINING, "threshold", "eq13@holdout", 0): "refused: rule 'eq13@holdout' needs scores",
    }
    for key, reason in lacking.items():
        found = value(values, *key, "macro_f1")
        assert isnan(found[0])
        assert found[1].startswith(reason)
    undefined = value(values, AFTER_TRAINING, "convention", "sklearn", 0, "example_auc")
    assert isnan(undefined[0])
    assert undefined[1] == "undefined under scikit-learn's rules"
    assert value(values, AFTER_TRAINING, "convention", "sklearn", 0, "macro_f1")[1] == ""


def test_every_configuration_is_read_by_the_baseline_s_rule():
    entries = [(record("M[a=b]", 0), arrays(3))]
    values = collect_values(entries, KEYS, (0,), SPEC)
    expected = read_scores(arrays(3), "soft", "eq16a").metrics["subset_accuracy"]
    assert value(values, TRAINING, "a", "b", 0, "subset_accuracy")[0] == expected
