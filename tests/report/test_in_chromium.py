"""The report as a browser shows it: headless Chromium loads the file, a probe beside it measures."""

import json
import re
import subprocess
from html import unescape
from pathlib import Path
from urllib.parse import quote

import numpy as np
import pytest

from tests.report.chromium import BROWSER, SWITCHES
from tests.report.runs import SIZES, write_run
from unisid.artifacts.store import Place
from unisid.report import explorer, facts, html

pytestmark = pytest.mark.skipif(not BROWSER, reason="needs Chromium on PATH (Debian's package: chromium)")
TITLES = ["Toy Story", "Toy Soldiers", "<b>Bold</b> & co", "", *(f"Thing {n}" for n in range(500))]
PROBE = f"<script>{Path(__file__).with_name('probe.js').read_text()}</script></body>"
PHONE = """<!doctype html><body><iframe src="page.html" style="width: 390px; height: 800px; border: 0"></iframe><script>
addEventListener("message", (event) => {
  const out = document.createElement("pre");
  out.id = "measured";
  out.textContent = event.data;
  document.body.append(out);
});</script></body>"""
"""A desktop's window is never so narrow: the page is shown in a frame."""


@pytest.fixture(scope="module")
def page(tmp_path_factory):
    """A whole report's markup, and the codes behind it."""
    folder = tmp_path_factory.mktemp("run")
    places = write_run(Place.of(folder), TITLES)
    html.write_report(places, Place.of(folder / "report"), note="A note.")
    found = facts.index(places, len(TITLES))
    return (folder / "report" / "report.html").read_text(), found.codes


@pytest.fixture
def look(tmp_path):
    """Loads markup; returns what the probe measured and what the browser's console said."""

    def look(markup: str, fragment: str = "", phone: bool = False, dark: bool = False):
        (tmp_path / "page.html").write_text(markup.replace("</body>", PROBE))
        (tmp_path / "phone.html").write_text(PHONE)
        file = tmp_path / ("phone.html" if phone else "page.html")
        words = [
            BROWSER,
            *SWITCHES,
            f"--user-data-dir={tmp_path / 'profile'}",
            "--window-size=1200,900",
            f"--blink-settings=preferredColorScheme={0 if dark else 1}",
            "--dump-dom",
            file.as_uri() + fragment,
        ]
        done = subprocess.run(words, capture_output=True, text=True, timeout=120, check=True)
        measured = re.search(r'<pre id="measured">(.*?)</pre>', done.stdout, re.S)
        assert measured, done.stderr[-2000:]
        return json.loads(unescape(measured[1])), [line for line in done.stderr.splitlines() if "CONSOLE" in line]

    return look


def test_a_fault_and_a_request_would_be_noticed(page, look):
    planted = "<script>fetch('http://127.0.0.1:9/x'); throw Error('planted')</script></body>"
    _, console = look(page[0].replace("</body>", planted))
    assert any("planted" in line for line in console)
    assert any("127.0.0.1:9" in line and "Content Security Policy" in line for line in console)


@pytest.mark.parametrize("dark", [False, True])
def test_it_is_quiet_alone_and_readable(page, look, dark):
    seen, console = look(page[0], dark=dark)
    assert console == []
    assert seen["asked"] == []
    assert seen["dark"] is dark
    assert seen["texts"] > 200
    assert seen["faint"] == []
    assert seen["prefixes"][0] == "<a_0>"


def test_on_a_phone_nothing_scrolls_sideways(page, look):
    seen, console = look(page[0], phone=True)
    assert (seen["width"], seen["scrolls"]) == (390, 390)
    assert console == []
    wide, _ = look(page[0].replace("<main>", '<main><p style="width: 700px">wide</p>'), phone=True)
    assert wide["scrolls"] > 700, "a page too wide would be noticed"


def test_a_mark_under_the_pointer_says_what_it_is(page, look):
    touch = """<script>addEventListener("load", () => {
      const mark = document.querySelector("#prefix_map .role-mark [aria-label]");
      const tip = document.getElementById("tip");
      const at = (target) => target.dispatchEvent(new PointerEvent("pointermove",
        { bubbles: true, clientX: innerWidth - 1, clientY: innerHeight - 1 }));
      at(mark);
      const box = tip.getBoundingClientRect();
      const inside = box.right <= innerWidth && box.bottom <= innerHeight && box.left >= 0;
      if (tip.textContent !== mark.getAttribute("aria-label") || tip.hidden || !inside) throw Error("no tip");
      at(document.querySelector("h1"));
      if (!tip.hidden) throw Error("the tip stays");
    });</script></body>"""
    seen, console = look(page[0].replace("</body>", touch))
    assert console == []
    assert seen["texts"] > 200


@pytest.fixture(scope="module")
def named(tmp_path_factory):
    """A whole report whose first codes have words, some of them long, in a crowded map."""
    folder, count = tmp_path_factory.mktemp("named"), 504
    first = np.random.default_rng(0).permutation(np.prod(SIZES))[:count] // (SIZES[1] * SIZES[2])  # as the run has it
    titles = [f"{chr(97 + code) * (4 + code)} {chr(98 + code) * 6} {n}" for n, code in enumerate(first.tolist())]
    places = write_run(Place.of(folder), titles)
    html.write_report(places, Place.of(folder / "report"))
    return (folder / "report" / "report.html").read_text()


