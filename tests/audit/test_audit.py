"""The audit finds each kind of planted error and stays silent on tables that are true."""

from itertools import product
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from audit_tables import draw_labels, draw_scores, facts_of, marked, text, valid_table

from benchmark.audit.judge import audit
from benchmark.audit.numbers import COLUMNS, Facts, Interval, Number, Seen
from benchmark.score.metrics import METRICS, compute_metrics

NONE = Interval(0, 0)
KNOWN = Facts(5, Interval(1.1, 1.4), 1.236, NONE, NONE)
UNKNOWN = Facts(5)


def table(*cells, n_runs=10, hard=(), name="t"):
    """Make a table of (method, metric, mean, std, bold) cells on one data set."""
    lines = [
        (name, "data", method, "", metric, mean, std, n_runs, method in hard, bold)
        for method, metric, mean, std, bold in ((*cell, "", None)[:5] if len(cell) == 3 else
                                                (*cell, None)[:5] for cell in cells)
    ]  # fmt: skip
    return pd.DataFrame(lines, columns=list(COLUMNS))


def found(frame, facts=KNOWN):
    """Return (level, rule, method) of each finding."""
    return [(f.level, f.rule, f.method) for f in audit(frame, {"data": facts}).findings]


@pytest.mark.parametrize("n_tables", [60, pytest.param(1000, marks=pytest.mark.full)])
def test_true_tables_raise_no_alarm(n_tables):
    rng = np.random.default_rng(20261122)
    for k in range(n_tables):
        frame, facts = valid_table(rng)
        findings = audit(frame, facts).findings
        assert not findings, f"table {k}: {findings[0]}"


@pytest.mark.parametrize(
    ("owner", "name", "ignorant"),
    [
        (Number, "interval", lambda number, _: Interval(number.value, number.value)),
        (Seen, "spread", lambda *_: 0.0),
    ],
)
def test_true_tables_come_close_enough_to_alarm_an_audit_that_ignores(monkeypatch, owner, name, ignorant):
    """Digits that are not printed, or deviations over runs; else the test above would prove little."""
    monkeypatch.setattr(owner, name, ignorant)
    rng = np.random.default_rng(20261122)
    assert any(audit(*valid_table(rng)).findings for _ in range(100))


@pytest.mark.parametrize("way", ["rounded", "truncated"])
@pytest.mark.parametrize("known", [True, False])
def test_tables_of_the_papers_size_raise_no_alarm(way, known):
    rng = np.random.default_rng(3)
    for _ in range(5):
        runs = [draw_labels(rng, 200, 5) for _ in range(10)]
        lines = []
        for method, kind in {"a": "free", "b": "tied", "c": "hard"}.items():
            values = pd.DataFrame([compute_metrics(y, *draw_scores(rng, y, kind)) for y in runs])
            lines += [
                ("t", "data", method, "", m, text(values[m].mean(), way), text(values[m].std(), way),
                 10, kind == "hard", None)
                for m in values
            ]  # fmt: skip
        frame = marked(pd.DataFrame(lines, columns=list(COLUMNS)))
        assert found(frame, facts_of(runs, 5) if known else UNKNOWN) == []


@pytest.mark.parametrize("q", [2, 3, 4])
def test_the_inequalities_of_one_row_hold_for_all_rankings_and_are_reached(q):
    """All label sets and all rankings with ties: what `ranking` states, and that no bound could be closer."""
    reached = set()
    for bits in product((0, 1), repeat=q):
        for scores in product(range(q), repeat=q):
            labels, k = np.array([bits]), sum(bits)
            if not 0 < k < q:
                continue
            m = compute_metrics(labels, np.array([scores], float), labels)
            r, a, c = m["ranking_loss"], m["example_auc"], m["coverage"]
            most = 1 + (q - 1) * r + (k - 1) * max(1, (q - 1) / 2)
            assert 1 - a - 1e-9 <= r <= 2 * (1 - a) + 1e-9
            assert 1 + (q - 1) * r - 1e-9 <= c <= most + 1e-9
            sides = {
                "auc": r - (1 - a),
                "ties": 2 * (1 - a) - r,
                "low": c - 1 - (q - 1) * r,
                "high": most - c,
            }
            reached |= {name for name, slack in sides.items() if abs(slack) < 1e-9}
    assert reached == {"auc", "ties", "low", "high"}


