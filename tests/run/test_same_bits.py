"""One set of jobs gives one set of bits, however many run at a time, where, and in which order."""

from __future__ import annotations

import pytest
from test_runner import Toys
from tiny_benchmark import ToyData, registry

from benchmark.contracts import MethodSpec, Shape
from benchmark.registry import discover
from benchmark.run.backends import Call, started
from benchmark.run.check_method import SMALL
from benchmark.run.config import Running
from benchmark.run.devices import DevicePool
from benchmark.run.task import make_task

METHODS = ("M3LA", "BR", "DMP", "MCC", "CS3G")
SEEDS = (0,)


def small(spec: MethodSpec) -> MethodSpec:
    """The method with options for a fit of moments."""
    taken = spec.estimator(**spec.options).get_params(deep=False)
    options = {**spec.options, **{name: value for name, value in SMALL.items() if name in taken}}
    return MethodSpec(spec.id, spec.estimator, options, in_paper=False)


@pytest.fixture(scope="module")
def methods():
    found = discover(dataset_sources=()).methods
    data = ToyData(expected=Shape(80, 3, (4, 2)))
    return registry(*(small(found[name]) for name in METHODS), datasets=(data,))


@pytest.fixture(scope="module")
def alone(methods, tmp_path_factory):
    """What one job after the other gives, on this machine."""
    toys = Toys(tmp_path_factory.mktemp("alone"))
    assert toys.run(methods, seeds=SEEDS).counts == {"done": len(METHODS) * len(SEEDS)}
    return bits(toys)


def bits(toys):
    """Every array of every record."""
    return {
        record.job: {name: array.tobytes() for name, array in toys.store.arrays(record).items()}
        for record in toys.store.scan().records
    }


def test_two_jobs_at_a_time_give_the_bits_of_one(methods, alone, tmp_path):
    toys = Toys(tmp_path)
    toys.run(methods, seeds=SEEDS, jobs=2)
    assert bits(toys) == alone


def test_workers_of_dask_give_the_bits_of_one_job_at_a_time(methods, alone, tmp_path):
    pytest.importorskip("distributed")
    toys = Toys(tmp_path)
    toys.run(methods, seeds=SEEDS, jobs=2, backend="dask")
    assert bits(toys) == alone


def test_jobs_in_any_order_give_the_same_bits(methods, alone, tmp_path):
    toys = Toys(tmp_path)
    slots = toys.inventory(methods, seeds=SEEDS).slots
    tasks = [make_task(slot, toys.bench(methods)) for slot in reversed(slots)]
    with started(Running(), 1, DevicePool(("cpu",), tmp_path), ()) as run:
        ended = [result.job for results in run(Call((task,)) for task in tasks) for result in results]
    assert ended == [slot.job for slot in reversed(slots)]
    assert bits(toys) == alone
