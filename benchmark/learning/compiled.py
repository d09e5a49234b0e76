"""How kernels are compiled for a CPU, and the functions that all of them share; it knows no method.

numba compiles a cached kernel again when the kernel's own file or this one changed, and not for a change
elsewhere: what kernels of several files share belongs here.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import llvmlite.binding as llvm
import numba
import numpy as np
from llvmlite import ir
from numba import types
from numba.core.cgutils import get_or_insert_function
from numba.extending import intrinsic, overload, register_jitable
from numba.np.arrayobj import make_array

from benchmark.contracts import Array
from benchmark.learning.kernel_cache import kept_njit

LINE = 16
"""Numbers of single precision in a line of a cache."""


def _use_longest_vectors() -> None:
    """Let LLVM use vectors of 512 bits where there are any, 10 to 20 % faster here; it prefers 256 bits.

    What the user set by numba's own environment variables stays.
    """
    settings: Any = numba.config  # made when numba is imported, so that types are not known
    try:
        features = llvm.get_host_cpu_features()
    except RuntimeError:  # a processor that LLVM does not know: numba has its own answer to that
        return
    if settings.CPU_FEATURES is None and settings.CPU_NAME is None and features.get("avx512f"):
        settings.CPU_NAME = llvm.get_host_cpu_name()
        settings.CPU_FEATURES = f"{features.flatten()},-prefer-256-bit"


_use_longest_vectors()
# Sums may be reordered and products fused; what is not a number stays that, or no divergence would be seen.
_FAST = {"reassoc", "contract", "arcp", "nsz"}
compiled: Callable[[Any], Any] = kept_njit(Path(__file__), fastmath=_FAST, error_model="numpy")
"""Compiles a kernel; of what it takes, numba's own annotations know too little."""
inlined = register_jitable(fastmath=_FAST, error_model="numpy")


def tanh(x: float) -> float:
    """tanh(x), in the type of x; see `_tanh_of`."""
    return math.tanh(x)


def sigmoid(x: float) -> float:
    """1 / (1 + exp(-x)) in the type of x; see `_sigmoid_of`."""
    return 0.5 + 0.5 * math.tanh(0.5 * x)


def _tanh_of(x: Any) -> Callable[[Any], Any]:
    """Choose tanh by type: the C library's for double precision, for single a quotient that vector units do.

    The quotient x p(x^2) / q(x^2) was fitted to tanh on [0, 9] by least squares, reweighted until its largest
    relative error was smallest, 2e-8; single-precision arithmetic adds 3e-7. Beyond 9, tanh is 1 within that.
    """
    if x != types.float32:
        return lambda x: math.tanh(x)
    f = np.float32
    end = f(9.0)
    p0, p1, p2, p3, p4 = (
        f(1.0), f(0.13380959630012512), f(0.0034955129958689213), f(2.060793303826358e-05),
        f(1.3353230521317982e-08),
    )  # fmt: skip
    q0, q1, q2, q3, q4 = (
        f(1.0), f(0.4671427607536316), f(0.025876689702272415), f(0.0003285515704192221),
        f(7.775938684062567e-07),
    )  # fmt: skip

    def quotient(x: Any) -> Any:
        x = end if x > end else x
        x = -end if x < -end else x
        s = x * x
        return (
            x
            * ((((p4 * s + p3) * s + p2) * s + p1) * s + p0)
            / ((((q4 * s + q3) * s + q2) * s + q1) * s + q0)
        )

    return quotient


def _sigmoid_of(x: Any) -> Callable[[Any], Any]:
    """Choose the constant's type; sigmoid(x) = 1/2 + tanh(x/2)/2."""
    half = (np.float32 if x == types.float32 else np.float64)(0.5)
    return lambda x: half + half * tanh(half * x)


overload(tanh, strict=False)(_tanh_of)
overload(sigmoid, strict=False)(_sigmoid_of)


@intrinsic
def _prefetch_entry(_: Any, row: Any, j: Any) -> Any:
    """Compile to the processor's instruction that starts to load entry j of a row."""

    def generate(context: Any, builder: Any, signature: Any, values: Any) -> Any:
        array = make_array(signature.args[0])(context, builder, values[0])
        pointer, number = ir.IntType(8).as_pointer(), ir.IntType(32)
        kind = ir.FunctionType(ir.VoidType(), [pointer, number, number, number])
        instruction = get_or_insert_function(builder.module, kind, "llvm.prefetch.p0i8")
        entry = builder.bitcast(builder.gep(array.data, [values[1]]), pointer)
        builder.call(instruction, [entry, number(0), number(3), number(1)])  # to read, keep, data
        return context.get_dummy_value()

    return types.void(row, j), generate


@inlined
def prefetch(row: Array) -> None:
    """Start to load a row of single precision that lies where the processor does not expect it."""
    for j in range(0, len(row), LINE):
        _prefetch_entry(row, j)  # type: ignore[call-arg]  # numba passes the first argument itself
