"""The reports as a browser shows them: wide and narrow, light and dark, offline, by keyboard."""

from __future__ import annotations

from functools import cache, partial

import pytest

WIDTHS = {"desktop": (1280, 900), "phone": (390, 844)}
MOST_BYTES = 3_000_000
LEAST_CONTRAST = 4.5  # WCAG 2.1, 1.4.3, for text of usual size

CONTRAST = """() => {
  const channel = c => { c /= 255; return c <= .04045 ? c / 12.92 : ((c + .055) / 1.055) ** 2.4; };
  const luminance = c => .2126 * channel(c[0]) + .7152 * channel(c[1]) + .0722 * channel(c[2]);
  const numbers = text => {
    const c = text.match(/[\\d.]+/g).map(Number);
    return c.length < 4 ? [...c.slice(0, 3), 1] : c;
  };
  const over = (top, below) =>
    [0, 1, 2].map(i => top[i] * top[3] + below[i] * (1 - top[3])).concat(1);
  const behind = element => {
    const layers = [];
    for (let e = element; e; e = e.parentElement) {
      const back = numbers(getComputedStyle(e).backgroundColor);
      if (back[3] > 0) layers.push(back);
      if (back[3] === 1) break;
    }
    return layers.reverse().reduce((below, top) => over(top, below), [255, 255, 255, 1]);
  };
  const found = [];
  const walk = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (walk.nextNode()) {
    const element = walk.currentNode.parentElement, text = walk.currentNode.data.trim();
    if (!text || !element.checkVisibility() || element.closest("title, desc, style")) continue;
    const style = getComputedStyle(element), back = behind(element);
    const front = over(numbers(element.closest("svg") ? style.fill : style.color), back);
    const [a, b] = [luminance(front), luminance(back)].sort((x, y) => y - x);
    found.push([(a + .05) / (b + .05), text]);
  }
  return found;
}"""

OVERLAPS = """selector => {
  const boxes = [...document.querySelectorAll(selector)].filter(e => e.checkVisibility())
    .map(e => [e.textContent, e.getBoundingClientRect()]);
  const found = [];
  boxes.forEach(([text, a], i) => boxes.slice(i + 1).forEach(([other, b]) => {
    const wide = Math.min(a.right, b.right) - Math.max(a.left, b.left);
    const high = Math.min(a.bottom, b.bottom) - Math.max(a.top, b.top);
    if (wide > .5 && high > 3) found.push([text, other, wide, high]);
  }));
  return {number: boxes.length, found};
}"""

CUT_OFF = """() => [...document.querySelectorAll("svg")].filter(e => e.checkVisibility())
  .flatMap(svg => {
    const frame = svg.getBoundingClientRect();
    return [...svg.querySelectorAll("text")].map(e => [e.textContent, e.getBoundingClientRect()])
      .filter(([_, box]) => box.left < frame.left - 1 || box.right > frame.right + 1
        || box.top < frame.top - 2 || box.bottom > frame.bottom + 2)
      .map(([text]) => text);
  })"""

WIDER = """() => [...document.querySelectorAll("body *")].filter(e => e.checkVisibility()
  && !e.closest(".scroll, pre, .unseen, svg")
  && e.getBoundingClientRect().right > document.documentElement.clientWidth + 1)
  .map(e => e.outerHTML.slice(0, 80))"""

STRUCTURE = """() => {
  const all = selector => [...document.querySelectorAll(selector)];
  const levels = all("h1, h2, h3, h4").map(e => +e.tagName[1]);
  return {
    language: document.documentElement.lang,
    levels,
    jumps: levels.some((level, i) => i && level > levels[i - 1] + 1),
    pictures: all("svg").length,
    silent: all("svg").filter(e => e.getAttribute("role") !== "img"
      || !e.getAttribute("aria-label")).length,
    undescribed: all("svg.tree, svg.chart").filter(e => !e.querySelector("desc")
      || e.querySelector("desc").textContent.length < 20).length,
    tables: all("table").length,
    uncaptioned: all("table").filter(e => !e.caption || !e.caption.textContent.trim()).length,
    unscoped: all("th:not([scope])").length,
    unheaded: all("tbody tr").filter(e => !e.querySelector("th[scope=row]")).length,
    landmarks: all("main").length,
  };
}"""

FOCUSED = """() => {
  const e = document.activeElement, style = getComputedStyle(e);
  const box = e.getBoundingClientRect();
  return {what: e.tagName + e.className, outline: parseFloat(style.outlineWidth),
    style: style.outlineStyle, seen: box.bottom > 0 && box.top < innerHeight};
}"""

FOCUSABLE = """() => [...document.querySelectorAll(
    "a[href], summary, [tabindex='0'], button, input, select, textarea")]
  .filter(e => e.checkVisibility()).map(e => e.tagName + e.className)"""


@pytest.fixture(scope="module")
def reports(posterior_report, parsimony_report, library_report, tmp_path_factory):
    """Return a function of the name of a report: its file, written when first asked for."""
    made = {
        "posterior": partial(posterior_report, 10, ("the chain <was> short",)),
        "posterior of 64": partial(posterior_report, 64),
        "posterior of 200": partial(posterior_report, 200),
        "parsimony": partial(parsimony_report, 4),
        "one shortest tree": partial(parsimony_report, 1),
        "library": library_report,
    }
    directory = tmp_path_factory.mktemp("reports")

    @cache
    def path(name):
        file = directory / f"{name}.html"
        file.write_text(made[name](), encoding="utf-8")
        return file

    return path


