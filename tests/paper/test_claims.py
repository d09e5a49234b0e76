"""The claims: quoted word for word, checked against both sides, and never judged on what is missing."""

from dataclasses import replace
from itertools import chain
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from evidence_examples import METHODS, cell, evidence, exact
from scipy import stats

from benchmark.inference import corrected_paired
from benchmark.paper.claim import parse_claims
from benchmark.paper.claims import check_claims
from benchmark.paper.comparisons import CannotJudgeError, OurSide, paired
from benchmark.paper.printed import read_paper
from benchmark.score.metrics import METRICS

ROOT = Path(__file__).resolve().parents[2]
TEXT = ROOT.parent / "shared" / "paper" / "m3la.txt"
PAPER = read_paper()
PRINTED = PAPER.cells
CLAIMS = {claim.id: claim for claim in parse_claims(PAPER.claims)}
METRIC_IDS = [metric.id for metric in METRICS]


@pytest.mark.skipif(not TEXT.is_file(), reason="the paper's text is not beside this repository")
@pytest.mark.parametrize("name", list(CLAIMS))
def test_each_quote_is_in_the_paper_word_for_word(name):
    text = " ".join(TEXT.read_text(encoding="utf-8").split())
    assert " ".join(CLAIMS[name].quote.split()) in text


def finding(name, found=None, side="ours"):
    rows = check_claims([CLAIMS[name]], PRINTED, found)
    return rows[rows["side"] == side].iloc[0]


def test_what_the_printed_numbers_say_of_the_claims_is_what_the_dossier_counted():
    # METHODS.md 10.5 and 10.6.
    best = finding("best-on-almost-all", side="paper")
    assert (best["better"], best["cells"], best["significantly_worse"]) == (32, 40, 6)
    assert best["verdict"] == "partly supported"
    traditional = finding("better-than-traditional", side="paper")
    assert (traditional["cells"] - traditional["better"], traditional["cells"]) == (16, 240)
    improvement = finding("significant-improvement", side="paper")
    assert "example_f1 on msra against MCC" in improvement["numbers"]
    order = finding("modality-prediction", side="paper")
    assert "macro_f1, micro_f1" in order["numbers"]
    assert order["verdict"] == "not supported"
    matrix = finding("correlation-matrix", side="paper")
    assert "significantly better in 0, before Holm's correction in 1" in matrix["numbers"]


def every_metric(method, gain, std=0.01, dataset="ml2000", **changed):
    """Cells of all metrics: `gain` deviations better than 0.5 whichever way the metric points."""
    return [
        cell(
            method,
            metric.id,
            exact(0.5 + (gain if metric.direction == "up" else -gain), std, seed=len(method)),
            dataset,
            **changed,
        )
        for metric in METRICS
    ]


def ablation(gain):
    return evidence(*every_metric("M3LA", gain), *every_metric("M3LA-order", 0.0))


@pytest.mark.parametrize(
    ("gain", "verdict"), [(0.1, "supported"), (0.0, "not supported"), (-0.1, "contradicted")]
)
def test_a_claim_on_our_numbers(gain, verdict):
    found = finding("modality-prediction", ablation(gain))
    assert found["verdict"] == verdict
    assert found["scope"] == "ml2000 (on our features)"


def test_partly_supported_needs_half_of_the_cells():
    half = [*every_metric("M3LA", 0.1)[:6], *every_metric("M3LA", 0.0)[6:], *every_metric("M3LA-order", 0.0)]
    assert finding("modality-prediction", evidence(*half))["verdict"] == "partly supported"


def test_poor_for_want_of_modalities_meets_the_fair_rows_and_says_how_much_of_the_gap_they_close():
    rows = [
        *every_metric("M3LA", 0.2),
        *every_metric("BR", 0.0),
        *every_metric("CC", 0.0),
        *every_metric("BR-fair", 0.2),
        *every_metric("CC-fair", 0.1),
    ]
    found = finding("poor-for-want-of-modalities", evidence(*rows))
    assert found["cells"] == 20
    assert found["significantly_better"] == 10  # CC-fair in every metric, BR-fair in none
    assert found["verdict"] == "partly supported"
    assert "BR-fair in place of BR closes 100% of the gap to M3LA" in found["numbers"]
    assert "CC-fair in place of CC closes 50% of the gap to M3LA" in found["numbers"]
    assert "on our features" in found["scope"]


def test_look_alikes_and_reconstructed_methods_support_no_claim():
    copies = [every_metric(m, g, provenance="look-alike") for m, g in (("M3LA", 0.1), ("M3LA-order", 0.0))]
    found = finding("modality-prediction", evidence(*chain(*copies)))
    assert (found["verdict"], found["reason"]) == ("cannot judge", "ml2000: look-alike data")
    methods = tuple(replace(m, reconstructed=m.id == "M3LA-order") for m in METHODS)
    rows = [*every_metric("M3LA", 0.1), *every_metric("M3LA-order", 0.0)]
    found = finding("modality-prediction", evidence(*rows, methods=methods))
    assert found["verdict"] == "cannot judge"
    assert "M3LA-order left out: reconstructed" in found["reason"]


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda rows: rows[rows["seed"] < 8], "cannot judge: seeds 8, 9 missing"),
        (lambda rows: rows.assign(data_hash="other"), "saw different versions of ml2000"),
        (lambda rows: rows.assign(value=np.nan), "undefined (nan or infinite)"),
        (lambda rows: rows.iloc[:0], "not run"),
    ],
    ids=["missing seeds", "other data", "nan", "not run"],
)
def test_a_claim_that_lacks_numbers_cannot_be_judged(change, reason):
    order = change(pd.concat(every_metric("M3LA-order", 0.0)))
    found = finding("modality-prediction", evidence(*every_metric("M3LA", 0.1), order))
    assert found["verdict"] == "cannot judge"
    assert reason in found["reason"]


