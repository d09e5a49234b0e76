"""The command line: what it prints, which exit code it gives, what it writes."""

from __future__ import annotations

import errno
import io
import json
import os
import re
import subprocess
import sys
import time
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from tiny_benchmark import ToyData, method, registry

from benchmark.cli import COMMANDS, GROUPS, main
from benchmark.contracts import Provenance
from benchmark.registry import RegistryError
from benchmark.run.record_file import SCORES_DIGEST, record_text, sha256

ROOT = Path(__file__).resolve().parents[1]
pytestmark = pytest.mark.usefixtures("without_page")


@pytest.fixture
def run(tmp_path, capsys):
    """Call the command line in a results folder of its own; return exit code, output and errors."""

    def call(*arguments, toys=None, folder=tmp_path, data=tmp_path):
        places = [] if data is None else ["--data", str(data)]
        places = [] if arguments[:1] == ("factors",) else ["--results", str(folder), *places]
        code = main([*arguments, *places], toys or registry())
        printed = capsys.readouterr()
        return code, printed.out, printed.err

    return call


def test_help_answers_at_once_and_imports_nothing_heavy():
    program = "import sys, benchmark.cli; benchmark.cli.main(['--help']); print(sorted(sys.modules))"
    started = time.perf_counter()
    shown = subprocess.run([sys.executable, "run_all.py", "--help"], cwd=ROOT, capture_output=True, text=True)
    assert shown.returncode == 0
    assert time.perf_counter() - started < 3  # under a second on a machine with nothing else to do
    assert all(command in shown.stdout for command in ("run", "status", "tables", "reference", "factors"))
    modules = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True).stdout
    assert not any(f"'{name}'" in modules for name in ("torch", "sklearn", "pandas", "numpy", "rich"))


def test_help_fits_on_one_screen_and_has_each_command_once_by_what_one_wants(capsys):
    assert main(["--help"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) <= 40
    assert max(map(len, lines)) <= 80
    listed = [found[1] for line in lines if (found := re.match(r"  ([a-z-]+)  +\S", line))]
    assert sorted(listed) == sorted(COMMANDS)
    groups = [line for line in lines if line in GROUPS]
    assert groups == ["run", "look", "judge", "study"]
    assert not any(line.lstrip().startswith("--") for line in lines)  # flags are each command's own


@pytest.mark.parametrize("name", COMMANDS)
def test_each_command_explains_its_flags_under_its_own_name(capsys, name):
    assert main([name, "--help"]) == 0
    assert capsys.readouterr().out.startswith(f"usage: run_all.py {name} [-h]")


def test_the_entry_point_stays_short():
    assert len((ROOT / "run_all.py").read_text().splitlines()) < 20


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--dataset", "all"], "unknown argument '--dataset'; did you mean '--datasets'?"),
        (["run", "--sedes=3"], "unknown argument '--sedes'; did you mean '--seeds'?"),
        (["statsu"], "unknown command 'statsu'; did you mean 'status'?"),
        (["--datasets", "tyo"], "no data set matches 'tyo'; did you mean 'toy'?"),
        (["--methods", "Pior"], "no method matches 'Pior'; did you mean 'Prior'?"),
        (["--profile", "papr"], "no profile 'papr'; did you mean 'paper'?"),
        (["--seeds", "few"], "seeds 'few' not understood"),
        (["--seeds", "20240101"], "20,240,101 seeds: for single ones write a list (20240101,)"),
        (["--seeds", "20240101", "--yes"], "100,000 are the most"),
        (["--jobs", "0"], "--jobs: 0 is out of range; write 1 to 1,024"),
        (["--jobs", "1000000000"], "--jobs: 1000000000 is out of range"),
        (["--jobs", ""], "--jobs: '' is no whole number"),
        (["--time-budget", "0m"], "--time-budget '0m' is no time"),
        (["--time-budget", "100000h"], "more than a year"),
        (["explain", "Prior", "toy", "macro_auc", "--seeds", "0-5000"], "5,001 seeds"),
        (["ablate", "--epochs", "nan"], "--epochs: 'nan' is no whole number"),
        (["ablate", "--final-epochs", "0"], "--final-epochs: 0 is out of range"),
        (["reference", "--refit-noise", "1e9"], "--refit-noise: '1e9' is no whole number"),
        (["reference", "--refit-noise", "1000000"], "--refit-noise: 1000000 is out of range"),
        (["--jobs", "two"], "--jobs: 'two' is no whole number; write one like 4"),
        (["--device", "tpu"], "--device 'tpu' not understood"),
        (["--backend", "threading"], "`threading` is refused"),
        (["--data", "/there/is/none"], "/there/is/none"),
    ],
)
def test_what_cannot_be_run_is_said_clearly_with_exit_code_2(tmp_path, capsys, arguments, message):
    places = [] if arguments[0] == "statsu" else ["--results", str(tmp_path)]
    places += [] if "--data" in arguments or arguments[0] == "statsu" else ["--data", str(tmp_path)]
    assert main([*arguments, *places], registry()) == 2
    assert message in capsys.readouterr().err
    assert not (tmp_path / "runs").exists()


