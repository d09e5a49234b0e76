"""Verdicts: each kind by hand, their order, and every reason for which a cell is not comparable."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from evidence_examples import METHODS, cell, evidence, exact

from benchmark.inference import Summary, equivalence, welch
from benchmark.paper.printed import read_cells, read_margins
from benchmark.paper.verdicts import judge, totals

PAPER = Path(__file__).resolve().parents[2] / "results" / "paper"
PRINTED = read_cells(PAPER)
MARGINS = read_margins(PAPER / "margins.csv")


def verdict_of(found, metric="micro_f1", method="M3LA", dataset="ml2000"):
    verdicts = judge(PRINTED[PRINTED["dataset"] == dataset], MARGINS, found)
    rows = verdicts[
        (verdicts["dataset"] == dataset) & (verdicts["method"] == method) & (verdicts["metric"] == metric)
    ]
    return rows.iloc[0]


# M3LA on ML2000, micro-F1: printed 0.812±0.018, centre 0.8125, margin 0.03.
@pytest.mark.parametrize(
    ("mean", "std", "verdict"),
    [
        (0.8125, 0.018, "reproduced (rebuilt features)"),
        (0.8300, 0.001, "reproduced (rebuilt features)"),  # significant (t = 3), but inside the margin
        (0.8700, 0.018, "better"),
        (0.7500, 0.018, "worse"),
        (0.8300, 0.030, "undecided"),
    ],
)
def test_each_verdict(mean, std, verdict):
    found = verdict_of(evidence(cell("M3LA", "micro_f1", exact(mean, std))))
    assert found["verdict"] == verdict
    assert found["margin"] == 0.03
    assert found["difference"] == pytest.approx(mean - 0.8125)
    assert (found["seeds_needed"] != "") == (verdict == "undecided")


def test_a_significant_difference_inside_the_margin_is_still_reproduced():
    found = verdict_of(evidence(cell("M3LA", "micro_f1", exact(0.83, 0.001))))
    assert found["p_holm"] < 0.05
    assert found["verdict"].startswith("reproduced")


def test_of_a_loss_less_is_better():
    # Printed 0.092±0.010, margin 0.015.
    assert (
        verdict_of(evidence(cell("M3LA", "hamming_loss", exact(0.05, 0.008))), "hamming_loss")["verdict"]
        == "better"
    )
    assert (
        verdict_of(evidence(cell("M3LA", "hamming_loss", exact(0.15, 0.008))), "hamming_loss")["verdict"]
        == "worse"
    )


def test_real_features_are_reproduced_without_a_remark():
    real = cell("M3LA", "micro_f1", exact(0.8125, 0.018), provenance="real")
    assert verdict_of(evidence(real))["verdict"] == "reproduced"


def test_the_numbers_of_a_verdict_are_those_of_the_tests():
    found = verdict_of(evidence(cell("M3LA", "micro_f1", exact(0.82, 0.015))))
    comparison = welch(Summary(0.82, 0.015, 10), Summary(0.8125, 0.018, 10))
    assert found["p_difference"] == pytest.approx(comparison.p_value)
    assert found["p_equivalence"] == pytest.approx(equivalence(comparison, 0.03))
    assert (found["low"], found["high"]) == pytest.approx(comparison.interval(0.9))


def test_holm_counts_distinct_comparable_cells_alone():
    cells = [cell("M3LA", metric, exact(0.9, 0.02)) for metric in ("micro_f1", "macro_f1", "example_f1")]
    verdicts = judge(PRINTED, MARGINS, evidence(*cells, cell("BR", "micro_f1", exact(0.7, 0.02)[:4])))
    tested = verdicts[(verdicts["verdict"] != "not comparable") & ~verdicts["repeats"]]
    assert len(tested) == 3
    smallest = tested.loc[tested["p_difference"].idxmin()]
    assert smallest["p_holm"] == pytest.approx(3 * smallest["p_difference"])


def test_a_repeated_cell_has_one_verdict_and_counts_once():
    verdicts = judge(PRINTED, MARGINS, evidence(cell("M3LA", "micro_f1", exact(0.8125, 0.018))))
    assert len(verdicts) == 300
    reproduced = verdicts[verdicts["verdict"] == "reproduced (rebuilt features)"]
    assert reproduced["table"].tolist() == ["II", "III"]
    sums = totals(verdicts)
    assert (sums.printed, sums.distinct, sums.tested) == (300, 260, 1)
    assert sum(sums.counts.values()) == 260
    assert sums.false_reproduced == pytest.approx(0.05)
    assert sums.power_median == pytest.approx(reproduced["power_at_zero"].iloc[0])


GOOD = exact(0.8125, 0.018)


@pytest.mark.parametrize(
    ("rows", "reason"),
    [
        (cell("M3LA", "micro_f1", GOOD, provenance="look-alike"), "look-alike data"),
        (cell("M3LA", "micro_f1", GOOD[:8]), "cannot judge: seeds 8, 9 missing"),
        (
            cell("M3LA", "micro_f1", [*GOOD[:9], np.nan]),
            "cannot judge: undefined (nan or infinite) for seed 9",
        ),
        (
            cell("M3LA", "micro_f1", [*GOOD[:9], np.inf]),
            "cannot judge: undefined (nan or infinite) for seed 9",
        ),
        (cell("BR", "micro_f1", GOOD), "not run"),
        (cell("M3LA", "micro_f1", [*GOOD, 0.8], seeds=[*range(10), 3]), "cannot judge: seed 3 appears twice"),
        (
            pd.concat(
                [
                    cell("M3LA", "micro_f1", GOOD[:9]),
                    cell("M3LA", "micro_f1", [np.nan], seeds=[9], status="failed"),
                ]
            ),
            "cannot judge: seed 9 failed",
        ),
        (
            pd.concat(
                [
                    cell("M3LA", "micro_f1", GOOD[:5]),
                    cell("M3LA", "micro_f1", GOOD[5:], seeds=range(5, 10), config_hash="older"),
                ]
            ),
            "cannot judge: mixes versions of the method",
        ),
        (
            pd.concat(
                [
                    cell("M3LA", "micro_f1", GOOD[:5]),
                    cell("M3LA", "micro_f1", GOOD[5:], seeds=range(5, 10), data_hash="other"),
                ]
            ),
            "cannot judge: mixes versions of the data",
        ),
        (
            pd.concat(
                [
                    cell("M3LA", "micro_f1", GOOD[:5]),
                    cell("M3LA", "micro_f1", GOOD[5:], seeds=range(5, 10), provenance="real"),
                ]
            ),
            "cannot judge: mixes real and rebuilt data",
        ),
    ],
    ids=[
        "look-alike",
        "missing",
        "nan",
        "infinite",
        "not run",
        "twice",
        "failed",
        "versions",
        "data",
        "provenance",
    ],
)
def test_what_cannot_be_compared_says_why_and_is_never_tested(rows, reason):
    found = verdict_of(evidence(rows))
    assert found["verdict"] == "not comparable"
    assert found["reason"].startswith(reason)
    assert np.isnan(found["p_equivalence"])


def test_reconstructed_methods_unknown_methods_other_versions_and_capped_profiles_are_not_comparable():
    rows = cell("M3LA", "micro_f1", GOOD)
    reconstructed = replace(METHODS[0], reconstructed=True)
    assert verdict_of(evidence(rows, methods=(reconstructed,)))["reason"].startswith("reconstructed method")
    assert verdict_of(evidence(rows), method="DMP")["reason"] == "method not implemented"
    stale = {("ml2000", "BR"): "cannot judge: another version"}
    assert (
        verdict_of(evidence(rows, left_out=stale), method="BR")["reason"] == "cannot judge: another version"
    )
    capped = {"ml2000": "profile tiny is not the printed protocol"}
    assert verdict_of(evidence(rows, limits=capped))["reason"] == capped["ml2000"]


def test_one_seed_is_too_few():
    found = verdict_of(evidence(cell("M3LA", "micro_f1", [0.8]), seeds=(0,)))
    assert "one seed has no deviation" in found["reason"]


def test_numbers_that_are_not_judged_are_still_shown_unless_they_mix_versions():
    missing = verdict_of(evidence(cell("M3LA", "micro_f1", GOOD[:8])))
    assert missing["ours_mean"] == pytest.approx(GOOD[:8].mean())
    assert missing["n_seeds"] == 8
    half = cell("M3LA", "micro_f1", GOOD[:5])
    mixed = pd.concat([half, half.assign(config_hash="older", seed=half["seed"] + 5)])
    assert np.isnan(verdict_of(evidence(mixed))["ours_mean"])


def test_a_printed_cell_without_a_margin_is_refused():
    with pytest.raises(ValueError, match="no margin"):
        judge(PRINTED, MARGINS.iloc[1:], evidence())


def test_nothing_to_judge_gives_a_reason_for_every_cell():
    verdicts = judge(PRINTED, MARGINS, evidence())
    assert set(verdicts["verdict"]) == {"not comparable"}
    assert (verdicts["reason"] != "").all()
    assert totals(verdicts).tested == 0


def test_verdicts_are_the_same_for_losses_turned_around():
    # Ours shifted down on a score and up on a loss by the same number of deviations: both worse.
    cells = [cell("M3LA", "micro_f1", exact(0.75, 0.018)), cell("M3LA", "hamming_loss", exact(0.13, 0.01))]
    found = evidence(*cells)
    assert {verdict_of(found, metric)["verdict"] for metric in ("micro_f1", "hamming_loss")} == {"worse"}
