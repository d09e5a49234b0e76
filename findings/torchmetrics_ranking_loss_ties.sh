#!/bin/sh
# torchmetrics 1.9.0 (torch 2.13.0, CPU): multilabel_ranking_loss breaks ties by the position of the labels.
# The same test set with its labels in another order has another loss: a constant score is perfect or all wrong.
# scikit-learn 1.9.1 counts a tie as an error in either order.
# Output seen:
#   one relevant label, last of three that tie: torchmetrics 0.0, scikit-learn 1.0
#   the same label, first of the three:         torchmetrics 1.0, scikit-learn 1.0
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet torchmetrics==1.9.0 torch==2.13.0 numpy==2.4.6 scikit-learn==1.9.1
"$folder/venv/bin/python" - > "$folder/seen" <<'PYTHON'
import torch
from sklearn.metrics import label_ranking_loss
from torchmetrics.functional.classification import multilabel_ranking_loss

for text, relevant in (
    ("one relevant label, last of three that tie:", [[0, 0, 1]]),
    ("the same label, first of the three:        ", [[1, 0, 0]]),
):
    scores = torch.full((1, 3), 0.5)
    ours = multilabel_ranking_loss(scores, torch.tensor(relevant), num_labels=3).item()
    print(f"{text} torchmetrics {ours}, scikit-learn {label_ranking_loss(relevant, scores.numpy())}")
PYTHON
cat "$folder/seen"
diff "$folder/seen" - <<'EXPECTED'
one relevant label, last of three that tie: torchmetrics 0.0, scikit-learn 1.0
the same label, first of the three:         torchmetrics 1.0, scikit-learn 1.0
EXPECTED
