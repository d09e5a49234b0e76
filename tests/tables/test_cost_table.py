"""From hand-made traces to the text of the cost table, through records and results."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from example_results import arrays_of, example_results, join, record_of

from benchmark.contracts import Array
from benchmark.tables.cost import cost_table
from benchmark.tables.results import Results

TITLES = ("modalities", "cost", "modalities", "cost", "share with unread", "modalities", "cost")


def entry(dataset: str, seed: int, n_extra: int, status: str = "done") -> tuple:
    """40 instances that read modality 0 (cost 1), and `n_extra` of them modality 1 (cost 3) too.

    Two readings per instance: the first takes all of that, the second modality 0 alone. All else is M3LA's.
    """
    more = np.arange(40) < n_extra
    arrays: dict[str, Array] = arrays_of(dataset, "M3LA", seed) | {
        "n_read": np.stack([1 + more, np.ones(40, int)], axis=1).astype(np.int32),
        "reading_cost": np.stack([1 + 3 * more, np.ones(40)], axis=1).astype(np.float32),
        "extracted": np.stack([np.ones(40, bool), more], axis=1),
        "modality_costs": np.array([1.0, 3.0], np.float32),
    }
    record = record_of(dataset, "M3LA", seed, status=status)
    return record, arrays if status == "done" else {}


def joined(*entries: tuple, **more: Any) -> Results:
    return join(entries, **more)


def texts(results: Results) -> dict[str, list[str]]:
    (block,) = cost_table(results).blocks
    assert block.columns == TITLES
    assert sum(group.span for group in block.groups) == len(TITLES)
    return {row.title: [cell.text for cell in row.cells] for row in block.rows}


def test_hand_worked_arrays_become_text() -> None:
    """10 and then 20 of 40 instances read a second modality, with one of their two readings."""
    expected = {
        "ML2000†, M3LA": [
            "1.188±0.088",  # (1.125 + 1.25) / 2; deviation 0.125 / sqrt(2)
            "1.562±0.265",  # (1.375 + 1.75) / 2, rounded to even; deviation 0.375 / sqrt(2)
            "1.375±0.177",  # (1.25 + 1.5) / 2; deviation 0.25 / sqrt(2)
            "2.125±0.530",  # (1.75 + 2.5) / 2; deviation 0.75 / sqrt(2)
            "0.625±0.177",  # (0.75 + 0.5) / 2
            "2",
            "4",
        ]
    }
    assert texts(joined(entry("ml2000", 0, 10), entry("ml2000", 1, 20))) == expected


def test_one_seed_has_no_deviation() -> None:
    assert texts(joined(entry("ml2000", 0, 10)))["ML2000†, M3LA"] == [
        *("1.125", "1.375", "1.250", "1.750", "0.750", "2", "4")
    ]


@pytest.mark.parametrize("status", ["failed", "timeout"])
def test_unfinished_seeds_are_counted(status: str) -> None:
    results = joined(entry("ml2000", 0, 10), entry("ml2000", 1, 10, status))
    assert texts(results)["ML2000†, M3LA"][0] == "1.125 (1/2)"
    asked_for = joined(entry("ml2000", 0, 10), seeds=(0, 1, 2))
    assert texts(asked_for)["ML2000†, M3LA"][0] == "1.125 (1/3)"


def test_look_alikes_are_grey_and_nothing_is_bold() -> None:
    (block,) = cost_table(joined(entry("fcvid", 0, 10), entry("ml2000", 0, 10))).blocks
    grey = {row.title: {cell.grey for cell in row.cells} for row in block.rows}
    assert grey == {"FCVID‡, M3LA": {True}, "ML2000†, M3LA": {False}}
    assert not any(cell.bold for row in block.rows for cell in row.cells)


def test_the_caption_says_what_the_data_are_and_over_how_many_seeds() -> None:
    caption = cost_table(joined(entry("fcvid", 0, 10), entry("fcvid", 1, 10))).caption
    assert "over 2 seeds" in caption
    assert "‡ FCVID: look-alike, not the real data" in caption
    assert "Profile quick." in caption


def test_methods_that_read_everything_at_once_have_no_row() -> None:
    rows = texts(example_results())
    assert [title for title in rows if title.endswith((" BR", " M3LA"))] == []
    assert "ML2000†, BR-fair" in rows


def test_without_such_a_record_the_table_says_so() -> None:
    nothing = "Cost: no finished record of a method that reads modalities one by one."
    for results in (
        example_results([]),
        example_results([("ml2000", "BR", 0)]),
        joined(entry("ml2000", 0, 10, "failed")),
    ):
        table = cost_table(results)
        assert (table.caption, table.blocks, table.notes) == (nothing, (), ())


def test_costs_that_differ_between_seeds_are_not_printed_as_one() -> None:
    """Options are the same for all seeds of a cell, so this is a fault; it must show."""
    record, arrays = entry("ml2000", 1, 10)
    arrays["modality_costs"] = np.array([1.0, 4.0])
    found = texts(joined(entry("ml2000", 0, 10), (record, arrays)))["ML2000†, M3LA"]
    assert found[-2:] == ["2", "4.500±0.707"]
