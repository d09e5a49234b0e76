"""What a training step needs by hand, what timings say, and the command `run_all.py speed` on tiny shapes."""

from __future__ import annotations

import itertools
import json
import math

import pytest
import tiny_benchmark
import torch
from torch.utils import flop_counter

from benchmark.cli import build_parser, main
from benchmark.contracts import Shape
from benchmark.registry import discover
from benchmark.studies.plain.forms import Form, Rivals
from benchmark.studies.speed import judge
from benchmark.studies.speed import measure as speed
from benchmark.studies.speed.flops import dmp_flop, m3la_flop, mcc_flop, useful_flop
from benchmark.studies.speed.judge import Timing, bars, mean_ratios

FIELDS = {"method", "dataset", "plain_ms", "ours_ms", "ratio", "useful_gflops", "sgemm_gflops", "share"}


def test_operations_of_m3la_worked_out_by_hand() -> None:
    """One row, one hidden unit, two modalities of 2 and 3 features, one label: multiplications, doubled.

    From data: (2 + 3) x 9 gates, forward and for the weight: 90. All others three times: encoder, one later
    step in two directions, 2 x 3; s_0 2; keys 2 x 2, queries 2; decoder a_t 2 x 2 x 3 and s 2 x 3; modality
    head 2 x 2, label head 2, W_co once 1: 39 x 3 = 117.
    """
    assert m3la_flop(Shape(9, 1, (2, 3)), batch=1, hidden=1) == 2 * (90 + 117)


def test_operations_of_dmp_worked_out_by_hand() -> None:
    """One row with one neighbour, one hidden unit, two modalities of 3 features, one label.

    Own row: 6 features x 4 gates twice 48, one later recurrent product 4 x 3, label heads on 1 and 2 hidden
    states 3 x 3, a modality head of 2 outputs 2 x 3: 75. Neighbour: one modality 3 x 4 x 2, its head 6: 30.
    """
    assert dmp_flop(Shape(9, 1, (3, 3)), batch=1, hidden=1, n_neighbors=1) == 2 * (75 + 30)
    assert dmp_flop(Shape(9, 1, (3, 3)), batch=1, hidden=1, n_neighbors=0) == 2 * 75


def test_operations_of_mcc_worked_out_by_hand() -> None:
    """One row, one hidden unit, one modality of 3 features, two labels.

    First label: 3 x 4 gates twice 24; heads of 1 + 1 outputs on one state, 2 x 3: 30. Second: 3 features and
    one label 4 x 4 x 2, one recurrent product 4 x 3, heads of 1 + 2 outputs on 1 and 2 states 9 x 3: 71.
    """
    assert mcc_flop(Shape(9, 2, (3,)), batch=1, hidden=1) == 2 * (30 + 71)


def counted_by_torch(form: Form, rows: torch.Tensor) -> int:
    aten = torch.ops.aten
    in_place = {  # products that the counter does not know, from the shapes of what they take
        aten.addmm_: lambda _, a, b, **__: 2 * math.prod(a) * b[1],
        aten.baddbmm_: lambda _, a, b, **__: 2 * math.prod(a) * b[2],
    }
    with flop_counter.FlopCounterMode(display=False, custom_mapping=in_place) as counter:
        form.step(rows)
    return counter.get_total_flops()


@pytest.mark.parametrize("method", speed.RIVALS)
def test_the_real_step_multiplies_little_more_than_what_counts_as_useful(method: str) -> None:
    """Torch's own counter sees a step's products, useful or not, but for those of compiled kernels."""
    shape = Shape(99, 6, (60, 50, 70, 60))
    modalities, labels = speed.random_data(shape, 128)
    ours = speed.RIVALS[method](modalities, labels, speed.STREAMS).ours
    found, useful = counted_by_torch(ours, torch.arange(64)), useful_flop(method, shape, 64)
    if method == "M3LA":  # the logits (9) of m steps and their gradient to the states
        found += 2 * 2 * 64 * shape.m**2 * 256
    # Left out: attention and choices; labels and the last step of DMP's neighbours; and that MCC multiplies
    # with the labels at and after its own.
    assert useful <= found <= {"M3LA": 1.01, "DMP": 1.35, "MCC": 1.05}[method] * useful


@pytest.mark.parametrize(
    ("dataset", "noted"), [("fcvid", 3.4), ("msra", 3.7), ("ml2000", 2.6), ("taobao", 2.2)]
)
def test_operations_of_m3la_are_those_noted_before_up_to_its_first_encoder_step(
    dataset: str, noted: float
) -> None:
    """The earlier notes counted the forward product of h_0 = 0, 0.05 GFLOP, which is not needed."""
    shape = discover((), ("datasets",)).datasets[dataset].expected
    first = 2 * 64 * 2 * 256 * 3 * 256 / 1e9
    assert round(useful_flop("M3LA", shape, 64) / 1e9 + first, 1) == noted