def test_results_that_cannot_be_written_are_refused_before_any_job(tmp_path, capsys):
    flags = ("--profile", "tiny", "--seeds", "1", "--jobs", "1", "--data", str(tmp_path))
    file = tmp_path / "file"
    file.write_text("")
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder" / "runs").write_text("")
    for results in (file, tmp_path / "folder"):
        assert main([*flags, "--results", str(results)], registry()) == 2
        printed = capsys.readouterr()
        assert f"{results / 'runs'}: records cannot be written there" in printed.err
        assert "--results" in printed.err
        assert len(printed.err.splitlines()) == 1
        assert "done" not in printed.out


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root may write anywhere")
def test_a_read_only_results_folder_is_refused_before_any_job(run, tmp_path):
    (tmp_path / "kept").mkdir(mode=0o500)
    code, _, err = run("--profile", "tiny", "--seeds", "1", folder=tmp_path / "kept")
    assert code == 2
    assert "records cannot be written there" in err


def test_tables_that_cannot_be_written_are_said_in_one_line(run, tmp_path):
    (tmp_path / "tables").write_text("")
    code, _, err = run("--profile", "tiny", "--seeds", "1", "--jobs", "1")
    assert code == 2
    assert str(tmp_path / "tables") in err
    assert len(err.splitlines()) == 1


def test_tables_without_a_record_are_refused_and_write_nothing(run, tmp_path):
    code, _, err = run("tables", "--profile", "tiny")
    assert code == 2
    assert "; to make them: python run_all.py run --profile tiny --data" in err
    assert not (tmp_path / "tables").exists()


def test_a_backend_that_is_not_installed_is_said_in_one_line(run, monkeypatch):
    monkeypatch.setitem(sys.modules, "dask", None)
    code, _, err = run("--profile", "tiny", "--seeds", "1", "--jobs", "1", "--backend", "dask")
    assert code == 2
    assert err == 'run_all.py: --backend dask needs the extra: pip install -e ".[dask]"\n'


def test_a_method_or_a_registry_that_is_declared_wrongly_is_said_in_one_line(run, monkeypatch, capsys):
    code, _, err = run("status", "--seeds", "1", toys=registry(method("Odd", blur=object())))
    assert code == 2
    assert "has no stable text" in err
    code, _, err = run("status", "--seeds", "1", toys=registry(method("Odd", blurr=0.1)))
    assert code == 2
    assert "the options of Odd do not fit its estimator" in err
    assert "'blurr'" in err

    def twice():
        raise RegistryError("the id 'BR' is declared by a and by b; rename one")

    monkeypatch.setattr("benchmark.registry.discover", twice)
    assert main(["factors"]) == 2
    assert capsys.readouterr().err == "run_all.py: the id 'BR' is declared by a and by b; rename one\n"


def test_a_fault_of_the_program_keeps_its_trace(monkeypatch):
    def fail():
        raise RuntimeError("not the user's business")

    monkeypatch.setattr("benchmark.registry.discover", fail)
    with pytest.raises(RuntimeError, match="not the user's"):
        main(["factors"])


