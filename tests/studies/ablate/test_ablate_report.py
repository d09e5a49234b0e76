"""The report of the ablation: it tells what a reader must know, and its figure is reproducible."""

import dataclasses

import numpy as np
import pandas as pd
import pytest

from benchmark.score.metrics import METRICS
from benchmark.studies.ablate.effects import examine
from benchmark.studies.ablate.figure import draw_ranking
from benchmark.studies.ablate.paired import AFTER_TRAINING, BASELINE, TRAINING, VALUE_COLUMNS
from benchmark.studies.ablate.text import Conditions, latex_tables, page

CONDITIONS = Conditions("M3LA", "literal", "ml2000", "real data", "profile paper", 100, 3, "eq16a", 1800, 200)
PRINTED = pd.DataFrame(
    [(metric.id, metric.direction, 0.5, 0.1) for metric in METRICS],
    columns=["metric", "direction", "centre", "std"],
)


def findings(spread=True):
    offsets = {
        (BASELINE, "", ""): (0.0, 0.1, 0.2),
        (TRAINING, "cost", "none"): (0.5, 0.61, 0.7),
        (TRAINING, "cost", "rank_$x"): (0.0, 0.1, np.nan),
        (TRAINING, "w_co", "<zero>"): (np.nan,) * 3,
        (AFTER_TRAINING, "scoring", "hard"): (-0.2, -0.1, 0.0),
    }
    rows = [
        (*key, seed, metric.id, 0.5 + off, "failed: DivergenceError" if np.isnan(off) else "")
        for key, by_seed in offsets.items()
        for seed, off in enumerate(by_seed)
        for metric in METRICS
    ]
    return examine(pd.DataFrame(rows, columns=list(VALUE_COLUMNS)), PRINTED, spread=spread)


def test_the_text_tells_counts_failures_and_how_many_were_tried():
    text = page([(CONDITIONS, findings())])
    assert "100 epochs, 3 paired seeds" in text
    assert "5 configurations tried here, 2 of them without a distance" in text
    assert "- w_co = <zero>: 3 of 3 seeds without a result; failed: DivergenceError" in text
    assert "- cost = rank_$x: 1 of 3 seeds without a result" in text
    assert "no default follows from it" in text
    assert "ddof = 0" in text
    ranks = [line.split("|")[1].strip() for line in text.splitlines() if line.startswith("| ")]
    assert ranks[1:6] == ["cost", "scoring", "ddof", "w_co", "factor = level"]


def test_effects_are_bold_where_the_interval_leaves_out_0_and_has_a_width():
    text = page([(CONDITIONS, findings())])
    cost = next(line for line in text.splitlines() if line.startswith("| cost = none"))
    hard = next(line for line in text.splitlines() if line.startswith("| scoring = hard"))
    assert "**+5.03**" in cost
    assert "**-5.03**" in cost  # of a loss, the same difference is worse
    assert "-2.00" in hard
    assert "**" not in hard  # three differences that are all equal


def test_without_any_distance_the_text_says_so():
    found = findings()
    none = dataclasses.replace(found, distances=found.distances.assign(distance=np.nan))
    text = page([(CONDITIONS, none)])
    assert "No configuration finished all seeds and metrics (5 configurations tried here" in text


def test_latex_has_a_file_per_table_and_escapes_levels():
    files = latex_tables([(CONDITIONS, findings()), (CONDITIONS, findings())])
    assert sorted(files) == ["ablate_a1.tex", "ablate_a2.tex", "ablate_b1.tex", "ablate_b2.tex"]
    assert r"rank\_\$x" in files["ablate_a2.tex"]
    assert "?" not in files["ablate_a1.tex"]


@pytest.mark.parametrize("spread", [True, False])
def test_the_same_numbers_draw_the_same_file(tmp_path, spread):
    paths = [tmp_path / "one.svg", tmp_path / "two.svg"]
    for path in paths:
        found = findings(spread)
        draw_ranking(found.ranking, found.effects, "$ and _", path)
    assert paths[0].read_bytes() == paths[1].read_bytes()
    assert b"dc:date" not in paths[0].read_bytes()
