"""What of the tables are modalities and labels; it knows no format and writes nothing."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pandas as pd

from benchmark.contracts import Array, DataError
from datasets.formats.arff import label_positions, read_label_names
from datasets.formats.arrays import as_features
from datasets.formats.numbers import feature_matrix, label_matrix
from datasets.formats.selection import WHOLE, column_names, listing, positions, resolve
from datasets.formats.sources import read_sources
from datasets.formats.tables import Content, choose, few

Choice = tuple[str, str | tuple[int, ...]]
"""A table, and columns of it in words or by position."""
Part = tuple[str, list[int]]
"""A table, and positions of columns of it."""


@dataclass(frozen=True)
class Wish:
    """What somebody says of the sources."""

    sources: tuple[str, ...]
    modalities: Mapping[str, str] = field(default_factory=dict)
    """Choice of columns by name; empty: each table of as many rows as the labels is one."""
    labels: str | None = None
    """Choice of columns, or a file of Mulan's XML; None: what the sources say themselves."""
    label_names: str | None = None
    """Names, comma-separated, or a variable that holds them."""
    index: str | None = None
    """Column of ids by which tables are joined."""
    min_positives: int = 0
    """Labels with fewer are left out."""
    format: str | None = None


@dataclass(frozen=True)
class Imported:
    """The numbers, and what was understood on the way to them."""

    modalities: Mapping[str, Array]
    origins: Mapping[str, str]
    """Where each modality comes from."""
    labels: Array
    label_names: tuple[str, ...]
    notes: tuple[str, ...]
    """How it was read, and what was converted."""
    left_out: tuple[str, ...]


def understand(wish: Wish) -> Imported:
    """Read the sources and choose among their columns.

    Raises
    ------
    DataError
        If a source cannot be read, a choice names nothing, or what it names are no features or labels.
    """
    content = read_sources(wish.sources, wish.format, wish.index)
    label_choice = _choose_labels(content, wish.labels)
    choices = {name: _resolve(content, text) for name, text in wish.modalities.items()}
    choices = choices or _each_table(content, {table for table, _ in label_choice})
    _orient(content, [*(x[0] for x in label_choice), *(x[0] for choice in choices.values() for x in choice)])
    label_columns = [(table, _labels_at(content, table, spec)) for table, spec in label_choice]
    reserved = _reserved(content, label_columns)
    features = {
        name: [(table, _features_at(content, reserved, table, spec)) for table, spec in choice]
        for name, choice in choices.items()
    }
    features = {name: parts for name, parts in features.items() if wish.modalities or parts[0][1]}
    if not features:
        labelled = {table for table, _ in label_choice}
        others = any(name not in labelled for name in content.tables)
        what = "no other table has as many rows as the labels" if others else "all columns are labels"
        raise DataError(f"{what}; there are {listing(content.tables)}")
    modalities = {name: _features(content, name, parts) for name, parts in features.items()}
    frames = [(table, choose(content.tables[table], columns)) for table, columns in label_columns]
    labels = label_matrix(frames, content.notes)
    names = _label_names(content, label_columns, wish.label_names, labels.shape[1])
    left_out = _left_out(content, [label_columns, *features.values()], reserved)
    if wish.min_positives:
        labels, names = _frequent(labels, names, wish.min_positives, left_out)
    origins = {name: ", ".join(_named_parts(content, parts)) for name, parts in features.items()}
    return Imported(modalities, origins, labels, names, tuple(content.notes), tuple(left_out))


def _choose_labels(content: Content, choice: str | None) -> list[Choice]:
    """Return tables that hold labels, and which columns there."""
    if choice is None:
        if not content.labels:
            raise DataError(f"say with --labels what are labels; there are {listing(content.tables)}")
        (first, chosen), *others = content.labels.items()
        for other, same in others:
            pair = [choose(content.tables[name], k) for name, k in ((first, chosen), (other, same))]
            if not np.array_equal(pair[0], pair[1]):
                raise DataError(f"the labels of {first} and {other} differ; say with --labels which you mean")
        return [(first, chosen)]
    if choice.endswith(".xml") and Path(choice).exists():
        tables = [name for name, table in content.tables.items() if column_names(table)]
        if len(tables) != 1:
            raise DataError(f"{choice} names columns of one table; there are {listing(content.tables)}")
        content.notes.append(f"labels are those that {Path(choice).name} lists")
        names = read_label_names(Path(choice))
        return [(tables[0], label_positions(names, content.tables[tables[0]], Path(tables[0])))]
    return list(_resolve(content, choice))


def _resolve(content: Content, text: str) -> list[tuple[str, str]]:
    for name in map(str.strip, text.split(",")):
        if name in content.unread:
            raise DataError(f"{name} cannot be used: {content.unread[name]}")
    return resolve(text, content.tables)


def _each_table(content: Content, labelled: set[str]) -> dict[str, list[tuple[str, str]]]:
    """Take each table that may have as many rows as the labels, and what is left of theirs."""
    sizes = set.union(*(_sizes(content.tables[name]) for name in labelled))
    fitting = [
        [name for name, table in content.tables.items() if n in _sizes(table) and name not in labelled]
        for n in sizes
    ]
    most = max(fitting, key=len)
    if any(not {*names} <= {*most} for names in fitting):
        raise DataError(f"say with --modality what are features; there are {listing(content.tables)}")
    tables = [name for name in content.tables if name in most or name in labelled]
    chosen = {re.sub(r"[^A-Za-z0-9_.-]+", "_", name).strip("_.-"): [(name, WHOLE)] for name in tables}
    if len(chosen) < len(tables):
        raise DataError(f"name the modalities with --modality: {', '.join(tables)} are too much alike")
    return chosen


