"""Effects of open choices on planted numbers: what was put in is what comes out."""

from math import isnan, nan, sqrt

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from benchmark.score.metrics import METRICS
from benchmark.studies.ablate.contrasts import contrasts
from benchmark.studies.ablate.effects import distances, effects, largest, rank_factors, spread_effects
from benchmark.studies.ablate.paired import AFTER_TRAINING, BASELINE, COMBINATION, TRAINING, VALUE_COLUMNS

IDS = [metric.id for metric in METRICS]
PRINTED = pd.DataFrame(
    {
        "metric": IDS,
        "direction": [metric.direction for metric in METRICS],
        "centre": np.linspace(0.5, 0.95, 10),
        "std": np.linspace(0.01, 0.1, 10),
    }
)
STD = PRINTED.set_index("metric")["std"]
CENTRE = PRINTED.set_index("metric")["centre"]
T_2_DF = 4.302652729911275
"""The 97.5 % quantile of Student's t with 2 degrees of freedom, from a printed table."""


def rows(kind, factor, level, by_seed, reason=""):
    """Return value rows: `by_seed` maps a seed to its distance from the centre, in printed deviations."""
    return [
        (kind, factor, level, seed, name, CENTRE[name] + off * STD[name], reason if isnan(off) else "")
        for seed, off in by_seed.items()
        for name in IDS
    ]


def frame(*parts):
    return pd.DataFrame([row for part in parts for row in part], columns=list(VALUE_COLUMNS))


def of(found, **key):
    """Return the one row with these entries."""
    chosen = found[np.logical_and.reduce([found[name] == value for name, value in key.items()])]
    assert len(chosen) == 1
    return chosen.iloc[0]


BASE = rows(BASELINE, "", "", {0: 0.0, 1: 100.0, 2: -50.0})
SHIFTED = rows(TRAINING, "cost", "none", {0: 1.0, 1: 102.0, 2: -47.0})


def test_a_planted_shift_gives_its_effect_and_interval():
    found = effects(frame(BASE, SHIFTED), PRINTED)
    # Differences of 1, 2 and 3: mean 2, deviation 1, corrected standard error sqrt(1/3 + 1/9) = 2/3.
    for name, sign in (("macro_auc", 1), ("ranking_loss", -1)):
        row = of(found, metric=name)
        assert row["difference"] == pytest.approx(2 * STD[name])
        assert row["effect"] == pytest.approx(sign * 2)
        ends = sorted((sign * (2 - T_2_DF * 2 / 3), sign * (2 + T_2_DF * 2 / 3)))
        assert [row["effect_low"], row["effect_high"]] == pytest.approx(ends)
        assert (row["n_pairs"], row["n_seeds"], row["reason"]) == (3, 3, "")


def test_pairs_are_formed_by_seed_and_not_by_place():
    found = effects(frame(BASE, SHIFTED), PRINTED)
    shuffled = frame(SHIFTED[::-1], BASE).sample(frac=1, random_state=3)
    again = effects(shuffled, PRINTED)
    pd.testing.assert_frame_equal(found, again)
    # Unpaired, seeds that differ by 150 deviations would hide a shift of 2.
    assert of(found, metric="macro_auc")["effect_high"] < 6


