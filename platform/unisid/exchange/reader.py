"""Reads a package of semantic ids with numpy and pyarrow alone: ids, trie, and codes for new vectors.

Every package holds a copy of this file. `python reader.py FOLDER` compares a package with its digests and its examples;
`python reader.py FOLDER vectors.npy` prints the codes of vectors, a line each. The format: docs/package.md.
N items, L levels, n vectors, D width of the vectors, d latent width, K codes of a level.
"""

import hashlib
import json
import sys
from pathlib import Path
from typing import Any

import numpy as np

FORMAT, VERSION, MANIFEST = "unisid-codes", 1, "manifest.json"
FUSION, FUSION_WEIGHTS = "fusion.json", "fusion.safetensors"
ROWS = 1 << 13
"""Vectors that are encoded at a time."""
SHORTEST = 1e-12
"""Vectors that are to have one length are divided by no less."""


class PackageError(ValueError):
    """A package is damaged, lacks a file, or is of a newer format."""


class Package:
    """An opened package of semantic ids, whose files were compared with their digests."""

    def __init__(self, folder: str) -> None:
        self.folder = Path(folder)
        self.manifest = manifest_of(self.folder, FORMAT, VERSION)
        self.sizes: tuple[int, ...] = tuple(self.manifest["sizes"])

    def items(self) -> Any:
        """The pyarrow table of items: `item_id`, `codes` and `sid`, by item number."""
        import pyarrow.parquet as pq

        return pq.read_table(self.folder / "items.parquet")

    def codes(self) -> np.ndarray:
        """The semantic ids [N, L]."""
        column: np.ndarray = self.items()["codes"].combine_chunks().flatten().to_numpy()
        return column.reshape(-1, len(self.sizes))

    def trie(self) -> dict[str, np.ndarray]:
        """`items` [N] in the order of their semantic ids; by level m the `codes_m` of its nodes and `first_child_m`:
        the children of node p of the level above are nodes first_child_m[p] to first_child_m[p + 1] of level m."""
        return arrays(self.folder / "trie.npz")

    def fuse(self, modalities: dict[str, np.ndarray]) -> np.ndarray:
        """The vectors [n, D] of items that the index lacks, of a vector [n, S] each of every modality; where the fusion
        learned no weights. Without `graph` they are items without interactions, as new ones are."""
        if FUSION not in self.manifest["files"]:
            raise PackageError(f"{self.folder}: holds no {FUSION}, so it names no fusion; use encode alone")
        return fused(modalities, json.loads((self.folder / FUSION).read_bytes()))

    def encode(self, vectors: np.ndarray) -> np.ndarray:
        """The codes of vectors [n, D]: the nearest codewords, level by level. Not yet unique."""
        how = self.manifest["encoding"]
        if how is None:
            raise PackageError(f"{self.folder}: encodes no vectors: {self.manifest['why_not']}")
        vectors = np.asarray(vectors, np.float32)
        if vectors.ndim != 2 or vectors.shape[1] != how["width"]:
            raise PackageError(
                f"vectors of shape {vectors.shape}; must be n by {how['width']}, as the index was made of"
            )
        if not np.isfinite(vectors).all():
            raise PackageError("vectors hold NaN or infinite values; must be finite")
        part = arrays(self.folder / "tokenizer.npz")
        codes = [encoded(vectors[s : s + ROWS], part, how) for s in range(0, len(vectors), ROWS)]
        return np.concatenate([np.empty((0, how["levels"]), np.int32), *codes])

    def check(self) -> int:
        """The number of example vectors that get other codes on this machine than where the package was made."""
        if self.manifest["encoding"] is None:
            return 0
        example = arrays(self.folder / "examples.npz")
        return int((self.encode(example["vectors"]) != example["codes"]).any(1).sum())


