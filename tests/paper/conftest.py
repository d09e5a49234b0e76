"""A committed reference to judge, fresh for a test that spoils it or judged once for those that only look."""

import pytest
from references import answer, copy_of_the_reference


@pytest.fixture
def results(tmp_path):
    """A results folder with a copy of the committed reference, to be spoiled."""
    copy_of_the_reference(tmp_path)
    return tmp_path


@pytest.fixture
def run(results):
    """Call a command on that folder; return exit code, output and errors."""
    return lambda command, *arguments: answer(results, command, *arguments)


@pytest.fixture(scope="session")
def judged(tmp_path_factory):
    """The same folder, compared and tested for significance once for all tests that only look at it."""
    place = tmp_path_factory.mktemp("judged")
    copy_of_the_reference(place)
    return place, answer(place, "compare"), answer(place, "significance")


@pytest.fixture(scope="session")
def judged_for_programs(judged):
    """What `compare --json` prints of that folder."""
    return answer(judged[0], "compare", "--json")
