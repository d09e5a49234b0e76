"""A method whose paper could not be found prints with a dagger, is explained, and takes no bold."""

from dataclasses import replace

import numpy as np
import pytest
from example_results import DATASETS, JOBS, METHODS, arrays_of, record_of

from benchmark.contracts import MethodSpec
from benchmark.registry import discover
from benchmark.tables import latex, markdown
from benchmark.tables.paper_tables import table2, table3
from benchmark.tables.results import build_results

NOTE = "CS3G†: a reconstruction. Nothing of its paper could be found but title, authors"


def bundle_with_cs3g(reconstructed: bool, run: bool = True):
    """The example's rows and a CS3G that is right everywhere, so that it would win every column."""
    methods = (*METHODS, MethodSpec("CS3G", object, reconstructed=reconstructed))
    entries = [(record_of(*job), arrays_of(*job)) for job in JOBS]
    for seed in (0, 1, 2) if run else ():
        arrays = arrays_of("ml2000", "BR", seed)
        entries.append(
            (
                replace(record_of("ml2000", "BR", seed), method="CS3G", config_hash=f"cs3g-{seed}"),
                arrays | {"scores": arrays["labels"].astype(np.float32)},
            )
        )
    return build_results(entries, methods=methods, datasets=DATASETS, profile="quick")


def rows_of(table):
    return {row.title: row for block in table.blocks for row in block.rows}


@pytest.mark.parametrize("make", [table2, table3])
def test_the_row_has_a_dagger_and_a_footnote_in_both_formats(make):
    results = bundle_with_cs3g(reconstructed=True)
    table = make(results, results.as_printed, "as printed")
    assert "CS3G†" in rows_of(table)
    assert "CS3G" not in rows_of(table)
    assert "| CS3G† " in markdown.render(table)
    assert f"- {NOTE}" in markdown.render(table)
    assert "\nCS3G$^{\\dagger}$ & " in latex.render(table)
    assert NOTE.replace("†", "$^{\\dagger}$") in latex.render(table)


@pytest.mark.parametrize("make", [table2, table3])
def test_a_method_that_is_not_reconstructed_has_neither(make):
    results = bundle_with_cs3g(reconstructed=False)
    table = make(results, results.as_printed, "as printed")
    assert "CS3G" in rows_of(table)
    assert not any("reconstruction" in note for note in table.notes)


def test_the_best_row_is_bold_only_if_it_is_not_reconstructed():
    """The bold goes to the best of the others, which keep competing."""
    given = bundle_with_cs3g(reconstructed=False)
    table = table3(given, given.as_printed, "as printed")
    assert all(cell.bold for cell in rows_of(table)["CS3G"].cells)
    withheld = bundle_with_cs3g(reconstructed=True)
    table = table3(withheld, withheld.as_printed, "as printed")
    assert not any(cell.bold for cell in rows_of(table)["CS3G†"].cells)
    columns = zip(*(row.cells for row in table.blocks[0].rows), strict=True)
    assert all(any(cell.bold for cell in column) for column in columns)


def test_the_footnote_stands_where_the_dagger_stands_though_nothing_was_run():
    results = bundle_with_cs3g(reconstructed=True, run=False)
    table = table2(results, results.as_printed, "as printed")
    assert "CS3G†" in rows_of(table)
    assert any(note.startswith(NOTE) for note in table.notes)


def test_of_the_registered_rows_cs3g_alone_is_reconstructed():
    assert [m.id for m in discover().methods.values() if m.reconstructed] == ["CS3G"]
