"""Ratios beside peers are found in dated results, and a fall is told."""

import json

from benchmarks.__main__ import compare, compared, last_of, ratios

OLD = {"seconds": 3, "beam": {"ratio": 5.0, "times_faster": 2}, "rows": [{"ratio": 1}], "unisid": {"ratio": None}}


def test_ratios_have_dotted_names():
    assert ratios(OLD) == {"beam.ratio": 5.0, "beam.times_faster": 2.0}


def test_the_newest_results_that_succeeded_count(tmp_path):
    for date, figures in (("2026-01-01", OLD), ("2026-01-02", {"failed": 1})):
        (tmp_path / f"{date}.json").write_text(json.dumps({"results": {"decode": figures}}))
    (tmp_path / "2026-01-03-week.json").write_text("{}")
    assert last_of("decode", tmp_path) == ("2026-01-01", OLD)
    assert last_of("trie", tmp_path) is None


def test_a_fall_is_told_and_fails(tmp_path, capsys):
    (tmp_path / "2026-01-01.json").write_text(json.dumps({"results": {"decode": OLD}}))
    slower = OLD | {"beam": {"ratio": 3.9, "times_faster": 1.7}}
    lines, fallen = compared("decode", slower, tmp_path)
    assert fallen
    assert lines == [
        "decode.beam.ratio: 5 on 2026-01-01, 3.9 now  <-- has fallen",
        "decode.beam.times_faster: 2 on 2026-01-01, 1.7 now",
    ]
    assert compare({"decode": slower}, tmp_path) == 1
    assert compare({"decode": OLD, "trie": {}}, tmp_path) == 0
    assert compare({"trie": {"failed": 1}}, tmp_path) == 1
    assert "trie: no dated results" in capsys.readouterr().out


def test_a_ratio_that_is_gone_has_fallen(tmp_path):
    (tmp_path / "2026-01-01.json").write_text(json.dumps({"results": {"decode": OLD}}))
    assert compared("decode", {"beam": {"ratio": 6.0}}, tmp_path)[1]
