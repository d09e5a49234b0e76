"""Says what a check of a data set found and what it may do to the numbers; it judges and prints nothing."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from tabulate import tabulate

from benchmark.contracts import Dataset
from benchmark.data.check import SAME_IMAGE, SEEDS, Files
from benchmark.data.checks.duplicates import CLOSE, NEIGHBOURS
from benchmark.data.checks.features import COPY
from benchmark.data.checks.finding import AWAY, FALSE_ALARMS, Finding
from benchmark.data.checks.labels import FEWEST


@dataclass(frozen=True)
class Words:
    """What is said of one kind of finding."""

    title: str
    effect: str
    """In a word or two, for the table."""
    why: str
    """What it may do to the numbers, in a sentence."""
    says: str
    """How it was found, a format of its own numbers."""
    instance: str
    """Format of one instance."""


_ACROSS = (
    "{rows} rows are in them; {same_labels} of the pairs have the same labels; of {test_rows} test rows "
    "{with_one_in_training:.1f} have one in training, on average over the seeds."
)
_REMEMBERED = "A method is tested on what it remembers, all the more if it looks up neighbours."
_AUC = "AUC {auc:.3f} for {label}"

KINDS: Mapping[str, Words] = {
    "duplicate_rows": Words(
        "pairs of rows with equal features",
        "too good",
        f"{_REMEMBERED} Pairs of other labels set a limit to every score.",
        _ACROSS,
        "{rows}",
    ),
    "near_duplicate_rows": Words(
        "pairs of rows with nearly equal features",
        "too good",
        _REMEMBERED,
        f"Features are compared, all modalities together. A pair is nearer than {CLOSE} of the usual "
        f"distance to a nearest neighbour, and nearer than the distances to {NEIGHBOURS} neighbours let "
        f"expect. {_ACROSS}",
        "{rows}",
    ),
    "constant_features": Words(
        "features with one value",
        "none, or undefined",
        "They say nothing; what divides by a deviation must guard against zero.",
        "Of {of} features.",
        "{feature}",
    ),
    "duplicate_features": Words(
        "features that order rows as another does",
        "slightly off",
        "They are copies, scaled, turned round or otherwise monotone: distances and naive Bayes count their "
        "evidence several times.",
        "Of {of} features.",
        "{feature} as {like}",
    ),
    "features_that_count_rows": Words(
        "features that rise or fall with the row number",
        "too good",
        "It may be an id or a time: if rows are in an order that has to do with labels, it gives them away.",
        "No two neighbouring rows break the order.",
        "{feature}",
    ),
    "features_that_copy_a_label": Words(
        "features that copy a label",
        "far too good",
        "One threshold on one column tells the label: it may be the label itself, or made of it.",
        f"AUC of the column at least {COPY} or at most {1 - COPY:.3f}, beyond chance.",
        "{feature}: " + _AUC,
    ),
    "row_number_predicts_label": Words(
        "labels that the row number predicts",
        "too good elsewhere",
        "This suite's splits permute rows and its methods see no row number. A split in order has other "
        "labels in test than in training, and a feature that tells the order tells the label.",
        f"AUC of the row number more than {AWAY} away from .5, beyond chance.",
        _AUC,
    ),
    "neighbouring_rows_share_label": Words(
        "labels that neighbouring rows share",
        "too good if rows belong together",
        "If neighbours are of one film, patient or series, a random split puts their kin into training: then "
        "split by group.",
        "Of neighbouring rows {same_label_set:.1%} have the same labels altogether.",
        "{label}: {share:.1%} of neighbours agree, {expected_share:.1%} expected",
    ),
    "labels_with_one_class": Words(
        f"labels with fewer than {FEWEST} rows with, or without",
        "undefined, or 0",
        "Macro-AUC leaves the label out where all test rows agree; its F1 counts 0 where none has it, "
        "whatever is predicted.",
        "Of {of} labels.",
        "{label}: {positives} rows",
    ),
    "labels_rare_in_a_part": Words(
        f"labels with fewer than {FEWEST} rows with, or without, in a part",
        "noisy, or undefined",
        "One row decides AUC and F1 of the label there, or neither is defined; macro-averages swing with it.",
        "Of {of} labels, in training or test of at least one of {seeds} seeds.",
        "{label}: {positives} rows; {seeds_in_test} seeds in test, {seeds_in_training} in training",
    ),
    "duplicate_labels": Words(
        "labels that equal another or its complement",
        "weighed twice",
        "Averages count one question twice, and methods that learn how labels hang together look better.",
        "Of {of} labels.",
        "{label} as {like}",
    ),
    "rows_without_labels": Words(
        "rows without labels",
        "undefined for them",
        "Example-AUC skips them. Ranking loss and coverage count 0, their best; example-F1 counts 0, its "
        "worst, whatever is predicted.",
        "Of {of} rows.",
        "row {row}",
    ),
    "rows_with_every_label": Words(
        "rows with every label",
        "undefined for them",
        "Example-AUC skips them, and ranking loss counts 0, its best.",
        "Of {of} rows.",
        "row {row}",
    ),
    "identical_files": Words("pairs of identical files", "too good", _REMEMBERED, _ACROSS, "{rows}"),
    "near_duplicate_images": Words(
        "pairs of nearly the same image",
        "too good",
        _REMEMBERED,
        f"Grey thumbnails of 16 x 16 pixels correlate above {SAME_IMAGE}. " + _ACROSS,
        "{rows}",
    ),
    "file_predicts_label": Words(
        "labels that size or measures of files predict",
        "too good",
        "If features tell the size (a count that is not divided by it, sharpness after scaling), methods "
        "learn where a file comes from and not what it shows.",
        f"AUC of a measure alone, or of a forest on all of them for rows that it did not see, more than "
        f"{AWAY} away from .5, beyond chance.",
        "{label}: {auc}",
    ),
}
WIDTH = 100
INDENT = "     "
ONLY_FILES = ("identical_files", "near_duplicate_images", "file_predicts_label")


def render_check(dataset: Dataset, findings: Sequence[Finding], files: Files | None) -> str:
    """Return a table of what was found, each finding in words, and what was looked for in vain."""
    n, q = dataset.labels.shape
    modalities = zip(dataset.modality_names, dataset.modalities, strict=True)
    dims = ", ".join(f"{name} ({x.shape[1]})" for name, x in modalities)
    head = f"{dataset.id}: {n} rows, modalities {dims}, {q} labels; splits of seeds {SEEDS[0]} to {SEEDS[-1]}"
    if files and files.names:
        head += f"; files {files.names[0]} to {files.names[-1]}"
    if not findings:
        return f"{head}\n\nnothing found\n\n{_in_vain(findings, files)}"
    words = [KINDS[finding.kind] for finding in findings]
    rows = [(k, f.count, w.title, w.effect) for k, (f, w) in enumerate(zip(findings, words, strict=True), 1)]
    table = tabulate(
        rows,
        ("", "count", "found", "numbers may be"),
        tablefmt="simple",
        disable_numparse=True,
        colalign=("right", "right", "left", "left"),
    )
    names = files.names if files else ()
    details = [_detail(k, finding, names) for k, finding in enumerate(findings, 1)]
    return "\n\n".join([head, table, *details, _in_vain(findings, files)])


def check_to_json(dataset: Dataset, findings: Sequence[Finding], files: Files | None) -> dict[str, Any]:
    """Return the same for programs; rows are counted from 0."""
    return {
        "dataset": dataset.id,
        "rows": len(dataset.labels),
        "seeds": [*SEEDS],
        "checked": [*_looked_for(files)],
        "findings": [
            {
                "kind": finding.kind,
                "count": finding.count,
                **finding.more,
                "first": [*map(dict, finding.first)],
                "effect": KINDS[finding.kind].why,
            }
            for finding in findings
        ],
    }


def _detail(number: int, finding: Finding, names: Sequence[str]) -> str:
    words = KINDS[finding.kind]
    shown = "; ".join(_instance(words.instance, instance, names) for instance in finding.first)
    more = f"; and {left} more" if (left := finding.count - len(finding.first)) else ""
    lines = [
        *_wrapped(f"{number}. ", f"{words.title}: {finding.count}"),
        *_wrapped("   first: ", f"{shown}{more}"),
        *_wrapped("   how: ", words.says.format(**finding.more)),
        *_wrapped("   so: ", words.why),
    ]
    return "\n".join(lines)


def _wrapped(head: str, text: str) -> list[str]:
    return textwrap.wrap(text, WIDTH, initial_indent=head, subsequent_indent=INDENT, break_long_words=False)


def _instance(form: str, instance: Mapping[str, Any], names: Sequence[str]) -> str:
    values = dict(instance)
    if "rows" in values:
        a, b = values["rows"]
        values["rows"] = f"{a} and {b}" + (f" ({names[a]}, {names[b]})" if names else "")
    if isinstance(values.get("auc"), Mapping):
        values["auc"] = ", ".join(f"{name} {auc:.2f}" for name, auc in values["auc"].items())
    return form.format(**values)


def _looked_for(files: Files | None) -> list[str]:
    """Return the kinds that were looked for."""
    without = set() if files else {*ONLY_FILES}
    if files and not files.digests:
        without = {"identical_files"}
    if files and files.thumbnails is None:
        without |= {"near_duplicate_images"}
    return [kind for kind in KINDS if kind not in without]


def _in_vain(findings: Sequence[Finding], files: Files | None) -> str:
    found = {finding.kind for finding in findings}
    vain = [KINDS[kind].title for kind in _looked_for(files) if kind not in found]
    lines = [*_wrapped("not found: ", "; ".join(vain)), ""] if vain else []
    if files is None:
        lines += _wrapped("", "Files were not looked at: give --files the folder of images or recordings.")
    end = (
        "Rows and columns are counted from 0. Beyond chance: where labels are shuffled, or rows lie evenly, "
        f"a search finds something in at most {FALSE_ALARMS:.1%} of data sets."
    )
    return "\n".join([*lines, *_wrapped("", end)])
