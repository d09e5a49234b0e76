#!/bin/sh
# libmultilabel 0.10.0: the F1 of libmultilabel.linear predicts every label whose score is above 0.
# That suits the decision values of its own linear models. Of probabilities it says nothing: whatever they rank,
# and however sure they are, the F1 is that of predicting every label, and no argument sets a threshold.
# Output seen:
#   probabilities that are right about every label: {'Macro-F1': 0.6667, 'Micro-F1': 0.6667}
#   probabilities that are wrong about every label: {'Macro-F1': 0.6667, 'Micro-F1': 0.6667}
#   the right ones, less 0.5:                       {'Macro-F1': 1.0, 'Micro-F1': 1.0}
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet libmultilabel==0.10.0 numpy==2.4.6 scipy==1.17.1 scikit-learn==1.9.1
"$folder/venv/bin/python" - > "$folder/seen" <<'PYTHON'
import numpy as np
from libmultilabel.linear import compute_metrics

labels = np.array([[1, 0], [0, 1]])
right = np.where(labels == 1, 0.99, 0.01)
for text, scores in (
    ("probabilities that are right about every label:", right),
    ("probabilities that are wrong about every label:", 1 - right),
    ("the right ones, less 0.5:                      ", right - 0.5),
):
    found = compute_metrics(scores, labels, ["Macro-F1", "Micro-F1"])
    print(text, {name: round(float(value), 4) for name, value in found.items()})
PYTHON
cat "$folder/seen"
diff "$folder/seen" - <<'EXPECTED'
probabilities that are right about every label: {'Macro-F1': 0.6667, 'Micro-F1': 0.6667}
probabilities that are wrong about every label: {'Macro-F1': 0.6667, 'Micro-F1': 0.6667}
the right ones, less 0.5:                       {'Macro-F1': 1.0, 'Micro-F1': 1.0}
EXPECTED
