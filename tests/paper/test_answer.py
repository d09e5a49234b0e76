"""The answer: the sums of verdicts and claims in three sentences, and the README's first lines."""

from pathlib import Path

import pandas as pd
import pytest
from evidence_examples import cell, evidence, exact

from benchmark.paper.answer import answer
from benchmark.paper.beyond import Beyond, read_beyond
from benchmark.paper.claim import parse_claims
from benchmark.paper.claims import check_claims
from benchmark.paper.printed import read_paper
from benchmark.paper.verdicts import judge

ROOT = Path(__file__).resolve().parents[2]
PAPER = read_paper()
CLAIMS = parse_claims(PAPER.claims)


def answer_to(*cells):
    found = evidence(*cells)
    verdicts = judge(PAPER.cells, PAPER.margins, found)
    return answer(verdicts, check_claims(CLAIMS, PAPER.cells, found))


def reference(name):
    return pd.read_csv(ROOT / "results" / "reference" / "paper" / "ml2000" / name)


def test_readme_begins_with_the_answer_of_the_committed_reference():
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    quoted = [line.removeprefix("> ") for line in readme.splitlines() if line.startswith("> ")]
    assert " ".join(quoted) == answer(
        reference("verdicts.csv"), reference("claims.csv"), read_beyond(ROOT / "results" / "beyond")
    )
    title, first, *_ = readme.split("\n\n")
    assert title.startswith("# ")
    assert first.startswith("> ")


# M3LA on ML2000, printed: micro-F1 0.812±0.018, macro-F1 0.811±0.018, Hamming loss 0.092±0.010.
def test_verdicts_are_counted_once_each_and_the_papers_own_method_apart():
    text = answer_to(
        cell("M3LA", "micro_f1", exact(0.8125, 0.018)),  # also in Table III
        cell("M3LA", "macro_f1", exact(0.87, 0.018)),
        cell("M3LA", "hamming_loss", exact(0.15, 0.008)),
        cell("BR", "micro_f1", exact(0.70, 0.04)),
    )
    assert "On ML2000 (our features, 10 seeds), 4 of the paper's 80 printed numbers can be compared" in text
    assert "of M3LA's own 3, 1 reproduced, 1 better than printed, 1 worse and 0 undecided." in text
    assert text.endswith("FCVID, MSRA and TAOBAO are not judged.")


@pytest.mark.parametrize(
    ("provenance", "words"),
    [("real", "On ML2000 (10 seeds),"), ("leaked", "On ML2000 (leaked features, 10 seeds),")],
)
def test_whose_features_they_are_follows_the_numbers(provenance, words):
    assert words in answer_to(cell("M3LA", "micro_f1", exact(0.8125, 0.018), provenance=provenance))


def test_look_alikes_enter_no_answer():
    false = [
        cell("M3LA", "micro_f1", exact(0.8125, 0.018), name, provenance="look-alike")
        for name in ("msra", "fcvid")
    ]
    assert answer_to(*false) == "None of the paper's printed numbers can be compared with these."
    text = answer_to(*false, cell("BR", "micro_f1", exact(0.7, 0.04)))
    assert text.startswith("On ML2000 (our features, 10 seeds), 1 of the paper's 80 ")
    assert "own" not in text
    assert text.endswith("FCVID, MSRA and TAOBAO are not judged.")


def test_claims_that_cannot_be_judged_are_not_among_those_that_can():
    claims = reference("claims.csv")
    ours = claims["side"] == "ours"
    claims.loc[ours, "verdict"] = ["cannot judge", "contradicted", "supported", *["cannot judge"] * 7]
    text = answer(reference("verdicts.csv"), claims)
    assert "Of the paper's 10 claims, 2 can be judged by these runs and 1 is supported" in text
    first = claims[claims["id"] == "best-on-almost-all"].iloc[0]
    assert f"“{first['quote']}” is contradicted (4 of 10 cells)." in text


BEYOND = pd.DataFrame(
    [
        ("consistently-superior", "emotions", "not supported", 10, 1),
        ("consistently-superior", "yeast", "cannot judge", 0, 0),
        ("consistently-superior", "both", "not supported", 20, 3),
        ("order", "emotions", "supported", 10, 10),
        ("order", "yeast", "cannot judge", 0, 0),
        ("order", "both", "supported", 20, 19),
    ],
    columns=["id", "over", "verdict", "cells", "better"],
)


@pytest.mark.parametrize(
    ("claims", "words"),
    [
        (BEYOND.replace("cannot judge", "not supported"), "On 2 real data sets, 1 of 2 claims"),
        (BEYOND, "On 1 of 2 real data sets so far, 1 of 2 claims"),
        (BEYOND.assign(verdict="cannot judge"), ""),
    ],
)
def test_other_real_data_sets_are_said_last(claims, words):
    nothing = pd.DataFrame()
    found = Beyond(("emotions", "yeast"), ("both",), {}, claims, nothing, nothing)
    alone = answer(reference("verdicts.csv"), reference("claims.csv"))
    text = answer(reference("verdicts.csv"), reference("claims.csv"), found)
    said = "about data sets in general is supported, and M3LA is best, alone or tied, in 3 of 20 cells."
    assert text == alone + (f" {words} {said}" if words else "")
