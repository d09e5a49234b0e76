"""Files: golden Markdown, LaTeX and CSV; LaTeX that pdflatex compiles; text that cannot break it.

After an intended change of a table, run this module with UPDATE_GOLDEN=1 and read the difference.
"""

import io
import os
import shutil
import subprocess
from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest
from example_results import example_results

from benchmark.tables import latex, markdown
from benchmark.tables.aggregate import AGGREGATE_COLUMNS, PER_SEED_COLUMNS, aggregate
from benchmark.tables.layout import Block, Cell, Row, Table
from benchmark.tables.write import TABLES, main_tables, render_all, write_all

GOLDEN = Path(__file__).parent / "golden"
TEXTS = [f"{name}.{suffix}" for name in TABLES for suffix in ("md", "tex")]


@pytest.fixture(scope="module")
def results():
    return example_results()


@pytest.fixture(scope="module")
def files(results):
    return render_all(results)


@pytest.mark.parametrize("name", TEXTS)
def test_table_is_the_golden_one(name, files):
    path = GOLDEN / name
    if os.environ.get("UPDATE_GOLDEN"):
        path.write_text(files[name], encoding="utf-8", newline="\n")
    assert files[name] == path.read_text(encoding="utf-8")


def test_every_table_is_written_in_both_formats_and_the_numbers_beside_it(tmp_path, results, files):
    written = write_all(results, tmp_path / "tables")
    assert sorted(written) == sorted([*TEXTS, "metrics.csv", "per_seed.csv"])
    assert written == files
    for name, text in written.items():
        assert (tmp_path / "tables" / name).read_text(encoding="utf-8") == text


def test_every_mean_follows_from_the_per_seed_file(files):
    per_seed = pd.read_csv(io.StringIO(files["per_seed.csv"]))
    metrics = pd.read_csv(io.StringIO(files["metrics.csv"]))
    assert tuple(per_seed.columns) == PER_SEED_COLUMNS
    assert tuple(metrics.columns) == AGGREGATE_COLUMNS
    pd.testing.assert_frame_equal(aggregate(per_seed), metrics)
    assert set(metrics["threshold"]) == {"fixed", "eq13", "eq16a", "eq13@holdout"}


def test_a_run_prints_table_2_and_where_ml2000_has_records_table_3(results, files):
    both = files["table2_as-printed.md"] + "\n" + files["table3_as-printed.md"]
    assert main_tables(results, files) == both
    elsewhere = results.as_printed[results.as_printed["dataset"] != "ml2000"]
    assert main_tables(replace(results, as_printed=elsewhere), files) == files["table2_as-printed.md"]


def test_trailing_zeros_are_kept():
    table = Table("I", "Table I: x", (Block("m", (), ("c",), (Row("r", (Cell("0.790"),)),)),))
    assert "| 0.790 |" in markdown.render(table).replace("  ", " ")
    assert r"r & 0.790 \\" in latex.render(table)


def test_emphasis_in_both_formats():
    row = Row("r", (Cell("1", bold=True), Cell("2", grey=True)))
    table = Table("I", "Table I: x", (Block("m", (), ("c", "d"), (row,)),))
    assert "| **1** | *2* |" in " ".join(markdown.render(table).split())
    assert r"r & \textbf{1} & \textcolor{gray}{2} \\" in latex.render(table)


HOSTILE = r"50 % & more_ #1 {x} ~a^b \textbf{y} $5 <a> – “é ß” Þ 数 M3LA-$W_{co}$ ±†‡§↑↓"


def test_latex_escapes_everything_but_the_name_with_mathematics():
    escaped = latex.escape(HOSTILE)
    assert r"50 \% \& more\_ \#1 \{x\} \textasciitilde{}a\textasciicircum{}b" in escaped
    assert r"\textbackslash{}textbf" in escaped
    assert r"\$5" in escaped
    assert "M3LA-$W_{co}$" in escaped
    assert "é ß" in escaped
    assert "?" not in escaped
    assert r"$^{\dagger}$$^{\ddagger}$\S{}" in escaped


@pytest.mark.skipif(shutil.which("pdflatex") is None, reason="pdflatex is not installed")
def test_pdflatex_compiles_every_table_without_overfull_lines(tmp_path, files):
    sources = {name: text for name, text in files.items() if name.endswith(".tex")}
    table = Table("I", f"Table I: {HOSTILE}", (Block(HOSTILE, (), ("c",), ()),), (HOSTILE,))
    sources["hostile.tex"] = latex.render(table)
    for name, text in sources.items():
        (tmp_path / name).write_text(text, encoding="utf-8")
        command = ["pdflatex", "-interaction=nonstopmode", "-halt-on-error", name]
        run = subprocess.run(command, cwd=tmp_path, capture_output=True, check=False, timeout=60)
        output = run.stdout.decode("utf-8", "replace")
        assert run.returncode == 0, f"{name}: {output[-2000:]}"
        assert "Overfull" not in output, f"{name} is too wide"
