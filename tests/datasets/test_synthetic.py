import dataclasses
from itertools import pairwise

import numpy as np
import pytest

from tests.datasets.reading import read_all
from unisid.datasets import synthetic
from unisid.errors import ConfigError

CONFIG = synthetic.Config(items=512, users=400, noise=0.0, drift=0.0)


def sequences(config):
    users = {}
    for row in read_all(config)[1]:
        users.setdefault(row["user_id"], []).append((row["timestamp"], int(row["item_id"][1:])))
    return users.values()


def test_sizes_and_lengths():
    items, _ = read_all(CONFIG)
    assert len({item["item_id"] for item in items}) == CONFIG.items
    users = sequences(CONFIG)
    assert len(users) == CONFIG.users
    assert {len(s) for s in users} == set(range(CONFIG.shortest, CONFIG.longest + 1))
    assert all(s == sorted(s) for s in users)


def test_the_next_item_is_of_the_next_topic_and_the_same_subcircle():
    text, behaviour = CONFIG.build().leaves
    for sequence in sequences(CONFIG):
        walked = np.array([item for _, item in sequence])
        topics = text[walked] // CONFIG.subtopics
        assert (np.diff(topics) % CONFIG.topics == 1).all()
        assert len(set(behaviour[walked])) == 1


def test_words_show_topics_and_hide_circles():
    items, _ = read_all(CONFIG)
    text, behaviour = CONFIG.build().leaves
    words = [set(item["title"].split()[:2] + item["description"].split()[:6]) for item in items]
    for shown, leaf in ((True, text), (False, behaviour)):
        together = [words[a] & words[b] for a in range(60) for b in range(a) if leaf[a] == leaf[b]]
        assert bool(np.mean([len(shared) > 1 for shared in together]) > 0.5) is shown


def test_the_two_hierarchies_are_independent():
    text, behaviour = synthetic.Config(items=20_000).build().leaves
    table = np.histogram2d(text, behaviour, bins=(32, 32))[0]
    assert table.min() == 19
    assert table.max() == 20


def test_parts_do_not_depend_on_each_other(monkeypatch):
    monkeypatch.setattr(synthetic, "USERS_PER_PART", 100)
    dataset = CONFIG.build()
    last = dataset.parts()[-1]
    assert (last["start"], last["stop"]) == (300, 400)
    assert dataset.read(last).equals(CONFIG.build().read(last))


def test_noise_drift_and_ties_happen_as_often_as_asked():
    config = dataclasses.replace(CONFIG, users=3000, noise=0.3, ties=0.4)
    _, behaviour = config.build().leaves
    steps = [(a, b) for s in sequences(config) for a, b in pairwise(s)]
    assert np.mean([a[0] == b[0] for a, b in steps]) == pytest.approx(0.4, abs=0.01)
    stayed = np.mean([behaviour[a[1]] == behaviour[b[1]] for a, b in steps])
    assert stayed == pytest.approx(0.7**2 + (1 - 0.7**2) / 32, abs=0.02)


def test_the_seed_decides():
    assert read_all(CONFIG) == read_all(CONFIG)
    assert read_all(CONFIG) != read_all(dataclasses.replace(CONFIG, seed=1))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"items": 0}, "items: is 0; must be at least 1"),
        ({"longest": 2}, "longest 2 is below shortest 5"),
        ({"noise": 1.5}, "noise: is 1.5; must be at least 0 and at most 1"),
    ],
)
def test_settings_that_make_no_sense(change, message):
    with pytest.raises(ConfigError, match=message):
        dataclasses.replace(CONFIG, **change)
