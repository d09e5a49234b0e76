"""Dropout masks for the first rows of a batch, from torch's own random numbers; it knows no network.

Heads that look at a part of the rows need no masks for the others, yet which numbers a generator gives next
must not depend on that: what nobody needs is skipped, and the rest is drawn ten times as fast as
`Tensor.bernoulli_` does.

A CPU generator of torch is a Mersenne Twister (MT19937; Matsumoto and Nishimura, ACM TOMACS 8, 1998). A
number of `bernoulli_(p)` takes two of its words, the upper one first, and is 1 where their lowest 53 bits,
as a fraction, are below p.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from benchmark.contracts import Array
from benchmark.learning.compiled import compiled, inlined

N, M = 624, 397
"""Words of a state, and the distance at which they are mixed."""
LEFT, NEXT, WORDS = slice(8, 12), slice(16, 24), slice(24, 24 + 8 * N)
"""Bytes of `Generator.get_state()`: words left plus 1, the next one's index, and the words."""


def masks_of_first(
    n: int, B: int, widths: Sequence[int], keep: float, generator: torch.Generator
) -> Iterator[Tensor]:
    """Yield, for each width, the first n rows of `torch.empty(B, width).bernoulli_(keep, generator)`."""
    state = generator.get_state()
    held = state.numpy()
    words = held[WORDS].view(np.uint64)
    mixed = words.astype(np.uint32)
    position = N + 1 - int(held[LEFT].view(np.int32)[0])
    threshold = np.uint64(math.ceil(keep * 2**53))
    for width in widths:
        mask = torch.empty(n, width)
        position = _draw(mixed, position, threshold, mask.view(-1).numpy(), 2 * (B - n) * width)
        yield mask
    words[:] = mixed
    held[LEFT].view(np.int32)[0], held[NEXT].view(np.uint64)[0] = N + 1 - position, position
    generator.set_state(state)


@compiled
def _draw(state: Array, position: int, threshold: int, out: Array, skipped: int) -> int:
    """Fill `out` with zeros and ones, skip words, and return the next word's position; N: none is left."""
    words = np.empty(2 * len(out), np.uint32)
    position = _advance(state, position, len(words), words)
    for j in range(len(out)):
        upper, lower = words[2 * j] & np.uint64(0x1FFFFF), np.uint64(words[2 * j + 1])
        out[j] = (upper << np.uint64(32)) | lower < threshold
    return _advance(state, position, skipped, words[:0])


@inlined
def _advance(state: Array, position: int, n: int, words: Array) -> int:
    """Pass n words and return the new position; `words`, where it has any length, gets them."""
    done = 0
    while done < n:
        if position == N:
            _mix(state)
            position = 0
        taken = min(N - position, n - done)
        if len(words):
            _temper(state[position : position + taken], words[done : done + taken])
        position += taken
        done += taken
    return position


@inlined
def _mix(state: Array) -> None:
    """Replace the N words of the state by the next N."""
    for j in range(N - M):
        state[j] = state[j + M] ^ _twisted(state[j], state[j + 1])
    for j in range(N - M, N - 1):
        state[j] = state[j + M - N] ^ _twisted(state[j], state[j + 1])
    state[N - 1] = state[M - 1] ^ _twisted(state[N - 1], state[0])


@inlined
def _twisted(one: Any, other: Any) -> Any:
    """Halve the top bit of one word and the rest of the next, and mix in the constant where that is odd."""
    joined = (one & np.uint32(0x80000000)) | (other & np.uint32(0x7FFFFFFF))
    return (joined >> np.uint32(1)) ^ ((other & np.uint32(1)) * np.uint32(0x9908B0DF))


@inlined
def _temper(state: Array, words: Array) -> None:
    for j in range(len(words)):
        y = state[j]
        y ^= y >> np.uint32(11)
        y ^= (y << np.uint32(7)) & np.uint32(0x9D2C5680)
        y ^= (y << np.uint32(15)) & np.uint32(0xEFC60000)
        words[j] = y ^ (y >> np.uint32(18))
