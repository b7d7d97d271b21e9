"""A memory of items: neighbour tables of several relations, and the scores they give to possible next items.

A relation's part of an item's score is log(1 + mass / eps), the mass being what the history's latest items put on it
(`ops.related`). P positions, T items before each, N items, M neighbours, J recalled items, C candidates, F parts.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

from unisid.artifacts.catalog import TRAIN, Catalog
from unisid.artifacts.vectors import check_nouns
from unisid.bounds import Count, Settings, Share
from unisid.ops.related import PAD, Table, alike_vectors, alike_words, entries, extended, mass_of, mass_of_all, recall
from unisid.ops.transitions import Weights, count_transitions

Entries = tuple[Int[Tensor, "P E"], Float[Tensor, "P E"]]


@dataclass(frozen=True)
class Part:
    """One part of an item's score."""

    table: str
    """Of which relation."""
    eps: float
    """The mass from which on it counts."""

    @property
    def name(self) -> str:
        """Of the table and eps."""
        return f"{self.table}_{self.eps:g}"


@dataclass(frozen=True, kw_only=True)
class MemoryConfig(Settings):
    """Which items are related, and how many of them are kept and recalled."""

    recalled: Count = 64
    """J: items that are recalled where the catalogue is searched by beams."""
    neighbours: Count = 64
    """M: related items that are kept of every item in each table."""
    alike: tuple[str, ...] = ("embeddings",)
    """Nouns whose nearest vectors are a relation: of fused, graph, embeddings."""
    words: bool = True
    """Whether common words of titles are a relation."""
    latest: Count = 20
    """Items of a history that recall others."""
    recency: Share = 0.6
    """Weight of a history's item relative to the one after it."""

    def __post_init__(self) -> None:
        super().__post_init__()
        check_nouns("memory.alike", self.alike)

    def parts(self) -> tuple[Part, ...]:
        """The parts of the sum, with the weights they begin with."""
        likes = [Part(f"like_{noun}", 0.01) for noun in self.alike] + [Part("words", 0.1)] * self.words
        then = [Part(f"{part.table}_next", 0.001) for part in likes]
        return (Part("next", 0.01), Part("next", 0.1), Part("next_next", 0.001), *likes, *then)


