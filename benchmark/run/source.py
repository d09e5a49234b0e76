"""The project's code as text that says neither where it lies nor how modules are called; it hashes no record.

Syntax trees without comments, docstrings and annotations of functions. What a name stands for enters by its
text, not by the module that it comes from, so that a definition can move, or a module be renamed, and the
text stays. Nothing that is read is executed.
"""

from __future__ import annotations

import ast
import copy
import hashlib
import importlib
import importlib.util
import sys
from collections.abc import Iterable, Iterator
from functools import cache
from importlib.machinery import ModuleSpec, PathFinder
from pathlib import Path

WHOLE, ON_IMPORT = "*", ""
Node = ast.stmt
Reference = tuple[str, tuple[str, str]]
"""A name as it is used, and the module and the name there that it stands for."""


def imports_project(tree: SourceModule, statement: Node, project: frozenset[str]) -> bool:
    """Whether a statement only says where in the project a name comes from."""
    return isinstance(statement, (ast.Import, ast.ImportFrom)) and bool(tree.references(statement, project))


def _texts(target: tuple[str, str], project: frozenset[str]) -> list[str]:
    """Return the text of what a module's name stands for, through imports of imports."""
    tree = parse(target[0])
    if tree is None:
        return []
    texts = []
    for statement in tree.statements(WHOLE) if target[1] == WHOLE else tree.bindings.get(target[1], ()):
        if not imports_project(tree, statement, project):
            texts.append(tree.source(statement, project))
        elif target[1] != WHOLE:
            for _, further in tree.references(statement, project):
                texts += _texts(further, project)
    return sorted(texts)


def _is_module(name: str, project: frozenset[str]) -> bool:
    return name.partition(".")[0] in project and parse(name) is not None


class _Placeless(ast.NodeTransformer):
    """Takes from a statement how the project's modules are called and where they lie."""

    def __init__(self, tree: SourceModule, statement: Node, project: frozenset[str]) -> None:
        self.tree, self.project = tree, project
        self.modules = tree.module_names(statement, project)

    def visit_Name(self, node: ast.Name) -> ast.AST:
        return ast.Name("module", node.ctx) if node.id in self.modules else node

    def visit_Attribute(self, node: ast.Attribute) -> ast.AST:
        if _is_module(ast.unparse(node), self.project):
            return ast.Name("module", node.ctx)
        return self.generic_visit(node)

    def visit_Import(self, node: ast.Import) -> ast.AST:
        return ast.Import([self._placeless(alias, alias.name) for alias in node.names])

    def visit_ImportFrom(self, node: ast.ImportFrom) -> ast.AST:
        source = self.tree.absolute(node)
        if source.partition(".")[0] not in self.project:
            return node
        names = [self._placeless(alias, f"{source}.{alias.name}") for alias in node.names]
        return ast.ImportFrom("project", names, 0)

    def _placeless(self, alias: ast.alias, name: str) -> ast.alias:
        return ast.alias("module") if _is_module(name, self.project) else alias


