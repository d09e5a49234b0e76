"""Which methods and data sets exist, found by looking into their packages; it knows none of them by name."""

from __future__ import annotations

import difflib
import gc
import importlib
import pkgutil
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase
from pathlib import Path
from types import ModuleType
from typing import Any, get_args

from benchmark.contracts import DatasetSpec, MethodSpec, Scoring

METHOD_SOURCES = ("m3la.rows", "baselines")
DATASET_SOURCES = ("datasets",)
MANY_SEEDS, MOST_SEEDS = 1_000, 100_000
"""Beyond the first a number of seeds must be confirmed; beyond the second the plan fills the memory."""
LARGEST_SEED = 2**32 - 1
"""As in numpy and scikit-learn."""
ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._+-]{0,59}")


class SelectionError(ValueError):
    """A name, pattern or range that selects nothing; the message lists what there is."""


class RegistryError(RuntimeError):
    """A module that cannot be imported, or declares its methods or data set wrongly."""


@dataclass(frozen=True)
class Registry:
    """Methods and data sets by id, in the order in which they were found."""

    methods: Mapping[str, MethodSpec]
    datasets: Mapping[str, DatasetSpec]
    finders: tuple[Callable[[Path], Sequence[DatasetSpec]], ...] = ()
    """Each looks into a folder for data sets."""

    outsiders: frozenset[str] = frozenset()
    """Ids of methods that are not the project's own, and are checked before they run."""

    def with_methods(self, specs: Sequence[MethodSpec]) -> Registry:
        """Return the registry with further methods, whose ids are not taken."""
        outsiders = self.outsiders | {spec.id for spec in specs}
        return replace(self, methods={**self.methods, **{s.id: s for s in specs}}, outsiders=outsiders)

    def with_datasets_of(self, folder: Path) -> Registry:
        """Return the registry with the data sets that lie in a folder.

        Raises
        ------
        RegistryError
            If one has the id of another, in any case.
        """
        found = dict(self.datasets)
        for spec in (spec for find in self.finders for spec in find(folder)):
            for taken in found:
                if taken.lower() == spec.id.lower():
                    raise RegistryError(f"{folder / spec.id}: the id {taken!r} is taken; rename the folder")
            found[spec.id] = spec
        return replace(self, datasets=found)

    def select_methods(self, text: str | None) -> Selection:
        """Choose methods as `select` does.

        Raises
        ------
        SelectionError
            If a name or pattern matches nothing.
        """
        try:
            return select(text, tuple(self.methods), "method")
        except SelectionError as error:
            raise SelectionError(f"{error}; those of a file of your own need --plugin FILE") from error

    def select_datasets(self, text: str | None) -> Selection:
        """Choose data sets as `select` does; None and `all` are the paper's.

        Raises
        ------
        SelectionError
            If a name or pattern matches nothing.
        """
        if text is None or text.strip().lower() == "all":
            return Selection(tuple(name for name, spec in self.datasets.items() if spec.in_paper))
        try:
            return select(text, tuple(self.datasets), "data set")
        except SelectionError as error:
            raise SelectionError(f"{error}; a folder of your own is found below --data DIR") from error


@dataclass(frozen=True)
class Selection:
    """Ids chosen on the command line; `named` are those that were written out, not matched by a pattern."""

    ids: tuple[str, ...]
    named: frozenset[str] = frozenset()


def discover(
    method_sources: Sequence[str] = METHOD_SOURCES, dataset_sources: Sequence[str] = DATASET_SOURCES
) -> Registry:
    """Import the public modules of the sources and collect their `METHODS` and `DATASET`.

    Parameters
    ----------
    method_sources, dataset_sources
        Dotted names of modules, whose declarations keep their order, or of packages: what their public
        modules and packages (these in their `__init__`) declare comes in the order of the ids.

    Raises
    ------
    RegistryError
        If a module cannot be imported, two declare the same id (in any case), an id is no plain word, or a
        declaration has the wrong type or scoring.
    """
    with _imports_are_no_garbage():
        methods = _collect(method_sources, "METHODS", MethodSpec)
        for spec in methods.values():
            if spec.scoring not in (known := get_args(Scoring)):
                raise RegistryError(f"{spec.id}: scoring {spec.scoring!r} is not one of {', '.join(known)}")
        finders = (
            getattr(member, "FIND_DATASETS", None)
            for source in dataset_sources
            for member in _members(_imported(source))
        )
        return Registry(
            methods,
            _collect(dataset_sources, "DATASET", DatasetSpec),
            tuple(find for find in finders if find),
        )


@contextmanager
def _imports_are_no_garbage() -> Iterator[None]:
    """Keep the collector from looking again and again through what imports make, a tenth of their time."""
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        if was_on:
            gc.enable()


def _collect(sources: Sequence[str], attribute: str, kind: Any) -> dict[str, Any]:
    found: dict[str, Any] = {}
    owners: dict[str, str] = {}
    for source in sources:
        root = _imported(source)
        members = _members(root)
        specs = [(spec, member.__name__) for member in members for spec in _declared(member, attribute, kind)]
        if hasattr(root, "__path__"):
            specs.sort(key=lambda item: item[0].id.lower())  # where a file lies decides nothing
        for spec, owner in specs:
            if (key := spec.id.lower()) in owners:
                raise RegistryError(
                    f"the id {spec.id!r} is declared by {owners[key]} and by {owner}; rename one"
                )
            owners[key] = owner
            found[spec.id] = spec
    return found