@pytest.fixture(scope="module")
def page(browser):
    """Return the one page in which all reports are opened."""
    context = browser.new_context()
    yield context.new_page()
    context.close()


@pytest.fixture
def show(page, reports):
    """Return a function that opens a report and tells what it asked the network for."""

    def show(name, device="desktop", scheme="light"):
        width, height = WIDTHS[device]
        page.set_viewport_size({"width": width, "height": height})
        page.emulate_media(media="screen", color_scheme=scheme)
        page.goto(reports(name).as_uri())
        return page

    return show


@pytest.fixture
def asked(page):
    """Return the addresses that the page asks for during a test."""
    addresses = []
    page.on("request", lambda request: addresses.append(request.url))
    return addresses


@pytest.mark.parametrize("name", ["posterior", "parsimony", "one shortest tree", "library"])
def test_fits_wide_and_narrow_screens_in_light_and_dark(show, asked, name):
    page = show(name)
    for device, (width, height) in WIDTHS.items():
        page.set_viewport_size({"width": width, "height": height})
        assert page.evaluate("document.documentElement.scrollWidth") <= width, device
        assert page.evaluate(WIDER) == [], device
        assert page.evaluate(CUT_OFF) == [], device
        overlaps = page.evaluate(OVERLAPS, "svg.tree text, svg.chart text")
        assert overlaps["number"] > 20 and overlaps["found"] == [], device
        for scheme in ("light", "dark"):
            page.emulate_media(color_scheme=scheme)
            contrasts = page.evaluate(CONTRAST)
            assert len(contrasts) > 50
            assert [c for c in contrasts if c[0] < LEAST_CONTRAST] == [], (device, scheme)
    assert asked == [page.url]
    assert len(page.content().encode()) < MOST_BYTES


@pytest.mark.parametrize("name", ["posterior", "posterior of 64", "posterior of 200", "parsimony"])
@pytest.mark.parametrize("device", list(WIDTHS))
def test_no_label_of_a_tree_lies_upon_another(show, name, device):
    page = show(name, device)
    names = page.evaluate(OVERLAPS, "svg.tree .taxon text")
    assert names["number"] >= 10
    assert page.evaluate(OVERLAPS, "svg.tree text")["found"] == []
    assert page.evaluate(CUT_OFF) == []
    sizes = page.evaluate(
        "[...document.querySelectorAll('svg.tree .taxon text')].filter(e => e.checkVisibility())"
        ".map(e => e.getBoundingClientRect().height)"
    )
    assert min(sizes) > 10  # pixels


@pytest.mark.parametrize("name", ["posterior", "parsimony", "library"])
def test_says_to_those_who_do_not_see_what_it_shows(show, name):
    page = show(name)
    found = page.evaluate(STRUCTURE)
    assert found["language"] == "en" and found["landmarks"] == 1
    assert found["levels"][0] == 1 and found["levels"].count(1) == 1 and not found["jumps"]
    assert found["pictures"] >= 4 and found["silent"] == found["undescribed"] == 0
    assert found["tables"] >= 2
    assert found["uncaptioned"] == found["unscoped"] == found["unheaded"] == 0


@pytest.mark.parametrize("name", ["posterior", "parsimony", "library"])
def test_keyboard_reaches_all_that_can_be_used_and_shows_where_it_is(show, name):
    page = show(name, "phone")
    page.evaluate("document.querySelectorAll('details').forEach(e => { e.open = true })")
    expected = page.evaluate(FOCUSABLE)
    assert any(what.startswith("SUMMARY") for what in expected)
    for what in expected:
        page.keyboard.press("Tab")
        focused = page.evaluate(FOCUSED)
        assert focused["what"] == what
        assert focused["outline"] >= 2 and focused["style"] == "solid" and focused["seen"]


def test_warnings_are_the_first_thing_on_a_phone(show):
    page = show("posterior", "phone")
    box = page.locator("section.notice").bounding_box()
    assert box is not None and box["y"] < 300
    text = page.locator("section.notice").inner_text()
    assert "The chain <was> short." in text and "The standard errors are unreliable" in text


def test_a_table_wider_than_a_phone_scrolls_in_its_frame(show):
    page = show("parsimony", "phone")
    frames = page.evaluate(
        "[...document.querySelectorAll('.scroll')].map(e => [e.scrollWidth, e.clientWidth])"
    )
    assert any(inner > outer for inner, outer in frames)
    assert page.evaluate("document.documentElement.scrollWidth") == 390


def test_prints_in_light_colours_on_white_and_in_the_wide_form(show):
    page = show("posterior", scheme="dark")
    page.emulate_media(media="print", color_scheme="dark")
    page.set_viewport_size({"width": 688, "height": 1000})  # A4 less margins
    colours = page.evaluate(
        "[getComputedStyle(document.querySelector('h1')).color,"
        " getComputedStyle(document.querySelector('section:not(.notice)')).backgroundColor]"
    )
    assert colours == ["rgb(28, 35, 48)", "rgb(255, 255, 255)"]
    assert page.locator(".wide").first.is_visible() and page.locator(".narrow").first.is_hidden()
    assert page.locator("details").first.is_hidden()
    assert page.evaluate("document.documentElement.scrollWidth") <= 688
    assert page.pdf(format="A4").count(b"/Type /Page\n") >= 3


def test_a_report_of_two_hundred_taxa_is_small_and_opens_at_once(show):
    page = show("posterior of 200")
    assert len(page.content().encode()) < 300_000
    timing = page.evaluate("performance.getEntriesByType('navigation')[0].loadEventEnd")
    assert timing < 3000  # milliseconds, on a machine with other work
