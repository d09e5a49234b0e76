#!/usr/bin/env bash
# torch 2.13.0 (CPU, MKL 2024.0.2): on an AMD processor with AVX-512, `torch.backends.cpu.get_cpu_capability()` says AVX512,
# but MKL, which multiplies torch's matrices, calls it a generic processor and reaches less than half the rate of numpy's
# OpenBLAS in the same process on one thread. So training is bound by a rate that no other number of torch shows, and its
# bits differ from those of an Intel processor with the same instructions.
# Seen (EPYC of the fifth generation, numpy 2.4.6): capability AVX512; MKL: Intel(R) Architecture processors;
# float32, 512 x 512: torch 115 GFLOP/s, numpy 253.
# Needs such a processor, and says so elsewhere. Fails if that changes.
set -euo pipefail
if ! grep -q AuthenticAMD /proc/cpuinfo || ! grep -qw avx512f /proc/cpuinfo; then
    echo "not an AMD processor with AVX-512: nothing to see here"
    exit 0
fi
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet torch==2.13.0 numpy==2.4.6
cat > "$folder/rate.py" <<'PYTHON'
import time

import numpy as np
import torch

N = 512


def rate(multiply):
    multiply()
    fastest = float("inf")
    for _ in range(100):
        started = time.perf_counter()
        multiply()
        fastest = min(fastest, time.perf_counter() - started)
    return 2 * N**3 / fastest / 1e9


torch.set_num_threads(1)
left, right = torch.rand(N, N), torch.rand(N, N)
torch_rate = rate(lambda: left @ right)
numpy_rate = rate(lambda: np.matmul(left.numpy(), right.numpy()))
print(f"torch {torch.__version__}, numpy {np.__version__}")
print(f"capability {torch.backends.cpu.get_cpu_capability()}")
print(f"float32, {N} x {N}: torch {torch_rate:.0f} GFLOP/s, numpy {numpy_rate:.0f}")
print(f"numpy at least 1.6 times as fast: {numpy_rate > 1.6 * torch_rate}")
PYTHON
env -u OPENBLAS_CORETYPE -u OPENBLAS_L2_SIZE OPENBLAS_NUM_THREADS=1 "$folder/venv/bin/python" "$folder/rate.py" | tee "$folder/seen"
MKL_VERBOSE=1 "$folder/venv/bin/python" -c "import torch; torch.ones(8, 8) @ torch.ones(8, 8)" |
    sed -n 's/^MKL_VERBOSE oneMKL.* for Intel(R) 64 architecture \(.*\), Lnx.*/MKL: \1/p' | tee -a "$folder/seen"
grep -q "^capability AVX512" "$folder/seen"
grep -q "^numpy at least 1.6 times as fast: True" "$folder/seen"
grep -qx "MKL: Intel(R) Architecture processors" "$folder/seen"
