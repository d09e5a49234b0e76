#!/bin/sh
# scipy 1.17.1: friedmanchisquare and wilcoxon rank numbers that differ by rounding alone.
# 0.8, 0.1 + 0.7 and 1.1 - 0.3 are one mean computed in three ways; on six data sets that makes three methods
# "significantly different", and 0.8 - 0.7 and 0.3 - 0.2 are no ties among differences. Where the numbers are
# equal to the last bit, friedmanchisquare gives nan.
# Output seen:
#   Friedman, 0.8 against 0.1 + 0.7 against 1.1 - 0.3 on six data sets: p = 0.0025
#   Friedman, the same, rounded to 12 digits: p = nan
#   Wilcoxon, seven differences 0.8 - 0.7 and one of 0.2 - 0.3: p = 0.0156
#   Wilcoxon, the same, rounded to 12 digits: p = 0.0703
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet scipy==1.17.1 numpy==2.4.6
"$folder/venv/bin/python" -W ignore - > "$folder/seen" <<'PYTHON'
import numpy as np
from scipy.stats import friedmanchisquare, wilcoxon

means = np.array([[0.8, 0.1 + 0.7, 1.1 - 0.3]] * 6).T
differences = np.array([0.8 - 0.7] * 7 + [0.2 - 0.3])
for text, test in (
    (
        "Friedman, 0.8 against 0.1 + 0.7 against 1.1 - 0.3 on six data sets:",
        friedmanchisquare(*means),
    ),
    ("Friedman, the same, rounded to 12 digits:", friedmanchisquare(*means.round(12))),
    ("Wilcoxon, seven differences 0.8 - 0.7 and one of 0.2 - 0.3:", wilcoxon(differences)),
    ("Wilcoxon, the same, rounded to 12 digits:", wilcoxon(differences.round(12))),
):
    print(f"{text} p = {test.pvalue:.4f}")
PYTHON
cat "$folder/seen"
diff "$folder/seen" - <<'EXPECTED'
Friedman, 0.8 against 0.1 + 0.7 against 1.1 - 0.3 on six data sets: p = 0.0025
Friedman, the same, rounded to 12 digits: p = nan
Wilcoxon, seven differences 0.8 - 0.7 and one of 0.2 - 0.3: p = 0.0156
Wilcoxon, the same, rounded to 12 digits: p = 0.0703
EXPECTED
