"""One trial: its name, its recipe with several settings changed, and what it must hold."""

from dataclasses import replace

import pytest

from tests.search.quick_search import quick
from unisid.artifacts.store import Place, Store
from unisid.compute import Pool
from unisid.errors import ConfigError
from unisid.pipeline import plan
from unisid.trials.trial import Trial, override, refuse_unknown, share


def test_a_trial_is_called_by_what_it_tries():
    trial = Trial("1f", {"fused.loss.structure_weight": 0.2}, 42, quick(), "codes")
    assert trial.name == "structure_weight 0.2, seed 42"


def test_settings_that_fit_only_together_are_set_together():
    found = override(quick(), {"codes.batch_size": 6, "codes.pool.workers": 3})
    assert (found.codes.batch_size, found.codes.pool.workers) == (6, 3)


@pytest.mark.parametrize(
    ("key", "message"),
    [("codes.tokeniser", "has no such setting"), ("codes", "is a section of settings; name one of them: codes.")],
)
def test_keys_that_are_no_setting_are_refused(key, message):
    with pytest.raises(ConfigError, match=message):
        refuse_unknown(quick(), key)


def test_a_trial_holds_as_much_as_its_largest_stage(tmp_path):
    recipe = replace(quick(), codes=replace(quick().codes, batch_size=6, pool=Pool(workers=3, cpus=2, gpus=1)))
    trial = Trial("1f", {}, None, recipe, "codes")
    held = share([trial], [plan(recipe, Store(Place.of(tmp_path)), "codes")])
    assert (held.cpus, held.gpus) == (6, 3)
