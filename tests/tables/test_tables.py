"""What tables print: the paper's own numbers come out as the paper's own tables, bold cells included."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from example_results import DATASETS, JOBS, METHODS, arrays_of, example_results, join, record_of

from benchmark.contracts import MethodSpec, Provenance, Shape
from benchmark.tables.names import TABLE2_METHODS, TABLE3_METHODS
from benchmark.tables.paper_tables import table1, table2, table3
from benchmark.tables.printed import read_printed
from benchmark.tables.results import ListedDataset, Results
from benchmark.tables.steps import steps_table

PAPER = Path(__file__).resolve().parents[2] / "results" / "paper"


def results_of_printed(printed: pd.DataFrame, provenance=Provenance.REAL, ours=()) -> Results:
    """Two seeds per cell, placed so that their mean and sample deviation are the given ones."""
    seeds = [
        printed.assign(seed=seed, value=printed["mean"] + sign * printed["std"] / np.sqrt(2))
        for seed, sign in ((0, -1), (1, 1))
    ]
    frame = pd.concat(seeds, ignore_index=True)[["dataset", "method", "seed", "metric", "value"]]
    frame = frame.assign(provenance=str(provenance), profile="paper", preset="printed", threshold="fixed")
    frame = frame.assign(scoring="soft", status="done", config_hash="", data_hash="", score_digest="")
    methods = tuple(MethodSpec(m, object, in_paper=m not in ours) for m in printed["method"].unique())
    datasets = tuple(
        ListedDataset(d, d.upper(), Shape(1, 1, (1,)), provenance) for d in printed["dataset"].unique()
    )
    return Results(frame, frame, frame.iloc[:0].assign(step=0), datasets, methods, "paper")


@pytest.fixture(scope="module")
def results():
    return example_results()


@pytest.fixture(scope="module")
def without_br():
    return example_results([job for job in JOBS if job[:2] != ("ml2000", "BR")])


@pytest.fixture(scope="module")
def printed2():
    return read_printed(PAPER / "table2.csv")


def cells_of(table):
    """Cells by (row title, group, column) of all blocks."""
    found = {}
    for block in table.blocks:
        groups = [group.title for group in block.groups for _ in range(group.span)] or [""] * len(
            block.columns
        )
        for row in (*block.rows, *block.below_rule):
            for group, column, cell in zip(groups, block.columns, row.cells, strict=True):
                found[row.title, group, column] = cell
    return found


@pytest.mark.parametrize("number", [2, 3])
def test_the_papers_numbers_give_the_papers_table(number):
    path = PAPER / f"table{number}.csv"
    printed = read_printed(path, dataset=None if number == 2 else "ml2000")
    results = results_of_printed(printed)
    table = (table2 if number == 2 else table3)(results, results.as_printed, "as printed")
    for block in table.blocks:
        methods = TABLE2_METHODS if number == 2 else TABLE3_METHODS
        assert [row.title.replace("$W_{co}$", "Wco") for row in block.rows] == list(methods)
        assert block.below_rule == ()
    texts = sorted(cell.text for cell in cells_of(table).values())
    assert texts == sorted(f"{m:.3f}±{s:.3f}" for m, s in printed[["mean", "std"]].itertuples(index=False))
    bold = sorted(cell.text for cell in cells_of(table).values() if cell.bold)
    theirs = printed[printed["bold"]][["mean", "std"]]
    assert bold == sorted(f"{m:.3f}±{s:.3f}" for m, s in theirs.itertuples(index=False))


def test_table_2_has_the_papers_blocks_and_order(printed2):
    results = results_of_printed(printed2)
    table = table2(results, results.as_printed, "as printed")
    groups = [tuple(group.title for group in block.groups) for block in table.blocks]
    assert groups == [
        ("macro AUC ↑", "macro F1 ↑"),
        ("micro AUC ↑", "micro F1 ↑"),
        ("example AUC ↑", "example F1 ↑"),
        ("RankingLoss ↓", "HammingLoss ↓"),
        ("Coverage ↓", "SubAcc ↑"),
    ]
    assert all(block.columns == ("FCVID", "MSRA", "ML2000", "TAOBAO") * 2 for block in table.blocks)
    cells = cells_of(table)
    assert cells["DMP", "HammingLoss ↓", "TAOBAO"].text == "0.032±0.001"
    assert cells["DMP", "HammingLoss ↓", "TAOBAO"].bold


def test_look_alikes_are_grey_and_never_bold(printed2):
    results = results_of_printed(printed2, Provenance.LOOK_ALIKE)
    table = table2(results, results.as_printed, "as printed")
    assert all(cell.grey and not cell.bold for cell in cells_of(table).values())
    assert table.blocks[0].columns[0] == "FCVID‡"
    assert "‡ FCVID, MSRA, ML2000, TAOBAO: look-alike, not the real data" in table.caption


def test_rows_of_ours_stand_below_the_rule_and_leave_the_bold_to_the_paper(printed2):
    printed = printed2
    better = printed[printed["method"] == "M3LA"].assign(method="BR-fair")
    better["mean"] = np.where(better["direction"] == "up", 0.999, 0.001)
    results = results_of_printed(pd.concat([printed, better]), ours=("BR-fair",))
    table = table2(results, results.as_printed, "as printed")
    assert [row.title for row in table.blocks[0].below_rule] == ["BR-fair"]
    assert not any(cell.bold for key, cell in cells_of(table).items() if key[0] == "BR-fair")
    assert sum(cell.bold for cell in cells_of(table).values()) == printed["bold"].sum()


def test_cells_with_failed_seeds_print_the_finished_ones_and_leave_the_bold(results):
    cells = cells_of(table3(results, results.as_printed, "as printed"))
    assert cells["M3LA-order", "", "macro AUC ↑"].text.endswith(" (2/3)")
    assert not cells["M3LA-order", "", "macro AUC ↑"].bold
    assert cells["M3LA", "", "macro AUC ↑"].bold


def test_an_unfinished_method_is_incomplete_too():
    """Its mean is over other splits than its neighbours' means."""
    printed = read_printed(PAPER / "table3.csv", dataset="ml2000")
    results = results_of_printed(printed)
    frame = results.as_printed
    one_seed_less = frame[(frame["method"] != "M3LA") | (frame["seed"] == 0)]
    cell = cells_of(table3(results, one_seed_less, "as printed"))["M3LA", "", "macro F1 ↑"]
    assert cell.text == "0.798 (1/2)"
    assert not cell.bold