@pytest.mark.parametrize(
    ("cells", "facts", "expected"),
    [
        # Ten numbers in [0, 1] with mean .923: at most sqrt(10/9 * .923 * .077) = .281.
        ([("a", "micro_auc", "0.923", "0.342")], KNOWN, ("impossible", "standard deviation")),
        # In [1.1, 5] with mean 1.15: at most sqrt(10/9 * .05 * 3.85) = .46; in [0, 5] it would be 2.2.
        ([("a", "coverage", "1.150", "0.600")], KNOWN, ("impossible", "standard deviation")),
        ([("a", "coverage", "1.500", "-0.1")], KNOWN, ("impossible", "standard deviation")),
        ([("a", "coverage", "1.05")], KNOWN, ("impossible", "range")),
        ([("a", "coverage", "5.1")], UNKNOWN, ("impossible", "range")),
        ([("a", "macro_f1", "1.002")], UNKNOWN, ("impossible", "range")),
        ([("a", "ranking_loss", "-0.010")], UNKNOWN, ("impossible", "range")),
        # Their sum is at least 1 on rows that have some but not all labels.
        (
            [("a", "ranking_loss", "0.082"), ("a", "example_auc", "0.887")],
            KNOWN,
            ("impossible", "ranking loss and example-AUC"),
        ),
        # And ranking loss is at most 2 (1 - AUC).
        (
            [("a", "ranking_loss", "0.300"), ("a", "example_auc", "0.860")],
            KNOWN,
            ("impossible", "ranking loss and example-AUC"),
        ),
        # Each row has coverage >= 1 + 4 RL.
        (
            [("a", "ranking_loss", "0.300"), ("a", "coverage", "2.100")],
            KNOWN,
            ("impossible", "coverage and ranking loss"),
        ),
        # Whatever the share of rows without labels: coverage >= 5 RL.
        (
            [("a", "ranking_loss", "0.500"), ("a", "coverage", "2.400")],
            UNKNOWN,
            ("impossible", "coverage and ranking loss"),
        ),
        # At most 1 + 4 RL + 2 (cardinality - 1) = 1.4 + .8.
        (
            [("a", "ranking_loss", "0.100"), ("a", "coverage", "2.300")],
            KNOWN,
            ("impossible", "coverage and ranking loss"),
        ),
        (
            [("a", "coverage", "1.300"), ("a", "example_auc", "0.900")],
            KNOWN,
            ("impossible", "coverage and example-AUC"),
        ),
        # A wrong row has 1 to 5 errors of 5 labels.
        (
            [("a", "hamming_loss", "0.050"), ("a", "subset_accuracy", "0.600")],
            UNKNOWN,
            ("impossible", "subset accuracy and Hamming loss"),
        ),
        (
            [("a", "hamming_loss", "0.500"), ("a", "subset_accuracy", "0.600")],
            UNKNOWN,
            ("impossible", "subset accuracy and Hamming loss"),
        ),
        # The best wrong row has an F1 of 8/9.
        (
            [("a", "example_f1", "0.970"), ("a", "subset_accuracy", "0.500")],
            UNKNOWN,
            ("impossible", "subset accuracy and example-F1"),
        ),
        # Exact rows with labels have an F1 of 1.
        (
            [("a", "example_f1", "0.400"), ("a", "subset_accuracy", "0.500")],
            KNOWN,
            ("impossible", "subset accuracy and example-F1"),
        ),
        (
            [("a", "example_f1", "0.900"), ("a", "hamming_loss", "0.200")],
            UNKNOWN,
            ("impossible", "Hamming loss and example-F1"),
        ),
        # Hits h F / (2 (1 - F)) = .95 of all label cells beside .2 errors.
        (
            [("a", "hamming_loss", "0.200", "0.010"), ("a", "micro_f1", "0.905", "0.010")],
            UNKNOWN,
            ("suspicious", "Hamming loss and micro-F1"),
        ),
        # Hits .4 of all cells, with at most 1.4 / 5 labels.
        (
            [("a", "hamming_loss", "0.200", "0.010"), ("a", "micro_f1", "0.800", "0.010")],
            KNOWN,
            ("suspicious", "Hamming loss and micro-F1"),
        ),
        # Hits .02, errors .1: .12 < 1.1 / 5 labels.
        (
            [("a", "hamming_loss", "0.100", "0.005"), ("a", "micro_f1", "0.286", "0.010")],
            KNOWN,
            ("suspicious", "Hamming loss and micro-F1"),
        ),
    ],
)
def test_each_planted_contradiction_within_a_row_is_found(cells, facts, expected):
    assert found(table(*cells), facts) == [(*expected, "a")]


def test_one_run_is_inverted_exactly_and_its_contradiction_is_impossible():
    cells = [("a", "hamming_loss", "0.200"), ("a", "micro_f1", "0.800")]
    assert found(table(*cells, n_runs=1)) == [("impossible", "Hamming loss and micro-F1", "a")]


