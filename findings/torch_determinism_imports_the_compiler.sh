#!/usr/bin/env bash
# torch 2.13.0 (CPU): `torch.use_deterministic_algorithms(True)` imports torch's compiler (torch._dynamo, torch._inductor,
# sympy), although nothing is compiled, and so does the first `zero_grad()` of any optimiser. Each process of a farm of
# jobs pays for it. `torch.set_deterministic_debug_mode("error")` throws the same switch and imports nothing.
# Seen: use_deterministic_algorithms: enabled True, compiler imported True, 823 modules, 71 MiB, 1.1 s of the processor;
# set_deterministic_debug_mode: enabled True, compiler imported False, 0 modules, 0 MiB, 0.0 s;
# zero_grad of SGD: enabled False, compiler imported True, 824 modules, 73 MiB, 1.1 s.
# Fails if that changes.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet torch==2.13.0 numpy==2.4.6
cat > "$folder/count.py" <<'PYTHON'
import resource
import sys
import time

import torch


def peak():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def zero_grad():
    torch.optim.SGD([torch.nn.Parameter(torch.ones(2))], lr=0.1).zero_grad()


calls = {
    "use_deterministic_algorithms": lambda: torch.use_deterministic_algorithms(True),
    "set_deterministic_debug_mode": lambda: torch.set_deterministic_debug_mode("error"),
    "zero_grad": zero_grad,
}
modules, memory, started = len(sys.modules), peak(), time.process_time()
calls[sys.argv[1]]()
seconds = time.process_time() - started
print(
    f"{sys.argv[1]}: enabled {torch.are_deterministic_algorithms_enabled()}, "
    f"compiler imported {'torch._dynamo' in sys.modules and 'sympy' in sys.modules}, "
    f"{len(sys.modules) - modules} modules, {peak() - memory:.0f} MiB, {seconds:.1f} s"
)
PYTHON
"$folder/venv/bin/python" -c "import torch; print('torch', torch.__version__)"
for call in use_deterministic_algorithms set_deterministic_debug_mode zero_grad; do
    "$folder/venv/bin/python" "$folder/count.py" "$call" | tee -a "$folder/seen"
done
grep -q "^use_deterministic_algorithms: enabled True, compiler imported True, [5-9][0-9][0-9] modules" "$folder/seen"
grep -q "^set_deterministic_debug_mode: enabled True, compiler imported False, 0 modules" "$folder/seen"
grep -q "^zero_grad: enabled False, compiler imported True, [5-9][0-9][0-9] modules" "$folder/seen"
