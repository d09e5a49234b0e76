"""Figures that other rooms write to files of their own, in a page: effects of open choices and ranks."""

import dataclasses
import gc

import matplotlib
import numpy as np
import pandas as pd
import pytest
from figure_material import material

from benchmark.paper.ranks import rank_test
from benchmark.paper.significance import Significance
from benchmark.report.figures import figures_of
from benchmark.report.figures.drawn import CHOICES, RANKS, inline_svg
from benchmark.report.figures.of_other_rooms import critical_differences, effects_of_choices
from benchmark.report.figures.steps import by_step
from benchmark.report.figures.style import style
from benchmark.score.metrics import METRICS
from benchmark.studies.ablate.effects import examine
from benchmark.studies.ablate.paired import (
    AFTER_TRAINING,
    BASELINE,
    COMBINATION,
    SPREAD,
    TRAINING,
    VALUE_COLUMNS,
)
from benchmark.tables.effects_figure import LOOKS

PRINTED = pd.DataFrame(
    [(metric.id, metric.direction, 0.5, 0.1) for metric in METRICS],
    columns=["metric", "direction", "centre", "std"],
)


@pytest.fixture(scope="module")
def given():
    return material()


def with_effects(given, level="a_$b"):
    offsets = {
        (BASELINE, "", ""): (0.0, 0.1, 0.2),
        (TRAINING, "cost", level): (0.5, 0.61, 0.7),
        (AFTER_TRAINING, "scoring", "hard"): (-0.01, 0.09, 0.2),
    }
    rows = [
        (*key, seed, metric.id, 0.5 + off, "")
        for key, by_seed in offsets.items()
        for seed, off in enumerate(by_seed)
        for metric in METRICS
    ]
    found = examine(pd.DataFrame(rows, columns=list(VALUE_COLUMNS)), PRINTED, spread=False)
    return dataclasses.replace(given, ranking=found.ranking, effects=found.effects)


def with_ranks(given, n=8):
    rng = np.random.default_rng(0)
    apart = np.array([0.0, 0.5, 0.9, 1.3])
    means = pd.DataFrame(rng.random((n, 4)) + apart, columns=["BR", "BR-fair", "M3LA-Wco", "M3LA"])
    tests = (rank_test(means, "macro_auc"), rank_test(means, "coverage"))
    return dataclasses.replace(
        given, significance=Significance(given.evidence, tuple(means), rank_tests=tests)
    )


def test_the_strongest_effects_are_told(given):
    with style():
        (drawn,) = effects_of_choices(with_effects(given))
    assert drawn.group == CHOICES
    assert drawn.alt.startswith(
        "2 open choices; strongest effects, in printed standard deviations: cost = a_$b"
    )
    text = inline_svg(drawn)
    assert "a_$b" in text
    assert "var(--band)" in text
    assert "#ededed" not in text


def test_each_kind_of_factor_has_a_look_of_its_own():
    assert set(LOOKS) == {SPREAD, AFTER_TRAINING, COMBINATION}


def test_ranks_are_drawn_where_there_are_any(given):
    with style():
        first, second = critical_differences(with_ranks(given))
        assert list(critical_differences(given)) == []
        assert list(effects_of_choices(given)) == []
    assert (first.name, second.name) == ("ranks-macro_auc", "ranks-coverage")
    assert first.group == RANKS
    assert "best M3LA (" in first.alt
    assert "best BR (" in second.alt  # less is better
    assert "M3LA-Wco" not in inline_svg(first)  # mathematics, as the paper writes it


def test_a_users_own_settings_of_matplotlib_change_nothing(given):
    def pictures():
        with style():
            return [inline_svg(drawn) for how in (by_step, effects_of_choices) for drawn in how(given)]

    given = with_effects(given)
    plain = pictures()
    with matplotlib.rc_context({"font.size": 30, "text.usetex": True, "svg.fonttype": "path"}):
        assert pictures() == plain


@pytest.mark.parametrize("on", [True, False])
def test_drawing_leaves_the_collector_as_it_was(on):
    was_on = gc.isenabled()
    try:
        (gc.enable if on else gc.disable)()
        figures_of(material(datasets=()))
        assert gc.isenabled() is on
    finally:
        (gc.enable if was_on else gc.disable)()
