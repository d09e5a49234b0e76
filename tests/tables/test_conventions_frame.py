"""Records under every convention: which rows there are, what they hold, how they are printed."""

import numpy as np
import pytest
from example_results import record_of

from benchmark.contracts import MethodSpec, Provenance
from benchmark.score.conventions import CONVENTIONS, LAMDA, MULAN, metrics_under
from benchmark.score.metrics import METRICS
from benchmark.score.reading import read_scores
from benchmark.tables.conventions import average, render_conventions, rows_of

SPECS = (MethodSpec("Hard", object, scoring="hard"), MethodSpec("Soft", object, threshold="eq13"))


def entry(method, seed, dataset="toy", **changed):
    """Return a record and arrays with ties, an empty row and a label that no row of the test has."""
    rng = np.random.default_rng([seed, len(method)])
    labels = (rng.random((12, 4)) < 0.4).astype(np.uint8)
    labels[0] = 0
    labels[:, 3] = 0
    arrays = {
        "scores": (rng.integers(0, 5, labels.shape) / 4).astype(np.float32),
        "labels": labels,
        "train_label_frequencies": np.full(4, 0.4),
    }
    return record_of(dataset, method, seed, provenance=Provenance.LOOK_ALIKE, **changed), arrays


def summary_of(entries):
    specs = {spec.id: spec for spec in SPECS}
    return average([rows_of(*one, specs[one[0].method]) for one in entries], list(specs))


ENTRIES = [entry("Soft", 0), entry("Hard", 0), entry("Soft", 1)]


def test_every_method_is_read_soft_and_hard_under_every_convention():
    summary = summary_of(ENTRIES)
    keys = ["dataset", "method", "convention", "scoring", "metric"]
    assert not summary.duplicated(keys).any()
    assert len(summary) == 2 * 2 * len(CONVENTIONS) * len(METRICS)
    assert list(dict.fromkeys(summary["method"])) == ["Hard", "Soft"]  # the registry's order
    assert dict(zip(summary["method"], summary["n_seeds"], strict=True)) == {"Soft": 2, "Hard": 1}


def test_a_cell_is_the_mean_of_its_seeds_under_the_methods_own_rule():
    summary = summary_of(ENTRIES).set_index(["method", "scoring", "convention", "metric"])
    expected = []
    for _, arrays in (ENTRIES[0], ENTRIES[2]):
        predictions = read_scores(arrays, "soft", "eq13").predictions
        values = metrics_under(LAMDA, arrays["labels"], predictions.astype(float), predictions)
        expected.append(values["coverage"])
    assert summary.loc[("Soft", "hard", "lamda", "coverage"), "mean"] == pytest.approx(np.mean(expected))
    # The tables' own numbers are the row of the suite.
    own = read_scores(ENTRIES[1][1], "hard", "fixed").metrics
    for metric, value in own.items():
        assert summary.loc[("Hard", "hard", "suite", metric), "mean"] == pytest.approx(value)


def test_failed_jobs_are_left_out():
    failed = (entry("Hard", 0, status="failed")[0], {})
    assert set(summary_of([failed, ENTRIES[0]])["method"]) == {"Soft"}


def test_the_report_shows_what_differs_and_what_is_undefined():
    text = render_conventions(summary_of([*ENTRIES, entry("Soft", 0, "other")]), SPECS)
    assert "## toy (look-alike)" in text
    assert "## other (look-alike)" in text
    rows = [[cell.strip() for cell in line.split("|")[1:-1]] for line in text.splitlines() if "|" in line]
    by_key = {tuple(row[:3]): row[3:] for row in rows}
    assert by_key["Hard", "hard*", "scikit-learn"][0] == "–"  # a label with one class
    assert by_key["Hard", "hard*", "scikit-learn"][4] == "="
    assert by_key["Soft", "soft*", MULAN.heading][2] == "–"
    coverage = [float(by_key["Soft", "soft*", name][8]) for name in ("as in our tables", MULAN.heading)]
    assert coverage[1] < coverage[0]
    assert "- Soft: 2 seeds, threshold eq. (13)" in text