def test_an_unknown_method_has_no_count() -> None:
    with pytest.raises(ValueError, match="'BR'; there are M3LA, DMP and MCC"):
        useful_flop("BR", Shape(1, 1, (1,)), 64)


def timing(dataset: str = "msra", method: str = "M3LA", **given: float) -> Timing:
    values = {"steps": 30, "plain_ms": 90.0, "ours_ms": 30.0, "useful_gflop": 3.0, **given}
    return Timing(method, dataset, sgemm_before=150.0, **{"sgemm_after": 150.0, **values})  # type: ignore[arg-type]


def test_rates_and_shares_of_a_timing() -> None:
    one = timing(sgemm_after=160.0)
    assert one.ratio == 3
    assert one.useful_gflops == pytest.approx(100)  # 3 GFLOP in 30 ms
    assert one.sgemm_gflops == 155
    assert one.sgemm_share == pytest.approx(100 / 155)
    assert one.objections == ()


@pytest.mark.parametrize("after", [134.0, 166.0])
def test_a_rate_that_moved_by_more_than_a_tenth_is_an_objection(after: float) -> None:
    (why,) = timing(sgemm_after=after).objections
    assert f"150 to {after:.0f} GFLOP/s" in why
    assert timing(sgemm_after=136.0).objections == timing(sgemm_after=164.0).objections == ()
    assert "29 steps" in timing(steps=29).objections[0]


def judged(*timings: Timing, instructions: str = "AVX512") -> dict[str, bool | None]:
    words = {
        "of DMP's": "DMP's mean",
        "of MCC's": "MCC's mean",
        "DMP's share": "DMP's share",
        "MCC's share": "MCC's share",
        "fcvid": "fcvid",
        "rate on msra": "msra",
        "geometric": "mean",
        "smallest": "smallest",
        "MCC": "MCC",
    }
    return {
        next(short for word, short in words.items() if word in bar.text): bar.met
        for bar in bars(timings, instructions)
    }


def test_bars_of_four_shapes() -> None:
    four = [timing(name) for name in ("fcvid", "msra", "ml2000", "taobao")]
    assert judged(*four) == {"fcvid": True, "msra": True, "mean": True, "smallest": True}
    slow = timing("taobao", plain_ms=55.0)  # ratio 1.83
    assert judged(*four[:3], slow) == {"fcvid": True, "msra": True, "mean": True, "smallest": False}
    assert judged(timing("fcvid", useful_gflop=2.6), *four[1:])["fcvid"] is False  # share 0.58
    level = [timing(name, plain_ms=72.0) for name in ("fcvid", "msra", "ml2000", "taobao")]  # ratios 2.4
    assert judged(*level)["mean"] is False
    assert mean_ratios([timing("fcvid", plain_ms=60.0), timing("msra", plain_ms=240.0)]) == {
        "M3LA": pytest.approx(4.0)
    }


def test_nothing_is_judged_on_a_restless_machine_or_on_some_of_the_shapes() -> None:
    assert judged(timing("fcvid")) == {"fcvid": True, "mean": None, "smallest": None}
    four = [timing(name) for name in ("fcvid", "ml2000", "taobao")] + [timing("msra", sgemm_after=100.0)]
    assert judged(*four) == {"fcvid": True, "msra": None, "mean": None, "smallest": None}
    assert judged(timing("msra", "MCC")) == {"MCC's mean": None}


@pytest.mark.parametrize(("method", "bar"), [("DMP", 2.3), ("MCC", 3.2)])
def test_dmp_and_mcc_have_means_of_their_own(method: str, bar: float) -> None:
    for ratio, met in ((bar + 0.01, True), (bar - 0.01, False)):
        four = [timing(name, method, plain_ms=30 * ratio) for name in judge.SHAPES]
        assert judged(*four) == {f"{method}'s mean": met}


@pytest.mark.parametrize(("method", "share"), [("DMP", 0.45), ("MCC", 0.33)])
def test_shares_of_dmp_and_mcc_are_judged_where_instructions_are_avx2(method: str, share: float) -> None:
    for reached, met in ((share + 0.01, True), (share - 0.01, False)):
        one = timing("taobao", method, useful_gflop=reached * 150 * 0.030)
        assert judged(one, instructions="AVX2")[f"{method}'s share"] is met
        assert f"{method}'s share" not in judged(one)


@pytest.mark.parametrize(("milliseconds", "met"), [(360.0, True), (361.0, False)])
def test_mcc_is_judged_against_the_plain_m3la(milliseconds: float, met: bool) -> None:
    assert judged(timing("msra"), timing("msra", "MCC", ours_ms=milliseconds))["MCC"] is met