def test_records_of_other_library_versions_are_warned_of(run, tmp_path):
    run("--profile", "tiny", "--seeds", "2", "--jobs", "1")
    assert "library versions" not in run("tables", "--profile", "tiny", "--seeds", "2")[2]
    path = next((tmp_path / "runs" / "toy" / "Prior").glob("1-*")) / "record.json"
    record = json.loads(path.read_text())
    record["environment"]["libraries"]["torch"] = "1.0.0"
    path.write_text(record_text(record))
    code, _, err = run("tables", "--profile", "tiny", "--seeds", "2")
    assert code == 0
    assert "warning: the records come from 2 sets of library versions: 1 with torch 1.0.0, numpy " in err


def test_tables_of_ml2000_are_printed_with_table_3(run):
    flags = ("--profile", "tiny", "--seeds", "1")
    run(*flags, "--jobs", "1")
    assert "Table III" not in run("tables", *flags)[1]
    toys = registry(datasets=(ToyData("ml2000"),))
    run(*flags, "--jobs", "1", toys=toys)
    code, out, _ = run("tables", *flags, toys=toys)
    assert code == 0
    assert out.index("Table II, as printed") < out.index("Table III, as printed")


def test_a_run_prints_the_plan_the_progress_and_a_summary_and_writes_the_tables(run, tmp_path):
    code, out, err = run("--profile", "tiny", "--seeds", "2", "--jobs", "1")
    assert code == 0, err
    assert "2 jobs, 0 done, 2 to run" in out
    assert "toy: 2/2 jobs, 1/1 methods, 2/2 seeds done" in out
    assert "2 of 2 jobs are done" in out
    assert f"tables: {tmp_path / 'tables'}; to print them: python run_all.py tables --seeds 2" in out
    assert "Table II" not in out
    assert "Table II" in run("tables", "--profile", "tiny", "--seeds", "2")[1]
    assert {"table1.md", "table2_as-printed.tex", "table3_equal.md", "metrics.csv"} <= {
        path.name for path in (tmp_path / "tables").iterdir()
    }
    again = run("--profile", "tiny", "--seeds", "2", "--jobs", "1")
    assert "2 jobs, 2 done, 0 to run" in again[1]


def test_a_dry_run_prints_the_plan_and_runs_nothing(run, tmp_path):
    code, out, _ = run("--dry-run", "--seeds", "3")
    assert code == 0
    assert "3 jobs, 0 done, 3 to run" in out
    assert not (tmp_path / "runs" / "toy").exists()


def test_failed_jobs_give_exit_code_1_and_are_listed(run, tmp_path):
    toys = registry(method("Bad", trouble="raise"))
    code, out, err = run("--profile", "tiny", "--seeds", "2", "--jobs", "1", toys=toys)
    assert code == 1
    assert "toy Bad seed 0: failed after 1 attempt(s): ValueError: this seed is in trouble" in err
    assert "1/2" in out
    assert f"tracebacks: python run_all.py status --seeds 2 --profile tiny --data {tmp_path} " in err
    assert "with --retry-failed for the others" in err
    code, out, _ = run("status", "--tracebacks", "--profile", "tiny", "--seeds", "2", toys=toys)
    assert code == 1
    assert "toy Bad seed 0: failed after 1 attempt(s):\nTraceback (most recent call last):\n" in out
    code, out, _ = run("status", "--profile", "tiny", "--seeds", "3", toys=toys)
    assert code == 1
    assert counts(out, "Bad") == {"done": 1, "missing": 1, "failed": 1, "stale": 0}


def counts(status, name):
    lines = [line.split() for line in status.splitlines()]
    row = next(line for line in lines if line[1:2] == [name])
    return dict(zip(("done", "missing", "failed", "stale"), map(int, row[2:]), strict=True))


def test_tables_are_written_again_from_records_to_the_byte(run, tmp_path):
    run("--profile", "tiny", "--seeds", "2", "--jobs", "1")
    first = {path.name: path.read_bytes() for path in (tmp_path / "tables").iterdir()}
    for path in (tmp_path / "tables").iterdir():
        path.unlink()
    code, _, _ = run("tables", "--profile", "tiny", "--seeds", "2")
    assert code == 0
    assert {path.name: path.read_bytes() for path in (tmp_path / "tables").iterdir()} == first


