#!/usr/bin/env bash
# numba 0.68.1 (numpy 2.4.6): the options of `@njit(cache=True)`, here error_model, are no part of the cache's key.
# Where an option comes from another file or a variable, the next process gets the kernel that was compiled with the
# old one, without a warning.
# Seen: error_model python: ZeroDivisionError; numpy, from the cache: ZeroDivisionError; numpy, after a comment was
# added to the kernel's own file: inf.
# Fails if that changes.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet numba==0.68.1
cat > "$folder/kernel.py" <<'PYTHON'
import os

from numba import njit


@njit(error_model=os.environ["ERROR_MODEL"], cache=True)
def ratio(hits, total):
    return hits / total
PYTHON
cat > "$folder/use.py" <<'PYTHON'
import kernel

try:
    found = kernel.ratio(1.0, 0.0)
except ZeroDivisionError:
    found = "ZeroDivisionError"
print(found, "from the cache" if kernel.ratio.stats.cache_hits else "compiled")
PYTHON
cd "$folder"
"$folder/venv/bin/python" -c "import numba, numpy; print('numba', numba.__version__, 'numpy', numpy.__version__)"
export NUMBA_CACHE_DIR="$folder/cache"
first=$(ERROR_MODEL=python "$folder/venv/bin/python" use.py)
second=$(ERROR_MODEL=numpy "$folder/venv/bin/python" use.py)
echo "# another comment" >> kernel.py
third=$(ERROR_MODEL=numpy "$folder/venv/bin/python" use.py)
printf 'error_model python: %s\nerror_model numpy: %s\nerror_model numpy, other file: %s\n' "$first" "$second" "$third"
[ "$first" = "ZeroDivisionError compiled" ]
[ "$second" = "ZeroDivisionError from the cache" ]
[ "$third" = "inf compiled" ]
echo "as described"
