#!/bin/sh
# statsmodels 0.15.0 (Python 3.11): multipletests(method="holm") runs a full garbage collection at every call.
# Correcting three p-values then takes as long as looking at every object alive: with two million lists in memory
# many times as long as without them, and a report with many corrections spends seconds there.
# multipletests(method="bonferroni") runs none.
# Output seen:
#   bonferroni: 0 full collections in 5 calls
#   holm: 5 full collections in 5 calls
#   holm with many objects alive takes more than 3 times as long: True
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet statsmodels==0.15.0 numpy==2.4.6
"$folder/venv/bin/python" - > "$folder/seen" <<'PYTHON'
import gc
import time

from statsmodels.stats.multitest import multipletests

full = []
gc.callbacks.append(lambda phase, info: phase == "start" and info["generation"] == 2 and full.append(phase))


def seconds(method):
    started = time.process_time()
    for _ in range(5):
        multipletests([0.01, 0.02, 0.5], method=method)
    return time.process_time() - started


gc.disable()  # no collection but those that are asked for
for method in ("bonferroni", "holm"):
    full.clear()
    seconds(method)
    print(f"{method}: {len(full)} full collections in 5 calls")
few = seconds("holm")
alive = [[(i,)] for i in range(2_000_000)]
many = seconds("holm")
print(f"holm with many objects alive takes more than 3 times as long: {many > 3 * few}")
PYTHON
cat "$folder/seen"
diff "$folder/seen" - <<'EXPECTED'
bonferroni: 0 full collections in 5 calls
holm: 5 full collections in 5 calls
holm with many objects alive takes more than 3 times as long: True
EXPECTED