def test_broken_records_are_reported_and_left_out(run, tmp_path):
    run("--profile", "tiny", "--seeds", "2", "--jobs", "1")
    folder = next((tmp_path / "runs" / "toy" / "Prior").glob("1-*"))
    np.savez(folder / "scores.npz", scores=np.zeros((4, 3), np.float32))
    code, _, err = run("tables", "--profile", "tiny", "--seeds", "2")
    assert code == 1
    assert "scores.npz differs from its digest" in err
    (folder / "record.json").write_text("{")
    code, out, err = run("tables", "--profile", "tiny", "--seeds", "2")
    assert code == 1
    assert "left out" in err
    assert "(1/2)" in out
    _, out, _ = run("status", "--profile", "tiny", "--seeds", "2")
    assert counts(out, "Prior") == {"done": 1, "missing": 1, "failed": 0, "stale": 0}
    assert "cannot be read" in out


def test_a_record_without_its_labels_is_reported_and_left_out(run, tmp_path):
    run("--profile", "tiny", "--seeds", "2", "--jobs", "1")
    path = next((tmp_path / "runs" / "toy" / "Prior").glob("1-*")) / "scores.npz"
    with np.load(path) as content:
        scores = content["scores"]
    np.savez(path, scores=scores)
    record = path.with_name("record.json")
    signed = json.loads(record.read_text()) | {SCORES_DIGEST: sha256(path.read_bytes())}
    record.write_text(record_text(signed))
    assert run("reference", "--profile", "tiny", "--seeds", "2")[0] == 1
    code, _, err = run("tables", "--profile", "tiny", "--seeds", "2")
    assert code == 1
    assert "lacks labels, train_label_frequencies" in err


def test_a_reference_holds_what_its_readers_expect(run, tmp_path):
    run("--profile", "tiny", "--seeds", "2", "--jobs", "1")
    code, _, err = run("reference", "--profile", "tiny", "--seeds", "2")
    assert code == 0, err
    folder = tmp_path / "reference" / "tiny" / "toy"
    per_seed = pd.read_csv(folder / "per_seed.csv")
    assert " ".join(per_seed.columns) == (
        "dataset method seed metric value preset scoring threshold status config_hash data_hash score_digest"
    )
    assert pd.read_csv(folder / "steps.csv").empty  # a prior decodes nothing
    own = per_seed[per_seed["threshold"] == "fixed"]
    assert len(own) == 2 * 10
    means = pd.read_csv(folder / "metrics.csv")
    assert " ".join(means.columns) == (
        "dataset method metric mean std median n_seeds n_failed provenance profile preset threshold scoring"
    )
    merged = own.groupby("metric")["value"].agg(["mean", "std"])
    stated = means[means["threshold"] == "fixed"].set_index("metric").loc[merged.index]
    np.testing.assert_allclose(stated[["mean", "std"]], merged, atol=1e-12)
    environments = json.loads((folder / "environment.json").read_text())
    assert [environment["jobs"] for environment in environments] == [2]
    assert len(pd.read_csv(folder / "resources.csv")) == 2


def test_a_reference_of_an_unfinished_profile_is_a_finding(run, tmp_path):
    run("--profile", "tiny", "--seeds", "1", "--jobs", "1")
    code, out, _ = run("reference", "--profile", "tiny", "--seeds", "3")
    assert code == 1
    assert "1 of 3 jobs" in out
    code, _, err = run("reference", "--profile", "paper")
    assert code == 1
    assert "nothing written" in err
    assert not (tmp_path / "reference" / "paper").exists()


