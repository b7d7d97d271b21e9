"""Makes the embeddings: every item's text through an encoder, shard by shard.

Parts are the shards that are not there yet. A first step reads and tokenises a part's texts on CPUs; a second runs
the encoder, on a GPU if it has one, and writes the shard. What was counted in a shard lies in the shard's own Arrow
schema, so a run that was killed ends with the same files and the same record as one that was not. B items.
"""

import functools
import json
import time
from collections import Counter
from dataclasses import dataclass, field, replace

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.ipc as ipc
from jaxtyping import Int

from unisid.artifacts.catalog import Catalog
from unisid.artifacts.embeddings import DTYPE, FAMILY, dtype_of
from unisid.artifacts.shards import missing_parts, shard_name, shard_parts, to_arrow, to_ragged, write_shard
from unisid.artifacts.store import Place
from unisid.artifacts.tables import Rows
from unisid.bounds import Count, CountOrNone, Settings
from unisid.compute import Job, Part, Pool, Step
from unisid.config import Json, identity_where, override, runtime, to_record
from unisid.encoders import EncoderConfig, Tokens, transformer
from unisid.errors import ArtifactError, ConfigError, DataError
from unisid.log import logger
from unisid.ops.pooling import Pooling
from unisid.ops.seeded import sampled
from unisid.ops.text import PLACEHOLDER
from unisid.progress import HowFar
from unisid.stages.embeddings.encode import Encoded, encode
from unisid.stages.extension import Base

LOG = logger(__name__)

COUNTS = b"unisid.counts"
FLOAT16_MAX = float(np.finfo(np.float16).max)
GPU_TOKENS, CPU_TOKENS = 1 << 16, 1 << 11
"""A GPU wants large products; on a CPU a batch should stay in the caches."""


@dataclass(frozen=True, kw_only=True)
class Config(Settings):
    """Which encoder reads the texts, how much of them, and what is kept."""

    encoder: EncoderConfig = field(default_factory=transformer.Config)
    """What turns text into token states."""
    max_tokens: Count = 64
    """Tokens read of a text, special tokens included (UQF thesis, L_text)."""
    pooling: Pooling = "mean"
    """The text vector: the mean over real tokens (UQF thesis), or the last one (Qwen3-Embedding's convention)."""
    normalise: bool | None = None
    """Scale text vectors to length 1. None: as the pooling's convention has it, only for 'last'."""
    keep_states: bool = True
    """Keep every token's state, not only text vectors: what UQF needs, and 2 bytes x tokens x width an item."""
    states_of: CountOrNone = field(default=0, metadata=identity_where(lambda config: config.states_of > 0))
    """Keep token states of about so many items alone, drawn by their numbers; 0: of all. A fusion then learns from
    those, and `fused.inline` encodes the others beside it."""
    shard_rows: Count = 4096
    """Items a shard: the grain of parallel work and of resuming. It shapes the files, so it bears identity."""
    base: Base | None = field(default=None, metadata=identity_where(lambda config: config.base is not None))
    """The older version whose items stay as they are; None: all are made anew. `unisid index extend` sets it."""
    batch_tokens: CountOrNone = runtime(0)
    """Tokens a forward pass, padding included; 0: 65,536 on a GPU, 2,048 on a CPU. It changes rounding alone."""
    tokenize: Pool = runtime(Pool(cpus=0.5))
    """Who reads and tokenises."""
    pool: Pool = runtime(Pool())
    """Who runs the encoder; `gpus` of 0.5 lets one worker write while the other computes."""

    def check_tools(self) -> None:
        """Load the encoder's tokenizer, so that a missing library or file is an error before the run begins."""
        if self.encoder.reads == "text":  # else the catalog says what its tokens are
            self.encoder.tokenizer(self.max_tokens)


def inputs(config: Config) -> tuple[str, ...]:
    """The nouns that it reads; one that the recipe leaves out is absent."""
    return ("catalog",)


def sources(config: Config) -> dict[str, Json]:
    """Inputs that are no artifacts: the encoder's weights, by their content or by their id on the hub."""
    source = config.encoder.source()
    return {} if source is None else {"encoder": source}