def _sizes(table: pd.DataFrame) -> set[int]:
    """Return how many rows a table may have: without names of columns it may lie on its side."""
    return {len(table)} if column_names(table) else {*table.shape}


def _orient(content: Content, used: Iterable[str]) -> None:
    """Turn tables until all have the same rows: many people save one column for each example."""
    tables = {name: content.tables[name] for name in used}
    if len({len(table) for table in tables.values()}) == 1:
        return
    common = set.intersection(*map(_sizes, tables.values()))
    if not common:
        remedy = "choose tables of the same rows, A+B for more rows of the same columns, or --index for ids"
        raise DataError(f"{listing(tables)} have no number of rows in common; {remedy}")
    for name, table in tables.items():
        if len(table) != (n := max(common)):
            content.tables[name] = pd.DataFrame(table.to_numpy().T)
            content.notes.append(f"{name}: {len(table)} x {n} turned into {n} x {len(table)}")


def _labels_at(content: Content, table: str, spec: str | tuple[int, ...]) -> list[int]:
    if not isinstance(spec, str):
        return list(spec)
    if spec == WHOLE:
        return [k for k in range(content.tables[table].shape[1]) if k != content.ids.get(table)]
    chosen = positions(content.tables[table], spec, table)
    if content.ids.get(table) in chosen:
        raise DataError(
            f"{spec!r} of {table} holds the ids, and they are no labels; choose columns without them"
        )
    return chosen


def _reserved(content: Content, label_columns: Sequence[Part]) -> dict[str, set[int]]:
    """Return positions of labels and ids, which no modality may hold."""
    reserved = {name: {*content.labels.get(name, ())} for name in content.tables}
    for table, columns in label_columns:
        reserved[table] |= {*columns}
    for table, column in content.ids.items():
        reserved[table].add(column)
    return reserved


def _features_at(content: Content, reserved: Mapping[str, set[int]], table: str, spec: str) -> list[int]:
    width = content.tables[table].shape[1]
    if spec == WHOLE:
        return [k for k in range(width) if k not in reserved[table]]
    chosen = positions(content.tables[table], spec, table)
    if wrong := [k for k in chosen if k in reserved[table]]:
        name = (column_names(content.tables[table]) or range(width))[wrong[0]]
        raise DataError(f"{spec!r} of {table} holds the label or id {name!r}; choose columns without it")
    return chosen


def _features(content: Content, name: str, parts: Sequence[Part]) -> Array:
    """Return one modality (n, d)."""
    blocks = [
        feature_matrix(table, choose(content.tables[table], columns), content.notes)
        for table, columns in parts
    ]
    features = as_features(np.concatenate(blocks, axis=1) if len(blocks) > 1 else blocks[0], Path(name))
    if features.dtype == np.float64:
        content.notes.append(f"{name}: kept in double precision, single would lose its digits")
    return features


def _label_names(content: Content, parts: Sequence[Part], given: str | None, q: int) -> tuple[str, ...]:
    if given is None:
        named = [column_names(content.tables[table]) for table, _ in parts]
        if not all(named):
            return ()
        return tuple(names[k] for names, (_, columns) in zip(named, parts, strict=True) for k in columns)
    names = content.words.get(given) or tuple(name.strip() for name in given.split(","))
    if len(names) != q:
        lists = (
            ", ".join(f"{name} ({len(words)})" for name, words in content.words.items()) or "no list of text"
        )
        raise DataError(f"--label-names {given!r} are {len(names)} names for {q} labels; there are {lists}")
    return names


def _frequent(
    labels: Array, names: tuple[str, ...], least: int, left_out: list[str]
) -> tuple[Array, tuple[str, ...]]:
    """Return the labels that enough rows have, and their names."""
    frequent = labels.sum(axis=0) >= least
    if not frequent.any():
        raise DataError(f"no label has {least} positives; lower --min-positives")
    left_out.append(f"{(~frequent).sum()} labels with fewer than {least} positives")
    kept = tuple(name for name, keep in zip(names, frequent, strict=bool(names)) if keep)
    return labels[:, frequent], kept


def _left_out(
    content: Content, chosen: Sequence[Sequence[Part]], reserved: Mapping[str, set[int]]
) -> list[str]:
    """Say what of the sources is in no modality and no label."""
    taken: dict[str, set[int]] = {}
    for parts in chosen:
        for table, columns in parts:
            taken.setdefault(table, set()).update(columns)
    lines = []
    if others := [name for name in content.tables if name not in taken]:
        lines.append(f"tables: {listing({name: content.tables[name] for name in others})}")
    for table, held in taken.items():
        rest = [k for k in range(content.tables[table].shape[1]) if k not in held]
        names = column_names(content.tables[table])
        for what, some in (
            ("label columns that were not chosen", [k for k in rest if k in content.labels.get(table, ())]),
            ("columns", [k for k in rest if k not in reserved[table]]),
        ):
            if some:
                which = few([repr(names[k]) if names else str(k) for k in some])
                lines.append(f"{len(some)} {what} of {table}: {which}")
    lines += [f"{name}: {why}" for name, why in content.unread.items()]
    return lines


def _named_parts(content: Content, parts: Sequence[Part]) -> list[str]:
    """Say which columns of which table, counted from 0."""
    texts = []
    for table, columns in parts:
        first, last = min(columns), max(columns)
        together = columns == list(range(first, last + 1))
        everything = together and len(columns) == content.tables[table].shape[1]
        which = "" if everything else f"/{first}:{last + 1}" if together else f", {len(columns)} columns"
        texts.append(table + which)
    return texts
