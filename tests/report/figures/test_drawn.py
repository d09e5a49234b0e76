"""What becomes of a figure: an element that can live in a page beside others, and files for papers."""

import re
from xml.etree import ElementTree

import pytest
from figure_material import METHODS, material
from matplotlib.figure import Figure

from benchmark.contracts import MethodSpec
from benchmark.report.figures import figures_of
from benchmark.report.figures.drawn import GROUPS, Drawn, inline_svg, name_of, save
from benchmark.report.figures.lean import MANY, PART, say_once
from benchmark.report.figures.style import BAND, GRID, INK, MUTED

HOSTILE = (
    "</svg><script>alert('&\"x')</script> $\\frac{1}$ \x1b[31m\x00\u202e 中文 \U0001f600 " + "long " * 40
)


@pytest.fixture(scope="module")
def usual():
    return figures_of(material())


@pytest.fixture(scope="module")
def hostile():
    spec = METHODS[0]
    named = MethodSpec(HOSTILE, spec.estimator, in_paper=False)
    given = material(
        datasets=(("ml2000", "look-alike"), (HOSTILE, "real")),
        methods=(*METHODS, named),
        label_names=[f"{HOSTILE}{j}" for j in range(4)],
        modality_names=[f"{HOSTILE}{k}" for k in range(3)],
        titles={HOSTILE: HOSTILE},
    )
    return figures_of(given)


def test_figures_stand_in_the_order_of_the_headings(usual):
    places = [GROUPS.index(drawn.group) for drawn in usual]
    assert places == sorted(places)
    assert len({drawn.name for drawn in usual}) == len(usual)


@pytest.mark.parametrize("which", ["usual", "hostile"])
def test_a_figure_in_a_page_has_ids_of_its_own_and_says_what_it_shows(which, request):
    for drawn in request.getfixturevalue(which):
        assert re.fullmatch("[A-Za-z0-9_-]+", drawn.name)
        text = inline_svg(drawn)
        root = ElementTree.fromstring(text)
        ids = [element.get("id") for element in root.iter() if element.get("id")]
        assert len(set(ids)) == len(ids)
        assert all(name.startswith(f"{drawn.name}-") for name in ids)
        assert {f"{drawn.name}-{crop.part}" for crop in drawn.crops.values()} <= set(ids)
        assert "url(" not in text
        labels = root.get("aria-labelledby").split()
        title, desc = (next(root.iter(tag)) for tag in ("title", "desc"))
        assert [title.get("id"), desc.get("id")] == labels
        assert title.text
        assert len(desc.text) > 20


def test_names_of_users_are_text_and_nothing_else(hostile):
    assert len(hostile) > 20
    for drawn in hostile:
        text = inline_svg(drawn)
        assert "<script" not in text
        assert "\x1b" not in text
        assert "\u202e" not in text
        tags = {element.tag for element in ElementTree.fromstring(text).iter()}
        assert tags <= {"svg", "title", "desc", "g", "path", "text"}


def test_a_page_gives_the_colours_of_paper(usual):
    text = "".join(map(inline_svg, usual))
    assert {"currentColor", "var(--muted)", "var(--grid)", "var(--band)"} <= set(
        re.findall(r"currentColor|var\(--\w+\)", text)
    )
    for colour in (INK, MUTED, GRID, BAND, "#ffffff", "#000000"):
        assert colour not in text
    assert "<!--" not in text
    assert "metadata" not in text
    assert not re.search(r"\d\.\d{3}", re.sub(r"<(title|desc|text).*?</\1>", "", text))


def test_the_same_numbers_give_the_same_bytes(usual, tmp_path):
    again = figures_of(material())
    for first, second in zip(usual, again, strict=True):
        assert inline_svg(first) == inline_svg(second)
    for place, drawn in enumerate((usual[0], again[0])):
        paths = save(drawn, tmp_path / str(place))
        assert [path.name for path in paths] == [f"{drawn.name}.svg", f"{drawn.name}.pdf"]
    for kind in ("svg", "pdf"):
        one, two = (tmp_path / str(place) / f"{usual[0].name}.{kind}" for place in (0, 1))
        assert one.read_bytes() == two.read_bytes()


def test_saving_leaves_the_figure_of_the_page_as_it_was(usual, tmp_path):
    before = inline_svg(usual[0])
    save(usual[0], tmp_path)
    assert inline_svg(usual[0]) == before


def test_files_for_papers_have_plain_colours_on_white(usual, tmp_path):
    text = save(usual[0], tmp_path)[0].read_text()
    assert "fill: #ffffff" in text
    assert "var(" not in text
    assert "currentColor" not in text


def test_a_name_is_safe_and_no_two_become_one():
    assert name_of("seeds", "ml2000", "macro_f1") == "seeds-ml2000-macro_f1"
    names = [name_of("seeds", dataset) for dataset in ("a b", "a.b", "a/b", "a-b", "ä", "x" * 300, "x" * 301)]
    assert len(set(names)) == len(names)
    assert all(re.fullmatch("[A-Za-z0-9_-]{1,60}", name) for name in names)


def test_marks_are_drawn_where_they_stand_each_in_its_look():
    figure = Figure((2, 1))
    axes = figure.add_axes((0, 0, 1, 1))
    axes.set(xlim=(0, 144), ylim=(72, 0))
    axes.axis("off")
    axes.plot([10, 20, 30], [40, 50, 60], "o", markersize=4, markeredgewidth=0, color="#123456")
    axes.plot([70], [7], "|", markersize=6, markeredgecolor="#654321", gid=f"{PART}one")
    drawn = Drawn("name", GROUPS[0], "title", "caption", "what it shows, in words", figure)
    dots, part = ElementTree.fromstring(inline_svg(drawn)).find("g")
    circle = "a2 2 0 1 0 0 -4a2 2 0 1 0 0 4"
    assert dots.get("d") == f"M10 42{circle}M20 52{circle}M30 62{circle}"
    assert dots.get("style") == "fill:#123456"
    assert part.get("id") == f"name-{PART}one"
    assert part[0].get("d") == "M70 10L70 4"
    assert "stroke:#654321" in part[0].get("style")


def test_looks_of_many_elements_have_a_name_and_no_other_changes():
    many, few = '<path d="M0 0" style="fill:red" />', '<text style="fill:blue" x="1">a</text>'
    drawing = f'<svg style="width:9px"><g>{many * (MANY - 1)}{few}</g></svg>'
    other = f'<svg style="width:9px"><g>{many}</g></svg>'
    assert say_once([drawing]) == ([drawing], "")
    shown, sheet = say_once([drawing, other])
    assert sheet == ".look-0 { fill:red }"
    assert shown == [one.replace('style="fill:red"', 'class="look-0"') for one in (drawing, other)]


def test_a_page_says_of_each_figure_how_all_of_it_looks(usual):
    shown, sheet = say_once(list(map(inline_svg, usual)))
    looks = dict(re.findall(r"^\.([\w-]+) \{ (.*) \}$", sheet, re.MULTILINE))
    assert looks
    back = [re.sub(r'class="(look-\d+)"', lambda found: f'style="{looks[found[1]]}"', one) for one in shown]
    assert back == list(map(inline_svg, usual))
