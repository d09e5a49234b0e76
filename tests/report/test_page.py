"""The page as text: the same for the same records, self-contained, and deaf to what names and notes say."""

import dataclasses
import re
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from benchmark.contracts import Dataset, Provenance, cache_directory
from benchmark.paper.beyond import Beyond
from benchmark.registry import discover
from benchmark.report.figures import figures_of
from benchmark.report.figures.drawn import BEYOND
from benchmark.report.gallery import Gallery, Item
from benchmark.report.gather import gather
from benchmark.report.page import render
from benchmark.run.bench import Bench
from benchmark.tables.aggregate import aggregate
from benchmark.tables.names import PROVENANCE_MARKS

ROOT = Path(__file__).resolve().parents[2]
HOSTILE = (
    "</style></script><script>alert(1)</script><img src=x onerror=alert(1)>\" onload='x' {{ 7 * 7 }} $x_1$"
)

CD = "critical_difference"


class Elements(HTMLParser):
    """Every element's name and attributes, and all text outside scripts and styles."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self._in = ""
        self.feed(page)

    def handle_starttag(self, tag, attrs):
        self.found.append((tag, dict(attrs)))
        self._in = tag

    def handle_data(self, data):
        if self._in not in ("script", "style"):
            self.text += data


@pytest.fixture(scope="module")
def material():
    bench = Bench.of(
        discover(),
        profile="paper",
        datasets=None,
        methods=None,
        seeds=None,
        data_dir=cache_directory() / "data",
        results_dir=ROOT / "results",
    )
    return gather(bench, reference=True)


@pytest.fixture(scope="module")
def page(material):
    return render(material, figures_of(material))


def test_the_same_material_gives_the_same_bytes(material, page):
    assert render(material, figures_of(material)) == page


def test_what_was_learned_stands_beside_a_reference_alone(material, page):
    found = pd.read_csv(ROOT / "results" / "findings.csv")
    (section,) = re.findall(r'<section id="learned".*?</section>', page, flags=re.S)
    told = " ".join(Elements(section).text.split())
    assert len(found) >= 9
    for title, text in zip(found["title"], found["text"], strict=True):
        assert f"{title} {text}" in told
    assert 'id="learned"' not in render(dataclasses.replace(material, learned=()), [])


def test_nothing_lies_outside_it(page):
    elements = Elements(page).found
    sources = [
        (tag, name, value)
        for tag, attributes in elements
        for name, value in attributes.items()
        if name in ("src", "href", "xlink:href", "srcset", "data", "poster", "action")
    ]
    assert [one for one in sources if not one[2].startswith(("#", "data:"))] == []
    assert not re.search(r"@import|url\((?!['\"]?(?:data:|#))", page)


def test_each_id_stands_once(page):
    ids = [attributes["id"] for _, attributes in Elements(page).found if attributes.get("id")]
    assert sorted({one for one in ids if ids.count(one) > 1}) == []


def test_no_path_of_this_machine_is_in_it(page):
    assert str(ROOT) not in page
    assert str(Path.home()) not in page.replace(str(Path("/")), "/") or str(Path.home()) == "/"


def test_every_number_has_the_badge_of_its_data(material, page):
    found = {}
    for table in page.split('<section class="table"')[1:]:
        dataset = re.findall(r'data-dataset="([^"]*)"', table)[0]
        cells = re.findall(r"<td [^>]*data-value[^>]*>.*?</td>", table, flags=re.S)
        mark = PROVENANCE_MARKS[material.evidence.provenance(dataset)] if cells else ""
        assert all(mark in cell for cell in cells)
        found[mark] = found.get(mark, 0) + len(cells)
    assert found["†"] > 100  # ML2000's features are rebuilt
    assert found["‡"] > 90


@pytest.mark.parametrize("number", ["II", "III"])
def test_rows_and_bold_numbers_are_those_of_the_kept_table(page, number):
    """ML2000 is in both tables, whose methods, and so the best of them, are others."""
    kept = (ROOT / "results" / "reference" / "paper" / f"table{len(number)}_as-printed.md").read_text()
    means = set(re.findall(r"\*\*(\d\.\d{3}±\d\.\d{3})\*\*", kept.split("\n", 1)[1]))
    shown = page.split(f'<section class="table" id="table.{number}.ml2000"')[1].split("</section>")[0]
    assert set(re.findall(r'<span class="ours"><b>(.*?)</b>', shown)) == means
    rows = re.findall(r'<tr data-method="(.*?)">', shown)
    assert ("M3LA-order" in rows) == (number == "III")
    assert len(rows) == len(set(rows)) > 5


def test_tables_of_look_alikes_stand_below_those_of_other_data(material, page):
    tables = re.findall(r'<section class="table" id="table\.(\w+)\.([\w-]+)"', page)
    assert tables[:2] == [("II", "ml2000"), ("III", "ml2000")]
    have = {*material.evidence.datasets}
    assert [name for _, name in tables[2:]] == sorted(
        ("fcvid", "msra", "taobao"), key=lambda name: name not in have
    )


def test_a_look_alikes_numbers_open_nothing_and_support_no_claim(page):
    opened = re.findall(r'<section class="drawer" id="cell\.taobao\..*?</section>', page, flags=re.S)
    assert opened  # those whose printed number the audit doubts
    for drawer in opened:
        assert "printed" in drawer
        assert not re.search(r"<pre>|What the paper rests|supported|‡", drawer)


def test_the_verdicts_of_the_page_are_those_of_compare(material, page):
    cells = material.verdicts[~material.verdicts["repeats"]]
    for kind, verdicts in {
        "reproduced": ["reproduced (rebuilt features)"],
        "better": ["better"],
        "worse": ["worse"],
        "undecided": ["undecided"],
    }.items():
        shown = set(re.findall(rf'<td class="{kind}"[^>]*><a href="#(cell[^"]*)"', page))
        assert len(shown) == cells["verdict"].isin(verdicts).sum()


def test_a_mean_is_printed_as_in_the_tables_also_on_an_exact_half(material):
    shown = aggregate(material.evidence.as_printed).set_index(["dataset", "method", "metric"])
    verdicts = material.verdicts.dropna(subset="ours_mean")
    assert len(verdicts) > 100
    for row in verdicts.to_dict("records"):
        of_tables = shown.loc[(row["dataset"], row["method"], row["metric"])]
        assert row["ours_mean"] == of_tables["mean"]


def test_a_finding_of_the_audit_stands_once_in_the_list(page):
    listed = re.findall(r"<li><b>(?:impossible|suspicious)</b>, [^:]*: ([^<]*)", page)
    assert len(listed) == len(set(listed)) > 5
    assert "table2.csv and results/paper/table3.csv, ml2000/MCC: ranking loss" in page


def test_a_note_below_a_table_belongs_to_a_mark_in_it(page):
    for table in page.split('<section class="table"')[1:]:
        numbers, _, notes = table.partition("</table>")
        for letter in re.findall(r"\(([a-z])\) ", notes.partition("</section>")[0]):
            assert f"({letter})" in numbers


def hostile(material):
    """The same numbers with words from outside in every place that takes them."""
    data = material.datasets["ml2000"]
    spoiled = Dataset(
        id="ml2000",
        modalities=tuple(np.zeros((3, 2)) for _ in data.modality_names),
        labels=np.eye(3, len(data.label_names), dtype=np.uint8),
        modality_names=tuple(f"{k}{HOSTILE}" for k in range(len(data.modality_names))),
        label_names=tuple(f"{j}{HOSTILE}" for j in range(len(data.label_names))),
        provenance=Provenance.REBUILT,
        data_hash=HOSTILE,
        note=HOSTILE,
        citation=HOSTILE,
        terms=HOSTILE,
    )
    methods = tuple(dataclasses.replace(spec, note=HOSTILE) for spec in material.results.methods)
    return dataclasses.replace(
        material,
        source=HOSTILE,
        results=dataclasses.replace(
            material.results,
            methods=methods,
            datasets=tuple(
                dataclasses.replace(one, title=HOSTILE, note=HOSTILE) for one in material.results.datasets
            ),
            profile_note=HOSTILE,
            environments={
                name: {"device": HOSTILE, "python": HOSTILE, "libraries": {"torch": HOSTILE}}
                for name in material.results.environments
            },
        ),
        datasets={**material.datasets, "ml2000": spoiled},
        settings={
            "M3LA": {
                name: {"dataset": HOSTILE, "options": {HOSTILE: HOSTILE}}
                for name in material.settings["M3LA"]
            }
        },
        problems=(HOSTILE,),
    )


def test_words_from_outside_are_read_and_do_nothing(material):
    spoiled = hostile(material)
    item = Item(1, HOSTILE, (HOSTILE,), ((0.5,),), ((0.5,),), (True,))
    gallery = Gallery("ml2000", HOSTILE, 0, (HOSTILE,), (HOSTILE,), (item,), (item,))
    page = render(spoiled, figures_of(spoiled), gallery)
    elements = Elements(page)
    assert [tag for tag, _ in elements.found].count("script") == 1
    assert [tag for tag, _ in elements.found].count("style") == 1
    assert [
        tag for tag, attributes in elements.found if any(name.startswith("on") for name in attributes)
    ] == []
    assert [attributes["src"] for tag, attributes in elements.found if tag == "img"] == [HOSTILE] * 2
    assert "49" not in re.findall(r"alert\(1\).{0,80}", page)[0]
    assert elements.text.count("onerror=alert(1)") > 20


def test_other_real_data_sets_show_claims_and_which_methods_are_told_apart(material):
    claims = pd.DataFrame(
        [
            ("correlation-matrix", "emotions", "not supported", 10, 4, 0, 1),
            ("correlation-matrix", "yeast", "cannot judge", 0, 0, 0, 0),
            ("correlation-matrix", "both", "partly supported", 20, 15, 12, 1),
        ],
        columns=["id", "over", "verdict", "cells", "better", "significantly_better", "significantly_worse"],
    )
    rows = [("M3LA", 2.5), ("BR", 2.25), ("DMP", 1.25)]
    ranks = pd.DataFrame(
        [("three rows", "both", "macro_f1", name, rank, 8, 0.0123, 1.17) for name, rank in rows],
        columns=["rows", "over", "metric", "method", "mean_rank", "n_datasets", "friedman_p", CD],
    )
    pairs = pd.DataFrame(
        [("M3LA", "BR", 0.7), ("M3LA", "DMP", 0.03), ("BR", "DMP", 0.06)],
        columns=["first", "second", "p_holm"],
    ).assign(rows="three rows", over="both", metric="macro_f1")
    wanted, titles = ("emotions", "yeast"), {"emotions": "Emotions"}
    told = dataclasses.replace(material, beyond=Beyond(wanted, ("both",), titles, claims, ranks, pairs))
    diagrams = [drawn for drawn in figures_of(told) if drawn.group == BEYOND]
    assert [(drawn.name, drawn.alt) for drawn in diagrams] == [
        (
            "beyond-macro_f1",
            "macro F1: mean ranks over 8 data sets: best DMP (1.25), worst M3LA (2.50) of 3 methods.",
        )
    ]
    (section,) = re.findall(r'<section id="beyond".*?</section>', render(told, diagrams), flags=re.S)
    words = " ".join(re.sub("<[^>]*>", " ", section).split())
    assert "1 of 2 data sets so far" in words
    assert "claim Emotions all so far “the performance of the model" in words
    assert "not supported 4/10 +0 −1 partly supported 15/20 +12 −1" in words
    assert "further apart than CD told apart macro F1 2.50 2.25 1.25 0.012 1.17 DMP before M3LA DMP" in words
    few = dataclasses.replace(told, beyond=dataclasses.replace(told.beyond, ranks=ranks.assign(n_datasets=6)))
    words = " ".join(re.sub("<[^>]*>", " ", render(few, [])).split())
    assert "further apart than CD macro F1 2.50 2.25 1.25 0.012 1.17 DMP before M3LA Wilcoxon" in words
    assert "no p-value can be below about 0.094; it would take 7" in words
    (drawn,) = (drawn for drawn in figures_of(few) if drawn.group == BEYOND)
    assert (
        "within Nemenyi's critical difference of 1.17 (for Wilcoxon's tests 6 data sets are too"
        in drawn.caption
    )


def test_without_other_data_sets_the_page_says_nothing_of_them(material):
    assert 'id="beyond"' not in render(dataclasses.replace(material, beyond=None), [])
