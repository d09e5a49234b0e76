#!/bin/sh
# pymatreader 1.3.2: variables of a MATLAB v7.3 file come in another order in each run of Python.
# Keys pass through a set of strings, whose order follows PYTHONHASHSEED: who takes views in the order in which
# read_mat gives them has them in another order in the next run.
# Output seen (ten runs of a file with view1 to view6):
#   same names in all runs: True; orders seen: more than one
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet pymatreader==1.3.2 h5py==3.16.0 scipy==1.17.1 numpy==2.4.6
"$folder/venv/bin/python" - > "$folder/seen" "$folder/views.mat" <<'PYTHON'
import os
import subprocess
import sys

import h5py
import numpy as np

path = sys.argv[1]
with h5py.File(path, "w", userblock_size=512) as file:
    for k in range(1, 7):
        file.create_dataset(f"view{k}", data=np.ones((3, 2))).attrs["MATLAB_class"] = np.bytes_("double")
with open(path, "r+b") as file:
    file.write(b"MATLAB 7.3 MAT-file, Platform: GLNXA64".ljust(124) + b"\0\2IM")
program = "import sys, pymatreader; print(*pymatreader.read_mat(sys.argv[1]))"
orders = {
    subprocess.run(
        [sys.executable, "-c", program, path],
        env={**os.environ, "PYTHONHASHSEED": str(seed)},
        capture_output=True,
        text=True,
        check=True,
    ).stdout.strip()
    for seed in range(10)
}
same = len({tuple(sorted(order.split())) for order in orders}) == 1
print(f"same names in all runs: {same}; orders seen: {'more than one' if len(orders) > 1 else 'one'}")
PYTHON
cat "$folder/seen"
diff "$folder/seen" - <<'EXPECTED'
same names in all runs: True; orders seen: more than one
EXPECTED
