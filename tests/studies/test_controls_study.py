"""What the committed measurement on the controls says, and that its table follows from its numbers."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest

from benchmark.studies.controls import GENERATORS, VARIANTS, describe

RESULTS = Path(__file__).parents[2] / "results" / "controls"


@pytest.fixture(scope="module")
def rows() -> pd.DataFrame:
    return pd.read_csv(RESULTS / "controls.csv")


def test_every_preset_and_ablation_ran_on_every_control(rows: pd.DataFrame) -> None:
    methods = {name + v for name in ("M3LA", "M3LA-repaired") for v in VARIANTS} | {"BR-fair"}
    assert set(rows["method"]) == methods
    assert set(rows["control"]) == set(GENERATORS)
    assert rows["value"].notna().all()


def test_the_table_follows_from_the_numbers(rows: pd.DataFrame) -> None:
    text = (RESULTS / "controls.md").read_text()
    settings = text.split("\n")[2]
    assert text == describe(rows, settings)


@pytest.mark.parametrize("method", ["M3LA", "M3LA-repaired"])
def test_m3la_beat_br_fair_on_every_seed_where_only_the_labels_carry_the_signal(
    rows: pd.DataFrame, method: str
) -> None:
    part = rows[(rows["control"] == "label_signal") & (rows["metric"] == "macro_auc")]
    by_method = part.pivot_table(index="seed", columns="method", values="value")
    assert (by_method[method] > by_method["BR-fair"] + 0.05).all()