def test_sides_with_other_seeds_are_not_paired():
    with pytest.raises(CannotJudgeError, match=r"seeds differ between the sides \(0, 1 and 0, 2\)"):
        paired(pd.Series([0.1, 0.2], index=[0, 1]), pd.Series([0.1, 0.2], index=[0, 2]), "A and B")


def test_pairs_are_made_by_seed_not_by_position():
    first, second = exact(0.81, 0.02, seed=1), exact(0.8, 0.02, seed=2)
    shuffled = np.random.default_rng(0).permutation(10)
    found = evidence(
        cell("M3LA", "micro_f1", first), cell("BR", "micro_f1", second[shuffled], seeds=shuffled)
    )
    test = OurSide(found).compare("ml2000", "M3LA", "BR", "micro_f1")
    assert test.p_value == pytest.approx(corrected_paired(first - second).p_value)
    assert test.p_value > stats.ttest_rel(first, second).pvalue


def test_a_threshold_per_label_is_compared_with_one_for_all_on_the_same_scores():
    metrics = CLAIMS["threshold-per-label"].metrics
    own = [cell("M3LA", metric, exact(0.5, 0.01)) for metric in metrics]
    other = [cell("M3LA", metric, exact(0.5, 0.01) + 0.1, threshold="eq13") for metric in metrics]
    found = finding("threshold-per-label", evidence(*own, equal=other))
    assert found["better"] == 1  # Hamming loss, of which the other rule has more
    assert found["verdict"] == "contradicted"
    found = finding("threshold-per-label", evidence(*own))
    assert (found["verdict"], "not read with both" in found["reason"]) == ("cannot judge", True)


def test_the_last_step_is_compared_with_the_first():
    def steps(gain):
        frames = [pd.concat(every_metric("M3LA", gain * (step - 1))).assign(step=step) for step in (1, 2, 3)]
        return pd.concat(frames)

    ours = every_metric("M3LA", 0.1)
    assert finding("constantly-corrected", evidence(*ours, steps=steps(0.05)))["verdict"] == "supported"
    assert finding("constantly-corrected", evidence(*ours, steps=steps(-0.05)))["verdict"] == "contradicted"
    without = finding("constantly-corrected", evidence(*ours))
    assert without["verdict"] == "cannot judge"
    assert "keeps no decoding steps" in without["reason"]
    short = steps(0.05)
    short = short[(short["step"] == 1) | (short["seed"] < 5)]
    assert (
        "seeds 5, 6, 7, 8, 9 missing"
        in finding("constantly-corrected", evidence(*ours, steps=short))["reason"]
    )


def test_the_lowest_data_set_needs_another_to_be_lower_than():
    found = finding("msra-lower", evidence(*every_metric("M3LA", 0.0)))
    assert found["verdict"] == "cannot judge"
    printed = finding("msra-lower", side="paper")
    assert (printed["better"], printed["cells"]) == (16, 24)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"check": "vibes"}, "check 'vibes' is not one of"),
        ({"metrics": ["macro_f2"]}, "no metric macro_f2"),
        ({"need": 0}, "need = 0 must lie above 0"),
        ({"need": True}, "need = True must lie above 0"),
        ({"need": "0.5"}, "need = '0.5' must lie above 0"),
        ({"need": float("nan")}, "need = nan must lie above 0"),
        ({"methods": "M3LA"}, "methods = 'M3LA' is no list of texts"),
        ({"rivals": ["BR", 3]}, "is no list of texts"),
        ({"sides": ["theirs"]}, "no side theirs"),
        ({"criterion": "means"}, "criterion 'means' is not one of mean, significant"),
        ({"versus": "runner up"}, "versus 'runner up' is not one of"),
        ({"quote": 5}, "quote = 5 is no text"),
        ({"instead_of": True}, "instead_of = True"),
        ({"check": "rules", "rules": ["eq13"]}, "has two rules"),
        ({"wish": 1}, "wish"),
    ],
)
def test_a_claims_file_with_mistakes_is_refused(change, message):
    with pytest.raises(ValueError, match=message):
        parse_claims([PAPER.claims[0] | change])
    with pytest.raises(ValueError, match="appear twice"):
        parse_claims([PAPER.claims[0], PAPER.claims[0]])
    with pytest.raises(ValueError, match="missing"):
        parse_claims([{"id": "bare"}])


@pytest.mark.parametrize(("check", "rivals"), [("difference", ("BR", "CC")), ("lowest", ())])
def test_a_mean_that_is_lower_by_rounding_alone_is_not_worse(check, rivals):
    """0.1 + 0.7 lies below 0.8, and 1.1 - 0.3 above it, in the last bit alone."""
    claim = replace(
        CLAIMS["consistently-superior"],
        check=check,
        rivals=rivals,
        metrics=("macro_f1",),
        datasets=("ml2000", "msra"),
        target="ml2000",
    )
    found = evidence(
        *(
            cell(method, "macro_f1", np.full(10, value), dataset)
            for dataset, change in (("ml2000", 0.0), ("msra", 2.0**-53 if rivals else -(2.0**-52)))
            for method, value in (("M3LA", 0.1 + 0.7 + change), ("BR", 0.8), ("CC", 1.1 - 0.3))
        )
    )
    (row,) = check_claims([claim], PRINTED, found)[lambda rows: rows["side"] == "ours"].to_dict("records")
    assert row["better"] == row["cells"] == (2 if rivals else 1)
    assert row["verdict"] == "supported"
