"""A method whose paper could not be found prints with a sign of its own, is explained, and takes no bold."""

from dataclasses import replace

import numpy as np
import pytest
from example_results import JOBS, METHODS, arrays_of, join, record_of

from benchmark.contracts import MethodSpec
from benchmark.tables import latex, markdown
from benchmark.tables.names import PROVENANCE_MARKS, RECONSTRUCTED_MARK
from benchmark.tables.paper_tables import table2, table3

JOBS_ON_ML2000 = [job for job in JOBS if job[0] == "ml2000"]


@pytest.fixture(scope="module")
def with_cs3g():
    """The example's rows and a CS3G that is right everywhere, so that it would win every column."""
    methods = (*METHODS, MethodSpec("CS3G", object, reconstructed=True))
    entries = [(record_of(*job), arrays_of(*job)) for job in JOBS_ON_ML2000]
    for seed in (0, 1, 2):
        arrays = arrays_of("ml2000", "BR", seed)
        entries.append(
            (record_of("ml2000", "CS3G", seed), arrays | {"scores": arrays["labels"].astype(np.float32)})
        )
    return join(entries, methods)


def rows_of(table):
    return {row.title: row for block in table.blocks for row in block.rows}


@pytest.mark.parametrize("make", [table2, table3])
def test_the_row_has_the_sign_and_a_footnote_in_both_formats(make, with_cs3g):
    table = make(with_cs3g, with_cs3g.as_printed, "as printed")
    assert "CS3G§" in rows_of(table)
    assert "CS3G" not in rows_of(table)
    assert "| CS3G§ " in markdown.render(table)
    assert "- CS3G§: a reconstruction." in markdown.render(table)
    assert "\nCS3G\\S{} & " in latex.render(table)
    assert "\nCS3G\\S{}: a reconstruction." in latex.render(table)


def test_no_sign_stands_for_two_things():
    signs = [*filter(None, PROVENANCE_MARKS.values()), RECONSTRUCTED_MARK]
    assert len(signs) == len(set(signs))


def test_a_method_that_is_not_reconstructed_has_no_sign_and_may_be_bold(with_cs3g):
    methods = tuple(replace(spec, reconstructed=False) for spec in with_cs3g.methods)
    table = table3(replace(with_cs3g, methods=methods), with_cs3g.as_printed, "as printed")
    assert all(cell.bold for cell in rows_of(table)["CS3G"].cells)
    assert not any("reconstruction" in note for note in table.notes)


def test_the_bold_goes_to_the_best_of_the_others_which_keep_competing(with_cs3g):
    table = table3(with_cs3g, with_cs3g.as_printed, "as printed")
    assert not any(cell.bold for cell in rows_of(table)["CS3G§"].cells)
    columns = zip(*(row.cells for row in table.blocks[0].rows), strict=True)
    assert all(any(cell.bold for cell in column) for column in columns)


def test_the_footnote_stands_where_the_sign_stands_though_nothing_was_run(with_cs3g):
    not_run = with_cs3g.as_printed[with_cs3g.as_printed["method"] != "CS3G"]
    table = table2(with_cs3g, not_run, "as printed")
    assert "CS3G§" in rows_of(table)
    assert any(note.startswith("CS3G§: a reconstruction.") for note in table.notes)
