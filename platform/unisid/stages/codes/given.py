"""Makes the codes of ids that others made: checked against the catalog, made unique, judged, written as any index.

Where items share an id, one more level counts them, as TIGER's does. N items, L levels.
"""

import json

import numpy as np
from jaxtyping import Int

from unisid.artifacts.catalog import Catalog
from unisid.artifacts.codes import write_codes
from unisid.artifacts.weights import write_json
from unisid.compute import Job
from unisid.config import Json
from unisid.errors import ConfigError
from unisid.evaluation import index as quality
from unisid.exchange.given import Given, Theirs, on_catalog
from unisid.exchange.reader import MANIFEST
from unisid.log import logger
from unisid.ops.prefixes import row_keys
from unisid.stages import codes as stage
from unisid.tokenizers import DESCRIPTION, WEIGHTS

LOG = logger(__name__)


def inputs(config: stage.Config) -> tuple[str, ...]:
    """The nouns that it reads."""
    return ("catalog",)


def sources(config: stage.Config) -> dict[str, Json]:
    """The file or package of the ids."""
    return {"given": _given(config).source()}


def make(job: Job[stage.Config]) -> Json:
    """Take the ids, judge and write them; the counts are those of `codes`, without figures of vectors."""
    catalog = Catalog.read(job.inputs["catalog"])
    codes, theirs = on_catalog(_given(job.config), catalog)
    report = quality.describe(codes, theirs.sizes)
    report |= quality.shared_users(codes, catalog.training_edges(), job.config.training.seed)
    sizes = theirs.sizes
    if len(shared := _shared(codes)):
        codes, sizes = stage.append_ordinal(codes, sizes)
        LOG.warning(
            f"{len(shared):,} of {len(codes):,} items share their semantic id with another; a level of {sizes[-1]:,} "
            "codes that counts them is appended"
        )
    quality.check(job.config.gate, report)
    write_json(job.out, "quality.json", report)
    write_codes(job.out, codes, sizes)
    return {"items": len(codes), "sizes": list(sizes), "quality": report, **_tokenizer(job, theirs)}


def _shared(codes: Int[np.ndarray, "N L"]) -> list[int]:
    """The items that share their id with another."""
    _, place, counts = np.unique(row_keys(codes), return_inverse=True, return_counts=True)
    found: list[int] = np.flatnonzero(counts[place] > 1).tolist()
    return found


def _given(config: stage.Config) -> Given:
    if config.given is None:
        raise ConfigError("codes.given: is None; must name a file of semantic ids")
    return config.given


def _tokenizer(job: Job[stage.Config], theirs: Theirs) -> Json:
    """Take a package's tokenizer over, where it has one; returns what its manifest says of its origin."""
    if theirs.package is None:
        return {}
    manifest = json.loads(theirs.package.read(MANIFEST))
    for name in (DESCRIPTION, WEIGHTS):
        if name in manifest["files"]:
            with job.out.writing(name) as stream:
                stream.write(theirs.package.read(name))
    return {"from": {key: manifest.get(key) for key in ("address", "fingerprint", "unisid", "encoders")}}
