"""What figures say of data sets, methods and numbers; it draws nothing."""

from __future__ import annotations

from collections.abc import Iterable

from benchmark.contracts import Provenance
from benchmark.report.gather import Material
from benchmark.tables import names
from benchmark.words import one_line

REMARKS: dict[str, str] = {
    Provenance.REAL: "Real data.",
    Provenance.REBUILT: "Real instances and labels, features re-extracted by this project.",
    Provenance.LOOK_ALIKE: "Look-alike data of the published shape, not the real data: it supports no claim.",
    Provenance.LEAKED: "Leaked: parts of the features were fitted on rows that some seeds test on, which can "
    "make every number too good.",
}
TAGS: dict[str, str] = {
    Provenance.REBUILT: "rebuilt features",
    Provenance.LOOK_ALIKE: "look-alike",
    Provenance.LEAKED: "leaked features",
}


def with_numbers(material: Material) -> list[str]:
    """Return the data sets that have numbers, as tables list them."""
    present = list(dict.fromkeys(material.results.as_printed["dataset"]))
    listed = [one.id for one in material.results.datasets if one.id in present]
    return list(dict.fromkeys([*listed, *present]))


def is_look_alike(material: Material, dataset: str) -> bool:
    """Return whether a data set is not the real one."""
    return material.evidence.provenance(dataset) == Provenance.LOOK_ALIKE


def dataset_title(material: Material, dataset: str) -> str:
    """Name a data set, and say with it what is not real of it."""
    titles = {listed.id: listed.title for listed in material.results.datasets}
    title = one_line(titles.get(dataset, names.dataset_title(dataset)))
    tag = TAGS.get(material.evidence.provenance(dataset))
    return f"{title} ({tag})" if tag else title


def method_title(material: Material, method: str) -> str:
    """Name a row in plain letters, with the mark of a method whose original could not be found."""
    title = one_line(names.method_title(method).replace(names.WCO, "Wco"))
    return title + names.RECONSTRUCTED_MARK * (method in material.evidence.reconstructed)


def methods_of(material: Material, dataset: str) -> list[str]:
    """Return the rows of a data set: those the paper prints, in its order, then others with numbers."""
    printed, ours = material.paper.cells, material.results.as_printed
    return list(
        names.in_paper_order(
            printed.loc[printed["dataset"] == dataset, "method"],
            ours.loc[ours["dataset"] == dataset, "method"],
        )
    )


def remarks(material: Material, dataset: str, *, methods: Iterable[str] = ()) -> str:
    """Say whose data it is, under which limits, and what a mark after one of the methods means."""
    said = [REMARKS[material.evidence.provenance(dataset)]]
    if limit := material.evidence.limits.get(dataset):
        said.append(f"Not the printed protocol: {one_line(limit)}.")
    if material.evidence.reconstructed & set(methods):
        said.append(f"{names.RECONSTRUCTED_MARK}: reconstructed, as the method's paper could not be found.")
    return " ".join(said)


def counted(number: int, thing: str) -> str:
    """Return `1 seed`, `2 seeds`."""
    return f"{number} {thing}{'' if number == 1 else 's'}"


def joined(parts: Iterable[str]) -> str:
    """Return `a, b and c`."""
    *first, last = parts
    return f"{', '.join(first)} and {last}" if first else last