def make(job: Job[Config]) -> Json:
    """Write the missing shards `states-*.arrow`; returns what all of them hold, in numbers."""
    catalog = Catalog.read(job.inputs["catalog"])
    config = replace(job.config, encoder=job.config.encoder.of(catalog.place))
    if catalog.num_items == 0:
        raise DataError(f"{catalog.place}: has no items; there is nothing to embed")
    Reader(catalog.place, config).tokenize([PLACEHOLDER])  # a missing model is found here, not in a worker
    missing = missing_parts(job.out, FAMILY, catalog.num_items, config.shard_rows)
    num_shards = len(shard_parts(catalog.num_items, config.shard_rows))
    if len(missing) < num_shards:
        LOG.info(f"{num_shards - len(missing)} of {num_shards} shards are there already")
    if missing:
        write_parts(job, catalog.place, missing, config)
    return summary(job.out, num_shards, catalog.num_items, config.keep_states)


def write_parts(job: Job[Config], catalog: Place, missing: list[Part], config: Config) -> None:
    """Encode the items of some parts, and write each as its shard."""
    steps = (
        Step(functools.partial(Reader, catalog, config), config.tokenize),
        Step(functools.partial(Writer, job.out, config, Catalog.read(catalog).num_items), config.pool),
    )
    begun = time.monotonic()
    total = Counter[str]()
    for done, table in enumerate(job.compute.map(missing, *steps), 1):
        total.update(table.to_pylist()[0])
        seconds = max(time.monotonic() - begun, 1e-9)
        job.report(
            {
                "step": done,
                "items_per_second": total["items"] / seconds,
                "forward_share": total["seconds"] / seconds / max(1, config.pool.workers),
                **HowFar("shards", done, len(missing), done / seconds).figures,
            }
        )


class Reader:
    """A part -> its items' ids and tokens."""

    def __init__(self, catalog: Place, config: Config) -> None:
        self.catalog, self.config = catalog, config
        self.tokenizer = config.encoder.tokenizer(config.max_tokens)

    @functools.cached_property
    def items(self) -> Rows:
        """The catalog's. All its files are looked up once; a part opens those that hold its own rows."""
        return Rows.of(self.catalog, "items")

    def __call__(self, part: pa.Table) -> pa.Table:
        shard, start, stop = (part[name][0].as_py() for name in ("shard", "start", "stop"))
        reads = self.config.encoder.reads
        items = self.items.read(start, stop, sorted({"item_id", reads}))
        tokens, empty = self.tokenize(items[reads].cast(pa.string()).to_pylist())
        offsets = np.concatenate([[0], np.cumsum(tokens.lengths)])
        return pa.table(
            {
                "item_id": items["item_id"].cast(pa.string()),
                "tokens": pa.LargeListArray.from_arrays(pa.array(offsets), pa.array(tokens.ids)),
                "truncated": tokens.truncated,
                "empty": empty,
                "shard": np.full(stop - start, shard),
                "start": np.full(stop - start, start),
            }
        )

    def tokenize(self, texts: list[str | None]) -> tuple[Tokens, list[bool]]:
        """The tokens, and which texts say nothing to this encoder: the catalog's placeholder is read in their place."""
        if self.config.encoder.reads == "item_id":
            tokens = self.tokenizer([str(text) for text in texts])
            return tokens, (tokens.ids == 0).tolist()
        filled = [text if text and text.strip() else PLACEHOLDER for text in texts]
        tokens = self.tokenizer(filled)
        if not tokens.lengths.all():
            filled = [text if n else PLACEHOLDER for text, n in zip(filled, tokens.lengths.tolist(), strict=True)]
            tokens = self.tokenizer(filled)
        if not tokens.lengths.all():
            raise ConfigError(
                f"embeddings.encoder: its tokenizer makes no token of '{PLACEHOLDER}', which stands for "
                "empty texts; use an encoder whose vocabulary contains words"
            )
        return tokens, [text == PLACEHOLDER for text in filled]


class Writer:
    """Items' tokens -> a shard on disk, and a row of what it took."""

    def __init__(self, out: Place, config: Config, num_items: int) -> None:
        self.out, self.config, self.num_items = out, config, num_items
        self.encode = Encode(config)

    def __call__(self, items: pa.Table) -> pa.Table:
        begun = time.monotonic()
        encoded, lengths = self.encode(items)
        seconds = time.monotonic() - begun
        columns = {"pooled": to_arrow(encoded.pooled)}
        if encoded.states is not None:
            start = items["start"][0].as_py()
            kept = sampled(start, start + len(lengths), self.num_items, self.config.states_of)
            columns["states"] = to_ragged(encoded.states[np.repeat(kept, lengths)], lengths * kept)
        counts = {
            "items": len(lengths),
            "tokens": int(lengths.sum()),
            "slots": encoded.slots,
            "truncated": pc.sum(items["truncated"]).as_py(),
            "empty": pc.sum(items["empty"]).as_py(),
            "width": self.encode.encoder.width,
        }
        said = counts | self.encode.decided
        table = pa.table(columns).replace_schema_metadata({COUNTS: json.dumps(said)})
        write_shard(self.out, FAMILY, items["shard"][0].as_py(), table)
        return pa.Table.from_pylist([counts | {"seconds": seconds}])


