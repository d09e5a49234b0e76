"""AdaDelta in one pass against torch's own."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn

from benchmark.learning.adadelta import OnePassAdadelta
from benchmark.learning.training import TrainingSettings, make_optimiser

SHAPES = ((40, 17), (3,), (2, 5, 11))


def trained(
    make: Callable[[list[nn.Parameter]], torch.optim.Optimizer], dtype: torch.dtype, given: int = 3
) -> list[Tensor]:
    """Thirty steps whose gradients become small, for the first `given` parameters."""
    drawn = torch.Generator().manual_seed(0)
    parameters = [nn.Parameter(torch.randn(shape, generator=drawn, dtype=dtype)) for shape in SHAPES]
    optimiser = make(parameters)
    for step in range(30):
        for parameter in parameters[:given]:
            gradient = torch.randn(parameter.shape, generator=drawn, dtype=dtype)
            parameter.grad = gradient * 10 ** (-step / 5)
        optimiser.step()
    return parameters


@pytest.mark.parametrize(
    "options", [{}, {"rho": 0.95, "eps": 1e-8}, {"lr": 0.3, "weight_decay": 0.1}], ids=str
)
@pytest.mark.parametrize(("dtype", "bound"), [(torch.float32, 1e-5), (torch.float64, 1e-13)])
def test_a_step_is_torch_s(dtype: torch.dtype, bound: float, options: dict[str, float]) -> None:
    ours = trained(lambda p: OnePassAdadelta(p, **options), dtype)
    theirs = trained(lambda p: torch.optim.Adadelta(p, **options), dtype)
    for one, other in zip(ours, theirs, strict=True):
        torch.testing.assert_close(one, other, atol=0, rtol=bound)


def test_a_parameter_without_a_gradient_stays() -> None:
    drawn = torch.Generator().manual_seed(0)
    before = [torch.randn(shape, generator=drawn) for shape in SHAPES]
    after = trained(OnePassAdadelta, torch.float32, given=2)
    assert [torch.equal(one, other) for one, other in zip(before, after, strict=True)] == [False, False, True]


def test_a_gradient_that_is_no_number_shows_in_the_parameter() -> None:
    parameter = nn.Parameter(torch.ones(40))
    parameter.grad = torch.full((40,), torch.nan)
    OnePassAdadelta([parameter]).step()
    assert torch.isnan(parameter).all()


def test_training_on_a_cpu_takes_it() -> None:
    settings = TrainingSettings(epochs=1, optimiser="adadelta", optimiser_options={"rho": 0.95, "eps": 1e-6})
    assert isinstance(make_optimiser(nn.Linear(2, 1), settings), OnePassAdadelta)
    assert not isinstance(make_optimiser(nn.Linear(2, 1, device="meta"), settings), OnePassAdadelta)
