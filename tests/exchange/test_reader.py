"""Packages are read by one file with numpy and pyarrow alone, to the same codes, and damage is named."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from tests.exchange import packages
from tests.stages.test_codes import clusters
from tests.tokenizers.test_contract import KINDS, fitted, vectors
from unisid.artifacts.store import Place, Store
from unisid.config import plug_in, to_record
from unisid.errors import ConfigError
from unisid.exchange import reader
from unisid.exchange.indexes import export_codes
from unisid.exchange.packing import trie_arrays
from unisid.fusion import Items, concat, single, unger
from unisid.ops.ragged import Ragged
from unisid.tokenizers import read_tokenizer, rqkmeans

OLD = Path(__file__).parents[1] / "data" / "package-1"
REFUSED = {"soft"}
"""Kinds whose codes are not the nearest codewords."""
NOTHING_ELSE = """
import sys

class Nothing:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] not in {*sys.stdlib_module_names, "numpy", "pyarrow", "reader"}:
            raise ImportError(name)

sys.meta_path.insert(0, Nothing())
sys.path[:0] = [sys.argv[1]]
"""


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A store with an index, and the folder of its package."""
    folder = tmp_path_factory.mktemp("made")
    store = Store(Place.of(folder / "store"))
    codes = packages.stored(store, rqkmeans.Config(num_levels=2, codebook_size=8, restarts=1), unique="append")
    manifest = export_codes(codes, store, str(folder / "package"))
    return store, codes, folder / "package", manifest


def alone(folder: Path, program: str, where: Path | None = None) -> str:
    """What a program prints in a process that can import numpy, pyarrow and a package's reader, and nothing else."""
    command = [sys.executable, "-S", "-c", "import sys; sys.path += sys.argv[2:]\n" + NOTHING_ELSE + program]
    paths = [str(Path(module.__file__).parents[1]) for module in (np, __import__("pyarrow"))]
    return subprocess.run([*command, str(folder), *paths], capture_output=True, text=True, check=True, cwd=where).stdout


def test_a_package_is_read_with_numpy_and_pyarrow_alone(made, tmp_path):
    _, codes, folder, _ = made
    np.save(tmp_path / "new.npy", clusters(seed=5))
    program = f"""
from reader import Package
package = Package({str(folder)!r})
table, trie = package.items(), package.trie()
import json, sys, numpy
print(json.dumps([table["sid"].to_pylist(), package.codes().tolist(), package.check(), trie["items"].tolist(),
                  package.encode(numpy.load({str(tmp_path / "new.npy")!r})).tolist(), "torch" in sys.modules]))
"""
    sids, ids, wrong, leaves, encoded, other = json.loads(alone(folder, program))
    assert (len(sids), wrong, other) == (48, 0, False)
    assert np.array_equal(ids, codes.codes)
    assert sorted(leaves) == list(range(48))
    own = read_tokenizer(codes.place).encode(torch.from_numpy(clusters(seed=5)))
    assert np.array_equal(encoded, own)


def test_the_lines_of_the_documentation_read_it(made):
    """Five lines, as docs/package.md has them."""
    _, codes, folder, _ = made
    lines = packages.blocks("# The package of an index")[0].replace("package/", f"{folder}/")
    assert len(lines.strip().splitlines()) <= 6
    found = json.loads(alone(folder, lines + "\nprint(json.dumps([codes.tolist(), sid_of['B3']]))"))
    assert np.array_equal(found[0], codes.codes)
    assert found[1] == "".join(f"<{letter}_{code}>" for letter, code in zip("abc", codes.codes[3], strict=True))


@pytest.mark.parametrize("kind", KINDS)
def test_new_vectors_get_the_same_codes_byte_for_byte(kind):
    _, tokenizer = fitted(kind)
    if kind in REFUSED:
        with pytest.raises(ConfigError, match=f"tokenizer '{kind}': its codes are not the nearest codewords"):
            tokenizer.portable()
        return
    found = tokenizer.portable()
    named = {"mean": tokenizer.mean, "std": tokenizer.std, **found.arrays()}
    arrays = {name: tensor.detach().numpy() for name, tensor in named.items()}
    how = {"quantizer": found.quantizer, "levels": 2, "sizes": [8, 8], "layers": len(found.layers)}
    new = vectors(500, seed=9)
    codes = reader.encoded(new.numpy(), arrays, how | {"normalise": found.normalise})
    assert codes.astype(np.int64).tobytes() == tokenizer.encode(new).numpy().tobytes()


def test_directions_alone_may_count():
    tokenizer = rqkmeans.Config(num_levels=2, codebook_size=8, normalise=True).build(12)
    tokenizer.start(vectors(), 0)
    arrays = {"mean": tokenizer.mean.numpy(), "std": tokenizer.std.numpy(), "codewords": tokenizer.codebooks.numpy()}
    how = {"quantizer": "residual", "levels": 2, "sizes": [8, 8], "layers": 0, "normalise": True}
    assert np.array_equal(reader.encoded(vectors().numpy(), arrays, how), tokenizer.encode(vectors()))


def test_the_trie_leads_to_every_item_and_nowhere_else():
    codes = np.array([[2, 0], [0, 1], [2, 3], [0, 0]], np.int32)
    trie = trie_arrays(codes)
    found = {}
    for first in range(len(trie["codes_0"])):
        for leaf in range(trie["first_child_1"][first], trie["first_child_1"][first + 1]):
            found[int(trie["items"][leaf])] = [int(trie["codes_0"][first]), int(trie["codes_1"][leaf])]
    assert [found[item] for item in range(4)] == codes.tolist()