class Memory(nn.Module):
    """The tables, and the parts that are made of them."""

    def __init__(self, config: MemoryConfig, num_items: int) -> None:
        super().__init__()
        self.config, self.parts = config, config.parts()
        self.names = tuple(dict.fromkeys(part.table for part in self.parts))
        for name in self.names:
            self.set(name, Table.empty(num_items, config.neighbours))

    def count(self, catalog: Catalog, vectors: Mapping[str, Float[Tensor, "N _"]]) -> Float[Tensor, " N"]:
        """Make all tables from the training interactions, the titles and the vectors; returns how often each item was
        taken."""
        rows, keep = catalog.split == TRAIN, self.config.neighbours
        items, users = catalog.item[rows].astype("int64"), catalog.user[rows].astype("int64")
        each = None if catalog.weight is None else catalog.weight[rows]
        follows, counts = count_transitions(items, users, catalog.num_items, Weights(), keep, each)
        self.set("next", follows)
        self.relate(vectors, catalog.titles.to_pylist())
        return counts

    def relate(self, vectors: Mapping[str, Float[Tensor, "N _"]], titles: Sequence[str]) -> None:
        """Make all tables but `next`, from it, the vectors and the titles; those of what is not there stay."""
        follows = self._follows()
        self.set("next_next", follows.then(follows))
        for name, like in self._alike(vectors, titles).items():
            self.set(name, like)
            self.set(f"{name}_next", like.then(follows))

    def take_in(self, first: int, vectors: Mapping[str, Float[Tensor, "N _"]], titles: Sequence[str]) -> None:
        """Relate the items from `first` on, which training did not show: what follows them, and what they follow, is
        what it is for the items that they are like."""
        alike = list(self._alike(vectors, titles).values())
        if alike:
            self.set("next", extended(self._follows(), alike, first))
            self.relate(vectors, titles)

    def _follows(self) -> Table:
        return Table(*(values.cpu() for values in self.table("next")))

    def _alike(self, vectors: Mapping[str, Float[Tensor, "N _"]], titles: Sequence[str]) -> dict[str, Table]:
        """The tables of likeness, by name."""
        keep, nouns = self.config.neighbours, [noun for noun in self.config.alike if noun in vectors]
        found = {f"like_{noun}": alike_vectors(vectors[noun].float().cpu().numpy(), keep) for noun in nouns}
        return found | ({"words": alike_words(titles, keep)} if self.config.words and len(titles) else {})

    def set(self, name: str, table: Table) -> None:
        """Replace a relation's table."""
        for part, values in zip(("items", "values"), table, strict=True):
            known = getattr(self, f"{name}_{part}", None)
            self.register_buffer(f"{name}_{part}", values if known is None else values.to(known.device))

    def extended(self, held: Mapping[str, Tensor], prefix: str, added: int) -> dict[str, Tensor]:
        """Saved weights in which the tables (their names begin with `prefix`) have rows of no neighbours for items that
        came later."""
        found = dict(held)
        for name in self.names if added else ():
            empty = Table.empty(added, self.config.neighbours)
            for part, rows in (("items", empty.items), ("values", empty.values)):
                found[f"{prefix}{name}_{part}"] = torch.cat([held[f"{prefix}{name}_{part}"], rows])
        return found

    def table(self, name: str) -> Table:
        """A relation's table."""
        return Table(self.get_buffer(f"{name}_items"), self.get_buffer(f"{name}_values"))

    def entries(self, before: Int[Tensor, "P T"]) -> dict[str, Entries]:
        """Per relation, the items related to the latest items of each history, the latest first."""
        latest = before[:, : self.config.latest]
        return {name: entries(self.table(name), latest, self.config.recency) for name in self.names}

    def of_all(self, held: dict[str, Entries], before: Int[Tensor, "P T"], num_items: int) -> Iterator[Tensor]:
        """Every part, of all items [P, N]; an item that is before has 0."""
        column = torch.where(before == PAD, num_items, before)
        masses = {}
        for name in self.names:
            whole = torch.nn.functional.pad(mass_of_all(*held[name], num_items), (0, 1))
            masses[name] = whole.scatter(1, column, 0.0)[:, :num_items]
        yield from (torch.log1p(masses[part.table] / part.eps) for part in self.parts)

    def of(
        self, held: dict[str, Entries], before: Int[Tensor, "P T"], candidates: Int[Tensor, "P C"]
    ) -> Float[Tensor, "P C F"]:
        """All parts of some items, in the order of `parts`; an item that is before has 0."""
        taken = (candidates[:, :, None] == before[:, None, :]).any(2)
        masses = {name: mass_of(*held[name], candidates).masked_fill(taken, 0.0) for name in self.names}
        return torch.stack([torch.log1p(masses[part.table] / part.eps) for part in self.parts], 2)

    def recalled(
        self,
        held: dict[str, Entries],
        before: Int[Tensor, "P T"],
        weights: Float[Tensor, "P F"],
        some: Bool[Tensor, " N"] | None = None,
    ) -> Int[Tensor, "P J"]:
        """The items, of all or of some, whose weighted parts are largest, each once; PAD where fewer are recalled."""
        size = self.config.recalled
        if some is not None:
            held = {name: _of_some(each, some) for name, each in held.items()}
        most = size + before.shape[1]  # of which some may be items of the history
        found = torch.cat([recall(*held[name], most)[0] for name in self.names], 1).sort(1).values
        found[:, 1:] = torch.where(found[:, 1:] == found[:, :-1], PAD, found[:, 1:])
        found = torch.where((found[:, :, None] == before[:, None, :]).any(2), PAD, found)
        scores = torch.einsum("pcf,pf->pc", self.of(held, before, found), weights.float()).masked_fill(
            found == PAD, -torch.inf
        )
        return found.gather(1, scores.topk(min(size, found.shape[1]), dim=1).indices)


def _of_some(entries: Entries, some: Bool[Tensor, " N"]) -> Entries:
    """The entries of some items; those of others are filled up with PAD and 0."""
    found, mass = entries
    kept = (found != PAD) & some[found.clamp_min(0)]
    return torch.where(kept, found, PAD), torch.where(kept, mass, 0.0)
