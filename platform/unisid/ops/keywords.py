"""Keywords of groups of items by counting: terms that are frequent in a group's texts and rare in the other groups'.

    p(t | s) = share of the items of group s whose text has the term t; an item counts once
    df(t)    = number of groups s with p(t | s) >= PRESENT
    score(t, s) = p(t | s) log(1 + G / df(t))

Example, G = 2 groups of four items: "shampoo" in 3 texts of the first and none of the second scores 3/4 log(1 + 2/1) =
0.82; "bottle" in 3 of both, 3/4 log(1 + 2/2) = 0.52.

Groups are the tokens of a level of an index, whose keywords initialise a language model's token embeddings and make
tasks, or the prefixes below one prefix, which are shown by name. N items, G groups, V terms.
"""

import itertools
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

WORD = re.compile(r"[^\W\d_]{3,}")
"""Shorter words and numbers are no terms."""
STOP = frozenset(
    WORD.findall(
        "the and but nor for with without from into onto over under his her its our your their you they them this that "
        "these those are was were been has have had not all any can will one two more most very than then when where "
        "which who whose what how also only other each per use used using"
    )
)
"""Function words, which are no terms."""
UNITS = frozenset(
    WORD.findall(
        "inch inches feet foot yard yards meter meters ounce ounces pound pounds lbs gram grams liter liters gallon "
        "gallons watt watts volt volts amp amps count pcs piece pieces pack packs pair pairs size"
    )
)
"""Units of measure and of sale."""
PRESENT = 0.05
"""The share of a group's items from which a term counts as one of the group's."""
SHARED = 0.15
"""The share of a group's items, and two at least, that must have a term for it to be a keyword."""
NAMED = 2
"""Terms in the name of a prefix."""
LEAST = 4
"""Items from which a prefix has a name: fewer are listed as they are."""
LIFT = 1.5
"""How many times as frequent a term must be in a prefix as in the prefix before it to name it."""
LEANING = 1.1
"""The same for the one word that names a prefix where no term is so much more frequent."""
ITEMS = 1 << 15
"""Items whose words name prefixes, at most: a sample of a larger catalogue."""
Prefix = tuple[int, ...]


@dataclass(frozen=True)
class Terms:
    """A term-document matrix."""

    names: Sequence[str]
    """[V]: words, then pairs of neighbouring words, each in alphabetical order."""
    held: sparse.csr_array
    """[N, V], 1 where an item has a term."""

    def of(self, items: NDArray[np.integer]) -> "Terms":
        """Of some items alone."""
        return Terms(self.names, self.held[items])


@dataclass(frozen=True)
class Keywords:
    """The keywords of one group."""

    terms: tuple[str, ...]
    """By score, the highest first."""
    coverage: float
    """The mean of p(t | s) over the terms; 0 where there are none."""


@runtime_checkable
class Index(Protocol):
    """Which items have which codes, as `artifacts.codes.Codes` says it."""

    @property
    def codes(self) -> NDArray[np.int32]:
        """[N, L]."""
        ...

    def find(self, prefix: Prefix) -> NDArray[np.int64]:
        """The items of a prefix."""
        ...


def terms_of(texts: Sequence[str], brands: Sequence[str] = ()) -> Terms:
    """The words and pairs of words of every text, in small letters.

    Args:
        brands: of every item or none: the words of its own brand are not an item's terms, and what is a brand's whole
            name is no term at all.
    """
    names = frozenset(" ".join(words_of(brand)) for brand in brands) - {""}
    found = [
        [term for term in _terms(text, names | frozenset(words_of(brand))) if term not in names]
        for text, brand in zip(texts, brands or [""] * len(texts), strict=True)
    ]
    vocabulary = sorted({term for own in found for term in own}, key=lambda term: (" " in term, term))
    place = {term: number for number, term in enumerate(vocabulary)}
    columns = np.array([place[term] for own in found for term in own], np.int64)
    starts = np.concatenate([[0], np.cumsum([len(own) for own in found])]).astype(np.int64)
    shape = (len(found), len(vocabulary))
    return Terms(vocabulary, sparse.csr_array((np.ones(len(columns), np.int64), columns, starts), shape=shape))


def words_of(text: str) -> list[str]:
    """The words of a text, in order, without function words and units."""
    return [word for word in WORD.findall(text.lower()) if word not in STOP and word not in UNITS]


