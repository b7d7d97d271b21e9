"""A search's definition: known measures, its name, and what a resumed one must agree on."""

import pytest

from tests.search.quick_search import search
from unisid.errors import ConfigError
from unisid.search.definition import Stopping


@pytest.mark.parametrize(
    ("more", "message"),
    [
        ({"objectives": ("indx",)}, "objective 'indx': not known; did you mean 'index'"),
        ({"objectives": ()}, "none is given"),
        ({"objectives": ("index", "index")}, "each may be given once"),
        ({"stopping": Stopping(measure="loss")}, "objective 'loss': not known"),
    ],
)
def test_objectives_are_known_ones(more, message):
    with pytest.raises(ConfigError, match=message):
        search(["codes.tokenizer.codebook_size=6"], **more)


def test_a_name_follows_from_the_space_unless_one_is_given():
    words = ["codes.tokenizer.codebook_size=6", "fused.loss.structure_weight=0"]
    assert search(words).name == "quick-codebook_size-structure_weight"
    assert search(words, called="mine").name == "mine"


def test_values_and_seeds_may_be_added_and_nothing_else():
    one, more = search(["codes.batch_size=8"]), search(["codes.batch_size=8,16"], seeds=(1, 2))
    assert one.definition == more.definition
    for other in (
        search(["codes.batch_size=8"], objectives=("index", "distinct")),
        search(["codes.batch_size=8"], stopping=Stopping(measure="distinct")),
        search(["codes.keep=collisions"]),
    ):
        assert other.definition != one.definition


def test_the_objectives_say_how_far_trials_go_and_what_plots_draw():
    ranked = search(["codes.batch_size=8"], objectives=("index", "ndcg"))
    assert (ranked.until, list(ranked.texts())) == ("model", ["index", "ndcg", "hr"])
    assert search(["codes.batch_size=8"]).until == "codes"
