#!/bin/sh
# liac-arff 2.5.0: a value such as 2.7 of an attribute declared `integer` is cut off to 2, without a word.
# scipy 1.17.1 reads numeric, real and integer attributes alike, and gives 2.7.
# Output seen:
#   liac-arff [2, -2, 3], scipy [2.7, -2.7, 3.0]
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet liac-arff==2.5.0 scipy==1.17.1 numpy==2.4.6
"$folder/venv/bin/python" - > "$folder/seen" <<'PYTHON'
import io

import arff
from scipy.io.arff import loadarff

text = "@relation toy\n@attribute x integer\n@data\n2.7\n-2.7\n3\n"
ours = [row[0] for row in arff.loads(text)["data"]]
theirs = loadarff(io.StringIO(text))[0]["x"].tolist()
print(f"liac-arff {ours}, scipy {theirs}")
PYTHON
cat "$folder/seen"
diff "$folder/seen" - <<'EXPECTED'
liac-arff [2, -2, 3], scipy [2.7, -2.7, 3.0]
EXPECTED
