"""Finding methods and data sets, and choosing among them."""

from __future__ import annotations

import tracemalloc

import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmark.registry import RegistryError, SelectionError, discover, parse_seeds, seeds_flag, select

KNOWN = ("M3LA", "M3LA-order", "M3LA-Wco", "BR", "BR-fair")


def test_the_project_has_the_papers_data_sets_and_methods_under_unique_ids():
    found = discover()
    assert set(found.datasets) >= {"fcvid", "msra", "ml2000", "taobao"}
    assert set(found.methods) >= {"M3LA", "M3LA-order", "M3LA-Wco", "BR", "CC", "BR-fair", "CC-fair"}
    for ids in (found.methods, found.datasets):
        assert len({name.lower() for name in ids}) == len(ids)
    assert all(spec.id == name for name, spec in found.methods.items())
    assert [spec.id for spec in found.methods.values() if spec.reconstructed] == ["CS3G"]


def test_a_method_is_added_by_adding_one_file_and_twins_are_refused(tmp_path, monkeypatch):
    package = tmp_path / "somebodys_methods"
    package.mkdir()
    (package / "__init__.py").write_text("")
    (package / "_helpers.py").write_text("METHODS = 'private modules are not looked at'")
    line = "from tiny_benchmark import method\nMETHODS = (method({id!r}),)\n"
    (package / "one.py").write_text(line.format(id="Mine"))
    monkeypatch.syspath_prepend(tmp_path)
    assert list(discover(("somebodys_methods",), ()).methods) == ["Mine"]
    (package / "two.py").write_text(line.format(id="MINE"))
    with pytest.raises(RegistryError, match=r"somebodys_methods\.one and by somebodys_methods\.two"):
        discover(("somebodys_methods",), ())
    (package / "wrong.py").write_text("METHODS = ('M3LA',)\n")
    with pytest.raises(RegistryError, match="must be a MethodSpec"):
        discover(("somebodys_methods.wrong",), ())


def test_methods_of_a_package_come_by_id_wherever_they_are_declared_and_those_of_a_module_as_declared(
    tmp_path, monkeypatch
):
    package = tmp_path / "sorted_methods"
    (package / "a_family" / "deep").mkdir(parents=True)
    (package / "__init__.py").write_text("")
    lines = "from tiny_benchmark import method\nMETHODS = tuple(method(id) for id in {ids!r})\n"
    (package / "a_family" / "__init__.py").write_text(lines.format(ids=("d", "B")))
    (package / "a_family" / "deep" / "__init__.py").write_text(
        "raise ImportError('a package looks after its own')"
    )
    (package / "a_family" / "hidden.py").write_text("raise ImportError('a package looks after its own')")
    (package / "z_file.py").write_text(lines.format(ids=("C", "a")))
    (package / "nothing.py").write_text("")
    monkeypatch.syspath_prepend(tmp_path)
    assert list(discover(("sorted_methods",), ()).methods) == ["a", "B", "C", "d"]
    assert list(discover(("sorted_methods.z_file",), ()).methods) == ["C", "a"]


def test_the_order_of_the_rows_is_that_of_the_tables():
    found = discover()
    names = list(found.methods)
    assert names[:4] == ["M3LA", "M3LA-order", "M3LA-Wco", "M3LA-repaired"]  # as `m3la.rows` declares them
    assert {"BR", "BR-fair", "CC", "CC-fair", "CS3G", "CS3G-plain", "DMP", "MCC"} <= set(names[4:])
    assert names[4:] == sorted(names[4:], key=str.lower)
    assert list(found.datasets) == sorted(found.datasets)
    assert {"fcvid", "ml2000", "msra", "taobao"} <= set(found.datasets)


@pytest.mark.parametrize(
    ("text", "ids", "named"),
    [
        (None, KNOWN, ()),
        ("all", KNOWN, ()),
        ("*", KNOWN, ()),
        ("m3la", ("M3LA",), ("M3LA",)),
        ("br,M3LA-WCO", ("M3LA-Wco", "BR"), ("M3LA-Wco", "BR")),
        ("m3la*", ("M3LA", "M3LA-order", "M3LA-Wco"), ()),
        ("*-fair, M3LA", ("M3LA", "BR-fair"), ("M3LA",)),
    ],
)
def test_names_and_globs_choose_in_any_case(text, ids, named):
    chosen = select(text, KNOWN, "method")
    assert (chosen.ids, chosen.named) == (ids, frozenset(named))


