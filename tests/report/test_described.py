"""An artifact in words: the meaning of its noun, what made it, and its figures and settings."""

import pytest

from unisid.artifacts.record import Record, read_record, write_record
from unisid.artifacts.store import NOUNS
from unisid.report.described import description, meaning


@pytest.mark.parametrize("noun", NOUNS)
def test_every_noun_has_a_meaning(noun):
    assert meaning(noun) != noun
    assert "\n" not in meaning(noun)


def test_figures_groups_and_settings_have_their_places(place):
    record = Record(
        address="codes/t/1",
        config={"tokenizer": {"kind": "rqvae"}},
        inputs={"fused": {"address": "fused/t/1", "fingerprint": "ab" * 32}},
        counts={"items": 1234, "quality": {"distinct_share": 0.5}, "means": {"x": 1}},
        seconds=1.25,
        machine="a machine",
        memory={"peak": 3 << 30, "device": 5 << 30},
        created="2026-01-02T03:04:05+00:00",
    )
    write_record(place, record)
    shown = description(place, read_record(place))
    assert shown.startswith(f"codes/t/1\n{meaning('codes')}")
    assert "made from" in shown
    assert "fused/t/1" in shown
    assert "2026-01-02 03:04 UTC, in 1.2 s" in shown
    assert "of a GPU at most, on a machine" in shown
    for words in ("counts\n", "quality\n", "settings\n", "tokenizer.kind"):
        assert words in shown
    assert "means\n" not in shown, "the ranking covers it"
