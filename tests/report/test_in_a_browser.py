"""The page in a real browser: it opens, filters, sorts, copies, takes numbers, and anybody can read it."""

import re

import pytest

CELL = "cell.ml2000.M3LA.macro_f1"
WIDTHS = {"wide": {"width": 1280, "height": 900}, "narrow": {"width": 360, "height": 740}}


def shown(tab, selector):
    """Texts of those elements that can be seen."""
    return [one.inner_text() for one in tab.page.locator(selector).all() if one.is_visible()]


def test_it_asks_for_nothing_and_says_nothing(reference_page, open_tab):
    tab = open_tab(reference_page)
    tab.page.wait_for_load_state("load")
    for _ in range(8):  # what loads late, loads by scrolling
        tab.page.mouse.wheel(0, 20_000)
    assert [url for url in tab.asked if not url.startswith("data:")] == [reference_page.as_uri()]
    assert tab.said == []


@pytest.mark.parametrize(("scheme", "width"), [("light", "wide"), ("dark", "narrow")])
@pytest.mark.parametrize("address", ["", f"#{CELL}"])
def test_axe_finds_nothing(reference_page, open_tab, scheme, width, address):
    axe = pytest.importorskip("axe_playwright_python.sync_playwright", reason="axe is not installed")
    tab = open_tab(reference_page, address, color_scheme=scheme, viewport=WIDTHS[width])
    # A section out of sight has a guessed height and what it holds would lie over the next: lay all out, as
    # whoever scrolls there sees it.
    tab.page.add_style_tag(content="* { content-visibility: visible !important; }")
    levels = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]
    options = {"runOnly": levels, "resultTypes": ["violations"]}  # what passes needs no description
    found = axe.Axe().run(tab.page, options=options).response["violations"]
    assert [(one["id"], [node["html"][:150] for node in one["nodes"][:3]]) for one in found] == []


@pytest.mark.parametrize("width", [1280, 768, 360])
def test_nothing_but_tables_and_figures_scrolls_sideways(reference_page, open_tab, width):
    tab = open_tab(reference_page, viewport={"width": width, "height": 800})
    assert tab.page.evaluate("document.documentElement.scrollWidth") <= width


class TestWithoutJavaScript:
    def test_tables_figures_and_cells_can_be_read(self, reference_page, open_tab):
        tab = open_tab(reference_page, java_script_enabled=False)
        row = tab.page.locator('#table\\.II\\.ml2000 tr[data-method="M3LA"]')
        assert re.search(r"0\.\d{3}±0\.\d{3}†", row.inner_text())
        assert tab.page.locator("figure svg").first.is_visible()
        assert not tab.page.locator(".controls").is_visible()
        row.locator(f'a[href="#{CELL}"]').click()
        drawer = tab.page.locator(f'[id="{CELL}"]')
        assert drawer.is_visible()
        assert "printed" in drawer.inner_text()


class TestFilters:
    def test_they_hide_the_rest_and_stay_in_the_address(self, reference_page, open_tab):
        tab = open_tab(reference_page)
        tab.page.select_option('select[name="dataset"]', "ml2000")
        tab.page.select_option('select[name="metrics"]', "F1")
        tab.page.select_option('select[name="method"]', "DMP")
        table = "#table\\.II\\.ml2000"
        assert all("ML2000" in text for text in shown(tab, "section.table h3"))
        assert [text.split()[0] for text in shown(tab, f"{table} thead th")] == [
            "method",
            "macro",
            "micro",
            "example",
        ]
        assert shown(tab, f"{table} tbody tr[data-method] th") == ["DMP"]
        again = open_tab(reference_page, tab.page.url.removeprefix(reference_page.as_uri()))
        assert again.page.locator('select[name="method"]').input_value() == "DMP"
        assert shown(again, f"{table} tbody tr[data-method] th") == ["DMP"]

    def test_what_the_address_asks_for_in_vain_is_not_taken(self, reference_page, open_tab):
        tab = open_tab(reference_page, "?dataset=imagenet&method=%3Cb%3E")
        assert tab.said == []
        assert "ML2000" in " ".join(shown(tab, "section.table h3"))


def test_sorting_by_a_column(reference_page, open_tab):
    tab = open_tab(reference_page)
    table = tab.page.locator("#table\\.II\\.ml2000")
    values = "tbody:first-of-type tr[data-method] td:nth-child(5)"
    read = lambda: [float(td.get_attribute("data-value")) for td in table.locator(values).all()]  # noqa: E731
    assert read() != sorted(read(), reverse=True)
    table.get_by_role("button", name="macro F1").click()
    assert read() == sorted(read(), reverse=True)
    table.get_by_role("button", name="macro F1").click()
    assert read() == sorted(read())
    assert table.locator("th[aria-sort]").count() == 1


