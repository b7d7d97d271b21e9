"""Seeds of one system have one configuration, however deep a difference lies."""

import pytest

from unisid.artifacts.metrics import Metrics
from unisid.artifacts.record import Record, write_record
from unisid.artifacts.store import Address, Store
from unisid.errors import ConfigError
from unisid.judging.seeds import check_distinct, settings_of, unlike


def written(store, noun, name, config, **inputs):
    record = Record(
        address=f"{noun}/{name}/1",
        config=config,
        inputs={role: {"address": made.address, "fingerprint": made.fingerprint} for role, made in inputs.items()},
    )
    write_record(store.place(Address(noun, name, "1")), record)
    return record


def metrics(store, name, seed=1, width=8, codebook=5, beam=10):
    codes = written(store, "codes", name, {"tokenizer": {"codebook_size": codebook, "seed": seed}})
    model = written(store, "model", name, {"width": width, "training": {"seed": seed}}, codes=codes)
    record = written(store, "metrics", name, {"beam": beam, "seed": seed}, codes=codes, model=model)
    return Metrics(store.place(Address("metrics", name, "1")), record)


@pytest.fixture
def store(place) -> Store:
    return Store(place)


def test_only_what_is_no_seed_differs(store):
    first = metrics(store, "a")
    assert unlike(store, [first, metrics(store, "b", seed=2)]) == []
    assert unlike(store, [first]) == []
    deep = unlike(store, [first, metrics(store, "c", seed=3, codebook=6)])
    assert deep == ["codes.tokenizer.codebook_size: 5 -> 6"]
    assert unlike(store, [first, metrics(store, "d", width=16), metrics(store, "e", beam=20)]) == [
        "model.width: 8 -> 16",
        "metrics.beam: 10 -> 20",
    ]


def test_an_input_that_is_gone_counts_by_its_fingerprint(store):
    first, second = metrics(store, "a"), metrics(store, "b", seed=2)
    written(store, "model", "b", {"width": 99})
    assert settings_of(store, second.record)["model"] == second.record.inputs["model"]["fingerprint"]
    assert any(line.startswith("model") for line in unlike(store, [first, second]))


def test_one_role_may_have_two_origins(store):
    """A recommender on another index than that of the metrics: both count."""

    def made(name, codebook):
        own = written(store, "codes", f"{name}-own", {"size": codebook})
        model = written(store, "model", name, {}, codes=own)
        other = written(store, "codes", f"{name}-other", {"size": 1})
        return Metrics(place=None, record=written(store, "metrics", name, {}, codes=other, model=model))

    assert unlike(store, [made("a", 5), made("b", 6)]) == ["model.codes.size: 5 -> 6"]


def test_the_same_recommender_is_refused(store):
    first = metrics(store, "a")
    check_distinct([first, metrics(store, "b", seed=2)])
    with pytest.raises(ConfigError, match="metrics/a/1 is given twice"):
        check_distinct([first, first])
    with pytest.raises(ConfigError, match="metrics/c/1 and metrics/a/1 are of one recommender"):
        check_distinct([first, metrics(store, "c", beam=20)])
