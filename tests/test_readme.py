"""What the README, the CI script and the constraints say is true of the code."""

from __future__ import annotations

import os
import re
import shlex
import tomllib
from importlib import metadata
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.version import Version

from benchmark.cli import build_parser
from benchmark.registry import discover, parse_seeds
from benchmark.run.bench import Bench
from benchmark.run.config import load_profile, profile_names
from datasets.recipes.ml2000 import _parser as recipe_parser

ROOT = Path(__file__).resolve().parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")
CONTRIBUTING = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"```bash\n(.*?)```", README, flags=re.DOTALL)
LINES = [line for block in BLOCKS for line in block.splitlines() if line.strip()]
COMMANDS = [command.strip() for line in LINES for command in line.split("&&")]
SET_UPS = [line for line in LINES if line.startswith("python3 -m venv")]
RUNS = [shlex.split(c, comments=True)[2:] for c in COMMANDS if c.startswith("python run_all.py")]
RUNS += [shlex.split(command)[2:] for command in re.findall(r"`(python run_all\.py [^`]+)`", CONTRIBUTING)]
NUMBER_WORDS = {"2": "two seeds", "10": "ten seeds"}
PYPROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))


def table_rows(header: str) -> list[list[str]]:
    """Cells of the README's table whose header line begins so."""
    body = README.split(f"| {header} |", 1)[1].split("\n\n", 1)[0].splitlines()[2:]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in body]


def ids(cell: str) -> list[str]:
    return re.findall(r"`([^`]+)`", cell)


