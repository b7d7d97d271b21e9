"""Where a catalog is sorted: as a setting says, or by the raw data and the machine."""

import dataclasses
import importlib.util

import pytest

from tests.lines import logged
from tests.stages.test_catalog import shop
from unisid.stages.catalog.on_disk import memory


def where(config, machine, monkeypatch, installed=True):
    """GiB, and what is said."""
    monkeypatch.setattr(memory, "memory", lambda: machine)
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: object() if installed else None)
    with logged() as words:
        return memory.memory_of(config), words


@pytest.fixture
def config(tmp_path):
    return shop(tmp_path, [(f"u{n}", "i", 1_600_000_000 + n) for n in range(1000)])


def test_the_setting_decides(config, monkeypatch):
    found, words = where(dataclasses.replace(config, memory=2.5), 1, monkeypatch)
    assert found == 2.5
    assert "sorting in 2.5 GiB of memory, the rest on disk (catalog.memory)" in words[0]
    assert where(dataclasses.replace(config, memory=0.0), 1, monkeypatch) == (0.0, [])


def test_a_table_above_half_of_the_memory_goes_to_disk_where_duckdb_is(config, monkeypatch):
    machine = 2 * 1001 * memory.BYTES
    assert where(config, 2 * machine, monkeypatch) == (0.0, [])
    found, words = where(config, machine // 2, monkeypatch)
    assert found == machine // 2 * 0.25 / 2**30
    assert "about 1,001 interactions would take up to 0 of 0 GiB of memory: they are sorted on disk" in words[0]
    found, words = where(config, machine // 2, monkeypatch, installed=False)
    assert found == 0.0
    assert "unisid[large] sorts them on disk (catalog.memory)" in words[0]


def test_what_a_plan_counts_on_is_what_the_stage_will_take(config, monkeypatch):
    machine = 1001 * memory.BYTES
    for setting in (None, 0.0, 2.5):
        wanted = dataclasses.replace(config, memory=setting)
        gib, _ = where(wanted, machine, monkeypatch)
        assert memory.bound_of(wanted, 1001) == (memory.most_held(gib) if gib else 0)
    assert memory.bound_of(config, 500) == 0
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    assert memory.bound_of(config, 1001) == 0