def test_the_rate_of_a_machine_is_positive_and_finite() -> None:
    assert 0 < speed.sgemm_rate() < math.inf


def test_forms_that_lose_differently_are_refused(monkeypatch) -> None:
    honest = speed.RIVALS["M3LA"]

    def changed(*given) -> Rivals:
        rivals = honest(*given)
        plain = rivals.plain
        doubled = Form(plain.module, plain.optimiser, lambda rows: 2 * plain.loss_of_rows(rows))
        return Rivals(doubled, rivals.ours)

    monkeypatch.setattr(speed, "RIVALS", {"M3LA": changed})
    with pytest.raises(ValueError, match=r"M3LA on toy: the plain form's first loss is .*plain compute"):
        speed.time_method("M3LA", "toy", tiny_benchmark.SHAPE, 1)


@pytest.fixture
def run(monkeypatch, capsys):
    """Call the command on toy shapes with given rates of the machine; return exit code, output, errors."""
    monkeypatch.setattr(speed, "prepare_process", lambda: None)  # it would change this process for good
    toys = tiny_benchmark.registry(
        datasets=(
            tiny_benchmark.ToyData("fcvid"),
            tiny_benchmark.ToyData("toy", expected=Shape(9, 2, (3, 1))),
        )
    )

    def call(*arguments: object, rates: tuple[float, ...] = (100.0,)) -> tuple[int, str, str]:
        following = itertools.cycle(rates)
        monkeypatch.setattr(speed, "sgemm_rate", lambda: next(following))
        code = main(["speed", *map(str, arguments)], toys)
        printed = capsys.readouterr()
        return code, printed.out, printed.err

    return call


def test_the_command_prints_what_programs_read(run) -> None:
    code, out, err = run("--datasets", "fcvid,toy", "--steps", 2, "--json")
    found = json.loads(out)
    assert [(row["method"], row["dataset"]) for row in found] == [
        (method, dataset) for method in ("M3LA", "DMP", "MCC") for dataset in ("fcvid", "toy")
    ]
    for row in found:
        assert row.keys() >= FIELDS
        assert row["ratio"] == pytest.approx(row["plain_ms"] / row["ours_ms"])
        assert row["share"] == pytest.approx(row["useful_gflops"] / 100)
        assert row["counts"] is False
    assert code == 2
    assert "M3LA on fcvid does not count: 2 steps were timed, fewer than 30" in err


@pytest.fixture
def two_steps_count(monkeypatch) -> tuple[str, int]:
    """Let two steps count as thirty do; return the flag that asks for them."""
    assert judge.FEWEST_STEPS == 30 == build_parser().parse_args(["speed"]).steps
    monkeypatch.setattr(judge, "FEWEST_STEPS", 2)
    return "--steps", 2


def test_a_moved_rate_ends_with_cannot_judge(run, two_steps_count) -> None:
    code, out, err = run(
        "--methods", "m3la", "--datasets", "toy", "--json", *two_steps_count, rates=(100.0, 85.0)
    )
    (row,) = json.loads(out)
    assert code == 2
    assert len(row["objections"]) == 1
    assert row["counts"] is False
    assert row["sgemm_gflops"] == 92.5
    assert "moved by -15% (100 to 85 GFLOP/s)" in row["objections"][0]
    assert "M3LA on toy does not count: the SGEMM rate moved" in err


def test_a_quiet_run_is_judged_and_written(run, two_steps_count, tmp_path) -> None:
    """At 10^9 GFLOP/s nothing reaches a share of 0.6; a shape without a bar has no finding."""
    code, out, _ = run("--methods", "M3LA", "--out", tmp_path / "new", *two_steps_count, rates=(1e9,))
    assert code == 1
    assert "NOT MET" in out
    assert "geometric mean of M3LA's ratios" in out
    assert (tmp_path / "new" / "speed.md").read_text(encoding="utf-8").strip() == out.strip()
    assert json.loads((tmp_path / "new" / "speed.json").read_text(encoding="utf-8"))[0]["counts"] is True
    assert run("--methods", "M3LA", "--datasets", "toy", *two_steps_count)[0] == 0


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--methods", "BR"), "no method with a plain form matches 'BR'"),
        (("--datasets", "tooy"), "did you mean 'toy'"),
        (("--steps", "0"), "--steps: 0 is out of range; write 1 to"),
        (("--seeds", "3"), "unknown argument '--seeds'"),
    ],
)
def test_wrong_flags_are_named_with_the_remedy(run, arguments, message) -> None:
    code, _, err = run(*arguments)
    assert code == 2
    assert message in err
