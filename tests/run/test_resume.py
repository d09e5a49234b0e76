"""A job that was killed in a long fit goes on from there in the next run, to the same bits."""

import pytest
from killed_fit import KilledOnce
from tiny_benchmark import method, registry

from benchmark.cli import main
from benchmark.run.store import RecordStore


@pytest.fixture
def call(tmp_path, capsys):
    """Call a command about the method that logs to `log`; return exit code, its record and its words."""

    def call(log, command, *flags, folder=tmp_path):
        toys = registry(method("Killed", KilledOnce, log=str(tmp_path / log)))
        places = ["--profile", "tiny", "--data", str(tmp_path), "--results", str(folder)]
        capsys.readouterr()
        code = main([command, *places, *flags], toys)
        printed = capsys.readouterr()
        records = RecordStore(folder / "runs").scan().records
        return code, max(records, key=lambda record: record.attempts), printed.out + printed.err

    return call


ONE = ("--seeds", "1", "--jobs", "1")


def test_a_killed_job_goes_on_where_it_was_and_leaves_nothing(call, tmp_path):
    code, record, _ = call("log", "run", *ONE)
    assert (code, record.status) == (1, "killed")
    path = RecordStore(tmp_path / "runs").checkpoint_file(record.job, record.config_hash)
    assert path.is_file()
    assert "nothing to remove" in call("log", "clean", "--stale")[2]
    code, record, _ = call("log", "run", *ONE, "--retry-failed")
    assert (code, record.status) == (0, "done")
    assert (tmp_path / "log").read_text() == f"2 {path.name}"
    assert [one for one in path.parents[2].rglob("*") if not one.is_dir()] == []
    _, undisturbed, _ = call("log", "run", *ONE, folder=tmp_path / "undisturbed")
    assert (tmp_path / "log").read_text() == f"0 {path.name}"
    assert record.score_digest == undisturbed.score_digest
    assert undisturbed.processor_seconds > 0
    assert record.processor_seconds == 0  # what the killed process took, nobody knows


def test_a_checkpoint_of_other_options_is_no_ones_and_clean_names_it(call, tmp_path):
    _, record, _ = call("log", "run", *ONE)
    path = RecordStore(tmp_path / "runs").checkpoint_file(record.job, record.config_hash)
    (tmp_path / "other").touch()
    assert call("other", "run", *ONE)[0] == 0
    assert (tmp_path / "other").read_text().startswith("0 ")
    assert path.exists()
    assert f"{path}: a checkpoint of other code, options or data" in call("other", "clean", "--stale")[2]
    call("other", "clean", "--stale", "--yes")
    assert not path.exists()
