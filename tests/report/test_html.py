import dataclasses
import json
import re
from html.parser import HTMLParser

import pytest

from tests.report.runs import write_run
from unisid.artifacts.record import write_record
from unisid.artifacts.store import Place
from unisid.report import explorer, facts, html, sections, tables

TITLES = ["Apple & pear", "</script><script>alert(1)</script>", *(f"Thing {n}" for n in range(60))]
VOID = {"meta", "input", "br"}


class Balance(HTMLParser):
    """Collects ids and outward references, and insists that every element is closed in order."""

    def __init__(self):
        super().__init__()
        self.open, self.ids, self.references, self.scripts = [], [], [], 0

    def handle_starttag(self, tag, attributes):
        values = dict(attributes)
        self.ids += [values["id"]] if "id" in values else []
        self.references += [v for k, v in values.items() if k in ("src", "href", "xlink:href") and v]
        self.scripts += tag == "script"
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attributes):
        self.handle_starttag(tag, attributes)
        if tag not in VOID:
            self.open.pop()

    def handle_endtag(self, tag):
        assert self.open.pop() == tag


@pytest.fixture
def places(place):
    return write_run(place, TITLES)


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    """One whole report, for all that only read it: places, folder, page."""
    place = Place.of(tmp_path_factory.mktemp("run"))
    places = write_run(place, TITLES)
    return places, *write(places, place, note="Proves <nothing>.")


def parse(page):
    parser = Balance()
    parser.feed(page)
    assert parser.open == []
    return parser


def write(places, place, **options):
    out = html.write_report(places, place / "report", **options)
    return out, out.read("report.html").decode()


def test_is_one_well_formed_file_that_needs_nothing_else(written):
    _, out, page = written
    found = parse(page)
    assert all(r.startswith(("#", "data:")) for r in found.references)
    assert len(set(found.ids)) == len(found.ids), "two drawings share an id"
    assert found.scripts == 3
    assert "Proves &lt;nothing&gt;." in page
    assert set(out.sizes()) == {
        "report.html",
        "learning_curves.png",
        "metric_bars.png",
        "level_usage.png",
        "prefix_map.png",
    }
    assert out.read("metric_bars.png")[:4] == b"\x89PNG"


def test_shows_settings_fingerprints_and_results(written):
    places, _, page = written
    assert "codes.tokenizer.kind" in page
    assert facts.records(places)["codes"].fingerprint[:12] in page
    assert "<b>0.3014</b>" in page  # the best HR@10: 0.12 * 10 ** 0.4
    assert "0.1256" in page  # popularity's, which is not
    assert "uqf-tiger against" in page
    assert "<th>itemknn</th><td>HR@10</td><td>excluded</td><td>+0.0200</td>" in page


def test_explorer_holds_every_item_sorted_and_inert(written):
    _, _, page = written
    data = re.search(r'<script type="application/json" id="items">(.*?)</script>', page, re.S).group(1)
    assert "<" not in data
    rows = json.loads(data)
    assert sorted(row[-1] for row in rows) == sorted(TITLES)
    assert [row[:-1] for row in rows] == sorted(row[:-1] for row in rows)


def test_explorer_is_bounded_in_items_and_bytes(places, monkeypatch):
    monkeypatch.setattr(explorer, "ITEMS", 10)
    section = explorer.explorer(places)
    assert sorted(row[-1] for row in json.loads(section["rows"])) == sorted(TITLES[:10])
    page = html.templates().get_template("explorer.html").render(section=section)
    assert "It holds 10 of 62 items" in page
    monkeypatch.setattr(explorer, "BYTES", 100)
    monkeypatch.setattr(explorer, "NAME_BYTES", 0)
    section = explorer.explorer(places)
    kept = json.loads(section["rows"])
    assert json.loads(section["names"]) == {}
    assert 0 < len(kept) < 10
    assert sorted(row[-1] for row in kept) == sorted(TITLES[: len(kept)])


def test_long_titles_are_cut():
    assert tables.cut("x" * tables.LETTERS) == "x" * tables.LETTERS
    assert tables.cut("x" * 1000) == "x" * (tables.LETTERS - 1) + "…"


@pytest.mark.parametrize(
    ("low", "high", "verdict"),
    [(0.01, 0.03, "is better"), (-0.03, -0.01, "is worse"), (-0.01, 0.01, "is not clearly different")],
)
def test_the_verdict_follows_the_interval_of_the_strongest_baseline(places, low, high, verdict):
    found = facts.results(places)
    found.comparisons["itemknn"]["excluded"]["NDCG@10"] |= {"low": low, "high": high}
    said = sections.verdict(found, "NDCG@10")
    assert said.startswith("uqf-tiger reaches an NDCG@10 of 0.1809, history excluded; the best baseline, itemknn,")
    assert said.endswith(f"the model {verdict}.")


@pytest.mark.parametrize("nouns", [[], ["catalog"], ["catalog", "codes"], ["catalog", "fused"]])
def test_shows_what_is_there(places, place, nouns):
    _, page = write({noun: places[noun] for noun in nouns}, place)
    found = parse(page)
    assert ("results" in found.ids, "explorer" in found.ids) == (False, "codes" in nouns)


def test_what_is_half_made_is_left_out(places, place):
    places["metrics"].remove("record.json")
    _, page = write(places, place)
    assert "results" not in parse(page).ids


def test_data_section_shows_what_was_dropped_and_by_which_setting(place):
    places = write_run(place, TITLES)
    record = facts.records(places)["catalog"]
    more = {
        "dropped": {"missing_time": 1234, "k_core": 0},
        "oddities": {"empty_texts": 60},
        "tied_steps": 0.75,
        "order": {"steps": 5000, "to_greater_id": 0.7},
        "time_unit": "ms",
        "test": 10,
        "taken_before": {"test": 2},
        "unread": {"items": "price (double), stock (int64)", "interactions": "<shop>"},
    }
    config = record.config | {"protocol": "leave-one-out"}
    write_record(places["catalog"], dataclasses.replace(record, config=config, counts=record.counts | more))
    _, page = write(places, place)
    parse(page)
    section = re.search(r'<section id="data">(.*?)</section>', page, re.S).group(1)
    assert (
        "<th>1,234</th><td>dropped: interactions without a time</td><td>catalog.dataset.times.missing</td>" in section
    )
    for name, value in (
        ("times are given to the", "millisecond"),
        ("interactions at the very time of the user&#39;s one before", "75%"),
        ("next items with a greater id than the item before", "70%"),
        ("test targets that the user took before", "20%"),
        ("items", "price (double), stock (int64)"),
        ("interactions", "&lt;shop&gt;"),
    ):
        assert f"<th>{name}</th><td>{value}</td>" in section
    assert "<h3>Columns that were not used</h3>" in section
    assert "10 test targets." in section
    assert "too few" not in section
    for warning in ("60 of 62 items have no text", "75% of a user", "70% of the users"):
        assert warning in section
