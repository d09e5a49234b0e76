"""The gate's verdicts on made-up numbers: what moves, what chance explains, what cannot be judged."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from benchmark.drift.band import LEAST_SEEDS
from benchmark.drift.judge import CANNOT_JUDGE, MOVED, SAME, TOLERANCE, WITHIN, Sides, judge

METRICS = ("macro_auc", "hamming_loss", "coverage")


def rows(values, *, method="A", refit=None, digest="draw", first_seed=0, **columns):
    """Return a side's rows: `values` is (seeds, metrics); equal values get equal digests."""
    found = []
    for seed, per_metric in enumerate(np.asarray(values, float), start=first_seed):
        shared = {
            **{"dataset": "toy", "method": method, "seed": seed, "preset": "", "scoring": "soft"},
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


@pytest.fixture
def sides(draws):
    """A stochastic method: reference, three refits, and a current fit with another seed of its own."""
    noise = pd.concat([rows(draws[k], refit=k) for k in (1, 2, 3)])
    return Sides(rows(draws[0]), rows(draws[4]), noise, bits={"toy": ""})


def verdicts(drift):
    return dict(zip(drift.cells["metric"], drift.cells["verdict"], strict=True))


def test_a_side_that_repeats_the_reference_is_the_same_with_and_without_digests(sides):
    sides = replace(sides, current=sides.reference)
    for exact in (True, False):
        drift = judge(sides, exact=exact)
        assert drift.exit_code == 0
        assert set(drift.cells["verdict"]) == {SAME}
        assert drift.pairs["cause"].tolist() == [""]


def test_a_new_method_seed_passes_the_band_and_fails_the_exact_tier(sides):
    assert judge(sides, exact=False).exit_code == 0
    drift = judge(sides)
    assert drift.exit_code == 1
    assert set(drift.cells["verdict"]) <= {WITHIN, SAME}
    assert "4 of 4 seeds where every bit should agree" in drift.pairs["reason"][0]
    assert "nothing recorded differs" in drift.pairs["cause"][0]


def test_where_bits_may_differ_digests_bind_nobody_and_chance_explains_the_rest(sides):
    drift = judge(replace(sides, bits={"toy": "torch 1 -> 2"}))
    assert drift.exit_code == 0
    assert drift.pairs["cause"][0] == "chance explains it (what differs: environment: torch 1 -> 2)"
    assert drift.exact == {"toy": "torch 1 -> 2"}


def test_a_shift_of_one_metric_is_found_there_and_measured(sides, draws):
    moved = draws[4].copy()
    moved[:, 1] += 1
    drift = judge(replace(sides, current=rows(moved)), exact=False)
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
    drift = judge(Sides(rows(many[0]), rows(current), noise), exact=False)
    assert drift.exit_code == 2
    assert verdicts(drift)["macro_auc"] == CANNOT_JUDGE
    reason = drift.cells.set_index("metric")["reason"]["macro_auc"]
    assert "too few refits: the smallest possible p-value is 0.0139, needed 0.01" in reason
    assert "--refit-noise 15" in reason
    many[3, 0, 2] = 0.5  # standing out on one split alone hides nothing
    noise = pd.concat([rows(many[k], refit=k) for k in range(1, 11)])
    drift = judge(Sides(rows(many[0]), rows(current), noise), exact=False)
    assert verdicts(drift)["macro_auc"] == MOVED


def test_the_same_scores_with_another_number_are_the_metrics_doing(sides):
    current = sides.reference.copy()
    current.loc[current["metric"] == "coverage", "value"] += 1e-6
    drift = judge(replace(sides, current=current, bits={"toy": "CPU capability a -> b"}))
    assert drift.exit_code == 1
    assert verdicts(drift) == {"macro_auc": SAME, "hamming_loss": SAME, "coverage": MOVED}
    assert drift.pairs["cause"][0] == "metrics, thresholds or hardening: the scores are the same"


@pytest.mark.parametrize(("size", "code"), [(0.9 * TOLERANCE, 0), (1.1 * TOLERANCE, 1)])
def test_a_method_that_draws_nothing_at_random_has_a_tolerance_instead_of_noise(draws, size, code):
    reference = rows(draws[0])
    noise = pd.concat([rows(draws[0], refit=k) for k in (1, 2)])
    signs = np.array([[1, 1, 1], [-1, 1, 1], [1, 1, 1], [-1, 1, 1]])  # differences must not cancel
    drift = judge(Sides(reference, rows(draws[0] + size * signs), noise), exact=False)
    assert drift.exit_code == code
    assert set(drift.cells["verdict"]) == {MOVED if code else WITHIN}
    assert set(drift.cells["tier"]) == {"tolerance"}


def test_a_stochastic_cell_within_the_tolerance_is_never_called_moved(draws):
    noise = pd.concat([rows(draws[0] + 1e-7 * k, refit=k) for k in (1, 2, 3)])
    drift = judge(Sides(rows(draws[0]), rows(draws[0] + 0.9 * TOLERANCE), noise), exact=False)
    assert drift.exit_code == 0


CANNOT = {
    "no refits": (lambda s: replace(s, noise=s.noise.iloc[:0]), "was not measured"),
    "refits of another version": (
        lambda s: replace(s, noise=s.noise.assign(config_hash="v0")),
        "another version of the method",
    ),
    "refits on other data": (
        lambda s: replace(s, noise=s.noise.assign(data_hash="d0")),
        "version of the data",
    ),
    "failed refits": (lambda s: replace(s, noise=s.noise.assign(status="failed")), "refits failed"),
    "a refit twice": (lambda s: replace(s, noise=pd.concat([s.noise, s.noise])), "twice"),
    "nan in a refit": (
        lambda s: replace(s, noise=s.noise.assign(value=s.noise["value"].mask(s.noise["seed"] == 2))),
        "refits",
    ),
    "too few refits": (
        lambda s: replace(s, noise=s.noise[(s.noise["refit"] == 1) & (s.noise["seed"] == 0)]),
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
        "--allow-other-seeds",
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
    "no reference": (lambda s: replace(s, reference=s.reference.iloc[:0]), "the reference does not have it"),
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
@pytest.mark.parametrize("exact", [True, False])
def test_what_cannot_be_judged_says_why_and_never_passes(sides, case, exact):
    change, message = CANNOT[case]
    drift = judge(change(replace(sides, bits={"toy": "torch 1 -> 2"})), exact=exact)
    assert drift.exit_code == 2
    assert drift.pairs["verdict"].tolist() == [CANNOT_JUDGE]
    assert message in drift.pairs["reason"][0]


def test_nothing_at_all_cannot_be_judged(sides):
    nothing = sides.reference.iloc[:0]
    assert judge(Sides(nothing, nothing, nothing)).exit_code == 2


def test_a_cell_that_moved_outranks_one_that_cannot_be_judged(sides, draws):
    other = rows(draws[1], method="B")
    drift = judge(
        replace(sides, current=rows(draws[4] + 9), reference=pd.concat([sides.reference, other])), exact=False
    )
    assert drift.exit_code == 1
    assert dict(zip(drift.pairs["method"], drift.pairs["verdict"], strict=True)) == {
        "A": MOVED,
        "B": CANNOT_JUDGE,
    }


def test_methods_share_draws_so_only_refits_that_all_have_enter(sides, draws):
    """With its own third refit gone, B leaves A only two: the band then has 4 draws a split."""
    noise = pd.concat([sides.noise, *(rows(draws[k] * 2, method="B", refit=k) for k in (1, 2))])
    reference = pd.concat([sides.reference, rows(draws[0] * 2, method="B")])
    current = pd.concat([rows(draws[4] + 9), rows(draws[4] * 2, method="B")])
    drift = judge(Sides(reference, current, noise), exact=False)
    moved = drift.cells[drift.cells["verdict"] == MOVED]
    assert set(moved["method"]) == {"A"}
    assert moved["p_value"].tolist() == pytest.approx([4**-4] * 3)


def test_different_seeds_need_the_flag_and_enough_of_them():
    generator = np.random.default_rng(5)
    before, now = generator.normal(size=(2, LEAST_SEEDS + 1, 3))
    sides = Sides(rows(before), rows(now, first_seed=50), rows(before).iloc[:0], bits={"toy": ""})
    assert judge(sides).exit_code == 2
    drift = judge(sides, other_seeds=True)
    assert drift.exit_code == 0
    assert set(drift.cells["tier"]) == {"unpaired band"}
    assert drift.pairs["scores"].tolist() == ["other seeds"]
    assert judge(replace(sides, current=rows(now + 9, first_seed=50)), other_seeds=True).exit_code == 1
    few = judge(replace(sides, current=rows(now[:3], first_seed=50)), other_seeds=True)
    assert few.exit_code == 2
    assert f"one side has 3: different seeds need {LEAST_SEEDS}" in few.pairs["reason"][0]


CAUSES = {
    "data": ({"data_hash": "d2", "config_hash": "v2"}, {}, "data (hash d1 -> d2); perhaps code, options"),
    "code": ({"config_hash": "v2"}, {}, "code, options or limits (version v1 -> v2)"),
    "known settings": (
        {"config_hash": "v2"},
        {"settings": {("toy", "A"): "option epochs (2 -> 3)"}},
        "option epochs (2 -> 3)",
    ),
    "environment": ({}, {"bits": {"toy": "torch 1 -> 2"}}, "environment: torch 1 -> 2"),
    "nothing": ({}, {}, "nothing recorded differs"),
}


@pytest.mark.parametrize("case", CAUSES)
def test_what_moved_is_explained_by_what_differs(sides, draws, case):
    columns, known, told = CAUSES[case]
    drift = judge(replace(sides, current=rows(draws[4] + 9, **columns), **known))
    assert drift.exit_code == 1
    assert drift.pairs["cause"][0].startswith(told)


def test_edited_code_that_moves_no_bit_is_no_drift(sides):
    drift = judge(replace(sides, current=sides.reference.assign(config_hash="v2")))
    assert drift.exit_code == 0
    assert set(drift.cells["verdict"]) == {SAME}


def test_a_fixed_method_that_stays_within_the_tolerance_is_not_put_down_to_chance(draws):
    noise = rows(draws[0], refit=1)
    drift = judge(Sides(rows(draws[0]), rows(draws[0] + 1e-5), noise, bits={"toy": "torch 1 -> 2"}))
    assert drift.exit_code == 0
    assert drift.pairs["cause"][0].startswith("within the tolerance of 0.0005")