def test_an_old_package_opens_for_good():
    """Written by version 1 of the format; what is here must not be made anew."""
    package = reader.Package(str(OLD))
    assert package.manifest["version"] == 1
    assert package.check() == 0
    assert package.codes().shape == (48, 3)
    assert package.sizes == (8, 8, 8)
    assert package.items()["sid"][0].as_py() == "".join(
        f"<{a}_{c}>" for a, c in zip("abc", package.codes()[0], strict=True)
    )
    assert len(package.trie()["items"]) == 48


def test_damage_is_named(made, tmp_path):
    folder = tmp_path / "p"
    for harm, message in (
        (lambda: (folder / "trie.npz").write_bytes(b"x"), "trie.npz: its digest is .* it was damaged or changed"),
        (lambda: (folder / "items.parquet").unlink(), "lacks 'items.parquet', which its manifest lists"),
        (lambda: change(folder, version=2), "is of version 2, this reader has up to 1; take a newer reader"),
        (lambda: change(folder, format="other"), "is of the format 'other', must be 'unisid-codes'"),
        (lambda: (folder / "manifest.json").write_text("{"), "is no JSON"),
        (lambda: (folder / "manifest.json").unlink(), "holds no manifest.json; must be the folder of a package"),
    ):
        shutil.rmtree(folder, ignore_errors=True)
        shutil.copytree(made[2], folder)
        harm()
        with pytest.raises(reader.PackageError, match=message):
            reader.Package(str(folder))


def change(folder: Path, **values) -> None:
    manifest = json.loads((folder / "manifest.json").read_text())
    (folder / "manifest.json").write_text(json.dumps(manifest | values))


def test_vectors_that_are_none_are_refused(made):
    package = reader.Package(str(made[2]))
    with pytest.raises(reader.PackageError, match=r"shape \(2, 3\); must be n by 12"):
        package.encode(np.zeros((2, 3)))
    with pytest.raises(reader.PackageError, match="NaN or infinite"):
        package.encode(np.full((1, 12), np.nan))
    assert package.encode(np.zeros((0, 12))).shape == (0, 2)


def test_the_manifest_says_what_made_it_and_how_many_codes_differ(made):
    _, codes, _, manifest = made
    assert manifest["address"] == "codes/t/1"
    assert manifest["encoding"]["compared"] == {"items": 48, "differ": 0}
    assert manifest["encoding"]["levels"] == 2
    assert manifest["sizes"] == list(codes.sizes)
    assert manifest["fusion"]["address"] == "fused/t/1"


def test_a_folder_with_something_in_it_is_refused(made, tmp_path):
    store, codes, _, _ = made
    (tmp_path / "mine.txt").write_text("x")
    with pytest.raises(ConfigError, match="is not empty; name a folder that is"):
        export_codes(codes, store, str(tmp_path))


def test_an_index_of_another_kind_is_exported_without_its_tokenizer(tmp_path):
    store = Store(Place.of(tmp_path / "store"))
    config = plug_in("tokenizers", "soft")(num_levels=2, codebook_size=8, widths=(8, 4))
    manifest = export_codes(packages.stored(store, config), store, str(tmp_path / "package"))
    assert manifest["encoding"] is None
    package = reader.Package(str(tmp_path / "package"))
    assert package.check() == 0
    with pytest.raises(reader.PackageError, match="encodes no vectors: tokenizer 'soft'"):
        package.encode(np.zeros((1, 12)))


WIDTHS = {"text": 7, "graph": 5, "image": 3}
FIXED = {
    "side by side": concat.Config(),
    "weighted": concat.Config(weights={"image": 0.5, "graph": 2.0}),
    "one": single.Config(modality="image"),
    "joined": unger.Config(width=4, vector="joined"),
}


@pytest.mark.parametrize("name", FIXED)
def test_fixed_fusions_are_those_of_the_product(name):
    fusion = FIXED[name].build(WIDTHS)
    given = {kind: torch.randn(9, width) for kind, width in WIDTHS.items()}
    given["image"][3] = 0  # an item without an image
    own = fusion(Items({kind: Ragged.rectangle(rows[:, None]) for kind, rows in given.items()})).detach().numpy()
    described = {"fusion": to_record(FIXED[name])} | {f"{kind}_width": width for kind, width in WIDTHS.items()}
    found = reader.fused({kind: rows.numpy() for kind, rows in given.items()}, described)
    assert (found.dtype, found.shape) == (np.float32, (9, fusion.width))
    np.testing.assert_allclose(found, own, rtol=1e-6, atol=1e-7)


def test_new_items_have_no_graph_and_need_all_else():
    described = {"fusion": {"kind": "concat"}, "text_width": 2, "graph_width": 3}
    assert reader.fused({"text": np.array([[3.0, 4.0]])}, described).tolist() == [
        [np.float32(0.6), np.float32(0.8), 0, 0, 0]
    ]
    with pytest.raises(reader.PackageError, match="modalities none: lack 'text'; must have text, graph"):
        reader.fused({}, described)
    with pytest.raises(reader.PackageError, match=r"modality 'text' is of shape \(1, 3\); must be 1 by 2"):
        reader.fused({"text": np.zeros((1, 3))}, described)


def test_a_package_of_ids_alone_fuses_nothing(made):
    with pytest.raises(reader.PackageError, match="holds no fusion.json, so it names no fusion; use encode alone"):
        reader.Package(str(made[2])).fuse({"text": np.zeros((1, 12))})
