"""Working memory of the decoder, and views of it as kernels and products take them; it computes nothing."""

from __future__ import annotations

from torch import Tensor

from m3la.fast.choice import ChoiceMemory
from m3la.fast.encoder import WIDTH
from m3la.fast.products import Matrices


class DecoderBuffers:
    """Working memory of n decoders: what a forward pass leaves for its backward pass, and views of it."""

    def __init__(self, like: Tensor, n: int, m: int, B: int, h: int) -> None:
        new = like.new_empty
        self.blocks, self.s = new(n, m, B, WIDTH * h), new(n, m + 1, B, h)
        self.F = new(n, B, m, 3 * h)  # in the end, dL/dF
        self.keys, self.grad_keys = new(n, B, m, h), new(n, B, m, h)
        self.queries, self.grad_queries = new(n, m, B, h), new(n, m, B, h)
        self.alphas, self.grad_alpha = new(n, B, m, m), new(n, B, m)
        self.grad_products, self.carry = new(n, m, B, 3 * h), new(n, B, h)
        self.grad_bias, self.grad_v = new(n, 4 * h), new(n, h)
        self.ones = like.new_ones(n, B)
        self._view_as_arrays(n, m, B)
        self._view_as_matrices(m, h)

    def _view_as_arrays(self, n: int, m: int, B: int) -> None:
        self.of_step = [x.numpy() for x in (self.blocks, self.s, self.F)]
        self.alpha_array = self.alphas.numpy()
        self.gathering = [x.numpy() for x in (self.alphas, self.blocks, self.F)]
        self.of_step_backward = [x.numpy() for x in (self.carry, self.blocks, self.s, self.F)]
        self.choices = ChoiceMemory(self.s, n * B, m)
        self.u, pi, index = (
            x.view(m, n, B, -1) for x in (self.choices.u, self.choices.pi, self.choices.index)
        )
        self.grad_u = self.choices.grad_u.view(m, n, B, m)
        self.read = [(index[t, :, :, 0].numpy(), self.ones.numpy()) for t in range(m)]
        self.pi_of = [x.numpy() for x in pi]
        credit = self.choices.credit.view(n, B, m)
        self.gradients = [x.numpy() for x in (self.grad_alpha, credit, self.grad_products, self.grad_bias)]

    def _view_as_matrices(self, m: int, h: int) -> None:
        self.s_of = [Matrices(s) for s in self.s.unbind(1)]
        self.query_of = [Matrices(query) for query in self.queries.unbind(1)]
        self.grad_query_of = [Matrices(query) for query in self.grad_queries.unbind(1)]
        self.g_of = [Matrices(self.blocks[:, t, :, : 3 * h]) for t in range(m)]
        self.carry_matrices = Matrices(self.carry)
        self.before = Matrices(self.s[:, :-1].flatten(1, 2))  # s_0..s_{m-1} (n, m B, h)
        self.recurrent = Matrices(self.blocks[..., : 3 * h].flatten(1, 2))
        self.asked = Matrices(self.grad_queries.flatten(1, 2))
        self.key_matrices = Matrices(self.keys.flatten(1, 2))
        self.grad_key_matrices = Matrices(self.grad_keys.flatten(1, 2))
        self.F_matrices = Matrices(self.F.flatten(1, 2))