def _members(package: ModuleType) -> Iterator[ModuleType]:
    if not hasattr(package, "__path__"):
        yield package
        return
    for info in sorted(pkgutil.iter_modules(package.__path__), key=lambda info: info.name):
        if not info.name.startswith("_"):
            yield _imported(f"{package.__name__}.{info.name}")


def _declared(module: ModuleType, attribute: str, kind: Any) -> Iterator[Any]:
    declared = getattr(module, attribute, ())
    for spec in declared if isinstance(declared, (tuple, list)) else (declared,):
        if not isinstance(spec, kind):
            raise RegistryError(
                f"{module.__name__}.{attribute} holds {spec!r}; it must be a {kind.__name__} "
                f"(see benchmark/contracts.py)"
            )
        if not ID.fullmatch(spec.id):
            raise RegistryError(
                f"{module.__name__}.{attribute} has the id {spec.id!r}, which paths and tables cannot hold; "
                "use letters, digits, '-', '_', '+' and '.', at most 60, a letter or a digit first"
            )
        yield spec


def _imported(name: str) -> ModuleType:
    try:
        return importlib.import_module(name)
    except Exception as error:
        raise RegistryError(
            f"{name} cannot be imported ({type(error).__name__}: {error}); "
            f"python -c 'import {name}' shows where"
        ) from error


def suggestion(name: str, known: Sequence[str]) -> str:
    """Return `; did you mean X?`, or an empty string where nothing is close."""
    by_lower = {item.lower(): item for item in known}
    close = difflib.get_close_matches(name.lower(), by_lower, n=1, cutoff=0.5)
    return f"; did you mean {by_lower[close[0]]!r}?" if close else ""


def select(text: str | None, known: Sequence[str], kind: str) -> Selection:
    """Choose among `known` ids with a comma list of names and globs in any case.

    Parameters
    ----------
    text
        For example `m3la*,BR`; None, `all` and `*` choose everything.
    known
        All ids, in the order that the result keeps.
    kind
        What is chosen ("method", "data set"), for the error message.

    Raises
    ------
    SelectionError
        If a name or pattern matches nothing.
    """
    if text is None:
        return Selection(tuple(known))
    chosen: set[str] = set()
    named: set[str] = set()
    for pattern in filter(None, (part.strip() for part in text.split(","))):
        lowered = "*" if pattern.lower() == "all" else pattern.lower()
        matches = {name for name in known if fnmatchcase(name.lower(), lowered)}
        if not matches:
            raise SelectionError(
                f"no {kind} matches {pattern!r}{suggestion(pattern, known)} (there are: {', '.join(known)})"
            )
        chosen |= matches
        named |= {name for name in matches if name.lower() == lowered}
    if not chosen:
        raise SelectionError(f"no {kind} chosen by {text!r} (there are: {', '.join(known)})")
    return Selection(tuple(name for name in known if name in chosen), frozenset(named))


def parse_seeds(text: str, *, yes: bool = False) -> tuple[int, ...]:
    """Read `10` (seeds 0 to 9), `0-4` (0 to 4 inclusive), `3,5` (exactly these) or `0-2,7`.

    Parameters
    ----------
    text
        As written by the user.
    yes
        Whether more than `MANY_SEEDS` are meant: a seed that is written as a number of seeds (20240101) would
        plan millions of jobs.

    Raises
    ------
    SelectionError
        If the text is none of these, or chooses no seed, too many, or one above `LARGEST_SEED`.
    """
    wrong = SelectionError(
        f"seeds {text!r} not understood, or none: write how many (10 means 0 to 9, 1 seed 0 alone), a range "
        "that rises (0-4) or a list (3,5)"
    )
    parts = [part.strip() for part in text.split(",")]
    alone = len(parts) == 1 and parts[0].isascii() and parts[0].isdecimal()
    ranges = []
    for first, dash, last in (part.partition("-") for part in parts if part):
        if not text.isascii() or not first.isdecimal() or (dash and not last.isdecimal()):
            raise wrong
        ends = [_seed(one, text) for one in ((first, last) if dash else (first, first))]
        ranges.append(range(ends[0]) if alone else range(ends[0], ends[1] + 1))
    if not all(ranges) or not ranges:
        raise wrong
    if (n := sum(map(len, ranges))) > (MOST_SEEDS if yes else MANY_SEEDS):
        single = f"{text.strip()}," if alone else f"{ranges[0].start},{ranges[-1][-1]}"
        raise SelectionError(
            f"seeds {text!r} are {n:,} seeds: for single ones write a list ({single}); more than "
            f"{MANY_SEEDS:,} need --yes, and {MOST_SEEDS:,} are the most"
        )
    return tuple(sorted({seed for one in ranges for seed in one}))


def seeds_flag(seeds: Sequence[int]) -> str:
    """Write seeds as `parse_seeds` reads them: 10 for 0 to 9, else a range or a list."""
    ordered = sorted(seeds)
    first, last = ordered[0], ordered[-1]
    if ordered != list(range(first, last + 1)):
        return ",".join(map(str, ordered))
    if first == 0:
        return str(last + 1)
    return f"{first}-{last}" if first < last else f"{first},"


def _seed(digits: str, text: str) -> int:
    if len(digits.lstrip("0")) > len(str(LARGEST_SEED)) or int(digits) > LARGEST_SEED:
        raise SelectionError(f"seeds {text!r}: a seed lies between 0 and {LARGEST_SEED}")
    return int(digits)
