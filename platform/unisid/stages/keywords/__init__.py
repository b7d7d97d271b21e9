"""Makes the keywords: for every token of an index, words that its items have in common.

After TS-Rec's semantic extraction (section 4.1), whose language model behind an interface is replaced by counting
(`ops.keywords`): a keyword is what a token's items have and the items of the level's other tokens have less. A text
about all of them is a sentence around the keywords, or what a small language model on this machine makes of them
(`written`). A part is one level. N items, L levels, G tokens of a level.
"""

import functools
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pyarrow as pa
from jaxtyping import Int

from unisid.artifacts.catalog import Catalog
from unisid.artifacts.codes import Codes
from unisid.artifacts.keywords import FAMILY, LOW, SCHEMA
from unisid.artifacts.store import Place
from unisid.artifacts.tables import open_table, read_texts, table_names, write_table
from unisid.bounds import Count, CountOrNone, Settings
from unisid.compute import Job, Part, Pool, Step
from unisid.config import Json, did_you_mean, identity_where, runtime
from unisid.errors import ArtifactError, DataError
from unisid.log import logger
from unisid.ops.keywords import Keywords, keywords, terms_of
from unisid.ops.semantic_ids import letters, token
from unisid.pretrained import Pretrained
from unisid.progress import Progress
from unisid.stages.keywords.writing import Writer, sentence

LOG = logger(__name__)


@dataclass(frozen=True, kw_only=True)
class Config(Settings):
    """Which texts keywords are taken from, and how many."""

    text: tuple[str, ...] = ()
    """The catalogue's columns whose words may be keywords, such as title and categories; empty: the text that an
    encoder reads, or the title of a catalogue without one."""
    brand: str = ""
    """The column of the items' brands, which are no keywords; empty: none."""
    categories: str = ""
    """The column of the items' categories: a description names the two most frequent; empty: none."""
    most: Count = 15
    """Keywords a token."""
    fewest: CountOrNone = 5
    """A token of fewer is given words that most of its items have, then words that most of all items have."""
    written: str = field(default="", metadata=identity_where(lambda config: bool(config.written)))
    """A language model that writes the descriptions, as `model.backbone.model` names one; empty: a sentence around the
    keywords."""
    items_shown: Count = field(default=30, metadata=identity_where(lambda config: bool(config.written)))
    """Items of a token whose texts that model reads, drawn by seed."""
    pool: Pool = runtime(Pool())
    """The workers that count and write."""

    def language(self) -> Pretrained:
        """The model that writes descriptions."""
        return Pretrained("language model", self.written, takes_gguf=True)


def inputs(config: Config) -> tuple[str, ...]:
    """The nouns that it reads; one that the recipe leaves out is absent."""
    return ("catalog", "codes")


def sources(config: Config) -> dict[str, Json]:
    """The language model that writes descriptions, where one does."""
    return {"language": config.language().source()} if config.written else {}


def make(job: Job[Config]) -> Json:
    """Write the table; the counts are the tokens and, by level, the mean coverage and how many have too little."""
    config, catalog, codes = job.config, Catalog.read(job.inputs["catalog"]), Codes.read(job.inputs["codes"])
    if len(codes.codes) != catalog.num_items:
        raise ArtifactError(
            f"{codes.place}: has codes for {len(codes.codes)} items, the catalog {catalog.place} has "
            f"{catalog.num_items}; both must come from one recipe"
        )
    columns(config, catalog)
    parts: list[Part] = [{"level": level} for level in range(codes.num_levels)]
    counter = functools.partial(_counter, catalog.place, codes.place, job.out, config)
    counted: dict[int, Any] = {}
    progress = Progress(job.report, len(parts), "levels")
    for found in job.compute.map(parts, Step(counter, config.pool)):
        [row] = found.to_pylist()
        counted[row.pop("level")] = row
        progress.advance()
    by_level = {letters(level): counted[level] for level in sorted(counted)}
    for name, row in by_level.items():
        if row["low"] > row["tokens"] // 2:
            LOG.warning(
                f"keywords: {row['low']} of the {row['tokens']} tokens of level {name} have keywords that fewer than "
                f"{LOW:.0%} of their items share: what such tokens mean does not show in these texts"
            )
    return {"tokens": sum(row["tokens"] for row in by_level.values()), "levels": by_level}


def columns(config: Config, catalog: Catalog) -> tuple[str, ...]:
    """The columns whose words may be keywords; raises DataError for one that the catalogue lacks."""
    names = open_table(catalog.place, table_names(catalog.place, "items")[0]).schema_arrow.names
    for key, wanted in (("text", config.text), ("brand", (config.brand,)), ("categories", (config.categories,))):
        for name in wanted:
            if name and name not in names:
                raise DataError(
                    f"{catalog.place}: its items have no column '{name}'{did_you_mean(name, names)}; they have "
                    f"{', '.join(names)}: set keywords.{key} to what there is"
                )
    return config.text or (("text",) if "text" in names else ("title",))


def _counter(catalog_at: Place, codes_at: Place, out: Place, config: Config) -> Callable[[pa.Table], pa.Table]:
    """A worker's step: a level -> its tokens' keywords, written as a table. Items' terms are counted once a worker."""
    catalog, codes = Catalog.read(catalog_at), Codes.read(codes_at).codes
    texts = [
        "\n".join(filter(None, row))
        for row in zip(*(_read(catalog, name) for name in columns(config, catalog)), strict=True)
    ]
    terms = terms_of(texts, _read(catalog, config.brand) if config.brand else ())
    categories = _read(catalog, config.categories) if config.categories else []
    writer = Writer.load(config.language(), config.items_shown) if config.written else None

    def count(part: pa.Table) -> pa.Table:
        level = part["level"][0].as_py()
        known, groups = np.unique(codes[:, level], return_inverse=True)
        groups = groups.reshape(-1)
        chosen = keywords(terms, groups, len(known), most=config.most, fewest=config.fewest)
        described = [
            sentence(own, [categories[item] for item in np.flatnonzero(groups == group)] if categories else [])
            for group, own in enumerate(chosen)
        ]
        if writer is not None:
            spelled = [token(level, int(code)) for code in known]
            described = writer.write(spelled, chosen, groups, texts, described)
        _write(out, level, known, np.bincount(groups, minlength=len(known)), chosen, described)
        covered = [own.coverage for own in chosen]
        figures = {
            "level": level,
            "tokens": len(known),
            "coverage": round(float(np.mean(covered)), 4) if covered else 0.0,
        }
        return pa.table({name: [value] for name, value in (figures | {"low": sum(c < LOW for c in covered)}).items()})

    return count


def _read(catalog: Catalog, column: str) -> list[str]:
    return [text or "" for text in read_texts(catalog.place, "items", column).to_pylist()]


def _write(
    out: Place,
    level: int,
    codes: Int[np.ndarray, " G"],
    items: Int[np.ndarray, " G"],
    chosen: list[Keywords],
    described: list[str],
) -> None:
    columns = {
        "token": [token(level, int(code)) for code in codes],
        "level": np.full(len(codes), level),
        "code": codes,
        "items": items,
        "keywords": [list(own.terms) for own in chosen],
        "coverage": [own.coverage for own in chosen],
        "description": described,
    }
    table = pa.table({name: pa.array(values, SCHEMA.field(name).type) for name, values in columns.items()})
    write_table(out, FAMILY, level, table)
