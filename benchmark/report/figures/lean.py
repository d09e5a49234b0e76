"""From matplotlib's SVG to one that a page can hold: small, in the page's colours; it knows no figure."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import groupby
from xml.etree.ElementTree import Element, SubElement

from benchmark.report.figures.style import BAND, GRID, INK, MUTED, SIZE

OF_THE_PAGE = {
    INK: "currentColor",
    MUTED: "var(--muted)",
    GRID: "var(--grid)",
    BAND: "var(--band)",
    # Of figures that other rooms draw, for white paper alone.
    "#000000": "currentColor",
    "#666666": "var(--muted)",
    "#d9d9d9": "var(--grid)",
    "#ededed": "var(--band)",
}
"""What a page draws instead of the colours of paper, so that light and dark are the page's own choice."""
INHERITED = {
    "fill": "currentColor",
    "font-family": "sans-serif",
    "font-size": f"{SIZE:g}px",
    "text-anchor": "start",
    "stroke-linejoin": "round",
    "stroke-linecap": "butt",
}
"""Of the group around all; elements that say the same need not."""
SVG = "{http://www.w3.org/2000/svg}"
HREF = "{http://www.w3.org/1999/xlink}href"
GROUNDS = ("fill: none", "fill: #ffffff")
"""Of axes and figures: a page has its own."""
NUMERIC = ("d", "x", "y", "width", "height", "transform")
LOOK = re.compile(r'<(?!svg\b)(\w+)([^>]*?) style="([^"]*)"')
MANY = 10
"""Elements of one look from which on it has a name."""
PART = "part-"
"""How the gid of an artist begins that belongs to a part of a figure; neighbours of one gid are one part."""


def fill(drawing: Element, root: Element, name: str) -> None:
    """Put what `root` draws into a group of a page; its ids begin with `name`.

    Nothing stays clipped: no figure draws beyond its axes. Marks are drawn where they stand: a browser makes
    a copy of whatever `<use>` shows, and thousands of copies take it a second.
    """
    leaves = list(_leaves(root))
    marks = {
        f"#{leaf.attrib.pop('id')}": leaf for leaf in leaves if leaf.tag == "path" and "id" in leaf.attrib
    }
    definitions = {id(mark) for mark in marks.values()}
    shown = [leaf for leaf in leaves if id(leaf) not in definitions]
    drawing.set("style", _css(INHERITED))
    for part, run in groupby(shown, lambda leaf: leaf.attrib.pop(PART, "")):
        drawn = _in_groups(_in_place(run, marks))
        if part:  # shown elsewhere too, where nothing of it is inherited
            SubElement(drawing, "g", {"id": f"{name}-{part}", "style": _css(INHERITED)}).extend(drawn)
        else:
            drawing.extend(drawn)


def _in_place(leaves: Iterable[Element], marks: Mapping[str, Element]) -> Iterator[Element]:
    """Draw neighbours that show one mark in one look as one path."""
    for (target, look), run in groupby(leaves, lambda leaf: (leaf.get("href", ""), leaf.get("style", ""))):
        if not target:
            yield from run
            continue
        mark = marks[target]
        style = dict(
            _properties(f"{look};{mark.get('style', '')}")
        )  # what a mark says itself comes last, and wins
        shape = _shape(mark.attrib["d"])
        d = "".join(shape(float(leaf.get("x", 0)), float(leaf.get("y", 0))) for leaf in run)
        yield Element("path", {"d": d, "style": _css(style)} if style else {"d": d})


