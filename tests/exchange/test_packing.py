"""Packages under construction: begun in an empty place, every file with its digest, the manifest last."""

import hashlib
import io
import json

import numpy as np
import pytest

from unisid.artifacts.store import Place
from unisid.errors import ConfigError
from unisid.exchange import reader
from unisid.exchange.packing import Packing, add_reader, trie_arrays


def test_a_package_is_begun_where_nothing_lies(tmp_path):
    assert Packing.begin(str(tmp_path / "new")).place == Place.of(tmp_path / "new")
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "x").write_bytes(b"1")
    with pytest.raises(ConfigError, match="--to .*full: is not empty; name a folder that is, or does not exist yet"):
        Packing.begin(str(tmp_path / "full"))


def test_the_manifest_has_every_file_with_its_digest(place):
    packing = Packing.begin(str(place / "out"))
    packing.add("a.bin", b"first")
    packing.add_arrays("b.npz", {"x": np.arange(3)})
    add_reader(packing)
    manifest = packing.finish("unisid.index", 1, {"address": "codes/a/1"})
    assert manifest == json.loads(packing.place.read(reader.MANIFEST))
    assert manifest["files"].keys() == packing.place.sizes().keys() - {reader.MANIFEST}
    for name, said in manifest["files"].items():
        data = packing.place.read(name)
        assert said == {"bytes": len(data), "sha256": hashlib.sha256(data).hexdigest()}
    assert np.load(io.BytesIO(packing.place.read("b.npz")), allow_pickle=False)["x"].tolist() == [0, 1, 2]
    compile(packing.place.read("reader.py"), "reader.py", "exec")


def test_a_file_is_taken_where_there_is_one(place):
    (place / "from").write("x", b"1")
    packing = Packing.begin(str(place / "out"))
    assert packing.take(place / "from", "x", "y")
    assert not packing.take(place / "from", "gone", "z")
    assert packing.place.sizes() == {"y": 1}


def test_the_trie_leads_every_id_to_its_item():
    codes = np.array([[1, 0, 2], [0, 3, 1], [1, 0, 0], [1, 2, 0]], np.int32)
    arrays = trie_arrays(codes)
    for item, path in enumerate(codes.tolist()):
        node = 0
        for level, code in enumerate(path):
            first = arrays[f"first_child_{level}"]
            children = arrays[f"codes_{level}"][first[node] : first[node + 1]].tolist()
            node = int(first[node]) + children.index(code)
        assert arrays["items"][node] == item
