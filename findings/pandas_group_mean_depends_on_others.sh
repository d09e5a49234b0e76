#!/bin/sh
# pandas 3.1.1 (numpy 2.4.6, Python 3.11): the groupby mean of one method's seeds differs in its last bit with whether
# another method in the frame has a missing value, such as a failed seed. Sums are then formed in another way for
# all groups. Shares of right answers often average to an exact half of the last printed digit, so that the same ten
# numbers print as 0.276 or 0.275. The correctly rounded sum (math.fsum) over the count does not depend on others.
# Output seen:
#   A alone:                             0.2755                 0.276
#   A beside B, of which one is missing: 0.27549999999999997    0.275
#   A beside B, of which none is:        0.2755                 0.276
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet pandas==3.1.1 numpy==2.4.6
"$folder/venv/bin/python" - > "$folder/seen" <<'PYTHON'
import numpy as np
import pandas as pd

right = np.array([102, 98, 105, 109, 123, 133, 84, 136, 111, 101])  # of 400 test rows, by seed
alone = pd.DataFrame({"method": "A", "accuracy": right / 400})
for name, other in (
    ("A alone:", []),
    ("A beside B, of which one is missing:", [0.5, np.nan]),
    ("A beside B, of which none is:", [0.5, 0.5]),
):
    frame = pd.concat([alone, pd.DataFrame({"method": "B", "accuracy": np.array(other, float)})])
    mean = frame.groupby("method")["accuracy"].mean()["A"]
    print(f"{name:36} {mean!s:22} {mean:.3f}")
PYTHON
cat "$folder/seen"
diff "$folder/seen" - <<'EXPECTED'
A alone:                             0.2755                 0.276
A beside B, of which one is missing: 0.27549999999999997    0.275
A beside B, of which none is:        0.2755                 0.276
EXPECTED
