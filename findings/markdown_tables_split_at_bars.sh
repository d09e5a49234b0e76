#!/usr/bin/env bash
# pandas 3.1.1 with tabulate 0.10.0, parsed by markdown-it-py 4.3.0 (GitHub's table rules).
# `DataFrame.to_markdown()` and `tabulate(tablefmt="pipe" or "github")` do not escape `|`, so that P(y|x), |Y| or
# "BR|GaussianNB" tears cells apart: with a bar in a heading there is no table at all, and with one in a row its
# last cells are dropped without a word; here the number 0.91 disappears.
# Seen: bar in a heading: 0 tables; bar in a row: cells ['BR', 'GaussianNB'], 0.91 lost; escaped by hand: kept.
# Fails if that changes.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet pandas==3.1.1 tabulate==0.10.0 markdown-it-py==4.3.0
"$folder/venv/bin/python" - <<'PYTHON'
from importlib.metadata import version

import pandas as pd
from markdown_it import MarkdownIt
from tabulate import tabulate

print(*(f"{name} {version(name)}" for name in ("pandas", "tabulate", "markdown-it-py")), sep=", ")
parser = MarkdownIt("commonmark").enable("table")


def tables_and_cells(text):
    tokens = parser.parse(text)
    cells = [tokens[k + 1].content for k, token in enumerate(tokens) if token.type == "td_open"]
    return sum(token.type == "table_open" for token in tokens), cells


heading = pd.DataFrame({"method": ["BR"], "log P(y|x)": [-0.3]}).to_markdown(index=False)
print(heading, tables_and_cells(heading), sep="\n")
assert tables_and_cells(heading)[0] == 0

row = pd.DataFrame({"method": ["BR|GaussianNB"], "macro AUC": [0.91]}).to_markdown(index=False)
print(row, tables_and_cells(row), sep="\n")
assert tables_and_cells(row) == (1, ["BR", "GaussianNB"])

github = tabulate([["BR|GaussianNB", 0.91]], headers=["method", "macro AUC"], tablefmt="github")
assert tables_and_cells(github) == (1, ["BR", "GaussianNB"])

escaped = pd.DataFrame({"method": [r"BR\|GaussianNB"], "macro AUC": [0.91]}).to_markdown(index=False)
assert tables_and_cells(escaped) == (1, ["BR|GaussianNB", "0.91"])
print("as described")
PYTHON
