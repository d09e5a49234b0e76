#!/usr/bin/env bash
# scikit-posthocs 0.17.1 (matplotlib 3.10.7): the same ranks and p-values give another critical-difference diagram in another
# process, to whoever compares files: each bar is a line through its methods in the order of a Python set, which goes to
# and fro, and the order of strings in a set changes with PYTHONHASHSEED. It looks the same, but a committed SVG differs
# each time it is made. Sorting the x of each line in the returned "crossbars" mends it.
# Seen (five methods, of which the first four are joined): with hash seeds 0 to 9 several different files where one was
# expected, the bar's points at ranks such as [2.0, 1.0, 3.0, 4.0]; one file once they are sorted.
# Fails if that changes.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet scikit-posthocs==0.17.1 matplotlib==3.10.7
cat > "$folder/draw.py" <<'PYTHON'
import hashlib
import io
import sys

import matplotlib
import numpy as np
import pandas as pd
import scikit_posthocs
from matplotlib.figure import Figure

matplotlib.rcParams["svg.hashsalt"] = "the same ids each time"
methods = ["ridge", "forest", "boosting", "neighbours", "bayes"]
ranks = pd.Series([1.0, 2.0, 3.0, 4.0, 5.0], methods)
p_values = pd.DataFrame(np.ones((5, 5)), methods, methods)
p_values.loc["bayes", methods[:4]] = p_values.loc[methods[:4], "bayes"] = 0.001
figure = Figure()
drawn = scikit_posthocs.critical_difference_diagram(ranks, p_values, ax=figure.subplots())
((bar,),) = drawn["crossbars"]
through = [float(x) for x in bar.get_xdata()]
if sys.argv[1] == "sorted":
    bar.set_xdata(sorted(through))
file = io.BytesIO()
figure.savefig(file, format="svg", metadata={"Date": None})
print(through, hashlib.sha256(file.getvalue()).hexdigest()[:12])
PYTHON
for how in "as drawn" sorted; do
    for seed in 0 1 2 3 4 5 6 7 8 9; do
        PYTHONHASHSEED=$seed "$folder/venv/bin/python" "$folder/draw.py" "$how"
    done > "$folder/$how.txt"
    cat "$folder/$how.txt"
    n=$(sed 's/.* //' "$folder/$how.txt" | sort -u | wc -l)
    echo "$how: $n different files of 10"
    [ "$how" = sorted ] && { [ "$n" = 1 ] || exit 1; } || [ "$n" -gt 1 ]
done
