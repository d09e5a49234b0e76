"""What the drift gate prints: Markdown, JUnit XML and JSON of a made-up outcome."""

import json
from xml.etree import ElementTree

import pandas as pd
import pytest
from markdown_it import MarkdownIt

from benchmark.drift.judge import (
    CANNOT_JUDGE,
    CELL_COLUMNS,
    MOVED,
    NOT_IN_REFERENCE,
    PAIR_COLUMNS,
    SAME,
    WITHIN,
    Drift,
)
from benchmark.drift.text import MOST_ROWS, accepted_text, as_json, drift_text, junit

NAN = float("nan")


def cell(method, metric, verdict, *numbers, reason=""):
    numbers = (*numbers, *[NAN] * (6 - len(numbers)))
    return ("toy", method, metric, "fixed", "soft", "paired band", verdict, *numbers, reason)


@pytest.fixture
def drift():
    cells = [
        cell("A", "macro_auc", MOVED, 0.79, 0.75, -0.04, -0.041, 0.0021, 0.0039, reason="too far | <away>"),
        cell("A", "coverage", WITHIN, 1.5, 1.51, 0.01, 0.012, 0.03, 0.9),
        cell("B", "macro_auc", CANNOT_JUDGE, 0.5, reason="nan in the reference for seed 1"),
        cell("B", "coverage", SAME, 1.0, 1.0, 0.0),
    ]
    pairs = [
        ("toy", "A", MOVED, "differ for 2 of 2 seeds", "code (a -> b)", "too far"),
        ("toy", "B", CANNOT_JUDGE, "same", "", "nan in the reference for seed 1"),
        ("toy", "C", CANNOT_JUDGE, "", "", "no current record\x00; run it first"),
        ("toy", "D", MOVED, "differ for 1 of 2 seeds", "", "every bit should agree"),
        ("toy", "E", NOT_IN_REFERENCE, "", "", "new"),
        ("other", "A", NOT_IN_REFERENCE, "", "", "new"),
    ]
    return Drift(
        pd.DataFrame(cells, columns=list(CELL_COLUMNS)),
        pd.DataFrame(pairs, columns=list(PAIR_COLUMNS)),
        {"toy": "torch 1 -> 2"},
    )


def outcomes(text):
    suite = ElementTree.fromstring(text).find("testsuite")
    found = {
        (case.get("classname"), case.get("name")): [child.tag for child in case]
        for case in suite.iter("testcase")
    }
    return suite, found


def test_junit_has_a_case_per_cell_and_one_per_method_for_its_scores(drift):
    suite, found = outcomes(junit(drift, "profile <tiny>"))
    reading = "(fixed, soft)"
    assert found == {
        ("toy.A", "scores"): ["skipped"],
        ("toy.A", f"macro_auc {reading}"): ["failure"],
        ("toy.A", f"coverage {reading}"): [],
        ("toy.B", "scores"): ["skipped"],
        ("toy.B", f"macro_auc {reading}"): ["error"],
        ("toy.B", f"coverage {reading}"): [],
        ("toy.C", "scores"): ["error"],
        ("toy.D", "scores"): ["failure"],
        ("toy.E", "scores"): ["skipped"],
        ("other.A", "scores"): ["skipped"],
    }
    counts = [suite.get(name) for name in ("tests", "failures", "errors", "skipped")]
    assert counts == ["10", "2", "2", "4"]
    failure = next(suite.iter("failure"))
    assert failure.get("message") == "moved by -0.04: too far | <away>"
    assert "explained by: code (a -> b)" in failure.text


def test_markdown_says_first_what_was_decided_and_shows_what_moved(drift):
    text = drift_text(drift, "profile tiny")
    assert text.splitlines()[0] == "## Drift: numbers moved away from the reference (profile tiny)"
    assert "4 cells: 1 moved, 1 cannot judge, 1 within, 1 same." in text
    moved = text.split("### Cells that moved")[1]
    assert "| -0.04" in moved
    assert "coverage" not in moved
    assert "torch 1 -> 2" in text
    named = [line for line in text.splitlines() if NOT_IN_REFERENCE in line]
    assert [line.split()[1:4:2] for line in named] == [["toy", "E"], ["other", "A"]]


def test_a_long_list_of_cells_is_cut_in_markdown_only(drift):
    cells = pd.concat([drift.cells.iloc[[0]]] * (MOST_ROWS + 7), ignore_index=True)
    many = Drift(cells, drift.pairs, drift.why_bits_may_differ)
    text = drift_text(many, "x")
    assert text.count("| macro_auc") == MOST_ROWS
    assert "and 7 more" in text
    assert len(as_json(many)["cells"]) == MOST_ROWS + 7


def test_json_writes_numbers_that_do_not_exist_as_null(drift):
    report = json.loads(json.dumps(as_json(drift), allow_nan=False))
    assert report["exit_code"] == 1
    assert report["cells"][2]["difference"] is None
    assert report["cells"][0]["p_value"] == 0.0039
    assert report["pairs"][4]["verdict"] == NOT_IN_REFERENCE


def test_a_note_of_an_acceptance_quotes_every_line_of_the_reason(drift):
    text = accepted_text(drift, "toy", "one\ntwo", "2026-01-02")
    assert text.startswith("## 2026-01-02\n\n> one\n> two\n\n")
    assert "macro_auc" in text
    assert text.endswith("\n\n")
    nothing = Drift(drift.cells.iloc[:0], drift.pairs.assign(verdict=SAME), drift.why_bits_may_differ)
    assert "No number had changed." in accepted_text(nothing, "toy", "x", "2026-01-02")


HOSTILE = "a | b\n\n`c` *d* <e> & \x1b[31mred\x1b[0m \ud83d \ufffe [f](g) 中"


def hostile(frame):
    """As objects: the texts of frames that pyarrow holds, where it is installed, have no half characters."""
    return pd.Series([HOSTILE] * len(frame), index=frame.index, dtype=object)


def test_words_of_others_leave_every_format_whole(drift):
    cells = drift.cells.assign(reason=hostile(drift.cells))
    pairs = drift.pairs.assign(reason=hostile(drift.pairs), cause=hostile(drift.pairs))
    told = Drift(cells, pairs, {"toy": HOSTILE})
    _, before = outcomes(junit(drift, "x"))
    suite, found = outcomes(junit(told, HOSTILE))
    assert found == before
    assert "red \ufffd \ufffd [f](g) 中" in next(suite.iter("error")).get("message")
    for text in (drift_text(told, "x"), accepted_text(told, "toy", HOSTILE, "2026-01-02")):
        tokens = MarkdownIt("commonmark").enable("table").parse(text)
        rows = [token for token in tokens if token.type == "tr_open"]
        cells_of = [token for token in tokens if token.type in ("td_open", "th_open")]
        n_pairs = len(pairs) if "##" in text.split("\n")[0] and text.startswith("## Drift") else 5
        assert len(rows) == (1 + n_pairs) + (1 + 1)
        assert len(cells_of) == 6 * (1 + n_pairs) + 11 * (1 + 1)
        assert text.encode("utf-8")
        assert "\x1b" not in text