def test_real_features_in_place_of_look_alikes_rerun_and_never_mix(run, tmp_path, monkeypatch):
    from datasets.taobao import DATASET

    monkeypatch.setenv("M3LA_CACHE", str(tmp_path / "cache"))
    toys = registry(datasets=(DATASET,))
    flags = ("--profile", "tiny", "--seeds", "1", "--jobs", "1")
    assert run(*flags, toys=toys, data=None)[0] == 0
    folder = tmp_path / DATASET.id
    folder.mkdir()
    generator = np.random.default_rng(0)
    n, q = DATASET.expected.n, DATASET.expected.q
    for name, d in zip(DATASET.modality_names, DATASET.expected.dims, strict=True):
        np.save(folder / f"{name}.npy", generator.random((n, d), dtype=np.float32))
    np.save(folder / "labels.npy", (generator.random((n, q)) < 0.1).astype(np.uint8))
    _, out, _ = run("status", *flags[:4], toys=toys)
    assert counts(out, "Prior") == {"done": 0, "missing": 1, "failed": 0, "stale": 1}
    code, out, err = run(*flags, toys=toys)
    assert code == 0, err
    assert "1 jobs, 0 done, 1 to run" in out
    assert set(pd.read_csv(tmp_path / "tables" / "per_seed.csv")["provenance"]) == {str(Provenance.REAL)}
    np.save(folder / "labels.npy", np.full((n, q), 2))
    code, _, err = run(*flags, toys=toys)
    assert code == 2
    assert "labels.npy" in err