def test_without_deviations_an_average_of_many_runs_is_not_inverted():
    """Nothing bounds the covariance then: a few very different runs could have these means."""
    cells = [("a", "hamming_loss", "0.200"), ("a", "micro_f1", "0.800")]
    assert found(table(*cells)) == []


def test_an_unknown_share_of_rows_without_labels_is_said_and_not_judged():
    frame = table(("a", "ranking_loss", "0.082"), ("a", "example_auc", "0.887"))
    report = audit(frame, {"data": UNKNOWN})
    assert report.findings == ()
    assert any("share of test rows without labels is unknown" in note for note in report.notes)


def test_the_same_sum_is_fine_if_enough_rows_have_no_label():
    frame = table(("a", "ranking_loss", "0.082"), ("a", "example_auc", "0.887"))
    assert found(frame, Facts(5, unlabelled=Interval(0.3, 0.3), fully_labelled=NONE)) == []
    assert found(frame, Facts(5, unlabelled=Interval(0.1, 0.1), fully_labelled=NONE)) != []


def test_rows_of_one_table_contradict_each_other_on_the_unknown_share():
    cells = [
        ("a", "ranking_loss", "0.023", "0.003"),
        ("a", "example_auc", "0.966", "0.003"),
        ("tied", "ranking_loss", "0.416", "0.024"),
        ("tied", "example_auc", "0.790", "0.012"),
    ]
    report = audit(table(*cells), {"data": UNKNOWN})
    assert [(f.level, f.method) for f in report.findings] == [("suspicious", "a")]
    needed, allowed = report.findings[0].numbers["rounded"]
    assert 0.2 < needed < 1 - 0.023 / 0.034 + 0.01
    assert allowed < 0.03
    assert found(table(*cells[:2]), UNKNOWN) == []


def test_a_finding_holds_under_rounding_and_under_truncation():
    """The sum is 1 without ties: .999 is what truncation prints of .1125 + .8875, .997 nothing prints."""
    assert found(table(("a", "ranking_loss", "0.112"), ("a", "example_auc", "0.887"))) == []
    report = audit(table(("a", "ranking_loss", "0.110"), ("a", "example_auc", "0.887")), {"data": KNOWN})
    assert [f.rule for f in report.findings] == ["ranking loss and example-AUC"]
    assert report.findings[0].numbers["rounded"] == pytest.approx((0.1105, 0.1125))
    assert report.findings[0].numbers["truncated"] == pytest.approx((0.111, 0.112))


def test_fewer_digits_mean_a_wider_interval():
    found_interval = Number.parse("16.15").interval("rounded")
    assert (found_interval.lo, found_interval.hi) == pytest.approx((16.145, 16.155))
    assert Number.parse("0.790").decimals == 3
    assert found(table(("a", "ranking_loss", "0.1"), ("a", "example_auc", "0.887"))) == []


HARD = {"hamming_loss": "0.212", "micro_f1": "0.651", "micro_auc": "0.794"}


def hard_rows(method, **changed):
    return [(method, metric, value, "0.005") for metric, value in {**HARD, **changed}.items()]


def test_hard_scores_give_away_the_cardinality():
    report = audit(table(*hard_rows("a"), hard=("a",)), {"data": UNKNOWN})
    assert report.findings == ()
    line = report.inverted.set_index("quantity").loc["cardinality"]
    assert line["low"] < line["value"] < line["high"]
    assert line["value"] == pytest.approx(1.23, abs=0.005)


def test_inversion_of_hard_scores_is_exact_for_one_run():
    rng = np.random.default_rng(5)
    for _ in range(20):
        labels = draw_labels(rng, 40, 6)
        _, predictions = draw_scores(rng, labels, "hard")
        values = compute_metrics(labels, predictions.astype(float), predictions)
        cells = [("a", m, repr(v)) for m, v in values.items() if not np.isnan(v)]
        report = audit(table(*cells, n_runs=1, hard=("a",)), {"data": Facts(6)})
        line = report.inverted[report.inverted["quantity"] == "cardinality"]
        if not len(line) or np.isnan(line["value"].iloc[0]):
            continue  # a perfect prediction, or two densities fit
        assert line["value"].iloc[0] == pytest.approx(labels.sum(axis=1).mean(), abs=1e-6)


def test_hard_scores_that_fit_no_density_are_suspicious():
    assert found(table(*hard_rows("a", micro_auc="0.990"), hard=("a",)), UNKNOWN) == [
        ("suspicious", "hard scores", "a")
    ]
    assert found(table(*hard_rows("a", micro_auc="0.990")), UNKNOWN) == []  # soft scores may


