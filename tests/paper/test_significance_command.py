"""`significance` as a command: what of a reference it compares, prints and writes, and what it refuses."""

import json
import shutil

import pandas as pd
import pytest
from references import REFERENCE


def test_the_committed_paired_tests_are_those_of_the_committed_reference(judged):
    written = pd.read_csv(judged[0] / "reference" / "paper" / "significance.csv")
    committed = pd.read_csv(REFERENCE / "paper" / "significance.csv")
    pd.testing.assert_frame_equal(written, committed, rtol=1e-4, atol=1e-9)


def test_significance_says_why_there_are_no_ranks_and_tests_pairs(judged):
    results, _, (code, out, err) = judged
    assert code == 0, err
    assert "need at least 6 real or rebuilt data sets" in out
    pairs = pd.read_csv(results / "reference" / "paper" / "significance.csv")
    assert set(pairs["dataset"]) == {"ml2000"}
    assert not {"M3LA-order", "BR-fair", "CS3G"} & {*pairs["first"], *pairs["second"]}
    assert set(pairs["n"]) == {10}
    assert set(pairs["provenance"]) == {"rebuilt"}
    assert "Left out as reconstructions of what could not be found: CS3G" in out
    assert "One row per method enters: M3LA, BR, CC, DMP, MCC." in out
    assert "n_test / n_train = 200/1800" in out


def test_significance_compares_the_rows_that_are_named(run):
    code, _, err = run("significance", "--methods", "M3LA,CS3G")
    assert code == 2
    assert "CS3G: a reconstruction never enters" in err
    assert run("significance", "--methods", "M3LA,BR,BR-fair").code == 2
    assert run("significance", "--methods", "M3LA").code == 2
    found = json.loads(run("significance", "--seeds", "8", "--methods", "M3LA,BR-fair", "--json").out)
    assert found["methods"] == ["M3LA", "BR-fair"]
    assert len(found["pairs"]) == 10
    assert {pair["n"] for pair in found["pairs"]} == {8}


@pytest.mark.parametrize("profile", ["paper", "tiny"])
def test_methods_compared_under_a_capped_profile_support_no_statement(run, results, profile):
    shutil.copytree(REFERENCE / "tiny" / "ml2000", results / "reference" / "tiny" / "ml2000")
    _, out, _ = run("significance", "--profile", profile)
    capped = "No statement about a method follows: profile tiny is not the printed protocol."
    assert (capped in out) == (profile == "tiny")
