"""The report in a headless browser: what a reader does with it, and what it must never do."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import pytest
from helpers.made_runs import made_run, refine
from helpers.open_page import OpenPage

from acrank.records import Ranking
from acrank.report import ReportParts, report_html
from acrank.report.charts import WITHOUT_VALUE

if TYPE_CHECKING:
    from playwright.sync_api import Browser

pytest.importorskip("altair")
pytest.importorskip("playwright")
Open = Callable[..., OpenPage]
HOSTILE = [
    "</script><script>alert(1)</script>",
    "<img src=x onerror=alert(1)>",
    "\"'><svg/onload=alert(1)>",
    "nul\0bidi\u202eend",
    "x" * 2000,
]


def page_of(count: int = 40, *, layers: int = 6) -> str:
    ranking = made_run([f"model-{place}" for place in range(count)], layers=layers, skipped=2)
    ranking.rows[0].notes = ["a note"]
    figure = {"dataset": "", "score": "ac_corr", "kind": "score", "n": 9, "weighted_tau": 0.5, "verdict": "better"}
    comparison = {"kind": "acrank-comparison", "results": [figure], "averages": []}
    truth = {f"model-{place}": (place / count, 0.01) for place in range(0, count, 2)}
    return report_html(ranking, ReportParts(comparison=comparison, truth=truth))


@pytest.fixture(scope="module")
def html() -> str:
    return page_of()


@pytest.fixture(scope="module")
def shown(html: str, browser: Browser, tmp_path_factory: pytest.TempPathFactory) -> Iterator[OpenPage]:
    """A page that tests share: each leaves it as it was."""
    path = tmp_path_factory.mktemp("report") / "report.html"
    path.write_text(html)
    opened = OpenPage(browser, path)
    yield opened
    opened.page.context.close()


def test_the_first_key_leads_to_the_report(shown: OpenPage) -> None:
    shown.page.keyboard.press("Tab")
    assert shown.page.evaluate("document.activeElement.textContent") == "Skip to the report"
    box = shown.page.locator(".skip").bounding_box()
    assert box is not None
    assert box["x"] >= 0
    shown.page.keyboard.press("Enter")
    assert shown.page.evaluate("document.activeElement.id") == "main"


def test_it_asks_for_nothing_and_complains_of_nothing(shown: OpenPage) -> None:
    assert [address for address in shown.asked if not address.startswith("blob:")] == []
    assert (shown.said, shown.popped) == ([], [])
    assert shown.page.locator(".chart svg.marks").count() == 6
    drawn = shown.page.locator(".chart [role=graphics-document]")
    assert all((drawn.nth(place).get_attribute("aria-label") or "").count(" ") > 9 for place in range(6))


def test_filtering_by_text_and_by_status(shown: OpenPage) -> None:
    text = shown.page.get_by_label("Filter:").first
    text.fill("model-1")
    assert sorted(shown.column(2)) == sorted(f"model-{place}" for place in (1, *range(10, 20)))
    text.fill("")
    status = shown.page.get_by_role("combobox", name="Status")
    status.select_option("skipped")
    assert sorted(shown.column(2)) == ["model-38", "model-39"]
    status.select_option("")
    assert len(shown.column(2)) == 40


def test_sorting_by_mouse_and_by_keyboard(shown: OpenPage) -> None:
    table = shown.page.locator("#candidates")
    assert shown.column(0) == [*map(str, range(1, 39)), "-", "-"]
    assert "by-rank" in (table.get_attribute("class") or "")
    shown.page.locator("#candidates thead th", has_text="parameters").click()
    shown.page.wait_for_selector("#candidates th[aria-sort=ascending]:has-text('parameters')")
    sizes = [int(text.replace(",", "")) for text in shown.column(9)]
    assert sizes == sorted(sizes)
    assert "by-rank" not in (table.get_attribute("class") or "")
    for _ in range(60):
        shown.page.keyboard.press("Tab")
        if "seconds" in shown.page.evaluate("document.activeElement.closest('th')?.textContent ?? ''"):
            break
    shown.page.keyboard.press("Enter")
    shown.page.wait_for_selector("#candidates th[aria-sort=ascending]:has-text('seconds')")
    seconds = [float(text) for text in shown.column(10)]
    assert seconds == sorted(seconds)
    shown.page.locator("#candidates thead th", has_text="rank").first.click()
    shown.page.wait_for_selector("#candidates.by-rank", timeout=5000)


@pytest.mark.parametrize("preferred", ["light", "dark"])
def test_dark_mode_is_the_readers_choice(shown: OpenPage, preferred: Literal["light", "dark"]) -> None:
    page = shown.page
    page.emulate_media(color_scheme=preferred)

    def shade() -> str:
        dark = bool(page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(20, 23, 28)")
        pressed = page.get_by_role("button", name="Dark mode").get_attribute("aria-pressed")
        assert pressed == str(dark).lower()
        label = page.locator("#chart-scores .mark-text text").first
        assert (label.evaluate("one => getComputedStyle(one).fill") == "rgb(232, 234, 237)") == dark
        return "dark" if dark else "light"

    assert shade() == preferred
    page.get_by_role("button", name="Dark mode").press("Enter")
    assert shade() != preferred
    page.emulate_media(media="print")
    assert page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"
    cell = page.locator("#candidates tbody th").first
    assert cell.evaluate("one => getComputedStyle(one).color") == "rgb(27, 31, 36)"
    page.emulate_media(media="screen", color_scheme="light")
    page.reload()
    page.wait_for_selector("html[data-ready=yes]")


@pytest.mark.parametrize(("width", "is_wider"), [(700, True), (3000, False)])
def test_a_table_that_is_wider_than_its_box_says_so_and_scrolls(
    html: str, open_page: Open, width: int, is_wider: bool
) -> None:
    page = open_page(html, width=width).page
    if not is_wider:  # what it needs at most, whatever the fonts of this machine
        page.add_style_tag(content="main { max-width: none !important; }")
    hint = page.locator(".wider[data-of=candidates]")
    box = page.locator(".scroll:has(> #candidates)")
    hint.wait_for(state="visible" if is_wider else "hidden", timeout=5000)
    assert ("continues" in (box.get_attribute("class") or "")) == is_wider
    assert "scroll it sideways" in (hint.text_content() or "")
    if is_wider:
        last = page.locator("#candidates thead th").last
        assert last.evaluate("one => one.getBoundingClientRect().right") > width
        box.evaluate("one => one.scrollTo({ left: one.scrollWidth, behavior: 'instant' })")
        page.wait_for_selector(".scroll:not(.continues):has(> #candidates)", timeout=5000)
        assert last.evaluate("one => one.getBoundingClientRect().right") <= width


def test_axe_finds_nothing(shown: OpenPage) -> None:
    assert violations(shown) == []


def test_axe_finds_nothing_on_a_dark_phone(html: str, open_page: Open) -> None:
    phone = open_page(html, width=390, color_scheme="dark")
    assert violations(phone) == []
    assert phone.page.evaluate("document.documentElement.scrollWidth") <= 390  # only tables and charts scroll sideways


def violations(shown: OpenPage) -> list[tuple[str, str]]:
    """(rule, element) of what axe-core finds wrong, with everything opened that opens."""
    from axe_playwright_python.sync_playwright import Axe

    shown.page.locator("details").evaluate_all("all => all.forEach(one => one.open = true)")
    return [(one["id"], one["nodes"][0]["html"]) for one in Axe().run(shown.page).response["violations"]]


def test_a_chart_shows_the_score_that_is_chosen(shown: OpenPage) -> None:
    page = shown.page
    bars = page.locator("#chart-scores .mark-rect path")
    before = bars.evaluate_all("all => all.map(one => one.getAttribute('d'))")
    page.locator("#chart-scores select").select_option(label="ac_corr (lower is better)")
    page.wait_for_timeout(50)
    assert bars.evaluate_all("all => all.map(one => one.getAttribute('d'))") != before


def test_the_record_comes_out_as_it_went_in(shown: OpenPage, tmp_path: Path) -> None:
    page = shown.page
    with page.expect_download() as waiting:
        page.get_by_role("button", name="Download run.json").click()
    assert waiting.value.suggested_filename == "run.json"
    waiting.value.save_as(tmp_path / "run.json")
    expected = made_run([f"model-{place}" for place in range(40)], layers=6, skipped=2)
    expected.rows[0].notes = ["a note"]
    assert Ranking.load(tmp_path / "run.json").to_record() == expected.to_record()
    assert json.loads((tmp_path / "run.json").read_text())["kind"] == "acrank-run"


def test_hostile_names_stay_text(open_page: Open) -> None:
    ranking = made_run(HOSTILE, layers=3)
    ranking.target["name"], ranking.warnings = HOSTILE[0], HOSTILE[:3]
    for row in ranking.rows:
        row.layers = [{**layer, "name": HOSTILE[1]} for layer in row.layers]
        row.scores = {HOSTILE[2] if name == "ac_corr" else name: value for name, value in row.scores.items()}
    ranking.higher_is_better = {**ranking.higher_is_better, HOSTILE[2]: False}
    shown = open_page(report_html(ranking, ReportParts(truth=dict.fromkeys(HOSTILE, (0.5, None)))))
    page = shown.page
    for chart, mark in (("scores", "rect"), ("cost-p", "symbol"), ("layers", "rect"), ("truth", "symbol")):
        marks = page.locator(f"#chart-{chart} .mark-{mark}:not(.role-legend-symbol) path")
        for place in range(min(marks.count(), 6)):
            marks.nth(place).hover(force=True)
            page.wait_for_timeout(20)
    assert (shown.popped, shown.said) == ([], [])
    assert page.locator("main img, main script, #vg-tooltip-element img, h1 *").count() == 0
    assert "<img src=x onerror=alert(1)>" in shown.column(2)
    assert r"nul\x00bidi\u202eend" in shown.column(2)
    assert page.evaluate("document.documentElement.scrollWidth") <= 1280


@pytest.mark.slow
def test_two_thousand_candidates_of_fifty_layers(open_page: Open) -> None:
    text = report_html(made_run([f"family{one % 40}/resnet50-checkpoint-{one}" for one in range(2000)], layers=50))
    assert len(text.encode()) < 8e6
    shown = open_page(text)
    assert shown.seconds_in_all < 3
    assert shown.page.locator("#candidates tbody tr").count() == 50
    assert (shown.said, shown.popped) == ([], [])
    slider = shown.page.locator("#chart-layers input[type=range]")
    slider.fill("1901")
    shown.page.wait_for_timeout(100)
    assert "1950. " in (shown.page.locator("#chart-layers").text_content() or "")


def test_rows_past_the_first_page_are_sorted_filtered_and_shown(open_page: Open) -> None:
    shown = open_page(page_of(70))
    page = shown.page
    assert [int(text) for text in shown.column(0)] == [*range(1, 51)]
    page.locator(".dt-paging-button.next").first.click()
    assert shown.column(0) == [*map(str, range(51, 69)), "-", "-"]
    assert page.locator("#candidates.by-rank tr.starts-band").count() > 0
    page.get_by_label("Filter:").first.fill("model-69")
    assert shown.column(2) == ["model-69"]
    assert shown.said == []


def test_the_hashes_of_the_weights_come_when_they_are_asked_for(open_page: Open) -> None:
    ranking = made_run(["a", "b"])
    ranking.rows[0].weights = {"file": "<i>a</i>.pth", "sha256": "5c3f"}
    page = open_page(report_html(ranking)).page
    assert page.locator("#weights").count() == 0
    page.get_by_text("Weights and their hashes").click()
    cells = page.locator("#weights tbody tr > *")
    cells.first.wait_for(timeout=5000)
    assert cells.all_text_contents()[1:3] == ["<i>a</i>.pth", "5c3f"]


def test_three_candidates(open_page: Open) -> None:
    shown = open_page(report_html(refine(made_run(["a", "b", "c"], layers=2), 2)))
    assert len(shown.column(0)) == 3
    assert shown.page.locator("#chart-curves .mark-line path").count() == 1
    assert shown.said == []


def test_a_layer_that_ac_corr_leaves_out_is_grey(open_page: Open) -> None:
    ranking = made_run(["a", "b"], layers=3)
    ranking.rows[0].layers = [{**layer, "as_begun": True} for layer in ranking.rows[0].layers]
    shown = open_page(report_html(ranking))
    cells = shown.page.locator("#chart-layers .mark-rect.role-mark path")
    empty = shown.page.locator(f"#chart-layers .mark-rect.role-mark path[fill='{WITHOUT_VALUE}']")
    assert (cells.count(), empty.count()) == (6, 3)
    names = shown.page.locator("#chart-layers .role-axis-label text").all_text_contents()
    assert [name for name in names if ". " in name] == [f"{row.rank}. {row.model}" for row in ranking.rows]
    empty.nth(1).hover(force=True)
    shown.page.locator("#vg-tooltip-element.visible").wait_for(timeout=5000)
    assert shown.page.locator("#vg-tooltip-element td.value").all_text_contents()[1:4] == [
        "blocks.1.norm",
        "64",
        "none",
    ]
    shown.page.locator("#chart-layers select").select_option("d")
    shown.page.wait_for_timeout(100)
    assert (cells.count(), empty.count()) == (6, 0)
    assert shown.said == []


def test_the_axis_of_two_epochs_has_two_labels(open_page: Open) -> None:
    """It had three, 1, 2 and 2: a middle one that was rounded."""
    ranking = refine(made_run(["a", "b", "c"]), 2)
    best = ranking.rows[0]
    best.refined = best.refined and dataclasses.replace(best.refined, curve=[0.5, 0.6])
    labels = open_page(report_html(ranking)).page.locator("#chart-curves .role-axis-label text")
    assert [text for text in labels.all_text_contents() if "." not in text] == ["1", "2"]