MEASURE = """<script>addEventListener("load", () => {
  const words = [...document.querySelectorAll("#prefix_map .mark-text text")];
  const shown = words.filter((word) => getComputedStyle(word).visibility === "visible");
  const boxes = shown.map((word) => word.getBoundingClientRect());
  const frame = document.querySelector("#prefix_map svg").getBoundingClientRect();
  const over = (a, b) => a.left < b.right && b.left < a.right && a.top < b.bottom && b.top < a.bottom;
  if (boxes.some((a, n) => boxes.slice(n + 1).some((b) => over(a, b)))) throw Error("words lie over one another");
  if (boxes.some((a) => a.left < frame.left - 1 || a.right > frame.right + 1)) throw Error("a word is cut off");
  if (boxes.some((a) => a.height < 11)) throw Error("words are too small");
  if (boxes.length < 5) throw Error(`only ${boxes.length} of ${words.length} words`);
  const keys = [...document.querySelectorAll(".key li")];
  const cells = keys.map((each) => each.getBoundingClientRect());
  if (keys.length !== 11 || cells.some((a, n) => cells.slice(n + 1).some((b) => over(a, b)))
    || keys.some((each) => each.scrollWidth > each.clientWidth + 1)) throw Error("entries of the key run together");
});</script></body>"""


@pytest.mark.parametrize("phone", [False, True])
def test_the_words_of_the_map_and_of_its_key_do_not_overlap(named, look, phone):
    _, console = look(named.replace("</body>", MEASURE), phone=phone)
    assert console == []


def test_words_that_overlap_would_be_noticed(named, look):
    large = "<style>#prefix_map .mark-text text { visibility: visible !important; font-size: 40px !important }</style>"
    _, console = look(named.replace("</body>", large + MEASURE))
    assert any("words lie over one another" in line for line in console)


def test_prefixes_have_the_words_of_their_items(page, look):
    names = json.loads(re.search(r'id="names">(.*?)</script>', page[0], re.S)[1])
    assert names == {}, "these titles share no words"
    named = page[0].replace('id="names">{}', 'id="names">{"0":"star wars"}')
    said = "<script>document.querySelector('#tree .hint').classList.add('item')</script></body>"
    seen, _ = look(named.replace("</body>", said))
    assert seen["items"][0] == "star wars"


def test_items_are_found_by_title(page, look):
    seen, _ = look(page[0], fragment="#find=" + quote("toy"))
    assert seen["said"] == "Found 2 by title"
    assert sorted(line.rpartition(">")[2] for line in seen["items"]) == ["Toy Soldiers", "Toy Story"]


@pytest.mark.parametrize("asked", ["{a},{b}", "<a_{a}><b_{b}>"])
def test_items_are_found_by_prefix(page, look, asked):
    markup, codes = page
    a, b = codes[7, :2].tolist()
    seen, _ = look(markup, fragment="#find=" + quote(asked.format(a=a, b=b)))
    inside = [item for item, row in enumerate(codes.tolist()) if row[:2] == [a, b]]
    want = sorted(f"<a_{a}><b_{b}><c_{codes[i, 2]}>{TITLES[i] or 'no title'}" for i in inside)
    assert sorted(seen["items"]) == want


def test_nothing_found_is_said(page, look):
    seen, _ = look(page[0], fragment="#find=xyzzy")
    assert seen["said"] == "Nothing is called or coded “xyzzy”"
    assert seen["items"] == []


def test_a_large_catalogue_stays_small_in_the_browser(page, look, monkeypatch):
    sizes, count = (1024, 256, 256), 120_000
    cells = np.random.default_rng(0).choice(np.prod(sizes), count, replace=False)
    codes = np.stack(np.unravel_index(cells, sizes), 1).astype(np.int32)
    titles = [f"An article of some forty letters, no. {n}" for n in range(explorer.ITEMS)]
    monkeypatch.setattr(facts, "index", lambda places, most: facts.Index(sizes, count, codes, titles[:most], {}))
    monkeypatch.setattr(facts, "texts", lambda places, most: titles[:most])
    section = html.templates().get_template("explorer.html").render(section=explorer.explorer({}))
    assert "It holds 100,000 of 120,000 items" in section
    assert len(section.encode()) < explorer.BYTES + explorer.NAME_BYTES + 5000
    script = page[0][page[0].rindex("<script>") : page[0].rindex("</body>")]
    bare = f'<!doctype html><body><div id="explorer">{section}</div>{script}</body>'
    seen, console = look(bare)
    assert console == []
    assert len(seen["prefixes"]) == 200
    assert re.fullmatch(r"[\d,]+ more items, under further codes", seen["more"][0])
    seen, _ = look(bare, fragment="#find=article")
    assert seen["said"] == "Found 100,000 by title"
    assert (len(seen["items"]), seen["more"]) == (200, ["99,800 more items"])
    assert seen["nodes"] < 1000