def _shape(d: str) -> Callable[[float, float], str]:
    """Return what draws a path of absolute commands at a place; eight cubics are matplotlib's circle."""
    commands = re.findall(r"([A-Za-z])([^A-Za-z]*)", d)
    points = [(command, [float(number) for number in numbers.split()]) for command, numbers in commands]
    if [command for command, _ in points] == ["M", *"CCCCCCCC", "z"]:
        r = _number(points[0][1][1])
        there, back = (f"a{r} {r} 0 1 0 0 {sign}{_number(2 * float(r))}" for sign in ("-", ""))
        return lambda x, y: f"M{_number(x)} {_number(y + float(r))}{there}{back}"

    def at(x: float, y: float) -> str:
        return "".join(
            command + " ".join(_number(number + (x, y)[place % 2]) for place, number in enumerate(numbers))
            for command, numbers in points
        )

    return at


def say_once(drawings: Sequence[str]) -> tuple[list[str], str]:
    """Return the drawings with a class in place of each look that many elements have, and its style sheet.

    What an `svg` itself looks like stays, which the page's own rules are about.
    """
    counts = Counter(found[3] for drawing in drawings for found in LOOK.finditer(drawing))
    common = (look for look, n in counts.items() if n >= MANY)
    classes = {look: f"look-{number}" for number, look in enumerate(common)}

    def named(found: re.Match[str]) -> str:
        tag, others, look = found.groups()
        return f'<{tag}{others} class="{classes[look]}"' if look in classes else found[0]

    rules = (f".{name} {{ {look} }}" for look, name in classes.items())
    return [LOOK.sub(named, drawing) for drawing in drawings], "\n".join(rules)


def _leaves(element: Element, part: str = "") -> Iterator[Element]:
    """Yield what draws, in order, out of the groups that matplotlib makes for each of its objects."""
    for child in element:
        tag = child.tag.removeprefix(SVG)
        if tag in ("metadata", "style", "clipPath"):
            continue
        if tag in ("g", "defs") and not {"transform", "style"} & set(child.keys()):
            own = child.get("id", "")
            yield from _leaves(child, own if own.startswith(PART) else part)
        elif child.get("style") not in GROUNDS:
            leaf = Element(tag, dict(_attributes(child)))
            leaf.text = child.text if tag in ("text", "tspan") else None
            leaf.extend(_leaves(child))
            if part:
                leaf.set(PART, part)
            yield leaf


def _attributes(element: Element) -> Iterator[tuple[str, str]]:
    for key, value in element.items():
        if key == "d":
            yield key, re.sub(r"\s*([A-Za-z])\s*", r"\1", _rounded(value, 1)).strip()
        elif key in NUMERIC and not value.startswith("rotate(-0 "):
            yield key, _rounded(value)
        elif key == HREF:
            yield "href", value
        elif key == "id":
            yield key, value
        elif key == "style" and (style := _css(dict(_properties(value)))):
            yield key, style


def _properties(style: str) -> Iterator[tuple[str, str]]:
    for item in filter(str.strip, style.split(";")):
        name, _, value = (part.strip() for part in item.partition(":"))
        value = OF_THE_PAGE.get(value, _rounded(value))
        if name != "font-family" and INHERITED.get(name) != value:
            yield name, value


def _in_groups(elements: Iterable[Element]) -> Iterator[Element]:
    """Say once what neighbours are said to look like; opacity is left, which is another thing of a group."""
    for style, run in groupby(elements, lambda element: element.get("style", "")):
        alike = list(run)
        if len(alike) == 1 or not style or re.search(r"(^|;)opacity:", style):
            yield from alike
            continue
        for element in alike:
            del element.attrib["style"]
        group = Element("g", {"style": style})
        group.extend(alike)
        yield group


def _rounded(text: str, decimals: int = 2) -> str:
    """Keep some decimals of each number, by default hundredths of a point; of long paths tenths do."""
    return re.sub(r"-?\d+\.\d+", lambda found: _number(float(found[0]), decimals), text)


def _number(value: float, decimals: int = 2) -> str:
    return f"{value:.{decimals}f}".rstrip("0").rstrip(".")


def _css(style: Mapping[str, str]) -> str:
    return ";".join(f"{name}:{value}" for name, value in style.items())
