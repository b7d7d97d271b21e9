"""What a report counts of a catalog."""

import dataclasses

import numpy as np
import pytest

from tests.report.runs import write_run
from unisid.artifacts.catalog import write_interactions
from unisid.artifacts.curve import write_curve
from unisid.artifacts.record import write_record
from unisid.legend import LOSS, NDCG, SCORES
from unisid.report import facts, html, sections


@pytest.fixture
def places(place):
    """A run whose 4 users have 1, 3, 4 and 12 interactions."""
    places = write_run(place, [f"Thing {n}" for n in range(30)])
    user = np.repeat(range(4), [1, 3, 4, 12])
    item = np.where(np.arange(20) < 10, 0, np.arange(20))
    write_interactions(places["catalog"], user, item, np.arange(20), np.zeros(20, np.int8))
    return places


def test_activity_counts_users_by_the_length_of_their_histories(places):
    found = facts.activity(places)
    assert found.users == 4
    assert found.by_length == {"1": 1, "2–3": 1, "4–7": 1, "8–15": 1}
    assert found.typical == {"fewest": 1, "median": 3, "nine of ten": 12, "most": 12}
    assert found.head_share == 12 / 20  # 3 of 30 items: ten of one, one each of two others


def test_a_large_catalogue_is_counted_by_its_first_users_alone(places, monkeypatch):
    monkeypatch.setattr(facts, "ROWS_READ", 6)
    found = facts.activity(places)
    assert (found.users, found.by_length) == (2, {"1": 1, "2–3": 1}), "the third user's go on"
    assert sections.data(places)["counted"] == "2"


def test_a_catalog_without_interactions_has_no_activity(place):
    assert facts.activity(write_run(place, ["a", "b"])) is None
    assert facts.activity({}) is None


def test_the_data_section_comes_first_with_protocol_and_lengths(places, place):
    page = html.write_report(places, place / "report").read(html.FILE).decode()
    assert page.index('id="data"') < page.index('id="results"')
    assert 'id="history_lengths"' in page
    assert "1 to 12, median 3; nine of ten users have at most 12" in page


@pytest.mark.parametrize("protocol", sections.PROTOCOLS)
def test_the_protocol_is_in_words(places, place, protocol):
    record = facts.records(places)["catalog"]
    counts = record.counts | {"train": 16, "valid": 1, "test": 3}
    config = record.config | {"protocol": protocol}
    write_record(places["catalog"], dataclasses.replace(record, counts=counts, config=config))
    page = html.write_report(places, place / "report").read(html.FILE).decode()
    made = "That makes 16 training targets, 1 validation targets, 3 test targets."
    assert f"{sections.PROTOCOLS[protocol].replace(chr(39), '&#39;')} {made}" in page


def test_a_score_is_what_the_curve_says_and_else_what_the_settings_do(places, place):
    record = facts.records(places)["codes"]
    for noun, select in (("model", "loss"), ("joint", "ndcg"), ("baseline", "ndcg")):
        places[noun] = place / noun
        write_record(place / noun, dataclasses.replace(record, address=f"{noun}/demo/1", config={"select": select}))
    assert facts.scores(places) == SCORES | {"model": LOSS}  # as curves were before they said it
    write_curve(places["joint"], [(0, "valid_score", 0.1)], LOSS)
    write_curve(places["model"], [(0, "valid_score", 0.1)], NDCG)
    assert facts.scores(places) == SCORES | {"joint": LOSS}
