"""`docs/index.html` and README's picture are of the committed reference, and of nothing older."""

import re
from html.parser import HTMLParser
from pathlib import Path
from xml.etree import ElementTree

import pytest

from benchmark.cli import main

ROOT = Path(__file__).resolve().parents[2]
MAKE = "python run_all.py report --reference --out docs/index.html --overview docs/answer.svg"


class Words(HTMLParser):
    """The words of a page outside styles, scripts and drawings, whose coordinates differ between machines."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.words: list[str] = []
        self._hidden = 0
        self.feed(page)

    def handle_starttag(self, tag, attrs):  # noqa: ARG002 (the base class's signature)
        self._hidden += tag in ("style", "script", "svg")

    def handle_endtag(self, tag):
        self._hidden -= tag in ("style", "script", "svg")

    def handle_data(self, data):
        if not self._hidden:
            self.words += data.split()


@pytest.fixture(scope="module")
def fresh(tmp_path_factory):
    folder = tmp_path_factory.mktemp("fresh")
    flags = ["--out", str(folder / "index.html"), "--overview", str(folder / "answer.svg")]
    assert main(["report", "--reference", *flags]) == 0
    return folder


def test_the_page_says_what_the_reference_says(fresh):
    committed, now = ((folder / "index.html").read_text() for folder in (ROOT / "docs", fresh))
    assert Words(committed).words == Words(now).words, f"make it again: {MAKE}"
    drawings = [
        re.findall(r"<svg role=.*?<title[^>]*>(.*?)</title><desc[^>]*>(.*?)</desc>", page, re.S)
        for page in (committed, now)
    ]
    assert drawings[0] == drawings[1], f"make it again: {MAKE}"
    assert len(drawings[0]) > 10
    outside = [re.sub(r"<svg.*?</svg>", "", page, flags=re.S) for page in (committed, now)]
    looks = [re.findall(r"<(style|script)[^>]*>(.*?)</\1>", page, re.S) for page in outside]
    assert looks[0] == looks[1], f"make it again: {MAKE}"
    assert {kind for kind, _ in looks[0]} == {"style", "script"}


def test_the_page_is_small_enough_to_be_kept():
    assert (ROOT / "docs" / "index.html").stat().st_size <= 1_000_000


def test_the_picture_says_what_the_reference_says(fresh):
    texts = [
        [one.text for one in ElementTree.parse(folder / "answer.svg").iter() if one.tag.endswith("}text")]
        for folder in (ROOT / "docs", fresh)
    ]
    assert texts[0] == texts[1], f"make it again: {MAKE}"
    assert texts[0].count("?") > 1


def test_readme_shows_the_picture_and_links_the_page():
    readme = (ROOT / "README.md").read_text()
    assert "(docs/answer.svg)" in readme
    assert "(docs/index.html)" in readme
