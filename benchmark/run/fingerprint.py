"""The hash that says whether a record is still current: settings, data and the code a number runs through.

The code enters definition by definition, as `benchmark.run.source` reads it: a module's functions, classes
and constants count only if the method can reach them, so that editing one method leaves the records of others
alone.
"""

from __future__ import annotations

import hashlib
import importlib.util
import json
import sysconfig
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from benchmark.run.source import WHOLE, Node, SourceModule, imports_project, parse

PROJECT_PACKAGES = ("benchmark", "baselines", "m3la", "datasets")
HARNESS_ROOTS = ("benchmark.run.trial", "benchmark.run.seeding", "benchmark.run.split")
"""Harness modules between data and scores; thresholds and metrics are redone from stored scores."""


class FingerprintError(RuntimeError):
    """A setting or a module that cannot be turned into a hash."""


def config_hash(settings: Mapping[str, Any]) -> str:
    """Return the first 12 hexadecimal digits of the SHA-256 of the settings as canonical JSON."""
    text = json.dumps(canonical(settings), sort_keys=True, separators=(",", ":"), allow_nan=False)
    return hashlib.sha256(text.encode()).hexdigest()[:12]


def canonical(value: Any) -> Any:
    """Turn a setting into plain JSON values that do not depend on the process or the machine.

    Raises
    ------
    FingerprintError
        For a value whose text could differ from run to run, such as a bare object.
    """
    if value is None or isinstance(value, (bool, int, str)):
        return str(value) if isinstance(value, str) else value
    if isinstance(value, float):
        return value if np.isfinite(value) else str(value)
    if isinstance(value, np.generic):
        return canonical(value.item())
    if isinstance(value, Mapping):
        return {str(key): canonical(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [canonical(item) for item in value]
    if isinstance(value, type):
        return value.__qualname__  # where it lies changes no number, and its code is hashed beside it
    if hasattr(value, "get_params"):
        return {"class": canonical(type(value)), "params": canonical(value.get_params(deep=False))}
    raise FingerprintError(
        f"the setting {value!r} of type {type(value).__name__} has no stable text; "
        f"use plain values or estimators"
    )


def code_digest(*own: tuple[str, str]) -> str:
    """Return the SHA-256 of all project code that a method and the harness's trial can reach.

    Parameters
    ----------
    own
        Module and name of the estimator's class, and of classes among its options; see `code_roots`.

    Raises
    ------
    FingerprintError
        If a class comes from no module with a source file, so that nobody could tell when it changes.
    """
    for module, name in own:
        if module == "__main__" or parse(module) is None:
            raise FingerprintError(
                f"{name} is defined in {module!r}, which has no source; put it into a module"
            )
    roots = [*own, *((module, WHOLE) for module in HARNESS_ROOTS)]
    project = _project_of(roots)
    lines = {
        tree.identity(statement, project)
        for tree, statement in _reached(roots, project)
        if not imports_project(tree, statement, project)
    }
    return hashlib.sha256("\n".join(sorted(lines)).encode()).hexdigest()


def code_roots(estimator: type, options: Mapping[str, Any]) -> tuple[tuple[str, str], ...]:
    """Return the module and the top-level name that define an estimator, and each estimator in its options.

    Those of installed libraries are left out: their versions are in the environment.
    """
    held = {type(value) for value in _estimators(options.values())}
    found = {_code_root(kind) for kind in held if not is_installed(kind.__module__)}
    return (_code_root(estimator), *sorted(found - {_code_root(estimator)}))


def _code_root(kind: type) -> tuple[str, str]:
    return kind.__module__, kind.__qualname__.partition(".")[0]


def _estimators(values: Iterable[Any]) -> Iterator[Any]:
    for value in values:
        if hasattr(value, "get_params") and not isinstance(value, type):
            yield value
            yield from _estimators(value.get_params(deep=False).values())


def is_installed(module: str) -> bool:
    """Return whether a module is a library's, not a file of the project or of a user."""
    spec = importlib.util.find_spec(module) if module != "__main__" else None
    libraries = tuple(sysconfig.get_paths()[kind] for kind in ("purelib", "platlib", "stdlib"))
    return spec is not None and (spec.origin is None or spec.origin.startswith(libraries))


def reachable_definitions(roots: Sequence[tuple[str, str]]) -> set[tuple[str, str]]:
    """Follow imports and names from `roots`, pairs of (module, name or `*`), through the project's own code.

    A module that is imported at all contributes what it does on import, beside definitions.

    Returns
    -------
    set of (module, source)
        Each reached top-level statement, without comments, docstrings and blank lines.
    """
    project = _project_of(roots)
    return {(tree.name, tree.source(statement, project)) for tree, statement in _reached(roots, project)}


def _project_of(roots: Sequence[tuple[str, str]]) -> frozenset[str]:
    return frozenset({*PROJECT_PACKAGES, *(module.partition(".")[0] for module, _ in roots)})


def _reached(
    roots: Sequence[tuple[str, str]], project: frozenset[str]
) -> Iterator[tuple[SourceModule, Node]]:
    """Yield each reached statement with its module; one may come more than once."""
    pending, seen = list(roots), set(roots)
    while pending:
        module, name = pending.pop()
        tree = parse(module)
        if tree is None:
            continue
        statements = tree.statements(name)
        yield from ((tree, statement) for statement in statements)
        targets = {target for statement in statements for _, target in tree.references(statement, project)}
        if statements:
            targets |= tree.imported(project)
        pending += targets - seen
        seen |= targets