def test_seeds_that_one_side_lacks_make_no_pair_and_say_why():
    base = rows(BASELINE, "", "", {0: 0.0, 1: 0.0, 2: nan}, "timeout: 600 s")
    changed = rows(TRAINING, "cost", "none", {0: 1.0, 1: nan, 2: 3.0}, "failed: the loss is nan")
    lost = rows(TRAINING, "cost", "rank", {0: nan, 1: nan, 2: nan}, "refused: no such cost")
    late = rows(TRAINING, "order", "fixed", {0: 2.0, 1: 2.5, 2: 1.0})
    found = effects(frame(base, changed, lost, late), PRINTED)
    row = of(found, level="none", metric="macro_f1")
    assert (row["n_pairs"], row["n_seeds"]) == (1, 3)
    assert row["effect"] == pytest.approx(1)
    assert isnan(row["effect_low"])  # one pair has no interval
    assert row["reason"] == "failed: the loss is nan"
    row = of(found, level="rank", metric="macro_f1")
    assert (row["n_pairs"], row["reason"]) == (0, "refused: no such cost")
    assert isnan(row["effect"])
    row = of(found, level="fixed", metric="macro_f1")
    assert (row["n_pairs"], row["reason"]) == (2, "baseline: timeout: 600 s")
    assert row["effect"] == pytest.approx(2.25)

    ranking = rank_factors(found)
    assert list(ranking["factor"]) == ["order", "cost"]  # one pair is too few to be ranked by
    assert isnan(ranking["rank"].iloc[1])
    assert list(ranking["n_without"]) == [0, 2]


def test_a_metric_undefined_in_one_seed_loses_that_pair_only():
    values = frame(BASE, SHIFTED)
    hit = (values["level"] == "none") & (values["seed"] == 2) & (values["metric"] == "micro_auc")
    values.loc[hit, "value"] = nan
    found = effects(values, PRINTED)
    assert of(found, metric="micro_auc")["n_pairs"] == 2
    assert of(found, metric="macro_auc")["n_pairs"] == 3


def test_equal_numbers_have_no_effect_at_all():
    found = effects(frame(BASE, rows(TRAINING, "label", "b", {0: 0, 1: 100, 2: -50})), PRINTED)
    assert (found[["effect", "effect_low", "effect_high"]] == 0).all(axis=None)
    assert (found["p_value"] == 1).all()


@pytest.mark.parametrize(
    ("values", "printed", "message"),
    [
        (frame(SHIFTED), PRINTED, "no baseline"),
        (frame(BASE, SHIFTED), PRINTED.assign(std=0.0), "no printed standard deviation"),
        (frame(BASE, SHIFTED), PRINTED.iloc[1:], "macro_auc"),
        (frame(BASE, SHIFTED, SHIFTED[:10]), PRINTED, "duplicate"),
    ],
)
def test_what_cannot_be_measured_is_refused(values, printed, message):
    with pytest.raises(ValueError, match=message):
        effects(values, printed)


def test_factors_are_ranked_by_their_strongest_level_and_metric_in_either_direction():
    small = rows(TRAINING, "cost", "hamming", {0: 1.0, 1: 101.0, 2: -49.0})
    worse = rows(TRAINING, "order", "random", {0: -5.0, 1: 96.0, 2: -56.0})  # -5, -4, -6
    read = rows(AFTER_TRAINING, "scoring", "hard", {0: 9.0, 1: 109.0, 2: -41.0})
    found = effects(frame(BASE, SHIFTED, small, worse, read), PRINTED)
    ranking = rank_factors(found)
    assert list(ranking["factor"]) == ["scoring", "order", "cost"]
    assert list(ranking["rank"]) == [1, 2, 3]
    assert ranking["effect"].abs().tolist() == pytest.approx([9, 5, 2])
    assert of(ranking, factor="cost")["level"] == "none"
    assert of(ranking, factor="cost")["n_levels"] == 2
    chosen = largest(ranking)  # what acts after training needs no further runs
    assert list(chosen["factor"]) == ["order", "cost"]
    assert list(largest(ranking, most=1)["factor"]) == ["order"]


def test_ddof_changes_the_printed_deviation_by_a_known_share():
    row = of(spread_effects(frame(BASE), PRINTED), metric="coverage")
    sample = np.std([0, 100, -50], ddof=1)
    assert row["effect"] == pytest.approx((sqrt(2 / 3) - 1) * sample)
    assert isnan(row["effect_low"])


