"""The best rows at the end of a run: what bold print says, ML2000 first, and nothing of a look-alike."""

import pytest
from example_results import arrays_of, example_results, join, record_of

from benchmark.contracts import MethodSpec, Provenance, Shape
from benchmark.tables.paper_tables import table2
from benchmark.tables.results import ListedDataset
from benchmark.tables.summary import best_rows

THREE = tuple(MethodSpec(name, object, in_paper=True) for name in ("BR", "DMP", "M3LA"))


def results_of(provenances, methods=THREE, seeds=(0, 1)):
    """Results on data sets of such provenance; of each method better ones the later it is named."""
    datasets = [ListedDataset(name, name, Shape(9, 5, (2,)), kind) for name, kind in provenances.items()]
    quality = ("BR", "M3LA", "BR-fair")
    entries = [
        (record_of(name, spec.id, seed, provenance=kind), arrays_of("same", quality[place % 3], seed))
        for name, kind in provenances.items()
        for place, spec in enumerate(methods)
        for seed in seeds
    ]
    return join(entries, methods=methods, datasets=datasets)


def bold(results, dataset):
    """How many cells of Table II are bold, by row."""
    table = table2(results, results.as_printed, "as printed")
    places = [place for place, name in enumerate(table.blocks[0].columns) if name.startswith(dataset.upper())]
    return {
        row.title: sum(block.rows[number].cells[place].bold for block in table.blocks for place in places)
        for number, row in enumerate(table.blocks[0].rows)
    }


def test_best_is_what_is_bold_in_table_2():
    results = results_of({"ml2000": Provenance.REBUILT})
    title, head, *rows = best_rows(results)
    assert title == "ML2000†, 2 seeds, the paper's methods:"
    assert head.split()[:2] == ["best", "in"]
    said = {row.split()[0]: int(row.split()[1]) for row in rows}
    found = bold(results, "ml2000")
    assert said == {name: found[name] for name in ("M3LA", "DMP", "BR")}
    assert list(said.values()) == sorted(said.values(), reverse=True)
    assert sum(said.values()) >= 10


def test_no_row_of_a_look_alike_is_called_best():
    lines = best_rows(results_of({"msra": Provenance.LOOK_ALIKE, "fcvid": Provenance.LOOK_ALIKE}))
    assert lines == ["FCVID‡, MSRA‡: look-alike, not the real data; no row there is called best"]
    assert not best_rows(join([]))


def test_ml2000_comes_first_and_of_many_data_sets_a_line_tells():
    kinds = dict.fromkeys(("fcvid", "ml2000", "mine", "yours"), Provenance.REAL)
    lines = best_rows(results_of({"aaa": Provenance.REAL, **kinds, "msra": Provenance.LOOK_ALIKE}))
    headings = [line for line in lines if not line.startswith(" ")]
    assert headings == [
        "ML2000, 2 seeds, the paper's methods:",
        "FCVID, 2 seeds, the paper's methods:",
        "aaa, mine, yours: see the tables",
        "MSRA‡: look-alike, not the real data; no row there is called best",
    ]
    assert len(lines) <= 14


def test_reconstructions_rows_of_ours_and_unfinished_ones_are_never_best():
    specs = (
        *THREE,
        MethodSpec("CS3G", object, reconstructed=True),
        MethodSpec("Mine", object, in_paper=False),
        MethodSpec("BR-fair", object, in_paper=False),
    )
    lines = best_rows(results_of({"ml2000": Provenance.REBUILT}, specs))
    assert not any(line.split()[0] in ("Mine", "BR-fair") for line in lines)
    failed = example_results()  # of M3LA-order a seed failed; BR and M3LA are the only ones of Table II
    assert {line.split()[0] for line in best_rows(failed) if line.startswith("  ") and " of 10" in line} == {
        "M3LA",
        "BR",
        "my_method",
    }


@pytest.mark.parametrize("seeds", [(0,), (0, 1)])
def test_the_number_of_seeds_is_said(seeds):
    heading = best_rows(results_of({"ml2000": Provenance.REAL}, seeds=seeds))[0]
    assert f"{len(seeds)} seed{'s' if len(seeds) > 1 else ''}," in heading