@pytest.mark.parametrize(
    ("text", "hint"), [("M3LO", "M3LA"), ("br-fiar", "BR-fair"), ("BR,M3LA-wc", "M3LA-Wco")]
)
def test_an_unknown_name_is_refused_with_the_closest_one(text, hint):
    with pytest.raises(SelectionError, match=f"did you mean '{hint}'"):
        select(text, KNOWN, "method")


@pytest.mark.parametrize("text", ["", ",", "z*"])
def test_choosing_nothing_is_refused_with_what_there_is(text):
    with pytest.raises(SelectionError, match=r"there are: M3LA, M3LA-order"):
        select(text, KNOWN, "method")


@pytest.mark.parametrize(
    ("text", "seeds"),
    [
        ("10", tuple(range(10))),
        ("1", (0,)),
        ("0-4", (0, 1, 2, 3, 4)),
        ("3,5", (3, 5)),
        ("7-7", (7,)),
        ("5,0-2,1", (0, 1, 2, 5)),
    ],
)
def test_seeds_are_numbers_ranges_and_lists(text, seeds):
    assert parse_seeds(text) == seeds


@pytest.mark.parametrize("text", ["", "0", "x", "-3", "4-2", "1.5", "1-", "a-b"])
def test_seeds_that_mean_nothing_are_refused(text):
    with pytest.raises(SelectionError, match="10 means 0 to 9"):
        parse_seeds(text)


@pytest.mark.parametrize("text", ["3,2-1", "1-0,7"])
def test_a_range_that_falls_is_refused_in_a_list_too(text):
    with pytest.raises(SelectionError, match="a range that rises"):
        parse_seeds(text)


@pytest.mark.parametrize(
    ("text", "n", "single"),
    [
        ("20240101", "20,240,101", "20240101,"),
        ("0-99999999", "100,000,000", "0,99999999"),
        ("1001", "1,001", "1001,"),
        ("5,0-1000", "1,002", "5,1000"),
    ],
)
def test_more_than_a_thousand_seeds_ask_for_yes(text, n, single):
    with pytest.raises(SelectionError) as error:
        parse_seeds(text)
    assert f"{n} seeds" in str(error.value)
    assert f"({single})" in str(error.value)
    assert "--yes" in str(error.value)
    assert len(parse_seeds(single)) <= 2


def test_a_seed_that_looks_like_a_date_can_be_chosen_alone():
    assert parse_seeds("20240101,") == (20240101,)


def test_with_yes_many_seeds_are_planned_but_not_millions():
    assert parse_seeds("1001", yes=True) == tuple(range(1001))
    with pytest.raises(SelectionError, match="100,000 are the most"):
        parse_seeds("20240101", yes=True)


@pytest.mark.parametrize("text", ["4294967296,", "99999999999999999999", "0-" + "9" * 5000])
def test_a_seed_beyond_32_bits_is_refused(text):
    with pytest.raises(SelectionError, match="a seed lies between 0 and 4294967295"):
        parse_seeds(text)


def test_seeds_are_counted_before_any_is_made():
    tracemalloc.start()
    for yes in (False, True):
        with pytest.raises(SelectionError):
            parse_seeds("0-4294967294", yes=yes)
    assert tracemalloc.get_traced_memory()[1] < 100_000
    tracemalloc.stop()


@given(st.sets(st.integers(0, 50), min_size=2))
def test_a_list_of_seeds_comes_back_sorted(seeds):
    assert parse_seeds(",".join(map(str, seeds))) == tuple(sorted(seeds))


@pytest.mark.parametrize(
    "id", ["", ".hidden", "a/b", "../a", "a b", "a|b", "a\n", "\x1b[31m", "é", "*", "a,b", "-a"]
)
def test_an_id_that_would_not_stay_whole_in_a_path_or_a_table_is_refused(tmp_path, monkeypatch, id):
    name = f"id_of_somebody_{abs(hash(id))}"
    (tmp_path / f"{name}.py").write_text(f"from tiny_benchmark import method\nMETHODS = (method({id!r}),)\n")
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(RegistryError, match="use letters, digits") as caught:
        discover((name,), ())
    assert repr(id) in str(caught.value)


@pytest.mark.parametrize("seeds", [(0,), (1,), (0, 1, 2), (4, 5), (0, 2), (10, 11, 12, 17)])
def test_seeds_are_written_as_they_are_read(seeds):
    assert parse_seeds(seeds_flag(seeds)) == seeds