class Encode:
    """Items' tokens -> their vectors, and the number of tokens of each."""

    def __init__(self, config: Config) -> None:
        self.config, self.device = config, config.pool.device()
        self.batch_tokens = config.batch_tokens or (GPU_TOKENS if self.device.type == "cuda" else CPU_TOKENS)
        settings = config.encoder.on(self.device)
        self.encoder = settings.build(self.device)
        self.decided: Json = {} if settings == config.encoder else {DTYPE: to_record(settings)[DTYPE]}
        """What the settings left to the device."""

    def __call__(self, items: pa.Table) -> tuple[Encoded, Int[np.ndarray, " B"]]:
        """Raises DataError where a state is not a number, or is larger than what is kept of it can be."""
        config, lists = self.config, items["tokens"].combine_chunks()
        lengths = pc.list_value_length(lists).to_numpy().astype(np.int64)
        tokens = Tokens(lists.flatten().to_numpy(), lengths, items["truncated"].to_numpy())
        normalise = config.pooling == "last" if config.normalise is None else config.normalise
        encoded = encode(
            self.encoder,
            tokens,
            self.device,
            pooling=config.pooling,
            normalise=normalise,
            keep_states=config.keep_states,
            batch_tokens=self.batch_tokens,
        )
        refuse_bad(encoded, items["item_id"])
        return encoded, lengths


def refuse_bad(encoded: Encoded, item_ids: pa.ChunkedArray) -> None:
    """Raise DataError where a state is not a number, or is larger than what float16 keeps."""
    limit = FLOAT16_MAX if encoded.states is not None else np.finfo(np.float32).max
    bad = np.flatnonzero(~(encoded.peaks <= limit))
    if not len(bad):
        return
    names = ", ".join(repr(item_ids[int(row)].as_py()) for row in bad[:5]) + (", ..." if len(bad) > 5 else "")
    peaks = encoded.peaks[bad]
    if np.isfinite(peaks).all():
        raise DataError(
            f"embeddings: token states of {len(bad)} items ({names}) reach {peaks.max():.3g}, float16 keeps "
            f"{FLOAT16_MAX:.0f}; keep text vectors only (keep_states False), or use another encoder"
        )
    raise DataError(
        f"embeddings: states of {len(bad)} items ({names}) are NaN or infinite; a forward pass in float32 or bfloat16 "
        "(encoder.dtype) cures overflow, otherwise the encoder's weights are damaged"
    )


def summary(out: Place, num_shards: int, num_items: int, has_states: bool) -> Json:
    """Counts for the record, summed over the shards."""
    counts = [_counts(out, index) for index in range(num_shards)]
    total = {name: sum(c[name] for c in counts) for name in ("items", "tokens", "slots", "truncated", "empty")}
    if total["items"] != num_items:
        raise ArtifactError(
            f"{out}: shards hold {total['items']} items, the catalog {num_items}; delete the folder and make it anew"
        )
    dtypes = sorted({each[DTYPE] for each in counts if DTYPE in each})
    return {
        "items": num_items,
        "width": counts[0]["width"],
        "has_states": has_states,
        "tokens": total["tokens"],
        "padding": round(1 - total["tokens"] / total["slots"], 4),
        "truncated": total["truncated"],
        "empty": total["empty"],
        **({DTYPE: ", ".join(dtypes)} if dtypes else {}),
    }


def as_made(config: Config, counts: Json) -> Config:
    """The settings of embeddings with these counts, whatever this device would decide: the same type of numbers."""
    dtype = dtype_of(counts)
    return config if dtype is None else override(config, f"encoder.{DTYPE}", dtype)


def _counts(out: Place, index: int) -> Json:
    name = shard_name(FAMILY, index)
    try:
        with out.open(name) as file:
            found: Json = json.loads(ipc.open_file(file).schema.metadata[COUNTS])
    except (pa.ArrowInvalid, TypeError, KeyError) as error:
        raise ArtifactError(
            f"{out}/{name}: is not a whole shard of embeddings ({error}); delete this file and run the "
            "stage again, which makes only what is missing"
        ) from None
    return found