class SourceModule:
    """One parsed module: which statement binds which name.

    A statement's text and what it leads to are found once: planning asks for every method of every data set.
    """

    def __init__(self, name: str, path: Path) -> None:
        self.name = name
        self.package = name if path.name == "__init__.py" else name.rpartition(".")[0]
        self.always: list[Node] = []
        self.bindings: dict[str, list[Node]] = {}
        self._sources: dict[tuple[Node, frozenset[str]], str] = {}
        self._references: dict[tuple[Node, frozenset[str]], frozenset[Reference]] = {}
        self._imported: dict[frozenset[str], frozenset[tuple[str, str]]] = {}
        self._module_names: dict[tuple[Node, frozenset[str]], frozenset[str]] = {}
        body = _without_words(ast.parse(path.read_text(encoding="utf-8"), str(path))).body
        for statement in body:
            if _is_future(statement) or _never_runs_on_import(statement):
                continue
            bound = _bound_names(statement)
            if bound is None:
                self.always.append(statement)
            for name_bound, definition in bound or ():
                self.bindings.setdefault(name_bound, []).append(definition)

    def statements(self, name: str) -> list[Node]:
        """Statements behind `name`, with those that run whenever the module is imported."""
        if name == WHOLE:
            return [*self.always, *(node for nodes in self.bindings.values() for node in nodes)]
        return [*self.always, *self.bindings.get(name, ())]

    def source(self, statement: Node, project: frozenset[str]) -> str:
        """Return a statement's text without comments and without the names of the project's modules."""
        key = (statement, project)
        if key not in self._sources:
            imports = any(isinstance(node, (ast.Import, ast.ImportFrom)) for node in ast.walk(statement))
            if imports or self.module_names(statement, project):
                statement = copy.deepcopy(statement)
                statement = ast.fix_missing_locations(_Placeless(self, statement, project).visit(statement))
            self._sources[key] = ast.unparse(statement)
        return self._sources[key]

    def identity(self, statement: Node, project: frozenset[str]) -> str:
        """Return a statement's text, and for each name in it a digest of the text that it stands for."""
        meanings, modules = [], self.module_names(statement, project)
        for name, target in self.references(statement, project):
            text = "\n".join(_texts(target, project))
            called = "module" if target[1] == WHOLE or name in modules else name
            meanings.append(f"{called} {hashlib.sha256(text.encode()).hexdigest()}")
        return "\n".join([self.source(statement, project), *sorted(meanings)])

    def module_names(self, statement: Node, project: frozenset[str]) -> frozenset[str]:
        """Return the names that stand for modules of the project in this module and in a statement."""
        key = (statement, project)
        if key not in self._module_names:
            nodes = [*(node for nodes in self.bindings.values() for node in nodes), *ast.walk(statement)]
            self._module_names[key] = frozenset(self._find_module_names(nodes, project))
        return self._module_names[key]

    def _find_module_names(self, nodes: Iterable[ast.AST], project: frozenset[str]) -> Iterator[str]:
        for node in nodes:
            if isinstance(node, ast.ImportFrom):
                source = self.absolute(node)
                named = ((f"{source}.{alias.name}", alias.asname or alias.name) for alias in node.names)
            elif isinstance(node, ast.Import):
                named = ((alias.name, alias.asname or alias.name.partition(".")[0]) for alias in node.names)
            else:
                continue
            yield from (used for name, used in named if _is_module(name, project))

    def imported(self, project: frozenset[str]) -> frozenset[tuple[str, str]]:
        """Return the project modules that this one imports, for what they do on import."""
        if project not in self._imported:
            self._imported[project] = frozenset(
                (module, ON_IMPORT)
                for nodes in self.bindings.values()
                for node in nodes
                if isinstance(node, (ast.Import, ast.ImportFrom))
                for _, (module, _) in self.references(node, project)
            )
        return self._imported[project]

    def references(self, statement: Node, project: frozenset[str]) -> frozenset[Reference]:
        """Return what `statement` leads to: names of this module, and what it imports of the project."""
        key = (statement, project)
        if key not in self._references:
            self._references[key] = frozenset(self._find_references(statement, project))
        return self._references[key]

    def _find_references(self, statement: Node, project: frozenset[str]) -> Iterator[Reference]:
        for node in ast.walk(statement):
            if isinstance(node, ast.Name) and node.id in self.bindings:
                yield node.id, (self.name, node.id)
            elif isinstance(node, ast.Import):
                yield from (
                    (alias.name, (alias.name, WHOLE))
                    for alias in node.names
                    if alias.name.partition(".")[0] in project
                )
            elif isinstance(node, ast.ImportFrom):
                source = self.absolute(node)
                if source.partition(".")[0] in project:
                    for alias in node.names:
                        inner = f"{source}.{alias.name}"
                        found = (inner, WHOLE) if parse(inner) else (source, alias.name)
                        yield alias.asname or alias.name, found

    def absolute(self, node: ast.ImportFrom) -> str:
        """Return the whole name of the module that an import names, whatever it is relative to."""
        if not node.level:
            return node.module or ""
        base = self.package.split(".")
        base = base[: len(base) - node.level + 1]
        return ".".join([*base, *([node.module] if node.module else [])])


AFTER_SCORES = frozenset({"benchmark.score.thresholds", "benchmark.learning.saving"})
"""Modules that estimators use and no score runs through: to edit them makes no record stale."""


@cache
def _source_file(module: str) -> Path | None:
    """Return a module's source, or None if there is no such module (a name inside one, for example)."""
    if module in AFTER_SCORES:
        return None
    found = _spec(module)
    if found is None or found.origin is None or not found.origin.endswith(".py"):
        return None
    return Path(found.origin)


def _spec(module: str) -> ModuleSpec | None:
    """As `importlib.util.find_spec`, which would execute the packages around a module."""
    package = module.rpartition(".")[0]
    if not package or module in sys.modules:
        return importlib.util.find_spec(module)
    around = _spec(package)
    if around is None or around.submodule_search_locations is None:
        return None
    return PathFinder.find_spec(module, around.submodule_search_locations)


def forget_places() -> None:
    """Look for modules anew, since what can be imported has changed."""
    importlib.invalidate_caches()
    _source_file.cache_clear()


def parse(module: str) -> SourceModule | None:
    path = _source_file(module)
    # With the time of its last edit, so that a long-lived process notices one.
    return None if path is None else _parse_version(module, path, path.stat().st_mtime_ns)


@cache
def _parse_version(module: str, path: Path, _edited: int) -> SourceModule:
    return SourceModule(module, path)


def _bound_names(statement: Node) -> list[tuple[str, Node]] | None:
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


def _is_future(statement: Node) -> bool:
    return isinstance(statement, ast.ImportFrom) and statement.module == "__future__"


def _never_runs_on_import(statement: Node) -> bool:
    if not isinstance(statement, ast.If):
        return False
    test = ast.unparse(statement.test)
    return test.endswith("TYPE_CHECKING") or test == "__name__ == '__main__'"


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