def manifest_of(folder: Path, kind: str, version: int) -> dict[str, Any]:
    """The manifest of a package; raises PackageError where a file does not match it."""
    try:
        manifest: Any = json.loads((folder / MANIFEST).read_bytes())
    except FileNotFoundError:
        raise PackageError(f"{folder}: holds no {MANIFEST}; must be the folder of a package") from None
    except ValueError as error:
        raise PackageError(f"{folder / MANIFEST}: is no JSON ({error}); take the package anew") from None
    found = manifest.get("format") if isinstance(manifest, dict) else None
    if found != kind:
        raise PackageError(f"{folder / MANIFEST}: is of the format {found!r}, must be {kind!r}")
    if not isinstance(manifest.get("version"), int) or manifest["version"] > version:
        raise PackageError(
            f"{folder / MANIFEST}: is of version {manifest.get('version')!r}, this reader has up to {version}; take a "
            "newer reader (each package holds its own, reader.py)"
        )
    for name, listed in manifest["files"].items():
        if not (folder / name).is_file():
            raise PackageError(f"{folder}: lacks '{name}', which its manifest lists; take the package anew")
        with open(folder / name, "rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
        if digest != listed["sha256"]:
            raise PackageError(
                f"{folder / name}: its digest is {digest[:12]}, the manifest says {listed['sha256'][:12]}: it was "
                "damaged or changed; take the package anew"
            )
    return manifest


def arrays(path: Path) -> dict[str, np.ndarray]:
    """All arrays of a file."""
    with np.load(path, allow_pickle=False) as file:
        return {name: file[name] for name in file.files}


def encoded(rows: np.ndarray, part: dict[str, np.ndarray], how: dict[str, Any]) -> np.ndarray:
    """The codes of some vectors [n, L].

    The codewords of a tree lie level after level. Example, sizes (3, 3): level 0 has rows 0 to 2, level 1 begins at
    row 3 with three rows for each node; a vector of code 1 at level 0 is compared with rows 3 + 1 * 3 = 6 to 8, and
    with the nearest at row 7 it has the codes (1, 1) and is at node 1 * 3 + 1 = 4.
    """
    rows = (rows - part["mean"]) / part["std"]
    if how["normalise"]:
        length = np.sqrt((rows * rows).sum(1, keepdims=True))
        rows = rows / np.maximum(length, SHORTEST) * np.float32(rows.shape[1] ** 0.5)
    for layer in range(how["layers"]):
        rows = (rows if layer == 0 else np.maximum(rows, 0)) @ part[f"weight_{layer}"].T + part[f"bias_{layer}"]
    codes = np.empty((len(rows), how["levels"]), np.int32)
    words, node, first = part["codewords"], np.zeros(len(rows), np.int64), 0
    for level in range(how["levels"]):
        if how["quantizer"] == "tree":
            size = how["sizes"][level]
            for one in np.unique(node):
                own, start = node == one, first + one * size
                codes[own, level] = distances(rows[own], words[start : start + size]).argmin(1)
            node, first = node * size + codes[:, level], first + size ** (level + 1)
        elif how["quantizer"] == "product":
            piece = words.shape[2]
            codes[:, level] = distances(rows[:, level * piece : (level + 1) * piece], words[level]).argmin(1)
        else:
            codes[:, level] = distances(rows, words[level]).argmin(1)
            rows = rows - words[level][codes[:, level]]
    return codes


def fused(modalities: dict[str, np.ndarray], described: dict[str, Any]) -> np.ndarray:
    """The modalities side by side, each of its weight's length (`concat`); one of them (`single`); or the learned
    vector, which a new item has none of, beside the texts (`unger` with `vector joined`)."""
    how, ending = described["fusion"], "_width"
    widths = {key.removesuffix(ending): int(width) for key, width in described.items() if key.endswith(ending)}
    names = [name for name in ("text", "graph") if name in widths] + sorted(set(widths) - {"text", "graph"})
    weights, before = how.get("weights", {}), 0
    if how["kind"] == "single":
        names = [how["modality"]]
    elif how["kind"] == "unger" and how["vector"] == "joined":
        names, before = [name for name in names if name != "graph"], how["width"]
    elif how["kind"] != "concat":
        raise PackageError(
            f"the fusion '{how['kind']}' learned its weights, which numpy alone does not read; must be concat, single, "
            "or unger with vector joined: unisid.stages.fused.packaged gives the vectors of others"
        )
    count = max((len(rows) for rows in modalities.values()), default=0)
    parts = [np.zeros((count, before), np.float32)]
    for name in names:
        if name not in modalities and name != "graph":
            raise PackageError(
                f"modalities {', '.join(modalities) or 'none'}: lack '{name}'; must have {', '.join(names)}"
            )
        rows = np.asarray(modalities.get(name, np.zeros((count, widths[name]))), np.float32)
        if rows.shape != (count, widths[name]):
            raise PackageError(f"modality '{name}' is of shape {rows.shape}; must be {count} by {widths[name]}")
        length = np.sqrt((rows * rows).sum(1, keepdims=True))
        parts.append(rows / np.maximum(length, SHORTEST) * np.float32(weights.get(name, 1)))
    return np.concatenate(parts, axis=1)


def distances(rows: np.ndarray, words: np.ndarray) -> np.ndarray:
    """|r - e|^2 of every row to every codeword [n, K], in float32 as where the index was made."""
    found = (words * words).sum(1) - 2 * (rows @ words.T) + (rows * rows).sum(1, keepdims=True)
    return np.maximum(found, 0)


if __name__ == "__main__":
    try:
        package = Package(sys.argv[1])
        if len(sys.argv) > 2:
            for codes in package.encode(np.load(sys.argv[2], allow_pickle=False)).tolist():
                print(*codes)
        elif wrong := package.check():
            sys.exit(f"error: {wrong} of the examples get other codes here")
        else:
            print(f"{package.manifest['address']}: {package.manifest['items']} items, levels of {package.sizes}; whole")
    except PackageError as error:
        sys.exit(f"error: {error}")