def constraints() -> dict[str, str]:
    lines = (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()
    pairs = (line.split("==") for line in lines if line and not line.startswith("#"))
    return {name.lower().replace("_", "-"): version for name, version in pairs}


def _named(arguments: list[str]) -> list[str]:
    """Arguments with their command: `run` is the default one."""
    return arguments if arguments and not arguments[0].startswith("-") else ["run", *arguments]


class TestCommands:
    def test_there_are_two_lines_to_run_and_a_line_to_test(self) -> None:
        set_up, test = SET_UPS
        assert set_up.endswith("pip install -e . -c constraints.txt")
        assert LINES[: LINES.index(test)] == [set_up, "python run_all.py --profile quick"]
        assert "pip install -e '.[test]' -c constraints.txt" in test
        assert test.endswith("&& pytest")

    @pytest.mark.parametrize("arguments", [run for run in RUNS if run != ["--help"]], ids=" ".join)
    def test_run_all_understands(self, arguments: list[str]) -> None:
        parsed = build_parser().parse_args(_named(arguments))
        chosen = Bench.of(
            discover(),
            profile=getattr(parsed, "profile", "paper"),
            methods=getattr(parsed, "methods", None),
            datasets=getattr(parsed, "datasets", None),
            seeds=getattr(parsed, "seeds", None),
            data_dir=Path(),
            results_dir=Path(),
        )
        assert chosen.methods.ids
        assert chosen.datasets.ids

    def test_the_recipe_understands(self) -> None:
        (command,) = [c for c in COMMANDS if c.startswith("python -m datasets.recipes.ml2000")]
        options = recipe_parser().parse_args(shlex.split(command)[3:])
        assert options.fit_on == "train:0"

    def test_features_of_one_seed_are_run_with_that_seed_alone(self) -> None:
        found = re.findall(
            r"`--fit-on train:(\d+)` are for seed \1 alone, which `--seeds (\S+)` chooses", README
        )
        assert [(int(seed),) for seed, _ in found] == [parse_seeds(text) for _, text in found] == [(0,)]

    def test_help_is_answered(self) -> None:
        assert ["--help"] in RUNS
        with pytest.raises(SystemExit) as stop:
            build_parser().parse_args(["--help"])
        assert stop.value.code == 0

    def test_the_nightly_job_sets_up_and_runs_as_the_readme_says(self) -> None:
        text = (ROOT / ".github" / "workflows" / "nightly.yml").read_text(encoding="utf-8")
        for pattern, set_up in zip(re.findall(r"grep -m 1 '([^']+)' README\.md", text), SET_UPS, strict=True):
            assert [line for line in README.splitlines() if re.search(pattern, line)] == [set_up]
        commands = re.findall(r"run: \.venv/bin/python (run_all\.py .+)", text)
        assert f"python {commands[0]}" in LINES
        parsed = [build_parser().parse_args(_named(shlex.split(command)[1:])) for command in commands]
        assert [(one.command, one.profile) for one in parsed] == [("run", "quick"), ("drift", "quick")]
        (tests,) = re.findall(r"run: \.venv/bin/pytest -m full (.+)", text)
        for path in tests.split():
            assert "pytest.mark.full" in (ROOT / path).read_text(encoding="utf-8")

    def test_ci_runs_the_line_to_test(self) -> None:
        script = ROOT / ".ci" / "run"
        assert os.access(script, os.X_OK)
        text = script.read_text(encoding="utf-8")
        pattern = re.search(r'grep -m 1 "([^"]+)" README\.md', text)
        assert pattern is not None
        found = [line for line in README.splitlines() if re.search(pattern[1], line)]
        assert found == [SET_UPS[1]]
        # The last thing it does, so that its output ends with the summary of the tests.
        assert text.rstrip().endswith('eval "$test_command"')


class TestCode:
    def test_the_code_runs_as_it_stands(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        (code,) = re.findall(r"```python\n(.*?)```", README, flags=re.DOTALL)
        monkeypatch.chdir(tmp_path)
        names: dict[str, object] = {}
        exec(code, names)
        assert names["predictions"].shape == names["scores"].shape == (50, 3)  # type: ignore[attr-defined]
        assert (tmp_path / "m3la.safetensors").is_file()


class TestStatements:
    def test_the_rows_are_registered_methods_and_all_of_the_papers_are_among_them(self) -> None:
        named = [name for row in table_rows("row | what it is") for name in ids(row[0])]
        methods = discover().methods
        assert len(set(named)) == len(named)
        assert set(named) <= set(methods)
        assert {spec.id for spec in methods.values() if spec.in_paper} <= set(named)

    def test_rows_that_are_not_in_the_paper_say_so(self) -> None:
        for first, text in table_rows("row | what it is"):
            for name in ids(first):
                assert discover().methods[name].in_paper != text.startswith("not in the paper"), name

    def test_the_files_of_your_own_features_are_those_that_are_read(self) -> None:
        rows = {
            ids(folder)[0]: (ids(files)[0].split(), shapes) for folder, files, shapes in table_rows("folder")
        }
        specs = discover().datasets
        assert sorted(rows) == sorted(specs)
        for name, (files, shapes) in rows.items():
            expected = specs[name].expected
            assert tuple(files) == specs[name].modality_names
            dims = ", ".join(map(str, expected.dims))
            assert shapes == f"{expected.n} × {dims}; labels {expected.n} × {expected.q}"

    def test_the_profiles_are_described_as_they_are(self) -> None:
        described = {ids(row[0])[0]: row[1] for row in table_rows("profile | what it is")}
        assert sorted(described) == sorted(profile_names())
        for name in ("tiny", "quick"):
            profile = load_profile(name)
            assert NUMBER_WORDS[profile.seeds] in described[name].lower()
            for limits in (profile.limits, profile.limits_for("msra")):
                assert f"{limits.epochs} epochs, {limits.max_train_rows} training rows" in described[name]
            full = profile.limits_for("ml2000")
            assert (f"ML2000 in full rows and {full.epochs} epochs" in described[name]) == (name == "quick")

    def test_linked_files_exist(self) -> None:
        targets = re.findall(r"\]\(([^)#]+)\)", README)
        assert targets
        for target in targets:
            assert target.startswith("https://") or (ROOT / target).is_file(), target


class TestConstraints:
    def test_each_dependency_has_an_exact_version_within_its_bounds(self) -> None:
        extras = PYPROJECT["project"]["optional-dependencies"]
        listed = [
            *PYPROJECT["project"]["dependencies"],
            *(item for extra in extras.values() for item in extra),
        ]
        exact = constraints()
        for text in listed:
            requirement = Requirement(text)
            if requirement.name == PYPROJECT["project"]["name"]:
                continue
            version = exact[requirement.name.lower().replace("_", "-")]
            assert requirement.specifier.contains(version), f"{text} against {version}"

    def test_no_version_is_bound_to_one_build(self) -> None:
        # `torch==2.13.0+cpu` could be installed from one place only.
        assert not [f"{name}=={version}" for name, version in constraints().items() if Version(version).local]

    def test_the_small_build_of_torch_is_the_version_that_is_installed_next(self) -> None:
        (given,) = re.findall(
            r"pip install torch==(\S+) --extra-index-url https://download\.pytorch\.org/whl/cpu ", README
        )
        assert given == constraints()["torch"]  # or pip would replace it by a large one

    def test_the_citation_has_the_version_of_the_package(self) -> None:
        version = PYPROJECT["project"]["version"]
        assert f"\nversion: {version}\n" in (ROOT / "CITATION.cff").read_text(encoding="utf-8")
        assert metadata.version(PYPROJECT["project"]["name"]) == version
