"""Records without a run, for tests of what becomes of records."""

import pytest
from recorded import Recorded
from tiny_benchmark import registry

from benchmark.run import bench


@pytest.fixture
def recorded(tmp_path, capsys, monkeypatch):
    """Record two seeds of toy methods in a folder of their own; their code is known by its name alone."""
    monkeypatch.setattr(bench, "code_digest", lambda root: root[1])
    return lambda *methods: Recorded(tmp_path, capsys, registry(*methods))
