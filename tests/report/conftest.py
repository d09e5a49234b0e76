"""A page of the committed reference, made once, and a real browser to look at it with."""

import shutil
from pathlib import Path

import pytest

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)


@pytest.fixture(scope="session")
def reference_page():
    """The committed page, of which `test_committed_page` says whether it is what is made now."""
    return Path(__file__).resolve().parents[2] / "docs" / "index.html"


@pytest.fixture(scope="session")
def chromium():
    """Headless Chromium; tests skip with the reason where it or Playwright is not installed."""
    playwright = pytest.importorskip("playwright.sync_api", reason="Playwright is not installed")
    if CHROMIUM is None:
        pytest.skip("no Chromium on the path; README says how to get it")
    with playwright.sync_playwright() as running:
        # Without a sandbox, since containers run as root.
        browser = running.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield browser
        browser.close()


class Tab:
    """A page in a browser, and what it said and asked for meanwhile."""

    def __init__(self, context, file: Path, address=""):
        self.page = context.new_page()
        self.said, self.asked = [], []
        self.page.on("console", lambda message: self.said.append(message.text))
        self.page.on("pageerror", lambda error: self.said.append(str(error)))
        self.page.on("request", lambda request: self.asked.append(request.url))
        self.page.goto(file.as_uri() + address)


@pytest.fixture
def open_tab(chromium):
    """Open a file in a fresh window; closes all at the end."""
    contexts = []

    def opened(file, address="", **options):
        context = chromium.new_context(**{"viewport": {"width": 1280, "height": 900}, **options})
        contexts.append(context)
        return Tab(context, file, address)

    yield opened
    for context in contexts:
        context.close()
