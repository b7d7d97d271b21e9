"""Vectors of semantic ids, put together again of the codewords that their codes name. N items, L levels, D width."""

import tempfile
from pathlib import Path

import numpy as np
from jaxtyping import Float, Int

from unisid.artifacts.store import Place
from unisid.config import Json
from unisid.exchange.reader import Package, arrays

Arrays = dict[str, Float[np.ndarray, "..."]]


def vectors_of_package(place: Place, codes: Int[np.ndarray, "N L"]) -> Float[np.ndarray, "N D"] | None:
    """The vector of every item's codes by a package's codebooks; None where it has none."""
    with tempfile.TemporaryDirectory(prefix="unisid-") as folder:
        package = Package(str(place.fetch(Path(folder))))
        how = package.manifest["encoding"]
        return None if how is None else rebuilt(codes, how, arrays(package.folder / "tokenizer.npz"))


def rebuilt(codes: Int[np.ndarray, "N L"], how: Json, part: Arrays) -> Float[np.ndarray, "N D"]:
    """The vectors that `reader.encoded` gives such codes to, as near as the codewords come to them.

    The sum of a residual quantizer's codewords, a product quantizer's side by side, the last node's of a tree. Behind
    an encoder it is the latent vector; where vectors were brought to one length, of their direction alone. Codes past
    the codebooks' levels, which keep ids apart, say nothing.
    """
    words, levels = part["codewords"], range(how["levels"])
    if how["quantizer"] == "tree":
        node, first = np.zeros(len(codes), np.int64), 0
        for level in levels:
            size = how["sizes"][level]
            row = first + node * size + codes[:, level]
            node, first = node * size + codes[:, level], first + size ** (level + 1)
        found = words[row]
    elif how["quantizer"] == "product":
        found = np.concatenate([words[level][codes[:, level]] for level in levels], axis=1)
    else:
        found = np.sum([words[level][codes[:, level]] for level in levels], axis=0)
    plain = not how["layers"] and not how["normalise"]
    return np.asarray(found * part["std"] + part["mean"] if plain else found, np.float32)