def keywords(
    terms: Terms,
    groups: NDArray[np.integer],
    number: int,
    *,
    most: int = 15,
    fewest: int = 0,
    lift: float = 0.0,
    shared: bool = False,
) -> list[Keywords]:
    """The keywords of so many groups of items; of a group without items, none.

    Args:
        groups: of every item [N], from 0 on; -1 for none.
        fewest: a group of fewer keywords is given what most of its items have, then what most of all items have.
        lift: how many times as frequent as among the items of all groups a keyword must be.
        shared: a group without keywords has the word of the best score among those that two of its items share and
            that are `LEANING` times as frequent in it as among the items of all groups.
    """
    items = np.flatnonzero(groups >= 0)
    members = sparse.csr_array((np.ones(len(items), np.int64), (groups[items], items)), shape=(number, len(groups)))
    counts, sizes = members @ terms.held, np.bincount(groups[items], minlength=number)
    counts.sort_indices()
    rows = np.repeat(np.arange(number), np.diff(counts.indptr))
    shares = counts.data / np.maximum(sizes, 1)[rows]
    present = np.bincount(counts.indices[shares >= PRESENT], minlength=len(terms.names))
    scores = shares * np.log1p((sizes > 0).sum() / np.maximum(present, 1)[counts.indices])
    overall = np.asarray(counts.sum(0)).reshape(-1)
    lifted = shares * max(1, len(items)) >= lift * overall[counts.indices]
    leaning = (counts.data >= 2) & (shares * max(1, len(items)) >= LEANING * overall[counts.indices])
    telling = (counts.data >= np.maximum(2, SHARED * sizes)[rows]) & lifted
    common = np.lexsort((np.arange(len(overall)), -overall))[:fewest]
    found = []
    for group, (start, stop) in enumerate(zip(counts.indptr[:-1], counts.indptr[1:], strict=True)):
        own, score, share = counts.indices[start:stop], scores[start:stop], shares[start:stop]
        best = np.lexsort((own, -score))
        chosen = [int(own[n]) for n in best if telling[start:stop][n]][:most]
        if shared and not chosen:
            chosen = [int(own[n]) for n in best if leaning[start:stop][n]][:1]
        if sizes[group] and len(chosen) < fewest:
            chosen += [int(own[n]) for n in np.lexsort((own, -score, -share))[: most + fewest] if own[n] not in chosen]
            chosen = [*chosen, *(int(n) for n in common if n not in chosen)][: min(most, fewest)]
        at = dict(zip(own.tolist(), share.tolist(), strict=True))
        covered = [at.get(term, 0.0) for term in chosen]
        found.append(Keywords(tuple(terms.names[n] for n in chosen), float(np.mean(covered)) if covered else 0.0))
    return found


def names(codes: NDArray[np.int32], texts: Sequence[str], levels: int | None = None) -> dict[Prefix, str]:
    """Prefix -> name, of its keywords, for prefixes of at least `LEAST` of the first items.

    The first codes are compared with one another, longer prefixes with those that have the same parent, so that a
    branch is named by what distinguishes it from its siblings. All levels but the last, or the first `levels`.
    """
    codes, terms = codes[: len(texts)], terms_of(texts)
    found: dict[Prefix, str] = {}
    inside: Mapping[Prefix, NDArray[np.int64]] = {(): np.arange(len(codes))}
    for length in range(codes.shape[1] - 1 if levels is None else levels):
        longer: dict[Prefix, NDArray[np.int64]] = {}
        for prefix, items in inside.items():
            found |= _named(prefix, codes[items, length], terms.of(items))
            longer |= {(*prefix, code): items[own] for code, own in _members(codes[items, length])}
        inside = {prefix: items for prefix, items in longer.items() if len(items) >= LEAST}
    return {prefix: found[prefix] for prefix in sorted(found, key=lambda prefix: (len(prefix), prefix))}


def names_below(prefix: Prefix, index: Index, texts: Sequence[str]) -> dict[Prefix, str]:
    """The names of a prefix's children, as `names` returns them, from the items of that prefix alone.

    Args:
        texts: of all items; of a prefix that has more than `ITEMS`, evenly spaced ones are read.
    """
    items = index.find(prefix)
    if len(items) < LEAST or len(prefix) == index.codes.shape[1]:
        return {}
    items = items[:: -(-len(items) // ITEMS)]
    return _named(prefix, index.codes[items, len(prefix)], terms_of([texts[item] for item in items]))


def named_groups(texts: Sequence[str], groups: NDArray[np.integer]) -> list[str]:
    """The name of each group of texts: its best keywords; '' where it has none."""
    number = int(groups.max(initial=-1)) + 1
    return [_name(own) for own in keywords(terms_of(texts), groups, number)]


def _named(prefix: Prefix, codes: NDArray[np.int32], terms: Terms) -> dict[Prefix, str]:
    known, groups, sizes = np.unique(codes, return_inverse=True, return_counts=True)
    chosen = keywords(terms, groups.reshape(-1), len(known), lift=LIFT, shared=True)
    named = {
        (*prefix, int(code)): _name(own) for code, own, size in zip(known, chosen, sizes, strict=True) if size >= LEAST
    }
    return {longer: name for longer, name in named.items() if name}


def _name(own: Keywords) -> str:
    """The first keywords that have no word in common, as one text."""
    said: list[str] = []
    for term in own.terms:
        if len(said) < NAMED and not set(term.split()) & set(" ".join(said).split()):
            said.append(term)
    return " ".join(said)


def _members(codes: NDArray[np.int32]) -> Iterator[tuple[int, NDArray[np.int64]]]:
    """Every code with its positions."""
    order = np.argsort(codes, kind="stable")
    known, starts = np.unique(codes[order], return_index=True)
    yield from zip(known.tolist(), np.split(order, starts[1:]), strict=False)  # no codes split into one part


def _terms(text: str, left_out: frozenset[str]) -> list[str]:
    """The words of a text and the pairs of neighbouring words of each line, each once."""
    lines = [[word for word in words_of(line) if word not in left_out] for line in text.split("\n")]
    words = itertools.chain.from_iterable(lines)
    pairs = (f"{one} {other}" for line in lines for one, other in itertools.pairwise(line))
    return list(dict.fromkeys([*words, *pairs]))
