#!/bin/sh
# scikit-learn 1.9.1: load_svmlight_file(multilabel=True) drops a row that has neither labels nor features.
# Such a row is a blank line in the format; all rows after it move up, away from those of other files.
# A row without labels that has a feature stays.
# Output seen:
#   written 4 rows, read 3: labels [(1.0,), (), (2.0,)]
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet scikit-learn==1.9.1 scipy==1.17.1 numpy==2.4.6
"$folder/venv/bin/python" - > "$folder/seen" <<'PYTHON'
import io

from sklearn.datasets import load_svmlight_file

rows = ["1 1:0.5", "", " 2:1", "2 1:3"]
features, labels = load_svmlight_file(io.BytesIO("\n".join(rows).encode() + b"\n"), multilabel=True)
print(f"written {len(rows)} rows, read {features.shape[0]}: labels {labels}")
PYTHON
cat "$folder/seen"
diff "$folder/seen" - <<'EXPECTED'
written 4 rows, read 3: labels [(1.0,), (), (2.0,)]
EXPECTED
