#!/bin/sh
# torchmetrics 1.9.0: MultilabelRankingLoss, accumulated, depends on how the rows were batched.
# A row without labels (or with all of them) counts as a row of loss 0, but a batch of such rows alone counts as
# one row, however many it has. Four rows, of which the first two rank wrongly and the last two have no label:
# Output seen:
#   one batch of 4: 0.5000
#   batches of 2:   0.6667
#   batches of 1:   0.5000
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet torchmetrics==1.9.0 torch==2.13.0 numpy==2.4.6
"$folder/venv/bin/python" - > "$folder/seen" <<'PYTHON'
import torch
from torchmetrics.classification import MultilabelRankingLoss

labels = torch.tensor([[1, 0], [1, 0], [0, 0], [0, 0]])
scores = torch.tensor([[0.1, 0.9]] * 4)
for text, size in (("one batch of 4:", 4), ("batches of 2:  ", 2), ("batches of 1:  ", 1)):
    loss = MultilabelRankingLoss(num_labels=2)
    for rows in range(0, 4, size):
        loss.update(scores[rows : rows + size], labels[rows : rows + size])
    print(f"{text} {loss.compute().item():.4f}")
PYTHON
cat "$folder/seen"
diff "$folder/seen" - <<'EXPECTED'
one batch of 4: 0.5000
batches of 2:   0.6667
batches of 1:   0.5000
EXPECTED