def test_equal_printed_values_share_the_bold_and_a_lone_one_takes_none():
    printed = read_printed(PAPER / "table3.csv", dataset="ml2000")
    column = printed[printed["metric"] == "macro_auc"].copy()
    column.loc[column["method"].isin(["DMP", "M3LA"]), "mean"] = [0.94421, 0.94419]
    results = results_of_printed(column)
    cells = cells_of(table3(results, results.as_printed, "as printed"))
    assert {key[0] for key, cell in cells.items() if cell.bold} == {"DMP", "M3LA"}
    alone = results_of_printed(column[column["method"] == "M3LA"])
    assert not any(cell.bold for cell in cells_of(table3(alone, alone.as_printed, "as printed")).values())


def test_missing_cells_say_why(without_br):
    table = table2(without_br, without_br.as_printed, "as printed")
    notes = dict(note.split(" ", 1) for note in table.notes if note.startswith("("))
    cells = cells_of(table)

    def reason(method, dataset):
        return notes[cells[method, "macro AUC ↑", dataset].text.removeprefix("– ")]

    assert reason("DMP", "ML2000†") == "not implemented"
    assert reason("BR", "ML2000†") == "not run"
    assert reason("BR", "MSRA") == "data set not part of this run"


def test_methods_for_other_data_sets_and_failures_say_so(without_br):
    others = (spec for spec in METHODS if spec.id != "BR")
    methods = (*others, MethodSpec("BR", object, datasets=("msra",)))
    frame = without_br.as_printed.copy()
    frame.loc[frame["method"] == "M3LA", ["value", "status"]] = [np.nan, "failed"]
    results = Results(frame, frame, without_br.steps, DATASETS, methods, "quick")
    notes = " ".join(table2(results, frame, "as printed").notes)
    assert "runs on this data set only when named" in notes
    assert "all seeds failed" in notes


def test_captions_state_seeds_profile_thresholds_and_provenance(results):
    printed = table2(results, results.as_printed, "as printed").caption
    assert "over 3 seeds (FCVID, ML2000) and 1 seed (my_data)" in printed
    assert "Profile quick: at most 15 epochs, 1200 training and 400 test rows." in printed
    assert "M3LA: eq. (16), reading A, on test scores (transductive)" in printed
    assert "M3LA-repaired: eq. (13) on held-out training rows" in printed
    assert "BR is scored from 0/1 predictions." in printed
    assert "ML2000: PCA saw all images." in printed
    equal = table2(results, results.equal, "equal thresholds").caption
    assert "Thresholds of all methods: eq. (13) on test scores (transductive)." in equal


@pytest.mark.parametrize(
    ("datasets", "expected"),
    [
        (["fcvid", "ml2000", "my_data"], "on 3 data sets."),
        (["ml2000"], "on 1 data set."),
        ([], "on no data set."),
    ],
)
def test_the_caption_counts_the_data_sets_that_have_records(results, datasets, expected):
    frame = results.as_printed
    table = table2(results, frame[frame["dataset"].isin(datasets)], "as printed")
    assert f"the compared approaches {expected}" in table.caption
    assert len(table.blocks[0].columns) == 2 * 5


def test_hard_scores_are_said_to_follow_the_thresholds_only_where_those_are_not_the_methods_own(results):
    clause = "These thresholds make the 0/1 predictions of BR"
    assert clause in table2(results, results.equal, "equal thresholds").caption
    assert clause not in table2(results, results.as_printed, "as printed").caption


def test_nothing_finished_still_gives_every_table():
    results = example_results([])
    assert "No finished job yet." in table2(results, results.as_printed, "as printed").caption
    assert steps_table(results).blocks == ()
    assert len(table1(results).blocks[0].rows) == 3
    assert len(table3(results, results.equal, "equal").blocks[0].rows) == 7


def test_table_1_says_nothing_of_data_sets_beside_the_papers_that_have_no_record():
    other = ListedDataset("other", "Other", Shape(30, 4, (3,)), Provenance.REBUILT, in_paper=False)
    entries = [(record_of("ml2000", "BR", 0), arrays_of("ml2000", "BR", 0))]
    without, beside = (join(entries, datasets=datasets) for datasets in (DATASETS, (*DATASETS, other)))
    assert table1(beside) == table1(without)


def test_undefined_metrics_say_so(results):
    frame = results.as_printed.copy()
    frame.loc[(frame["metric"] == "macro_auc") & (frame["seed"] == 0), "value"] = np.nan
    table = table3(results, frame, "as printed")
    assert any("undefined on the test rows of a seed" in note for note in table.notes)
