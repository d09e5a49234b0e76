"""The margins are the data file, and the data file is what the printed deviations say."""

from pathlib import Path

import pandas as pd
import pytest

from benchmark.paper.margins import make_margins
from benchmark.paper.printed import read_cells, read_margins, unit_of
from benchmark.tables.printed import read_printed

PAPER = Path(__file__).resolve().parents[2] / "results" / "paper"


def test_the_data_file_equals_its_regeneration_from_the_printed_table():
    regenerated = make_margins(read_printed(PAPER / "table2.csv"))
    written = (PAPER / "margins.csv").read_text(encoding="utf-8")
    assert written == regenerated.to_csv(index=False, lineterminator="\n")


def test_margins_by_hand():
    margins = read_margins(PAPER / "margins.csv").set_index(["dataset", "metric"])["margin"]
    assert len(margins) == 40
    # ML2000 micro-AUC: deviations .003 .009 .010 .004, median .0065, times 1.5.
    assert margins["ml2000", "micro_auc"] == 0.00975
    # MSRA Hamming loss: .001 four times; the floor.
    assert margins["msra", "hamming_loss"] == 0.005
    # ML2000 coverage: .060 .063 .013 .069, median .0615.
    assert margins["ml2000", "coverage"] == 0.09225


def test_coverage_has_a_floor_of_its_own_and_hard_scored_rows_and_ablations_do_not_count():
    methods = ["DMP", "CS3G", "MCC", "M3LA"]
    rows = [("d", name, metric, 0.001) for name in methods for metric in ("coverage", "macro_f1")]
    rows += [("d", name, metric, 9.0) for name in ("BR", "M3LA-Wco") for metric in ("coverage", "macro_f1")]
    table = pd.DataFrame(rows, columns=["dataset", "method", "metric", "std"])
    assert make_margins(table).set_index("metric")["margin"].to_dict() == {
        "coverage": 0.02,
        "macro_f1": 0.005,
    }
    with pytest.raises(ValueError, match="3 of the deviations"):
        make_margins(table[table["method"] != "MCC"])


def test_a_data_file_that_was_tampered_with_is_refused(tmp_path):
    path = tmp_path / "margins.csv"
    for text in ("dataset,metric,margin\nd,m,0.1\n", "dataset,metric,median_std,margin\nd,m,0,0\n"):
        path.write_text(text)
        with pytest.raises(ValueError, match=r"margins.csv"):
            read_margins(path)


@pytest.mark.parametrize("margin", ["-0.1", "nan", "inf", "", "True", "much", "0"])
def test_a_margin_that_is_no_number_above_0_is_named_with_its_cell(tmp_path, margin):
    path = tmp_path / "margins.csv"
    path.write_text(f"dataset,metric,median_std,margin\nd,m,0.1,{margin}\nd,k,0.1,0.2\n")
    with pytest.raises(ValueError, match=r"of m on d is no number above 0"):
        read_margins(path)


def test_the_printed_cells_are_300_of_which_40_repeat():
    cells = read_cells(PAPER)
    assert len(cells) == 300
    assert cells["repeats"].sum() == 40
    assert set(cells.loc[cells["repeats"], "table"]) == {"III"}


@pytest.mark.parametrize("instead", ["high", "", "inf"])
def test_a_printed_table_with_something_else_for_a_number_is_refused(tmp_path, instead):
    for name in ("table2.csv", "table3.csv"):
        text = (PAPER / name).read_text(encoding="utf-8")
        (tmp_path / name).write_text(text.replace("0.793", instead, 1))
    with pytest.raises(ValueError, match=r"table2\.csv: a mean or a standard deviation is no number"):
        read_cells(tmp_path)


@pytest.mark.parametrize(("text", "unit"), [("0.793", 0.001), ("16.15", 0.01), ("0", 0.001), ("2.6", 0.1)])
def test_the_unit_of_the_last_digit(text, unit):
    assert unit_of(text) == pytest.approx(unit)


def test_truncated_means_are_shifted_by_half_a_unit():
    cells = read_cells(PAPER).drop_duplicates(["dataset", "method", "metric"])
    cells = cells.set_index(["dataset", "method", "metric"])["centre"]
    assert cells["ml2000", "BR", "macro_auc"] == pytest.approx(0.7935)
    assert cells["fcvid", "CC", "coverage"] == pytest.approx(16.155)  # printed with two decimals
    assert cells["msra", "BR", "subset_accuracy"] == pytest.approx(0.0005)  # printed 0±0
