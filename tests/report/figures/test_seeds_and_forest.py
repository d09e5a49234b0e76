"""Seeds by method and all printed cells: what is drawn is what the frames hold."""

import re
from xml.etree import ElementTree

import numpy as np
import pytest
from figure_material import METHODS, material

from benchmark.report.figures import figures_of
from benchmark.report.figures.drawn import FOREST, SEEDS, inline_svg
from benchmark.report.figures.seeds import ROW, jitter


@pytest.fixture(scope="module")
def given():
    return material()


@pytest.fixture(scope="module")
def usual(given):
    return figures_of(given)


def named(drawn, name):
    return next(one for one in drawn if one.name == name)


def texts(drawn):
    return [element.text for element in ElementTree.fromstring(inline_svg(drawn)).iter("text")]


def box(text):
    return [float(number) for number in text.split()]


def test_each_row_can_be_cut_out_of_the_drawing_exactly(usual):
    drawn = named(usual, "seeds-ml2000-macro_f1")
    root = ElementTree.fromstring(inline_svg(drawn))
    width = box(root.get("viewBox"))[2]
    labels = {element.text: float(element.get("y")) for element in root.iter("text")}
    axis = box(drawn.crops["axis"].box)
    bottoms = []
    for spec in METHODS:
        left, top, wide, high = box(drawn.crops[spec.id].box)
        assert (left, wide, high) == (0, width, ROW)
        inside = [text for text, y in labels.items() if top < y < top + high]
        assert inside == [spec.id + "§" * spec.reconstructed]
        bottoms.append(top + high)
    assert axis[1] >= max(bottoms) - 1
    numbers = [text for text, y in labels.items() if axis[1] < y < axis[1] + axis[3]]
    assert len(numbers) >= 2
    assert all(re.fullmatch(r"\d\.\d+", text) for text in numbers)


def test_a_seed_has_one_place_whatever_the_others_are():
    places = [jitter(seed) for seed in range(10)]
    assert np.diff(sorted(places)).min() > 0.03
    assert all(-0.5 <= place < 0.5 for place in places)


def test_what_has_no_seed_says_so_and_the_rest_is_drawn():
    given = material()
    frame = given.results.as_printed
    frame.loc[frame["method"] == "DMP", "value"] = np.nan
    drawn = named(figures_of(given), "seeds-ml2000-macro_auc")
    assert (
        texts(drawn).count("no finished seed") == 4
    )  # CC, MCC and M3LA-order are no methods of these, and DMP
    assert "DMP" not in drawn.alt


def test_the_text_for_those_who_cannot_see_has_the_numbers(given, usual):
    drawn = named(usual, "seeds-ml2000-ranking_loss")
    frame = given.results.as_printed
    means = frame[frame["metric"] == "ranking_loss"].groupby("method")["value"].mean()
    best, worst = (re.search(rf"{what} .*?at (\d\.\d+)", drawn.alt)[1] for what in ("best mean", "worst"))
    assert (float(best), float(worst)) == pytest.approx((means.min(), means.max()), abs=5e-4)
    assert f"best mean {means.idxmin()}" in drawn.alt


def test_a_forest_has_every_distinct_cell_and_counts_verdicts(given, usual):
    drawn = named(usual, "forest-ml2000")
    verdicts = given.verdicts[~given.verdicts["repeats"]]
    assert len(verdicts) == 80
    assert sum(text == "M3LA" for text in texts(drawn)) == 10
    for verdict, number in verdicts["verdict"].value_counts().items():
        assert f"{number} {verdict}" in drawn.alt


def test_look_alikes_are_hollow_and_their_title_says_what_they_are():
    drawn = figures_of(material(datasets=(("msra", "look-alike"),)))
    forest = named(drawn, "forest-msra")
    assert "60 not comparable" in forest.alt
    for one in drawn:
        assert "look-alike" in one.title
        assert "Look-alike data" in one.caption


def test_a_data_set_that_the_paper_lacks_has_no_forest():
    drawn = figures_of(material(datasets=(("mine", "real"),)))
    assert not [one for one in drawn if one.group == FOREST]
    assert len([one for one in drawn if one.group == SEEDS]) == 10
    assert "printed" not in drawn[0].caption
    assert drawn[0].crops.keys() == {*(spec.id for spec in METHODS), "axis"}


def test_nothing_is_drawn_of_nothing():
    assert figures_of(material(datasets=())) == []
