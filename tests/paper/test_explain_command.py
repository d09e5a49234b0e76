"""`explain` as a command: from a number of a reference back to its seeds, settings and printed cell."""

import json

import pandas as pd
import pytest
from references import REFERENCE, folder


def test_explain_traces_a_number_back(run):
    code, out, _ = run("explain", "br", "ML2000", "micro_f1", "--json")
    assert code == 0
    found = json.loads(out)
    frame = pd.read_csv(REFERENCE / "paper" / "ml2000" / "per_seed.csv")
    own = frame[(frame["method"] == "BR") & (frame["threshold"] == "fixed") & (frame["metric"] == "micro_f1")]
    assert found["mean"] == pytest.approx(own["value"].mean())
    assert found["std"] == pytest.approx(own["value"].std(ddof=1))
    assert {row["seed"]: row["score_digest"] for row in found["seeds"]} == dict(
        zip(own["seed"], own["score_digest"], strict=True)
    )
    (printed,) = found["paper"]
    assert (printed["table"], printed["mean"], printed["std"]) == ("II", 0.651, 0.019)
    assert printed["ours_minus_paper"] == pytest.approx(own["value"].mean() - 0.6515)
    assert found["environments"][0]["libraries"]["torch"]
    assert set(found["settings"]) == set(own["config_hash"])
    assert all(
        settings["options"]["base_learner"] == "gaussian_nb" for settings in found["settings"].values()
    )
    text = run("explain", "br", "ML2000", "micro_f1")[1]
    assert '"base_learner": "gaussian_nb"' in text
    assert "paper, Table II: 0.651±0.019" in text
    assert own["data_hash"].iloc[0] in text


@pytest.mark.parametrize(
    ("cell", "message"),
    [
        (("br*", "ml2000", "coverage"), "chooses BR, BR-fair; explain traces one cell"),
        (("br", "ml200", "coverage"), "did you mean 'ml2000'?"),
        (("br", "ml2000", "coverag"), "did you mean 'coverage'?"),
        (("cs3g", "fcvid", "coverage"), "holds no reference of fcvid"),
        (("br", "ml2000"), "missing, and needed: METRIC"),
    ],
)
def test_explain_needs_one_cell_that_exists(run, cell, message):
    code, _, err = run("explain", *cell)
    assert code == 2
    assert message in err


def test_a_method_that_the_reference_lacks_cannot_be_explained(run, results):
    path = folder(results) / "per_seed.csv"
    per_seed = pd.read_csv(path)
    per_seed[per_seed["method"] != "CS3G"].to_csv(path, index=False)
    code, _, err = run("explain", "cs3g", "ml2000", "coverage")
    assert code == 2
    assert "cannot explain coverage of CS3G on ml2000" in err


def test_a_method_in_the_paper_twice_shows_both_printed_cells(run):
    found = json.loads(run("explain", "M3LA", "ml2000", "coverage", "--json")[1])
    assert [printed["table"] for printed in found["paper"]] == ["II", "III"]
    fair = json.loads(run("explain", "BR-fair", "ml2000", "coverage", "--json")[1])
    assert fair["paper"] == []
