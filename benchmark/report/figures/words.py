"""What figures say of data sets, methods and numbers; it draws nothing."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from benchmark.contracts import Provenance
from benchmark.report.gather import Material
from benchmark.tables import names
from benchmark.tables.traces import Traces
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

LONGEST = 50
"""Letters of a user's name for a thing that a title or sentence shows."""


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
    title = cut(one_line(titles.get(dataset, names.dataset_title(dataset))))
    tag = TAGS.get(material.evidence.provenance(dataset))
    return f"{title} ({tag})" if tag else title


def method_title(material: Material, method: str) -> str:
    """Name a row in plain letters, with the mark of a method whose original could not be found."""
    title = cut(one_line(names.method_title(method).replace(names.WCO, "Wco")))
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


def in_order(material: Material, methods: Iterable[str]) -> list[str]:
    """Return methods once each, as the registry lists them."""
    present = set(methods)
    return [spec.id for spec in material.results.methods if spec.id in present]


def traces_of(material: Material) -> Iterator[tuple[str, str, Traces]]:
    """Yield data set, method and traces, in the order of tables."""
    traces = material.results.traces
    for dataset in with_numbers(material):
        for method in in_order(material, (of for at, of in traces if at == dataset)):
            yield dataset, method, traces[dataset, method]


def remarks(material: Material, dataset: str, *, methods: Iterable[str] = ()) -> str:
    """Say whose data it is, under which limits, and what a mark after one of the methods means."""
    said = [REMARKS[material.evidence.provenance(dataset)]]
    if limit := material.evidence.limits.get(dataset):
        said.append(f"{limit[:1].upper()}{one_line(limit)[1:]}.")
    if material.evidence.reconstructed & set(methods):
        said.append(f"{names.RECONSTRUCTED_MARK}: reconstructed, as the method's paper could not be found.")
    return " ".join(said)


def cut(text: str) -> str:
    """Cut a text that is longer than `LONGEST`."""
    return text if len(text) <= LONGEST else f"{text[: LONGEST - 1].rstrip()}…"


def counted(number: int, thing: str) -> str:
    """Return `1 seed`, `2 seeds`."""
    return f"{number} {thing}{'' if number == 1 else 's'}"


def signed(value: float, form: str) -> str:
    """Return a number with a minus that is one."""
    return f"{value:{form}}".replace("-", "−")


def joined(parts: Iterable[str]) -> str:
    """Return `a, b and c`."""
    *first, last = parts
    return f"{', '.join(first)} and {last}" if first else last
