"""`docs/findings.md` is made of the committed tables, and refused where they say otherwise."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import pandas as pd
import pytest

from benchmark.studies import findings

ROOT = Path(__file__).resolve().parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")
READ = (
    *(f"beyond/{name}" for name in ("rules.toml", "claims.csv", "metrics.csv", "datasets.csv")),
    *(f"beyond/{name}" for name in ("per_seed.csv", "jobs.csv", "environments.json", "settings.json")),
    *(f"reference/paper/ml2000/{name}.csv" for name in ("claims", "verdicts", "undecided", "per_seed")),
    "reference/paper/ml2000/accepted.md",
    *(f"more_seeds/{name}.csv" for name in ("order", "claims", "verdicts")),
    *("thresholds/thresholds.csv", "controls/controls.csv", "ml2000_features/recipes.csv", "paper/audit.md"),
)


@pytest.fixture
def root(tmp_path):
    for name in READ:
        copy = tmp_path / "results" / name
        copy.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / "results" / name, copy)
    return tmp_path


@pytest.fixture
def results(root):
    return root / "results"


def altered(path, where, **values):
    frame = pd.read_csv(path, keep_default_na=False, na_values=[""])
    rows = frame.eval(where)
    assert rows.any()
    for column, value in values.items():
        frame.loc[rows, column] = value
    frame.to_csv(path, index=False)


def test_the_committed_files_say_what_the_tables_say(root):
    made = findings.files(root)
    for path, content in made.items():
        committed = ROOT / path.relative_to(root)
        assert committed.read_text(encoding="utf-8") == content, "run python -m benchmark.studies.findings"
    for file in set(re.findall(r"\]\(\.\./([^)]+)\)", made[root / "docs" / "findings.md"])):
        assert (ROOT / file).is_file(), file


def test_the_readme_says_what_the_findings_say():
    section = README.split("## What was learned", 1)[1].split("\n## ", 1)[0]
    said = [" ".join(point.split()) for point in re.findall(r"(?ms)^- (.*?)(?=\n-|\n\n)", section)]
    titles = pd.read_csv(ROOT / "results" / "findings.csv")["title"].tolist()
    assert said
    assert said == titles[: len(said)]


@pytest.mark.parametrize(
    ("file", "where", "values", "title"),
    [
        ("beyond/claims.csv", "id == 'threshold-per-label'", {"significantly_better": 1}, "threshold for"),
        ("beyond/claims.csv", "id == 'threshold-per-label'", {"significantly_worse": 1}, "threshold for"),
        ("thresholds/thresholds.csv", "rule == 'eq16a'", {"thresholds": 2.5}, "threshold for"),
        ("thresholds/thresholds.csv", "step == 0.001", {"macro_f1": 0.1}, "threshold for"),
        ("beyond/claims.csv", "id == 'correlation-matrix'", {"significantly_better": 9}, "label-correlation"),
        ("beyond/claims.csv", "id == 'constantly-corrected'", {"significantly_better": 2}, "last decoding"),
        ("beyond/claims.csv", "over == 'scene'", {"numbers": ""}, "Most of what BR"),
        ("beyond/claims.csv", "over == 'scene'", {"significantly_worse": 1}, "(threshold|Most of what BR)"),
        ("controls/controls.csv", "method == 'M3LA-order'", {"value": 1.0}, "order of modalities"),
        ("beyond/metrics.csv", "method == 'M3LA-repaired'", {"mean": 0.5}, "With other options"),
        ("ml2000_features/recipes.csv", "seed == 0", {"value": 0.2}, "Features of images"),
        ("more_seeds/order.csv", "metric == 'macro_f1'", {"swapped_significant": 1}, "Twenty"),
        (
            "more_seeds/claims.csv",
            "id == 'modality-prediction'",
            {"verdict_more": "supported"},
            "Twenty",
        ),
        ("more_seeds/verdicts.csv", "verdict_more == 'better'", {"verdict_more": "worse"}, "Twenty"),
        ("more_seeds/verdicts.csv", "method == 'BR'", {"verdict_more": "better"}, "No further"),
        (
            "reference/paper/ml2000/undecided.csv",
            "seeds_needed == 'none'",
            {"seeds_needed": "9"},
            "No further",
        ),
    ],
)
def test_a_sentence_that_is_no_longer_so_is_refused_by_name(results, file, where, values, title):
    altered(results / file, where, **values)
    with pytest.raises(findings.OutdatedError, match=title):
        findings.learned(findings.Tables(results))


@pytest.mark.parametrize(
    ("said", "instead"), [("| within", "| moved "), ("processor GenuineIntel", "numba 0.1; GenuineIntel")]
)
def test_a_reference_accepted_for_another_reason_says_nothing_of_processors(results, said, instead):
    accepted = results / "reference" / "paper" / "ml2000" / "accepted.md"
    text = accepted.read_text(encoding="utf-8")
    accepted.write_text(instead.join(text.rsplit(said, 1)), encoding="utf-8")
    with pytest.raises(findings.OutdatedError, match="Another processor"):
        findings.learned(findings.Tables(results))


def test_a_data_set_whose_thresholds_were_not_read_is_missed(results):
    table = results / "thresholds" / "thresholds.csv"
    frame = pd.read_csv(table)
    frame[frame["dataset"] != "scene"].to_csv(table, index=False)
    with pytest.raises(findings.OutdatedError, match="threshold for each label"):
        findings.learned(findings.Tables(results))


def test_a_data_set_that_lacks_a_seed_or_a_method_does_not_count(results):
    tables = findings.Tables(results)
    first, second = tables.sets[:2]
    altered(results / "beyond" / "metrics.csv", f"dataset == '{first}' and method == 'BR'", n_seeds=1)
    frame = pd.read_csv(results / "beyond" / "metrics.csv")
    frame.query(f"dataset != '{second}' or method != 'MCC'").to_csv(
        results / "beyond" / "metrics.csv", index=False
    )
    left = findings.Tables(results)
    assert left.sets == tables.sets[2:]
    assert {name for _, name in left.beyond.index} == set(left.sets)
