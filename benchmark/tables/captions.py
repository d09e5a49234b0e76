"""The sentences above and below the tables, read from the frames; it must not know formats."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import pandas as pd

from benchmark.contracts import Provenance
from benchmark.tables.names import (
    PROVENANCE_MARKS,
    PROVENANCE_TEXTS,
    RECONSTRUCTED_MARK,
    dataset_title,
    method_title,
    rule_title,
)
from benchmark.tables.results import Results


def profile_sentence(results: Results) -> str:
    """Name the profile and what it leaves out."""
    note = f": {results.profile_note}" if results.profile_note else ""
    return f"Profile {results.profile}{note}."


def seeds_sentence(n_expected: Mapping[str, int], datasets: Sequence[str]) -> str:
    """Say over how many seeds the means are, given the number of each data set that has any."""
    by_count: dict[int, list[str]] = {}
    for dataset in datasets:
        if dataset in n_expected:
            by_count.setdefault(n_expected[dataset], []).append(dataset_title(dataset))
    if not by_count:
        return "No finished job yet."
    counts = [
        f"{n} seed{'s' if n > 1 else ''}" + (f" ({', '.join(titles)})" if len(by_count) > 1 else "")
        for n, titles in by_count.items()
    ]
    return f"Mean±sample standard deviation over {' and '.join(counts)}, rounded to three decimals."


def threshold_sentence(shown: pd.DataFrame) -> str:
    """Say which rule made the predictions of which method."""
    rules = _methods_by(shown, "threshold")
    if not rules:
        return ""
    if len(rules) == 1:
        return f"Thresholds of all methods: {rule_title(next(iter(rules)))}."
    parts = [f"{', '.join(methods)}: {rule_title(rule)}" for rule, methods in rules.items()]
    return f"Thresholds: {'; '.join(parts)}."


def scoring_sentence(shown: pd.DataFrame) -> str:
    """Name the methods whose scores are their 0/1 predictions."""
    titles = _methods_by(shown, "scoring").get("hard", [])
    if not titles:
        return ""
    verb = "is" if len(titles) == 1 else "are"
    return f"{' and '.join(titles)} {verb} scored from 0/1 predictions."


def hardening_sentence(results: Results, shown: pd.DataFrame) -> str:
    """Name the methods whose scores are predictions at other thresholds than their own rule's."""
    own = {spec.id: spec.threshold for spec in results.methods}
    rows = shown[(shown["scoring"] == "hard") & (shown["threshold"] != shown["method"].map(own))]
    titles = _methods_by(rows, "scoring").get("hard", [])
    if not titles:
        return ""
    return (
        f"These thresholds make the 0/1 predictions of {' and '.join(titles)}, so that their AUC, ranking "
        "loss and coverage differ from the as-printed table's too."
    )


BOLD_SENTENCE = "Bold: best of the paper's methods that finished every seed."


def provenance_sentences(results: Results, shown: pd.DataFrame) -> tuple[str, ...]:
    """Explain the marks on data sets, and repeat what the data sets say of themselves."""
    sentences = []
    for provenance, titles in _datasets_by_provenance(shown).items():
        if mark := PROVENANCE_MARKS[provenance]:
            sentences.append(f"{mark} {', '.join(titles)}: {PROVENANCE_TEXTS[provenance]}.")
    present = set(shown["dataset"])
    for listed in results.datasets:
        if listed.note and listed.id in present:
            sentences.append(f"{listed.title}: {listed.note.rstrip('. ')}.")
    return tuple(sentences)


def method_notes(results: Results, methods: Sequence[str]) -> tuple[str, ...]:
    """Repeat what the methods say of themselves."""
    notes = {spec.id: spec.note for spec in results.methods}
    return tuple(f"{method_title(m)}: {notes[m].rstrip('. ')}." for m in methods if notes.get(m))


def reconstructed_notes(results: Results, methods: Sequence[str]) -> tuple[str, ...]:
    """Say of each reconstructed row that it is one, and why it takes no bold, whether or not it was run."""
    reconstructed = {spec.id for spec in results.methods if spec.reconstructed}
    return tuple(
        f"{method_title(m)}{RECONSTRUCTED_MARK}: a reconstruction. Nothing of its paper could be found but "
        "title, authors and one-line descriptions by others, so these are not the authors' own numbers, "
        "and the row takes no bold, whatever it reaches."
        for m in methods
        if m in reconstructed
    )


def marked_title(dataset: str, shown: pd.DataFrame) -> str:
    """Print a data set with the mark of its provenance."""
    marks = [
        PROVENANCE_MARKS[Provenance(p)] for p in shown.loc[shown["dataset"] == dataset, "provenance"].unique()
    ]
    return dataset_title(dataset) + "".join(marks)


def join(*sentences: str) -> str:
    """Join the sentences that there are."""
    return " ".join(sentence for sentence in sentences if sentence)


def _methods_by(shown: pd.DataFrame, column: str) -> dict[str, list[str]]:
    """Titles of methods by the value of a column, in order of appearance."""
    pairs = shown[["method", column]].drop_duplicates()
    groups: dict[str, list[str]] = {}
    for method, value in pairs.itertuples(index=False):
        groups.setdefault(str(value), []).append(method_title(method))
    return groups


def _datasets_by_provenance(shown: pd.DataFrame) -> dict[Provenance, list[str]]:
    groups: dict[Provenance, list[str]] = {}
    for dataset, provenance in shown[["dataset", "provenance"]].drop_duplicates().itertuples(index=False):
        groups.setdefault(Provenance(provenance), []).append(dataset_title(dataset))
    return groups
