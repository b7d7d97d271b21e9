"""What every dataset in the folder must do, unasked."""

import dataclasses
import json
import pickle
import shutil
import zipfile

import pytest

from unisid.config import fingerprint, from_record, plug_in, plug_ins, to_record
from unisid.datasets import DatasetConfig
from unisid.errors import DataError
from unisid.raw.parts import part

KINDS = plug_ins("datasets")


@pytest.mark.parametrize("kind", KINDS)
def test_defaults_build_and_travel(kind):
    config = plug_in("datasets", kind)()
    assert isinstance(config, DatasetConfig)
    assert from_record(DatasetConfig, to_record(config)) == config
    dataset = pickle.loads(pickle.dumps(config)).build()
    assert dataset.anomalies in ("refuse", "count")
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


ARCHIVED = {
    "amazon": lambda at: {"reviews": (f"{at}/a",), "metadata": (f"{at}/a",)},
    "movielens": lambda at: {"path": at},
    "recbole": lambda at: {"path": at, "name": "a"},
    "tables": lambda at: {"items": f"{at}/a", "interactions": f"{at}/a.parquet"},
    "windows": lambda at: {"items": f"{at}/a", "samples": (f"{at}/a.parquet",)},
}
"""Settings of the kinds that came with the package; what others call their files, only they say."""


@pytest.mark.parametrize("kind", sorted(ARCHIVED))
def test_an_archive_in_place_of_a_table_is_called_one(kind, tmp_path):
    with zipfile.ZipFile(tmp_path / "a", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("items.csv", "item_id,title\n1,Pen\n" * 100)
    for name in ("a.parquet", "u.item", "u.data", "u.genre", "a.item", "a.inter"):
        shutil.copy(tmp_path / "a", tmp_path / name)
    dataset = plug_in("datasets", kind)(**ARCHIVED[kind](str(tmp_path))).build()
    with pytest.raises(DataError, match=r": is a ZIP archive; unpack it, and give the file of the table in it$"):
        [dataset.read(part) for part in dataset.parts()]


def review(user):
    return json.dumps({"reviewerID": user, "asin": "1", "unixReviewTime": 5})


@pytest.mark.parametrize(
    ("kind", "given", "name", "text", "called"),
    [
        (
            "amazon",
            {"reviews": "r.json", "metadata": "r.json"},
            "r.json",
            f"{review('a')}\n\n{review('b')}\n",
            "line 3",
        ),
        ("movielens", {"path": ""}, "u.data", "1\t1\t5\t9\n1\t2\t5\t9\n", "line 2"),
        ("movielens", {"path": "", "size": "1m"}, "ratings.dat", "1::1::5::9\n1::2::5::9\n", "line 2"),
        ("recbole", {"path": "", "name": "r"}, "r.inter", "user_id:token\titem_id:token\n\n1\t1\n1\t2\n", "line 4"),
        ("tables", {"items": "r.csv", "interactions": "r.csv"}, "r.csv", 'user_id,item_id\n"a\nb",1\nc,2\n', "line 4"),
    ],
)
def test_a_row_is_called_by_its_file_and_line(tmp_path, kind, given, name, text, called):
    file = tmp_path / name
    file.write_text(text)
    paths = {key: str(tmp_path / value) for key, value in given.items() if key not in ("size", "name")}
    paths |= {key: (paths[key],) for key in ("reviews", "metadata") if key in paths}
    dataset = plug_in("datasets", kind)(**given | paths).build()
    assert dataset.at(part("interactions", str(file)), 1) == f"{file}, {called}"
