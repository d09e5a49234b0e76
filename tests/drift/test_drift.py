"""The gate's verdicts on made-up numbers: what moves, what chance explains, what cannot be judged."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from benchmark.drift.judge import CANNOT_JUDGE, MOVED, NOT_IN_REFERENCE, SAME, TOLERANCE, WITHIN, judge
from benchmark.drift.pair import ReferenceAndCurrent

METRICS = ("macro_auc", "hamming_loss", "coverage")


def rows(values, *, dataset="toy", method="A", refit=None, digest="draw", **columns):
    """Return rows as in `per_seed.csv`: `values` is (seeds, metrics); equal values get equal digests."""
    found = []
    for seed, per_metric in enumerate(np.asarray(values, float)):
        shared = {
            **{"dataset": dataset, "method": method, "seed": seed, "preset": "", "scoring": "soft"},
            **{"threshold": "fixed", "status": "done", "config_hash": "v1", "data_hash": "d1"},
            "score_digest": f"{digest}{np.round(per_metric, 12).tolist()}",
            **({} if refit is None else {"refit": refit}),
            **columns,
        }
        found += [{**shared, "metric": m, "value": v} for m, v in zip(METRICS, per_metric, strict=False)]
    return pd.DataFrame(found)


@pytest.fixture
def draws():
    """Six joint draws of 4 splits and 3 metrics: (draw, split, metric)."""
    generator = np.random.default_rng(0)
    return generator.normal(size=(4, 3)) + 0.05 * generator.normal(size=(6, 4, 3))


AGREE, DIFFER = {"toy": ""}, {"toy": "torch 1 -> 2"}


def against(reference, current, refits, why=DIFFER):
    """Return what is judged; scores need not agree bit by bit, so that chance alone decides."""
    return ReferenceAndCurrent(reference, current, refits, why)


@pytest.fixture
def both(draws):
    """A stochastic method: reference, three refits, and a current fit with another seed of its own."""
    return against(rows(draws[0]), rows(draws[4]), pd.concat([rows(draws[k], refit=k) for k in (1, 2, 3)]))


def verdicts(drift):
    return dict(zip(drift.cells["metric"], drift.cells["verdict"], strict=True))


@pytest.mark.parametrize(("digest", "tier"), [("draw", "exact"), ("other", "tolerance")])
def test_records_that_repeat_the_reference_are_the_same_with_and_without_digests(both, draws, digest, tier):
    drift = judge(replace(both, current=rows(draws[0], digest=digest)))
    assert drift.exit_code == 0
    assert set(drift.cells["verdict"]) == {SAME}
    assert set(drift.cells["tier"]) == {tier}
    assert drift.pairs["cause"].tolist() == [""]


def test_a_new_method_seed_passes_the_band_and_fails_the_exact_tier(both):
    assert judge(both).exit_code == 0
    drift = judge(replace(both, why_bits_may_differ=AGREE))
    assert drift.exit_code == 1
    assert set(drift.cells["verdict"]) <= {WITHIN, SAME}
    assert "4 of 4 seeds where every bit should agree" in drift.pairs["reason"][0]
    assert "nothing recorded differs" in drift.pairs["cause"][0]


def test_where_bits_may_differ_digests_bind_nobody_and_chance_explains_the_rest(both):
    drift = judge(both)
    assert drift.exit_code == 0
    assert drift.pairs["cause"][0] == "chance explains it (what differs: environment: torch 1 -> 2)"
    assert drift.why_bits_may_differ == DIFFER


def test_a_shift_of_one_metric_is_found_there_and_measured(both, draws):
    moved = draws[4].copy()
    moved[:, 1] += 1
    drift = judge(replace(both, current=rows(moved)))
    assert drift.exit_code == 1
    assert verdicts(drift)["hamming_loss"] == MOVED
    assert verdicts(drift)["macro_auc"] == WITHIN
    cell = drift.cells.set_index("metric").loc["hamming_loss"]
    assert cell["difference"] == pytest.approx(moved[:, 1].mean() - draws[0, :, 1].mean())
    assert cell["shift"] == pytest.approx((moved[:, 1] - draws[:4, :, 1].mean(axis=0)).mean())
    within = np.sqrt(draws[:4].var(axis=0, ddof=1)[:, 1].mean() * (1 + 1 / 4) / 4)
    assert cell["noise"] == pytest.approx(within)


def test_a_shift_that_outlying_refits_of_another_cell_hide_cannot_be_judged():
    """Two splits, twelve draws: one refit of `coverage` stands out on each, as far as any shift can."""
    generator = np.random.default_rng(0)
    many = 0.5 + 0.01 * generator.normal(size=(12, 2, 3))
    many[:, :, 2] = 0.5
    many[3, 0, 2] = many[7, 1, 2] = 0.505
    current = many[11].copy()
    current[:, 0] -= 0.4
    noise = pd.concat([rows(many[k], refit=k) for k in range(1, 11)])
    drift = judge(against(rows(many[0]), rows(current), noise))
    assert drift.exit_code == 2
    assert verdicts(drift)["macro_auc"] == CANNOT_JUDGE
    reason = drift.cells.set_index("metric")["reason"]["macro_auc"]
    assert "too few refits: the smallest possible p-value is 0.0139, needed 0.01" in reason
    assert "--refit-noise 15" in reason
    many[3, 0, 2] = 0.5  # standing out on one split alone hides nothing
    noise = pd.concat([rows(many[k], refit=k) for k in range(1, 11)])
    drift = judge(against(rows(many[0]), rows(current), noise))
    assert verdicts(drift)["macro_auc"] == MOVED


def test_the_same_scores_with_another_number_are_the_metrics_doing(both):
    current = both.reference.copy()
    current.loc[current["metric"] == "coverage", "value"] += 1e-6
    drift = judge(replace(both, current=current))
    assert drift.exit_code == 1
    assert verdicts(drift) == {"macro_auc": SAME, "hamming_loss": SAME, "coverage": MOVED}
    assert drift.pairs["cause"][0] == "metrics, thresholds or hardening: the scores are the same"


@pytest.mark.parametrize(("size", "code"), [(0.9 * TOLERANCE, 0), (1.1 * TOLERANCE, 1)])
def test_a_method_that_draws_nothing_at_random_has_a_tolerance_instead_of_noise(draws, size, code):
    reference = rows(draws[0])
    noise = pd.concat([rows(draws[0], refit=k) for k in (1, 2)])
    signs = np.array([[1, 1, 1], [-1, 1, 1], [1, 1, 1], [-1, 1, 1]])  # differences must not cancel
    drift = judge(against(reference, rows(draws[0] + size * signs), noise))
    assert drift.exit_code == code
    assert set(drift.cells["verdict"]) == {MOVED if code else WITHIN}
    assert set(drift.cells["tier"]) == {"tolerance"}


def test_a_stochastic_cell_within_the_tolerance_is_never_called_moved(draws):
    noise = pd.concat([rows(draws[0] + 1e-7 * k, refit=k) for k in (1, 2, 3)])
    drift = judge(against(rows(draws[0]), rows(draws[0] + 0.9 * TOLERANCE), noise))
    assert drift.exit_code == 0


CANNOT = {
    "no refits": (lambda s: replace(s, refits=s.refits.iloc[:0]), "was not measured"),
    "refits of another version": (
        lambda s: replace(s, refits=s.refits.assign(config_hash="v0")),
        "another version of the method",
    ),
    "refits on other data": (
        lambda s: replace(s, refits=s.refits.assign(data_hash="d0")),
        "version of the data",
    ),
    "failed refits": (lambda s: replace(s, refits=s.refits.assign(status="failed")), "refits failed"),
    "a refit twice": (lambda s: replace(s, refits=pd.concat([s.refits, s.refits])), "twice"),
    "nan in a refit": (
        lambda s: replace(s, refits=s.refits.assign(value=s.refits["value"].mask(s.refits["seed"] == 2))),
        "refits",
    ),
    "too few refits": (
        lambda s: replace(s, refits=s.refits[(s.refits["refit"] == 1) & (s.refits["seed"] == 0)]),
        "too few refits: the smallest possible p-value is 0.0417",
    ),
    "nan in the reference": (
        lambda s: replace(
            s, reference=s.reference.assign(value=s.reference["value"].mask(s.reference["seed"] == 1))
        ),
        "nan in the reference for seed 1",
    ),
    "nan in the current records": (
        lambda s: replace(s, current=s.current.assign(value=s.current["value"].mask(s.current["seed"] > 1))),
        "nan in the current records for seeds 2, 3",
    ),
    "a failed job": (
        lambda s: replace(
            s, current=s.current.assign(status=np.where(s.current["seed"] == 3, "failed", "done"))
        ),
        "current records: failed for seed 3",
    ),
    "a failed job in the reference": (
        lambda s: replace(s, reference=s.reference.assign(status="timeout")),
        "reference: failed for seeds 0 to 3",
    ),
    "fewer seeds": (
        lambda s: replace(s, current=s.current[s.current["seed"] < 2]),
        "the reference has seeds 0 to 3, the current records seeds 0, 1",
    ),
    "other seeds": (
        lambda s: replace(s, current=s.current.assign(seed=s.current["seed"] + 4)),
        "the current records seeds 4 to 7; run the reference's seeds (--seeds)",
    ),
    "a seed twice": (lambda s: replace(s, current=pd.concat([s.current, s.current])), "seed 0 appears twice"),
    "mixed versions": (
        lambda s: replace(
            s, current=s.current.assign(config_hash=np.where(s.current["seed"] == 0, "v1", "v2"))
        ),
        "mixed versions of the method (v1, v2)",
    ),
    "no current record": (lambda s: replace(s, current=s.current.iloc[:0]), "no current record"),
    "stale records": (
        lambda s: replace(s, missing={("toy", "A"): "only of another version"}),
        "only of another version",
    ),
    "another rule": (lambda s: replace(s, current=s.current.assign(threshold="eq13")), "no longer uses"),
    "a metric gone": (
        lambda s: replace(s, current=s.current[s.current["metric"] != "coverage"]),
        "no longer uses",
    ),
    "a metric for some seeds": (
        lambda s: replace(
            s, current=s.current[(s.current["metric"] != "coverage") | (s.current["seed"] > 0)]
        ),
        "coverage lacks some of seeds 0 to 3",
    ),
}


@pytest.mark.parametrize("case", CANNOT)
def test_what_cannot_be_judged_says_why_and_never_passes(both, case):
    change, message = CANNOT[case]
    drift = judge(change(both))
    assert drift.exit_code == 2
    assert drift.pairs["verdict"].tolist() == [CANNOT_JUDGE]
    assert message in drift.pairs["reason"][0]


def test_nothing_at_all_cannot_be_judged(both):
    nothing = both.reference.iloc[:0]
    assert judge(against(nothing, nothing, nothing)).exit_code == 2


def test_a_cell_that_moved_outranks_one_that_cannot_be_judged(both, draws):
    other = rows(draws[1], method="B")
    drift = judge(replace(both, current=rows(draws[4] + 9), reference=pd.concat([both.reference, other])))
    assert drift.exit_code == 1
    assert dict(zip(drift.pairs["method"], drift.pairs["verdict"], strict=True)) == {
        "A": MOVED,
        "B": CANNOT_JUDGE,
    }


def test_methods_share_draws_so_only_refits_that_all_have_enter(both, draws):
    """With its own third refit gone, B leaves A only two: the band then has 4 draws a split."""
    noise = pd.concat([both.refits, *(rows(draws[k] * 2, method="B", refit=k) for k in (1, 2))])
    reference = pd.concat([both.reference, rows(draws[0] * 2, method="B")])
    current = pd.concat([rows(draws[4] + 9), rows(draws[4] * 2, method="B")])
    drift = judge(against(reference, current, noise))
    moved = drift.cells[drift.cells["verdict"] == MOVED]
    assert set(moved["method"]) == {"A"}
    assert moved["p_value"].tolist() == pytest.approx([4**-4] * 3)


NEW = {
    "a method": {"method": "B"},
    "a method that failed": {"method": "B", "status": "failed"},
    "a data set": {"dataset": "new"},
}


@pytest.mark.parametrize("case", NEW)
def test_what_the_reference_does_not_have_is_named_and_everything_else_decides(both, draws, case):
    new = rows(draws[5], **NEW[case])
    for current, code in ((rows(draws[4]), 0), (rows(draws[4] + 9), 1), (rows(draws[4]).iloc[:0], 2)):
        drift = judge(replace(both, current=pd.concat([current, new])))
        assert drift.exit_code == code
        assert drift.pairs["verdict"].tolist()[1:] == [NOT_IN_REFERENCE]
        assert set(drift.cells["method"]) <= {"A"}
        assert set(drift.why_bits_may_differ) == {"toy"}


def test_nothing_but_what_the_reference_does_not_have_cannot_be_judged(both):
    drift = judge(replace(both, reference=both.reference.iloc[:0]))
    assert drift.exit_code == 2
    assert drift.pairs["verdict"].tolist() == [NOT_IN_REFERENCE]


CAUSES = {
    "data": ({"data_hash": "d2", "config_hash": "v2"}, {}, "data (hash d1 -> d2); perhaps code, options"),
    "code": ({"config_hash": "v2"}, {}, "code, options or limits (version v1 -> v2)"),
    "known settings": (
        {"config_hash": "v2"},
        {"changed_settings": {("toy", "A"): "option epochs (2 -> 3)"}},
        "option epochs (2 -> 3)",
    ),
    "environment": ({}, {"why_bits_may_differ": DIFFER}, "environment: torch 1 -> 2"),
    "nothing": ({}, {"why_bits_may_differ": AGREE}, "nothing recorded differs"),
}


@pytest.mark.parametrize("case", CAUSES)
def test_what_moved_is_explained_by_what_differs(both, draws, case):
    columns, known, told = CAUSES[case]
    drift = judge(replace(both, current=rows(draws[4] + 9, **columns), **known))
    assert drift.exit_code == 1
    assert drift.pairs["cause"][0].startswith(told)


def test_edited_code_that_moves_no_bit_is_no_drift(both):
    current = both.reference.assign(config_hash="v2")
    drift = judge(replace(both, current=current, why_bits_may_differ=AGREE))
    assert drift.exit_code == 0
    assert set(drift.cells["verdict"]) == {SAME}


def test_a_fixed_method_that_stays_within_the_tolerance_is_not_put_down_to_chance(draws):
    noise = rows(draws[0], refit=1)
    drift = judge(against(rows(draws[0]), rows(draws[0] + 1e-5), noise))
    assert drift.exit_code == 0
    assert drift.pairs["cause"][0].startswith("within the tolerance of 0.0005")
