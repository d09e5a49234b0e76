"""The hash that says whether a record is still current: settings, data and the code a number runs through.

The code enters as syntax trees without comments, docstrings and annotations of functions, and definition by
definition: a module's functions, classes and constants count only if the method can reach them, so that
editing one method leaves the records of another alone. It never executes what it reads.
"""

from __future__ import annotations

import ast
import hashlib
import importlib.util
import json
from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

PROJECT_PACKAGES = ("benchmark", "baselines", "m3la", "datasets")
HARNESS_ROOTS = ("benchmark.execute.trial", "benchmark.execute.seeding", "benchmark.evaluate.split")
"""Harness modules between data and scores; thresholds and metrics are redone from stored scores."""

WHOLE, ON_IMPORT = "*", ""
_Node = ast.stmt


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
        return f"{value.__module__}.{value.__qualname__}"
    if hasattr(value, "get_params"):
        return {"class": canonical(type(value)), "params": canonical(value.get_params(deep=False))}
    raise FingerprintError(
        f"the setting {value!r} of type {type(value).__name__} has no stable text; "
        f"use plain values or estimators"
    )


def code_digest(root: tuple[str, str]) -> str:
    """Return the SHA-256 of all project code that a method and the harness's trial can reach.

    Parameters
    ----------
    root
        Module and name of the estimator's class; see `code_root`.

    Raises
    ------
    FingerprintError
        If the class comes from no module with a source file, so that nobody could tell when it changes.
    """
    if root[0] == "__main__" or _parse(root[0]) is None:
        raise FingerprintError(
            f"{root[1]} is defined in {root[0]!r}, which has no source; put it into a module"
        )
    reached = reachable_definitions([root, *((module, WHOLE) for module in HARNESS_ROOTS)])
    lines = sorted(f"{module}:{source}" for module, source in reached)
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()


def code_root(estimator: type) -> tuple[str, str]:
    """Return the module and the top-level name that define an estimator."""
    return estimator.__module__, estimator.__qualname__.partition(".")[0]


def reachable_definitions(roots: Sequence[tuple[str, str]]) -> set[tuple[str, str]]:
    """Follow imports and names from `roots`, pairs of (module, name or `*`), through the project's own code.

    A module that is imported at all contributes what it does on import, beside definitions.

    Returns
    -------
    set of (module, source)
        Each reached top-level statement, without comments, docstrings and blank lines.
    """
    project = frozenset({*PROJECT_PACKAGES, *(module.partition(".")[0] for module, _ in roots)})
    pending, seen = list(roots), set(roots)
    found: set[tuple[str, str]] = set()
    while pending:
        module, name = pending.pop()
        tree = _parse(module)
        if tree is None:
            continue
        statements = tree.statements(name)
        found |= {(module, tree.source(statement)) for statement in statements}
        targets = {target for statement in statements for target in tree.references(statement, project)}
        if statements:
            targets |= tree.imported(project)
        pending += targets - seen
        seen |= targets
    return found


class _Module:
    """One parsed module: which statement binds which name.

    A statement's text and what it leads to are found once: planning asks for every method of every data set.
    """

    def __init__(self, name: str, path: Path) -> None:
        self.name = name
        self.package = name if path.name == "__init__.py" else name.rpartition(".")[0]
        self.always: list[_Node] = []
        self.bindings: dict[str, list[_Node]] = {}
        self._sources: dict[_Node, str] = {}
        self._references: dict[tuple[_Node, frozenset[str]], frozenset[tuple[str, str]]] = {}
        self._imported: dict[frozenset[str], frozenset[tuple[str, str]]] = {}
        body = _without_words(ast.parse(path.read_text(encoding="utf-8"), str(path))).body
        for statement in body:
            if _is_type_checking(statement) or _is_future(statement):
                continue
            bound = _bound_names(statement)
            if bound is None:
                self.always.append(statement)
            for name_bound, definition in bound or ():
                self.bindings.setdefault(name_bound, []).append(definition)

    def statements(self, name: str) -> list[_Node]:
        """Statements behind `name`, with those that run whenever the module is imported."""
        if name == WHOLE:
            return [*self.always, *(node for nodes in self.bindings.values() for node in nodes)]
        return [*self.always, *self.bindings.get(name, ())]

    def source(self, statement: _Node) -> str:
        """Return a statement's text without comments."""
        if statement not in self._sources:
            self._sources[statement] = ast.unparse(statement)
        return self._sources[statement]

    def imported(self, project: frozenset[str]) -> frozenset[tuple[str, str]]:
        """Return the project modules that this one imports, for what they do on import."""
        if project not in self._imported:
            self._imported[project] = frozenset(
                (module, ON_IMPORT)
                for nodes in self.bindings.values()
                for node in nodes
                if isinstance(node, (ast.Import, ast.ImportFrom))
                for module, _ in self.references(node, project)
            )
        return self._imported[project]

    def references(self, statement: _Node, project: frozenset[str]) -> frozenset[tuple[str, str]]:
        """Return what `statement` leads to: names of this module, and project modules that it imports."""
        key = (statement, project)
        if key not in self._references:
            self._references[key] = frozenset(self._find_references(statement, project))
        return self._references[key]

    def _find_references(self, statement: _Node, project: frozenset[str]) -> Iterator[tuple[str, str]]:
        for node in ast.walk(statement):
            if isinstance(node, ast.Name) and node.id in self.bindings:
                yield self.name, node.id
            elif isinstance(node, ast.Import):
                yield from (
                    (alias.name, WHOLE) for alias in node.names if alias.name.partition(".")[0] in project
                )
            elif isinstance(node, ast.ImportFrom):
                source = self._absolute(node)
                if source.partition(".")[0] in project:
                    for alias in node.names:
                        inner = f"{source}.{alias.name}"
                        yield (inner, WHOLE) if _parse(inner) else (source, alias.name)

    def _absolute(self, node: ast.ImportFrom) -> str:
        if not node.level:
            return node.module or ""
        base = self.package.split(".")
        base = base[: len(base) - node.level + 1]
        return ".".join([*base, *([node.module] if node.module else [])])


