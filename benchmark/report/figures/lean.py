"""From matplotlib's SVG to one that a page can hold: small, in the page's colours; it knows no figure."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
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


def fill(drawing: Element, root: Element, name: str) -> None:
    """Put what `root` draws into a group of a page; its ids begin with `name`.

    Nothing stays clipped: no figure draws beyond its axes.
    """
    leaves = list(_leaves(root))
    defined = {leaf.attrib.pop("id"): leaf for leaf in leaves if leaf.tag == "path" and "id" in leaf.attrib}
    ids = {f"#{old}": f"{name}-{place}" for place, old in enumerate(defined)}
    said = {ids[f"#{old}"]: path.get("style", "").split(";") for old, path in defined.items()}
    for old, path in defined.items():
        path.set("id", ids[f"#{old}"])
    drawing.set("style", _css(INHERITED))
    if defined:
        SubElement(drawing, "defs").extend(defined.values())
    definitions = {id(path) for path in defined.values()}
    shown = [leaf for leaf in leaves if id(leaf) not in definitions]
    for leaf in shown:
        if leaf.get("href") in ids:
            target = ids[leaf.attrib["href"]]
            leaf.set("href", f"#{target}")
            _set_style(leaf, (item for item in leaf.get("style", "").split(";") if item not in said[target]))
    drawing.extend(_in_groups(shown))


def _leaves(element: Element) -> Iterator[Element]:
    """Yield what draws, in order, out of the groups that matplotlib makes for each of its objects."""
    for child in element:
        tag = child.tag.removeprefix(SVG)
        if tag in ("metadata", "style", "clipPath"):
            continue
        if tag in ("g", "defs") and not {"transform", "style"} & set(child.keys()):
            yield from _leaves(child)
        elif child.get("style") not in GROUNDS:
            leaf = Element(tag, dict(_attributes(child)))
            leaf.text = child.text if tag in ("text", "tspan") else None
            leaf.extend(_leaves(child))
            yield leaf


def _attributes(element: Element) -> Iterator[tuple[str, str]]:
    for key, value in element.items():
        if key == "d":
            yield key, re.sub(r"\s*([A-Za-z])\s*", r"\1", _rounded(value)).strip()
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


def _set_style(element: Element, items: Iterable[str]) -> None:
    element.attrib.pop("style", None)
    if style := ";".join(items):
        element.set("style", style)


def _rounded(text: str) -> str:
    """Keep two decimals of each number: a hundredth of a point."""
    return re.sub(r"-?\d+\.\d+", lambda found: f"{float(found[0]):.2f}".rstrip("0").rstrip("."), text)


def _css(style: Mapping[str, str]) -> str:
    return ";".join(f"{name}:{value}" for name, value in style.items())