class TestCopying:
    def copied(self, tab, kind):
        tab.page.locator("#table\\.II\\.ml2000").get_by_role("button", name=f"Copy as {kind}").click()
        tab.page.wait_for_function("document.querySelector('.status').textContent !== ''")
        return tab.page.evaluate("navigator.clipboard.readText()")

    def test_markdown_of_what_is_shown(self, reference_page, open_tab):
        tab = open_tab(reference_page, permissions=["clipboard-read", "clipboard-write"])
        tab.page.select_option('select[name="method"]', "M3LA")
        tab.page.select_option('select[name="metrics"]', "AUC")
        lines = self.copied(tab, "Markdown").splitlines()
        assert [line.count("|") for line in lines] == [5] * 4
        assert lines[0].startswith("| method | macro AUC ↑ |")
        assert lines[2].startswith("| M3LA | 0.9")
        assert lines[3] == "| M3LA, printed | 0.944±0.010 | 0.939±0.004 | 0.932±0.012 |"

    def test_latex_has_no_bare_special_character(self, reference_page, open_tab):
        tab = open_tab(reference_page, permissions=["clipboard-read", "clipboard-write"])
        text = self.copied(tab, "LaTeX")
        assert text.startswith("\\begin{tabular}{lcccccccccc}\n\\toprule\n")
        body = text.split("\\midrule\n")[1].split("\\bottomrule")[0]
        assert all(line.count("&") == 10 and line.endswith("\\\\") for line in body.splitlines())
        assert text.isascii()


class TestCells:
    def test_by_keyboard_focus_goes_in_and_back(self, reference_page, open_tab):
        tab = open_tab(reference_page)
        link = tab.page.locator(f'#table\\.II\\.ml2000 a[href="#{CELL}"]')
        link.focus()
        tab.page.keyboard.press("Enter")
        drawer = tab.page.locator(f'[id="{CELL}"]')
        drawer.wait_for(state="visible")
        assert tab.page.evaluate("document.activeElement.id") == CELL
        tab.page.keyboard.press("Escape")
        drawer.wait_for(state="hidden")
        assert tab.page.evaluate("document.activeElement.getAttribute('href')") == f"#{CELL}"

    def test_a_cell_says_what_it_rests_on(self, reference_page, open_tab):
        tab = open_tab(reference_page, f"#{CELL}")
        text = tab.page.locator(f'[id="{CELL}"]').inner_text()
        for part in (
            "printed 0.811±0.018",
            "margin",
            "power",
            "p = ",
            "run_all.py explain M3LA ml2000 macro_f1",
        ):
            assert part in text
        assert tab.page.locator(f'[id="{CELL}"] pre').inner_text().count("seed ") == 10

    def test_its_strip_shows_ten_seeds(self, reference_page, open_tab):
        tab = open_tab(reference_page, f"#{CELL}")
        strip = tab.page.locator(f'[id="{CELL}"] svg.strip').first
        assert strip.is_visible()
        target = strip.locator("use").get_attribute("href")
        assert tab.page.locator(f'[id="{target[1:]}"]').count() == 1

    def test_links_lead_somewhere(self, reference_page, open_tab):
        tab = open_tab(reference_page)
        lost = tab.page.evaluate(
            "[...document.querySelectorAll('a[href^=\"#\"], use')]"
            ".map((one) => one.getAttribute('href').slice(1)).filter((id) => !document.getElementById(id))"
        )
        assert lost == []


OWN = """dataset,method,metric,mean,std
ml2000,"mine, <img src=x onerror=alert(1)>",macro_auc,0.97,0.01
ML2000,"mine, <img src=x onerror=alert(1)>",macro_f1,0.85,
imagenet,mine,macro_f1,0.5,0.1
"""
PER_SEED = "dataset,method,seed,metric,value\nml2000,mine,0,macro_f1,0.8\nml2000,mine,1,macro_f1,0.9\n"