@cache
def _source_file(module: str) -> Path | None:
    """Return a module's source, or None if there is no such module (a name inside one, for example)."""
    try:
        found = importlib.util.find_spec(module)
    except ModuleNotFoundError:
        return None
    if found is None or found.origin is None or not found.origin.endswith(".py"):
        return None
    return Path(found.origin)


def _parse(module: str) -> _Module | None:
    path = _source_file(module)
    # With the time of its last edit, so that a long-lived process notices one.
    return None if path is None else _parse_version(module, path, path.stat().st_mtime_ns)


@cache
def _parse_version(module: str, path: Path, _edited: int) -> _Module:
    return _Module(module, path)


def _bound_names(statement: _Node) -> list[tuple[str, _Node]] | None:
    """Return names and their definitions, or None for a statement that does more than define names."""
    if isinstance(statement, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
        return [(statement.name, statement)]
    if isinstance(statement, ast.Import):
        # One statement per name, so that importing one more thing changes nothing for the others.
        return [
            (alias.asname or alias.name.partition(".")[0], ast.Import([alias])) for alias in statement.names
        ]
    if isinstance(statement, ast.ImportFrom):
        return [
            (alias.asname or alias.name, ast.ImportFrom(statement.module, [alias], statement.level))
            for alias in statement.names
        ]
    if isinstance(statement, (ast.Assign, ast.AnnAssign)):
        targets = statement.targets if isinstance(statement, ast.Assign) else [statement.target]
        if all(isinstance(target, ast.Name) for target in targets):
            return [(target.id, statement) for target in targets if isinstance(target, ast.Name)]
    return None


def _is_future(statement: _Node) -> bool:
    return isinstance(statement, ast.ImportFrom) and statement.module == "__future__"


def _is_type_checking(statement: _Node) -> bool:
    return isinstance(statement, ast.If) and ast.unparse(statement.test).endswith("TYPE_CHECKING")


def _without_words(tree: ast.Module) -> ast.Module:
    """Drop what changes no number: strings that stand alone, annotations of functions, declared `FACTORS`.

    A class's `FACTORS` only describe its parameters, whose values are in the settings. Whatever else an
    estimator took from its `FACTORS` would be in no hash, so it must take nothing that changes a number.
    """
    for node in ast.walk(tree):
        body = getattr(node, "body", None)
        if isinstance(body, list):
            inert = _is_word if not isinstance(node, ast.ClassDef) else _is_word_or_factors
            kept = [statement for statement in body if not inert(statement)]
            node.body = kept if kept or isinstance(node, ast.Module) else [ast.Pass()]  # type: ignore[attr-defined]
        if isinstance(node, ast.arg):
            node.annotation = None
        elif isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
            node.returns = None
    return tree


def _is_word(statement: ast.AST) -> bool:
    return (
        isinstance(statement, ast.Expr)
        and isinstance(statement.value, ast.Constant)
        and isinstance(statement.value.value, str)
    )


def _is_word_or_factors(statement: ast.AST) -> bool:
    if isinstance(statement, (ast.Assign, ast.AnnAssign)):
        targets = statement.targets if isinstance(statement, ast.Assign) else [statement.target]
        return [getattr(target, "id", None) for target in targets] == ["FACTORS"]
    return _is_word(statement)
