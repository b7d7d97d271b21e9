"""Records, fingerprints, overrides and plug-ins of `unisid.config`."""

import dataclasses
import math
from dataclasses import dataclass, field
from typing import Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from unisid.config import (
    did_you_mean,
    differences,
    fingerprint,
    flatten,
    from_record,
    identity_where,
    override,
    plug_in,
    plug_ins,
    runtime,
    to_record,
)
from unisid.errors import ConfigError


@dataclass(frozen=True, kw_only=True)
class Inner:
    width: int = 8
    rate: float = 0.5
    kind_of: Literal["mean", "last"] = "mean"
    workers: int = runtime(1)


@dataclass(frozen=True, kw_only=True)
class Outer:
    inner: Inner = field(default_factory=Inner)
    levels: tuple[int, ...] = (3, 4)
    limit: int | None = None
    on: bool = True


configs = st.builds(
    Outer,
    inner=st.builds(Inner, width=st.integers(1, 99), rate=st.floats(0, 1), workers=st.integers(1, 9)),
    levels=st.lists(st.integers(1, 9), max_size=4).map(tuple),
    limit=st.none() | st.integers(),
    on=st.booleans(),
)


@given(configs)
def test_a_record_round_trips(config):
    assert from_record(Outer, to_record(config)) == config


@given(configs, st.integers(10, 20))
def test_runtime_fields_bear_no_identity(config, workers):
    other = override(config, "inner.workers", workers)
    assert other != config
    assert to_record(other, identity=True) == to_record(config, identity=True)
    assert "workers" not in to_record(config, identity=True)["inner"]


@dataclass(frozen=True, kw_only=True)
class Choosy:
    inner: Inner = field(default_factory=Inner, metadata=identity_where(lambda config: config.used))
    used: bool = False


@given(configs)
def test_a_field_may_bear_identity_beside_others_only(config):
    plain, changed = Choosy(), Choosy(inner=config.inner)
    assert to_record(changed, identity=True) == to_record(plain, identity=True) == {"used": False}
    used = to_record(Choosy(inner=config.inner, used=True), identity=True)
    assert used["inner"] == to_record(config.inner, identity=True)
    assert from_record(Choosy, to_record(changed)) == changed


@given(st.dictionaries(st.text(), st.integers()))
def test_the_fingerprint_ignores_order(record):
    backwards = dict(reversed(list(record.items())))
    assert fingerprint(record) == fingerprint(backwards)


def test_the_fingerprint_distinguishes_values():
    assert fingerprint({"a": 1}) != fingerprint({"a": 2})
    assert fingerprint({"a": 1}) != fingerprint({"a": "1"})
    with pytest.raises(ValueError, match="not JSON compliant"):
        fingerprint({"a": math.nan})


def test_override_sets_a_dotted_key_and_types_its_value():
    config = override(Outer(), "inner.rate", "0.25")
    assert config.inner.rate == 0.25
    assert override(config, "on", "false").on is False
    assert override(config, "limit", "7").limit == 7
    assert config.inner.width == Inner().width


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        ("inner.widht", 3, r"no key 'widht'; did you mean 'width'"),
        ("iner.width", 3, r"did you mean 'inner"),
        ("inner.width.deeper", 3, r"'width' is a value, it has no field 'deeper'"),
        ("inner.width", "wide", r"inner.width|width: 'wide' is not of type int"),
        ("inner.width", 2.5, r"'2.5' is not of type int"),
        ("inner.kind_of", "median", r"'median' is not one of mean, last"),
        ("on", "maybe", r"'maybe' is neither True nor False|not of type bool"),
    ],
)
def test_override_refuses(key, value, message):
    with pytest.raises(ConfigError, match=message):
        override(Outer(), key, value)


def test_a_word_that_differs_in_case_alone_is_the_one_that_is_meant():
    assert did_you_mean("item_id", ["title", "items", "ITEM_ID"]) == "; did you mean 'ITEM_ID'?"
    assert did_you_mean("titel", ["title", "TIT"]) == "; did you mean 'title'?"


def test_an_unknown_field_in_a_record_is_named():
    with pytest.raises(ConfigError, match=r"no field 'levles'; did you mean 'levels'"):
        from_record(Outer, {"levles": [1]})


def test_differences_name_dotted_keys():
    before = to_record(Outer())
    after = to_record(dataclasses.replace(Outer(), inner=Inner(width=9)))
    assert differences(before, after) == ["inner.width: 8 -> 9"]
    assert flatten({"a": {"b": 1}}) == {"a.b": 1}


@pytest.mark.parametrize("name", ["parts", "tigre", "no.module"])
def test_only_a_module_with_settings_of_its_own_is_a_kind(name):
    known = ", ".join(plug_ins("backbones"))
    assert name not in known.split(", ")
    assert {"lcrec", "tiger"} <= set(known.split(", "))
    with pytest.raises(ConfigError, match=rf"backbones: no kind '{name}'.*; known: {known}$"):
        plug_in("backbones", name)


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("levels", 5),
        ("levels", "12"),
        ("levels", None),
        ("levels", [1.5]),
        ("levels", {"a": 1}),
        ("levels", ["x"]),
        ("limit", math.inf),
        ("limit", math.nan),
        ("limit", [1]),
        ("limit", {"a": 1}),
        ("limit", "9" * 5000),
        ("inner.width", math.inf),
        ("inner.width", None),
        ("inner.width", True),
        ("inner.width", {}),
        ("inner.rate", "nan"),
        ("inner.rate", "1e999x"),
        ("inner.kind_of", ["mean"]),
        ("on", 1),
        ("on", None),
        ("", 1),
        (".", 1),
        ("inner.", 1),
        ("inner..width", 1),
        (".inner", 1),
        ("__class__", 1),
        ("inner.__dict__", {}),
        ("inner", {"widht": 1}),
        ("inner", {1: 2}),
    ],
)
def test_odd_overrides_are_refused_in_words(key, value):
    with pytest.raises(ConfigError):
        override(Outer(), key, value)


@pytest.mark.parametrize(
    "record", [{"inner": {"inner": {}}}, {"levels": 3}, {"limit": {}}, {"on": []}, {"inner": {"rate": {}}}]
)
def test_odd_records_are_refused_in_words(record):
    with pytest.raises(ConfigError):
        from_record(Outer, record)
