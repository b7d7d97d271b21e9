"""What every dataset in the folder must do, unasked."""

import dataclasses
import pickle

import pytest

from unisid.config import fingerprint, from_record, plug_in, plug_ins, to_record
from unisid.datasets import DatasetConfig
from unisid.errors import DataError

KINDS = plug_ins("datasets")


@pytest.mark.parametrize("kind", KINDS)
def test_defaults_build_and_travel(kind):
    config = plug_in("datasets", kind)()
    assert isinstance(config, DatasetConfig)
    assert from_record(DatasetConfig, to_record(config)) == config
    dataset = pickle.loads(pickle.dumps(config)).build()
    assert dataset.oddities in ("refuse", "count")
    assert isinstance(dataset.text, tuple)


@pytest.mark.parametrize("kind", [k for k in KINDS if k != "synthetic"])
def test_without_a_path_the_error_says_which_setting_to_give(kind):
    with pytest.raises(DataError, match=r"^catalog\.dataset\.\w+: no (path|folder) is given"):
        plug_in("datasets", kind)().build().sources()


@pytest.mark.parametrize("kind", KINDS)
def test_paths_bear_no_identity(kind):
    config = plug_in("datasets", kind)()
    hidden = {f.name for f in dataclasses.fields(config) if not f.metadata.get("identity", True)}
    assert fingerprint(to_record(config, identity=True)) == fingerprint(
        to_record(dataclasses.replace(config, **{n: type(getattr(config, n))() for n in hidden}), identity=True)
    )
    assert hidden or kind == "synthetic"
