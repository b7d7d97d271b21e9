"""What trials have in common is made once, and never by two at a time."""

from dataclasses import replace

import pytest

from tests.end_to_end.recipes import tiny
from tests.search.quick_search import launch
from unisid.artifacts.store import Store
from unisid.errors import ConfigError
from unisid.runtime.trials import InTurn
from unisid.search.definition import Search
from unisid.search.expand import expand
from unisid.search.space import parse
from unisid.trials import sharing
from unisid.trials.plans import Plans


@pytest.mark.parametrize(
    ("words", "until"),
    [
        (["codes.tokenizer.codebook_size=6,8"], "codes"),
        (["fused.fusion=concat,single", "codes.tokenizer.codebook_size=6,8"], "codes"),
        (["fused.fusion=concat,single", "model.batch_size=8,16"], "model"),
        (["embeddings.max_tokens=4,8", "graph.epochs=1,2", "fused.num_neighbours=3,4"], "model"),
        (["catalog.k_core=0,1", "embeddings.max_tokens=4,8", "codes.unique=assign,append"], "model"),
    ],
)
def test_no_two_trials_of_a_phase_make_the_same_artifact(place, words, until):
    planned = Plans(expand(tiny(), parse(words), [1, 2], until), Store(place))
    there = {entry.fingerprint for entry in planned[0] if entry.noun in sharing.shared_by_all(planned)}
    last = sharing.Phase(until, tuple(range(len(planned))))
    for phase in (*sharing.phases(planned), last):
        making = set[str]()
        for maker in phase.makers:
            nouns = sharing._inputs(planned[maker], phase.noun) | {phase.noun}
            own = {e.fingerprint for e in planned[maker] if e.noun in nouns} - there
            assert not own & making, phase
            making |= own
        there |= making
    assert there == {entry.fingerprint for entries in planned for entry in entries}


def test_phases_that_group_alike_are_one(place):
    words = ["fused.fusion=concat,single", "model.batch_size=8,16"]
    planned = Plans(expand(tiny(), parse(words), [], "model"), Store(place))
    assert sharing.shared_by_all(planned) == ["catalog", "embeddings", "graph", "sequences"]
    assert [(phase.noun, len(phase.makers)) for phase in sharing.phases(planned)] == [("codes", 2)]


def test_a_trial_holds_what_its_largest_own_pool_asks_for(place):
    base = tiny()
    base = replace(
        base,
        embeddings=replace(base.embeddings, pool=replace(base.embeddings.pool, workers=8, gpus=1)),
        codes=replace(base.codes, pool=replace(base.codes.pool, workers=2, cpus=3)),
    )
    shares = []

    class Asking(InTurn):
        def check(self, share, asha):
            shares.append(share)
            raise ConfigError("enough")

    with pytest.raises(ConfigError, match="enough"):
        launch(Search(recipe=base, space=parse(["codes.tokenizer.codebook_size=6,8"])), place, Asking())
    assert (shares[0].cpus, shares[0].gpus) == (6, 0)