def test_one_edited_line_of_a_loss_reruns_and_a_comment_does_not(run, tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(tmp_path)
    source = tmp_path / "edited_method.py"
    text = (
        "import tiny_benchmark\n\n\ndef loss(x):\n    return 0.5 * x\n\n\n"
        "class Edited(tiny_benchmark.Prior):\n"
        "    def predict_scores(self, modalities):\n        return loss(super().predict_scores(modalities))\n"
    )
    source.write_text(text)
    from edited_method import Edited

    toys = registry(method("Edited", Edited))
    flags = ("--profile", "tiny", "--seeds", "1", "--jobs", "1")
    assert "1 to run" in run(*flags, toys=toys)[1]
    edit(source, text.replace("    return 0.5", "    # half\n    return 0.5"), 2)
    assert "0 to run" in run(*flags, toys=toys)[1]
    edit(source, text.replace("0.5", "0.25"), 4)
    code, out, err = run(*flags, toys=toys)
    assert code == 0, err
    assert "1 jobs, 0 done, 1 to run" in out
    records = [json.loads(path.read_text()) for path in tmp_path.glob("runs/toy/Edited/*/record.json")]
    assert len({record["score_digest"] for record in records}) == 2


def edit(path, text, seconds_later):
    import os

    stamp = path.stat().st_mtime_ns + seconds_later * 10**9
    path.write_text(text)
    os.utime(path, ns=(stamp, stamp))


def test_a_later_run_of_one_method_keeps_the_others_in_the_tables(run, tmp_path):
    toys = registry(method("A"), method("B"))
    flags = ("--profile", "tiny", "--seeds", "1", "--jobs", "1")
    run(*flags, "--methods", "A", toys=toys)
    run(*flags, "--methods", "B", toys=toys)
    assert set(pd.read_csv(tmp_path / "tables" / "per_seed.csv")["method"]) == {"A", "B"}


def test_factors_are_listed_with_levels_and_source(capsys):
    assert main(["factors", "--methods", "M3LA"]) == 0
    printed = capsys.readouterr().out
    assert "label_activation: softmax*" in printed
    assert "M3LA-Wco" not in printed


def test_factors_of_ablations_say_where_they_deviate(capsys):
    assert main(["factors", "--methods", "M3LA-order,M3LA-Wco"]) == 0
    assert "other than the default: M3LA-order" in capsys.readouterr().out


def test_data_of_two_kinds_are_listed_with_their_provenance(run):
    toys = registry(datasets=(ToyData("fake"), ToyData("own", kind=Provenance.REAL)))
    _, out, _ = run("--dry-run", "--seeds", "1", toys=toys)
    assert [line.split()[1] for line in out.splitlines() if "Prior" in line] == ["real", "look-alike"]


def test_a_reader_that_has_enough_ends_the_output_without_a_complaint():
    program = [sys.executable, str(Path(__file__).resolve().parents[1] / "run_all.py"), "factors"]
    with subprocess.Popen(program, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.close()  # long before it has anything to say
        complaint = process.stderr.read()
    assert (complaint, process.returncode) == (b"", 0)


def spoken(monkeypatch, encoding):
    """Give the process streams of an encoding, as a terminal or `PYTHONIOENCODING` does."""
    streams = {name: io.TextIOWrapper(io.BytesIO(), encoding=encoding) for name in ("stdout", "stderr")}
    for name, stream in streams.items():
        monkeypatch.setattr(sys, name, stream)

    def read(name):
        streams[name].flush()
        return streams[name].buffer.getvalue().decode(encoding)

    return read


@dataclass(frozen=True)
class Noted(ToyData):
    """Toy data that says of itself whatever it likes."""

    words: str = "one\n\ntwo | `three` \x1b[31mred\x1b[0m → 中 \ud83d [red]rich[/red] <b>"

    def load(self, data_dir):
        return replace(super().load(data_dir), note=self.words)


@pytest.mark.parametrize("encoding", ["ascii", "cp1252", "cp437", "utf-8"])
def test_a_finished_run_ends_with_its_code_whatever_the_terminal_can_show(tmp_path, monkeypatch, encoding):
    toys = registry(replace(method(), note=Noted.words), datasets=(Noted(title="<T> |\n→", kind="real"),))
    places = ["--profile", "tiny", "--seeds", "1", "--results", str(tmp_path), "--data", str(tmp_path)]
    for command in (["run", "--jobs", "1"], ["tables"], ["status"], ["conventions"], ["explain"]):
        read = spoken(monkeypatch, encoding)
        what = ["--metric", "macro_auc"] if command == ["explain"] else []
        code = main([*command, *(["Prior", "toy", "macro_auc"] if what else []), *places], toys)
        assert code == 0, read("stderr")
        assert "\x1b" not in read("stdout")
        if command == ["tables"]:
            arrow = "→" if encoding == "utf-8" else "->"
            assert f"one two \\| \\`three\\` red {arrow}" in read("stdout")
    for path in (tmp_path / "tables").iterdir():
        assert path.read_bytes().decode("utf-8")
    assert "→" in (tmp_path / "tables" / "table2_as-printed.md").read_text(encoding="utf-8")
    assert "[red]rich[/red]" in (tmp_path / "tables" / "table2_as-printed.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("word", ["two\nlines", "\x1b[31mred", "[red]x[/red]", "中 →", "\udc80"])
def test_an_error_is_one_clear_line_whatever_the_user_typed(tmp_path, monkeypatch, word):
    places = ["--results", str(tmp_path), "--data", str(tmp_path)]
    for arguments in (
        ["--methods", word, *places],
        ["--profile", word, *places],
        ["run", "--data", word],
        ["--results", str(tmp_path / f"{word}" / "\0"), "--data", str(tmp_path)],
        [word],
        [f"--{word}", *places],
        ["check-method", f"{word}.py"],
    ):
        read = spoken(monkeypatch, "cp1252")
        assert main(arguments, registry()) == 2
        told = read("stderr").splitlines()
        assert len([line for line in told if not line.startswith(("usage:", " "))]) == 1
        assert "\x1b" not in read("stderr")


@pytest.mark.parametrize("code", [errno.ENOLCK, errno.EOPNOTSUPP])
def test_a_run_on_a_file_system_without_locks_stops_before_the_first_job(run, tmp_path, monkeypatch, code):
    fcntl = pytest.importorskip("fcntl")

    def no_locks(*_):
        raise OSError(code, os.strerror(code))

    monkeypatch.setattr(fcntl, "flock", no_locks)
    ended, out, err = run("--profile", "tiny", "--seeds", "1", "--jobs", "1")
    assert ended == 2
    assert out == ""
    assert len(err.splitlines()) == 1
    assert os.strerror(code) in err
    assert not list((tmp_path / "runs").glob("[!.]*"))


def test_a_disk_that_fills_up_is_named_with_the_file(run, tmp_path, monkeypatch):
    assert run("--profile", "tiny", "--seeds", "1", "--jobs", "1")[0] == 0
    before = {path: path.read_bytes() for path in (tmp_path / "tables").iterdir()}

    def full(*_):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(Path, "write_bytes", full)
    code, _, err = run("tables", "--profile", "tiny", "--seeds", "1")
    assert code == 2
    assert re.fullmatch(r"run_all.py: .*No space left on device: '.*/tables/[a-z0-9-_]+\.md'\n", err)
    assert {path: path.read_bytes() for path in (tmp_path / "tables").iterdir()} == before
