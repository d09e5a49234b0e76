"""Small networks for the tests, with M3LA's own defaults but for the options that a test names."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace

import pytest
import torch
from torch import Tensor

from benchmark.contracts import Streams
from m3la import fast
from m3la.estimator import M3LA
from m3la.loss import LossOptions, m3la_loss
from m3la.model import M3LANet
from m3la.reference import ModelOptions, Steps

DIMS, Q, H, B = (7, 5, 11, 3), 4, 8, 9

OPTIONS: list[dict[str, object]] = [
    {},
    *({"order_gradient": g} for g in ("none", "prob_ratio", "prob_scale", "gumbel", "reinforce")),
    *({"order_gradient": g, "allow_repeats": True} for g in ("straight_through", "prob_ratio", "prob_scale")),
    *(
        {"first_input": "first", "order_gradient": g, "allow_repeats": True}
        for g in ("straight_through", "prob_scale")
    ),
    *(
        {"first_input": f, "order_gradient": g}
        for f in ("first", "zeros")
        for g in ("straight_through", "prob_ratio")
    ),
    {"first_input": "zeros", "order_gradient": "prob_scale"},
    {"first_input": "zeros", "order_gradient": "reinforce"},
    {"order": "fixed"},
    {"order": "random"},
    *({"attention": a} for a in ("general", "dot", "mean")),
    *({"s0_source": s, "s0_activation": "tanh"} for s in ("h_m", "final_states", "mean")),
    {"encoder_order": (2, 0, 3, 1)},
    *({"feedback": f} for f in ("detach", "logits", "hard")),
    *({"feedback": f, "label_activation": "sigmoid"} for f in ("probabilities", "logits", "hard")),
    {"label_correlation": False},
    {"w_co_diagonal": "zero"},
    {"label_head": "per_step"},
    {"dropout": 0.3},
]


def named(options: dict[str, object]) -> str:
    return ",".join(f"{k}={v}" for k, v in options.items()) or "literal"


def model_options(**options: object) -> ModelOptions:
    defaults = M3LA().model_options(len(DIMS), Streams("toy", 0))
    return replace(defaults, **options)  # type: ignore[arg-type]


def loss_options(**options: object) -> LossOptions:
    return replace(M3LA().loss_options(), **options)  # type: ignore[arg-type]


def wide_network(
    dims: Sequence[int] = DIMS,
    h: int = H,
    generator: torch.Generator | Sequence[torch.Generator] | None = None,
    **options: object,
) -> M3LANet:
    """A network in double precision whose weights are so large that orders differ and W_co matters."""
    chosen = model_options(**{"w_co_init": "small_normal", **options})
    net = M3LANet(dims, Q, h, chosen, generator or seeded(1)).double()
    with torch.no_grad():
        net.W_modal.mul_(8)
        for parameter in net.parameters():
            parameter.mul_(1.5)
        if chosen.label_correlation:
            net.W_co.mul_(50)
    return net


def batch(dims: Sequence[int] = DIMS, *networks: int) -> tuple[list[Tensor], Tensor, Tensor]:
    """Modalities, labels and noise of B rows, in double precision."""
    drawn, m = seeded(3), len(dims)
    x = [torch.randn(*networks, B, d, generator=drawn, dtype=torch.float64) for d in dims]
    y = (torch.rand(*networks, B, Q, generator=drawn) < 0.4).double()
    return x, y, torch.rand(*networks, B, m, m, generator=drawn, dtype=torch.float64)


def seeded(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def one_pass(
    net: M3LANet,
    x: Sequence[Tensor],
    y: Tensor,
    noise: Tensor,
    masks: torch.Generator | list[torch.Generator],
) -> tuple[Steps, dict[str, Tensor | None]]:
    """What a forward pass returns, and the gradient of every parameter; noise and masks as options ask."""
    options = net.options
    reinforce = options.order_gradient == "reinforce"
    stochastic = options.order == "random" or reinforce or options.order_gradient == "gumbel"
    net.zero_grad()
    steps = net(x, noise if stochastic else None, masks)
    m3la_loss(steps, y, 1.6, loss_options(reinforce=reinforce)).sum().backward()
    return steps, {name: p.grad for name, p in net.named_parameters()}


@contextmanager
def reference_form() -> Iterator[None]:
    """The form that runs on other devices, on the CPU."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(fast, "runs_on", lambda _: False)
        yield


def assert_same_pass(
    ours: tuple[Steps, dict[str, Tensor | None]], theirs: tuple[Steps, dict[str, Tensor | None]]
) -> None:
    """Scores, attention and every gradient as in double precision; what is chosen exactly."""
    assert torch.equal(ours[0].orders, theirs[0].orders)
    for name in ("log_scores", "log_complements", "attention", "order_log_probability"):
        torch.testing.assert_close(
            getattr(ours[0], name), getattr(theirs[0], name), atol=1e-11, rtol=1e-11, msg=labelled(name)
        )
    torch.testing.assert_close(ours[0].scores(), theirs[0].scores(), atol=1e-12, rtol=0)
    for name, expected in theirs[1].items():
        found = ours[1][name]
        assert (found is None) == (expected is None), name
        if found is not None:
            torch.testing.assert_close(found, expected, atol=1e-11, rtol=1e-9, msg=labelled(name))


def labelled(name: str):  # type: ignore[no-untyped-def]
    return lambda message: f"{name}: {message}"