def test_distances_count_every_configuration_and_judge_only_complete_ones():
    near = rows(TRAINING, "a", "1", {0: 1.0, 1: 2.0})  # mean 1.5 in every metric
    far = rows(TRAINING, "a", "2", {0: -3.0, 1: -3.0})
    partial = rows(TRAINING, "a", "3", {0: 0.0, 1: nan}, "failed: diverged")
    base = rows(BASELINE, "", "", {0: 2.0, 1: 2.0})
    found = distances(frame(base, far, near, partial), PRINTED)
    assert list(found["level"]) == ["1", "", "2", "3"]
    assert found["distance"].tolist() == pytest.approx([1.5, 2, 3, nan], nan_ok=True)
    assert found["reason"].iloc[3] == "failed: diverged"  # its one seed would have been the nearest
    one = frame(base)
    one.loc[one["metric"] == "coverage", "value"] += 3 * STD["coverage"]
    row = distances(one, PRINTED).iloc[0]
    assert (row["farthest"], row["farthest_by"]) == ("coverage", pytest.approx(5))
    assert row["distance"] == pytest.approx(sqrt((9 * 4 + 25) / 10))


CHOSEN = (("a", "x"), ("b", "y"), ("c", "z"))


def eight(offsets):
    """Return values of the full factorial; `offsets` (seeds, 2, 2, 2) in printed deviations."""
    parts = []
    for on in np.ndindex(2, 2, 2):
        names = [pair for pair, changed in zip(CHOSEN, on, strict=True) if changed]
        factor = " + ".join(name for name, _ in names)
        level = " + ".join(level for _, level in names)
        kind = (BASELINE, TRAINING, COMBINATION, COMBINATION)[len(names)]
        parts.append(rows(kind, factor, level, {s: float(offsets[(s, *on)]) for s in range(len(offsets))}))
    return frame(*parts)


@settings(max_examples=10)
@given(st.lists(st.floats(-5, 5), min_size=24, max_size=24))
def test_contrasts_are_twice_the_coefficients_of_a_least_squares_fit(numbers):
    offsets = np.array(numbers).reshape(3, 2, 2, 2)
    found = contrasts(eight(offsets), PRINTED, CHOSEN)
    assert len(found) == 7 * 10
    codes = np.array([[2 * k - 1 for k in on] for on in np.ndindex(2, 2, 2)], float)
    a, b, c = codes.T
    design = np.column_stack([np.ones(8), a, b, c, a * b, a * c, b * c, a * b * c])
    fitted = np.linalg.lstsq(design, offsets.mean(axis=0).ravel(), rcond=None)[0]
    for term, coefficient in zip(found["term"].unique(), fitted[1:], strict=True):
        row = of(found, term=term, metric="macro_auc")
        assert row["effect"] == pytest.approx(2 * coefficient, abs=1e-9)
        assert row["n_pairs"] == 3


def test_a_pure_interaction_is_one_and_a_seed_with_a_gap_leaves_every_contrast():
    offsets = np.zeros((4, 2, 2, 2))
    offsets[:, 1, 1, :] = 3.0  # a and b help only together
    offsets += np.arange(4)[:, None, None, None] * 10  # seeds differ, which pairing removes
    values = eight(offsets)
    values.loc[(values["seed"] == 2) & (values["factor"] == "a + c"), "value"] = nan
    found = contrasts(values, PRINTED, CHOSEN)
    by_term = found[found["metric"] == "macro_f1"].set_index("term")["effect"].to_dict()
    expected = {"a": 1.5, "b": 1.5, "c": 0, "a × b": 1.5, "a × c": 0, "b × c": 0, "a × b × c": 0}
    assert by_term == pytest.approx(expected, abs=1e-9)
    assert set(found["n_pairs"]) == {3}
    assert set(found["n_seeds"]) == {4}


def test_an_absent_combination_is_refused():
    values = eight(np.zeros((2, 2, 2, 2)))
    with pytest.raises(ValueError, match=r"b \+ c = y \+ z is absent"):
        contrasts(values[values["factor"] != "b + c"], PRINTED, CHOSEN)
