"""Token states on their way into the fusion: encoded where the fusion runs, and never written.

Texts are read and tokenised in one step of a chain, encoded in the next. They are encoded in the very groups that the
embeddings were made in, whole shards of these, because a group's padding decides how its states are rounded: so the
states are those that the embeddings would hold, bit for bit on the same kind of device. n items, T token states of them
all, S their width.
"""

from collections.abc import Mapping
from dataclasses import replace

import numpy as np
import pyarrow as pa
import torch
from jaxtyping import Float, Int
from numpy.typing import NDArray

from unisid.artifacts.catalog import Catalog
from unisid.artifacts.embeddings import Embeddings
from unisid.artifacts.store import Place
from unisid.compute import Pool
from unisid.config import from_record
from unisid.errors import ArtifactError, ConfigError
from unisid.fusion import TEXT
from unisid.stages import embeddings
from unisid.stages.fused.reading import Reader, Rows

ENDS = ("part_start", "part_stop")
"""Columns of a part's first item and the first after it, beside the tokens of the groups that it touches."""
Group = tuple[int, int]
"""The first item of a shard of the embeddings, and the first after it."""


def settings(inputs: Mapping[str, Place], pool: Pool) -> embeddings.Config:
    """The settings that the embeddings were made with, for workers of this pool.

    Raises:
        ArtifactError: they hold no states, or their encoder is another by now.
    """
    held = Embeddings.read(inputs["embeddings"])
    if not held.has_states:
        raise ArtifactError(
            f"{held.place}: keeps no token states to learn from; fused.inline needs embeddings with "
            "keep_states True, and states_of for a sample of them"
        )
    found: embeddings.Config = from_record(embeddings.Config, held.record.settings)
    was, now = (each.get("encoder", {}) for each in (held.record.inputs, embeddings.sources(found)))
    if was.get("fingerprint") != now.get("fingerprint"):
        raise ArtifactError(
            f"{held.place}: was made by {was.get('address')}, fingerprint "
            f"{str(was.get('fingerprint'))[:12]}, which now has {str(now.get('fingerprint'))[:12]}; "
            "give the encoder back, or make the embeddings anew"
        )
    found = embeddings.as_made(found, held.record.counts)
    return replace(found, encoder=found.encoder.of(inputs["catalog"]), pool=pool)


def check(reader: Reader, inline: bool) -> None:
    """Raise ConfigError where states are missing that are not encoded here, or nothing needs them."""
    if inline and not reader.states:
        raise ConfigError(
            "fused.inline: is True, and this fusion reads text vectors alone, which the embeddings hold; must be False"
        )
    for name, role in reader.roles.items():
        some = reader.states_of(name)
        if reader.states and some and not (inline and name == TEXT):
            way = "set fused.inline True, or make them" if name == TEXT else "make them"
            raise ConfigError(
                f"fused: the {role} keep token states of about {some:,} items alone, and a vector needs "
                f"those of every item; {way} with states_of 0"
            )


class Texts:
    """A part of the vectors -> the tokens of all groups that it touches."""

    def __init__(self, inputs: Mapping[str, Place], config: embeddings.Config) -> None:
        self.starts = Embeddings.read(inputs["embeddings"]).shards.starts
        self.read = embeddings.Reader(Catalog.read(inputs["catalog"]).place, config)

    def __call__(self, part: pa.Table) -> pa.Table:
        row = part.to_pylist()[0]
        groups = touched(self.starts, row["start"], row["stop"])
        whole = {"shard": row["shard"], "start": groups[0][0], "stop": groups[-1][1]}
        items = self.read(pa.Table.from_pylist([whole]))
        for name, end in zip(ENDS, (row["start"], row["stop"]), strict=True):
            items = items.append_column(name, pa.array(np.full(items.num_rows, end)))
        return items


class States:
    """The tokens of some groups -> the token states of a part's items, as `Reader` would read them.

    The last group is kept: where it reaches into the next part, it is not encoded twice.
    """

    def __init__(self, inputs: Mapping[str, Place], config: embeddings.Config) -> None:
        self.starts = Embeddings.read(inputs["embeddings"]).shards.starts
        self.encode = embeddings.Encode(config)
        self.last: tuple[Group, tuple[NDArray[np.float16], NDArray[np.int64]]] | None = None

    def __call__(self, items: pa.Table) -> Rows:
        first, start, stop = (items[name][0].as_py() for name in ("start", *ENDS))
        values, lengths = [], []
        for group in touched(self.starts, start, stop):
            states, counts = self._of(group, items.slice(group[0] - first, group[1] - group[0]))
            ends = np.concatenate([[0], np.cumsum(counts)])
            low, high = max(start, group[0]) - group[0], min(stop, group[1]) - group[0]
            values.append(states[ends[low] : ends[high]])
            lengths.append(counts[low:high])
        return Rows(torch.from_numpy(np.concatenate(values)), torch.from_numpy(np.concatenate(lengths)))

    def _of(self, group: Group, items: pa.Table) -> tuple[Float[np.ndarray, "T S"], Int[np.ndarray, " n"]]:
        if self.last is None or self.last[0] != group:
            encoded, lengths = self.encode(items)
            assert encoded.states is not None
            self.last = group, (encoded.states, lengths)
        return self.last[1]


def touched(starts: Int[np.ndarray, " _"], start: int, stop: int) -> list[Group]:
    """The groups that items start to stop lie in.

    Args:
        starts: the first item of every group, and the number of items.
    """
    first, last = np.searchsorted(starts, (start, stop - 1), side="right") - 1
    return [(int(starts[each]), int(starts[each + 1])) for each in range(first, last + 1)]