def test_hard_scores_that_imply_another_cardinality_are_suspicious():
    facts = Facts(5, Interval(1.6, 1.8), 1.7, NONE, NONE)
    assert ("suspicious", "hard scores", "a") in found(table(*hard_rows("a"), hard=("a",)), facts)


def test_two_hard_rows_that_imply_different_densities_are_suspicious():
    rows = (*hard_rows("a"), *hard_rows("b", micro_auc="0.740"))
    assert found(table(*rows, hard=("a", "b")), UNKNOWN) == [("suspicious", "hard scores", "b")]
    assert found(table(*rows, hard=("a",)), UNKNOWN) == []


def bold(*marks, metric="macro_f1"):
    return table(*((method, metric, mean, "", mark) for method, mean, mark in marks))


def test_a_bold_that_is_not_best_and_a_best_that_is_not_bold():
    assert found(bold(("a", "0.5", True), ("b", "0.4", False))) == []
    assert found(bold(("a", "0.5", False), ("b", "0.4", True))) == [
        ("suspicious", "bold", "b"),
        ("suspicious", "bold", "a"),
    ]
    assert found(bold(("a", "0.5", True), ("b", "0.4", True))) == [("suspicious", "bold", "b")]


def test_smaller_is_better_where_it_is():
    assert found(bold(("a", "0.1", True), ("b", "0.2", False), metric="hamming_loss")) == []
    assert found(bold(("a", "0.1", False), ("b", "0.2", True), metric="hamming_loss")) != []


def test_any_of_equal_prints_may_be_bold():
    assert found(bold(("a", "0.500", False), ("b", "0.500", True))) == []
    assert found(bold(("a", "0.50", True), ("b", "0.504", False))) == []
    assert found(bold(("a", "0.50", True), ("b", "0.511", False))) != []


def test_a_table_without_bold_is_not_asked_for_any():
    assert found(bold(("a", "0.5", False), ("b", "0.4", False))) == []


@pytest.mark.parametrize(
    ("mean", "alarm"), [("0.794", False), ("0.79", False), ("0.80", True), ("0.795", True)]
)
def test_two_tables_that_disagree_on_a_cell(mean, alarm):
    one, other = (table(("a", "macro_f1", m), name=n) for m, n in (("0.794", "x"), (mean, "y")))
    report = audit(pd.concat([one, other]), {"data": KNOWN})
    assert [(f.level, f.rule, f.table) for f in report.findings] == (
        [("impossible", "two tables", "y")] if alarm else []
    )


def test_the_last_bits_of_a_float_are_no_disagreement():
    texts = ("0.7940000000000001", "0.7939999999999998")
    one, other = (table(("a", "macro_f1", m), name=n) for m, n in zip(texts, "xy", strict=True))
    assert audit(pd.concat([one, other]), {"data": KNOWN}).findings == ()


def test_truncated_digits_show_in_sums_one_unit_short():
    cells = [("a", "ranking_loss", "0.027"), ("a", "example_auc", "0.972")]
    report = audit(table(*cells), {"data": KNOWN})
    assert report.findings == ()
    assert any("in 1 of 1 rows" in note and "one unit" in note for note in report.notes)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda t: t.drop(columns="std"), "'std'"),
        (lambda t: t.assign(metric="accuracy"), "metric 'accuracy' is not one of"),
        (lambda t: t.assign(mean="high"), "'high' is not a number"),
        (lambda t: t.assign(mean="inf"), "'inf' is not a finite number"),
        (lambda t: pd.concat([t, t]), "appears twice"),
        (lambda t: t.iloc[:0], "no cell to audit"),
        (lambda t: t.assign(dataset="other"), "nothing is known of data set 'other'"),
    ],
)
def test_a_table_that_cannot_be_judged_is_refused_by_name(change, message):
    with pytest.raises(ValueError, match=message):
        audit(change(table(("a", "macro_f1", "0.5"))), {"data": KNOWN})


def test_empty_cells_are_left_out():
    cells = [("a", "macro_f1", ""), ("a", "coverage", "nan", "nan"), ("a", "micro_f1", "0.5")]
    assert found(table(*cells)) == []
    with pytest.raises(ValueError, match="no cell of the table holds a number"):
        found(table(*cells[:2]))


def test_the_rules_name_no_data_set_and_no_method():
    from benchmark.registry import discover

    registry = discover()
    folder = Path(__file__).parents[2] / "benchmark" / "audit"
    words = {
        word.strip("\"'`.,:;()[]").lower()
        for path in folder.rglob("*.py")
        if path.stem not in ("command", "gather", "text")
        for word in path.read_text().split()
    }
    assert not words & {name.lower() for name in (*registry.methods, *registry.datasets)}
    assert {metric.id for metric in METRICS} & words