class TestSomebodysOwnNumbers:
    def chosen(self, tab, text, name="metrics.csv"):
        file = {"name": name, "mimeType": "text/csv", "buffer": text.encode()}
        tab.page.set_input_files('input[name="own"]', file)
        tab.page.wait_for_function(f"document.querySelector('.status').textContent.startsWith('{name}')")
        return tab.page.locator(".status").inner_text()

    def test_averages_stand_beside_ours_as_text(self, reference_page, open_tab):
        tab = open_tab(reference_page)
        status = self.chosen(tab, OWN)
        assert "1 row shown" in status
        assert "No table here of imagenet" in status
        row = tab.page.locator("tr.yours")
        assert "mine, <img src=x onerror=alert(1)>" in row.locator("th").inner_text()
        cells = row.locator("td").all_inner_texts()
        assert (cells[0], cells[3], cells[1]) == ("0.970±0.010", "0.850", "–")
        assert tab.said == []
        assert tab.page.locator(".yours img").count() == 0

    def test_seeds_are_averaged(self, reference_page, open_tab):
        tab = open_tab(reference_page)
        self.chosen(tab, PER_SEED, "per_seed.csv")
        assert tab.page.locator("tr.yours td").nth(3).inner_text() == "0.850±0.071"

    def test_a_row_says_what_keeps_it_from_being_compared(self, reference_page, open_tab):
        tab = open_tab(reference_page)
        head = "dataset,method,metric,mean,n_seeds,n_failed,provenance,profile\n"
        status = self.chosen(
            tab,
            f"{head}ml2000,a,macro_f1,0.5,2,1,rebuilt,tiny\nfcvid,b,macro_f1,0.5,1,0,look-alike,paper\n"
            "ml2000,a,macro_f1,0.8,10,0,real,paper\n",
        )
        rebuilt, real = tab.page.locator("#table\\.II\\.ml2000 tr.yours th").all_text_contents()
        (look_alike,) = tab.page.locator("#table\\.II\\.fcvid tr.yours th").all_text_contents()
        for part in ("† rebuilt", "2 of 3 seeds", "profile tiny, not the printed protocol"):
            assert part in rebuilt
        assert real.split() == ["yours:", "a", "10", "seeds"]
        assert "‡ look-alike; 1 seed" in look_alike
        assert "profile" not in look_alike
        assert tab.page.locator("tr.yours.grey").count() == 1
        assert "does not say" not in status
        assert "does not say of which profile" in self.chosen(tab, PER_SEED, "per_seed.csv")

    def test_long_names_do_not_push_columns_out_of_sight(self, reference_page, open_tab):
        tab = open_tab(reference_page)
        first = tab.page.locator("#table\\.II\\.ml2000 .scroll")
        room = "(one) => one.scrollWidth - one.clientWidth"
        before = first.evaluate(room)
        head = "dataset,method,metric,mean,std,n_seeds,provenance,profile,threshold,scoring\n"
        row = "ml2000,M3LA-repaired,macro_f1,0.5,0.1,2,rebuilt,tiny,{},soft\n"
        self.chosen(tab, head + row.format("eq13@holdout") + row.format("fixed"))
        assert tab.page.locator("tr.yours").count() == 2
        assert first.evaluate(room) <= before
        assert first.locator("thead th").first.bounding_box()["width"] < 150

    def test_an_open_quote_is_told_in_few_words(self, reference_page, open_tab):
        tab = open_tab(reference_page)
        status = self.chosen(tab, (PER_SEED * 50).replace("ml2000", '"ml2000', 1))
        assert "a quote in it is not closed, so no row could be read" in status
        names = "".join(f"{'x' * 500}{k},m,macro_f1,0.5\n" for k in range(9))
        assert len(self.chosen(tab, f"dataset,method,metric,mean\n{names}", "other.csv")) < 600

    def test_a_dropped_file_is_taken(self, reference_page, open_tab):
        tab = open_tab(reference_page)
        tab.page.evaluate(
            """(text) => {
                const files = new DataTransfer();
                files.items.add(new File([text], "per_seed.csv", { type: "text/csv" }));
                const how = { dataTransfer: files, bubbles: true, cancelable: true };
                document.body.dispatchEvent(new DragEvent("drop", how));
            }""",
            PER_SEED,
        )
        tab.page.wait_for_selector("tr.yours")

    @pytest.mark.parametrize(
        "text", ["", "a,b\n1,2\n", "dataset,method,metric\nml2000,x,macro_f1\n", "\x00\xff"]
    )
    def test_what_is_no_such_file_is_refused_in_words(self, reference_page, open_tab, text):
        tab = open_tab(reference_page)
        assert "cannot be shown" in self.chosen(tab, text)
        assert tab.page.locator("tr.yours").count() == 0

    def test_our_own_files_are_taken(self, reference_page, open_tab):
        from benchmark.audit.gather import ROOT

        folder = ROOT / "results" / "reference" / "paper" / "ml2000"
        tab = open_tab(reference_page)
        for name in ("metrics.csv", "per_seed.csv"):
            tab.page.set_input_files('input[name="own"]', str(folder / name))
            tab.page.wait_for_function(f"document.querySelector('.status').textContent.startsWith('{name}')")
            rows = tab.page.locator("tr.yours", has_text="yours: M3LA (eq16a, soft)")
            ours = tab.page.locator('#table\\.II\\.ml2000 tr[data-method="M3LA"] .ours').nth(3).inner_text()
            assert rows.locator("td").nth(3).inner_text() == ours.rstrip("†")


def test_print_leaves_out_what_paper_cannot_do(reference_page, open_tab):
    tab = open_tab(reference_page, f"#{CELL}")
    tab.page.emulate_media(media="print")
    assert shown(tab, "nav, .controls, .drawer, .copy") == []
    assert tab.page.locator("#table\\.II\\.ml2000 table").is_visible()
    assert tab.page.pdf().startswith(b"%PDF")
