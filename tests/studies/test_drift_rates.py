"""The study of the drift gate goes on only with fits of the code that it would use itself."""

from __future__ import annotations

import pandas as pd
import pytest

from benchmark.drift.band import ALPHA, smallest_p
from benchmark.studies.drift_pool import FRESH, fill_pool
from benchmark.studies.drift_rates import DESIGNS, HERE, bounded, refits_needed


@pytest.mark.parametrize("drop", [True, False])
def test_a_pool_of_other_code_is_refused_with_the_remedy(tmp_path, drop):
    pool = pd.read_csv(HERE / "pool.csv", dtype=str).assign(code="0123456789ab")
    path = tmp_path / "pool.csv"
    (pool.drop(columns="code") if drop else pool).to_csv(path, index=False)
    with pytest.raises(SystemExit, match="holds fits of other code of CC-random; delete it"):
        fill_pool(path, ["CC-random"])


def test_every_design_that_is_measured_can_find_a_shift():
    assert all(smallest_p([refits_needed(n) + 2] * n) <= ALPHA for n in DESIGNS)


def test_the_committed_rates_are_those_of_the_committed_counts():
    rates = pd.read_csv(HERE / "rates.csv")
    assert sum(name.startswith("paired") for name in rates["decision"]) == 2 * len(DESIGNS)
    for row in rates.to_dict("records"):
        again = bounded(row["decision"], row["false_alarms"], row["decisions"])
        assert row["upper_95"] == pytest.approx(again["upper_95"], rel=1e-4)
        if row["decisions"] > FRESH:
            assert row["decisions"] >= 2000
            assert row["upper_95"] <= 0.02
