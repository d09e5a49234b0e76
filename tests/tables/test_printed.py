"""The printed tables as frames."""

from pathlib import Path

import pytest

from benchmark.tables.printed import read_printed

PAPER = Path(__file__).resolve().parents[2] / "results" / "paper"


def test_table_2_has_ten_metrics_on_four_data_sets_for_six_methods():
    printed = read_printed(PAPER / "table2.csv")
    assert len(printed) == 240
    assert set(printed["dataset"]) == {"fcvid", "msra", "ml2000", "taobao"}
    cell = printed.set_index(["dataset", "method", "metric"]).loc[("taobao", "CC", "coverage")]
    assert (cell["mean"], cell["std"], cell["bold"]) == (24.28, 1.198, False)


def test_table_3_is_all_ml2000_and_repeats_table_2_but_for_one_deviation():
    keys = ["dataset", "method", "metric"]
    table3 = read_printed(PAPER / "table3.csv", dataset="ml2000").set_index(keys)
    table2 = read_printed(PAPER / "table2.csv").set_index(keys)
    assert len(table3) == 60
    both = table2.join(table3.add_suffix("_3"), how="inner")
    assert len(both) == 40
    assert (both["mean"] == both["mean_3"]).all()
    assert both.index[both["std"] != both["std_3"]].tolist() == [("ml2000", "MCC", "ranking_loss")]


def test_a_table_that_contradicts_the_metrics_is_refused(tmp_path):
    path = tmp_path / "table.csv"
    path.write_text("metric,direction,dataset,method,mean,std,bold\ncoverage,up,FCVID,BR,1,0,0\n")
    with pytest.raises(ValueError, match=r"table.csv: metric 'coverage' with direction 'up'"):
        read_printed(path)
    path.write_text("metric,direction,method,mean,std,bold\ncoverage,down,BR,1,0,0\n")
    with pytest.raises(ValueError, match="dataset missing"):
        read_printed(path)
    line = "coverage,down,FCVID,BR,1,0,0\n"
    path.write_text("metric,direction,dataset,method,mean,std,bold\n" + 2 * line)
    with pytest.raises(ValueError, match="a cell appears twice"):
        read_printed(path)
