"""What explains a difference: which environments should give the same bits."""

import json
import platform
from copy import deepcopy
from pathlib import Path

import pytest

from benchmark.drift.cause import decisive_parts, why_bits_may_differ
from benchmark.run.environment import describe_environment, processor

REFERENCE = Path(__file__).resolve().parents[2] / "results" / "reference" / "tiny" / "ml2000"


@pytest.fixture
def environment():
    return json.loads((REFERENCE / "environment.json").read_text())[0]


def test_the_same_environment_should_give_the_same_bits_whatever_else_differs(environment):
    other = deepcopy(environment)
    other |= {"jobs": 3, "python": "3.12.1"}
    other["libraries"]["joblib"] = "1.0"
    assert why_bits_may_differ([environment], [other]) == ""


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (lambda e: e.update(processor="GenuineIntel 6 85"), "processor GenuineIntel"),
        (lambda e: e.update(cpu_capability="AVX2"), "CPU capability AVX512 -> AVX2"),
        (lambda e: e["libraries"].update(torch="2.12.0"), "torch 2.13.0+cpu -> 2.12.0"),
        (lambda e: e["libraries"].update(numpy="2.1"), "numpy 2.4.6 -> 2.1"),
        (lambda e: e["libraries"].update(scipy="1.1"), "scipy"),
        (lambda e: e["libraries"].update({"scikit-learn": None}), "scikit-learn unknown"),
        (lambda e: [pool.update(architecture="Zen") for pool in e["thread_pools"]], "BLAS kernel"),
        (lambda e: e["thread_pools"][0].update(num_threads=2), "threads 1 -> 1 and 2"),
        (lambda e: e.update(torch_threads=4), "threads"),
        (lambda e: e.update(device="cuda:0"), "device cpu -> cuda:0"),
        (lambda e: e.update(device="cuda:0", accelerator="Some card"), "device cpu -> Some card"),
        (lambda e: e.update(width=5), "width of its group full -> 5"),
    ],
)
def test_each_part_that_decides_bits_is_named_when_it_differs(environment, change, told):
    other = deepcopy(environment)
    change(other)
    found = why_bits_may_differ([environment], [other])
    assert told in found
    assert ";" not in found


def test_a_side_that_mixes_environments_or_has_none_settles_nothing(environment):
    other = {**environment, "cpu_capability": "AVX2"}
    assert "AVX2 or AVX512" in why_bits_may_differ([environment, other], [environment])
    assert "reference is not known" in why_bits_may_differ([], [environment])
    assert "current records is not known" in why_bits_may_differ([environment], [])
    assert "unknown" in why_bits_may_differ([{}], [{}])


def test_the_description_of_this_process_states_every_part():
    parts = decisive_parts({**describe_environment(), "device": "cpu"})
    assert "unknown" not in parts.values()


@pytest.mark.parametrize(
    ("text", "found"),
    [
        (
            "processor\t: 0\nvendor_id\t: GenuineIntel\ncpu family\t: 6\nmodel\t\t: 85\n\nmodel\t: 9",
            "GenuineIntel 6 85",
        ),
        ("CPU implementer\t: 0x41\nCPU architecture: 8\nCPU part\t: 0xd0c\n", "0x41 8 0xd0c"),
        ("no such facts", platform.processor() or None),
    ],
)
def test_the_processor_is_read_off_what_the_system_says_of_its_first_core(tmp_path, text, found):
    (tmp_path / "cpuinfo").write_text(text)
    assert processor(tmp_path / "cpuinfo") == found
