"""What is trained and served, timed at its size: seconds, rates, and shares of what the device could do."""

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import Tensor

from benchmarks._edges import alone, drawn
from benchmarks.decode_llm import Language
from benchmarks.fusion import LAYERS
from benchmarks.gpu import shapes
from benchmarks.gpu.hardware import Device, operations_of
from benchmarks.gpu.shapes import Size
from unisid.backbones import Batch, Index, hierarchical, level_starts
from unisid.decoding import beam, trie
from unisid.encoders.transformer import Transformer
from unisid.fusion import uqf
from unisid.graphs import lightgcn
from unisid.ops.contrast import info_nce
from unisid.stages import graph as graph_stage
from unisid.stages.fused.reading import Known, Rows
from unisid.tokenizers import Batch as VectorBatch
from unisid.tokenizers import rqvae

HALF = torch.bfloat16
Figures = dict[str, Any]


def uqf_step(device: Device, size: Size) -> Figures:
    """Three views of a batch through UQF, InfoNCE, backward, AdamW: in bfloat16 autocast, as it is and compiled."""
    on = device.torch
    config = uqf.Config(
        width=size.uqf_width,
        output_width=size.uqf_width,
        num_queries=size.uqf_queries,
        num_layers=size.uqf_layers,
        num_heads=max(1, size.uqf_width // 64),
    )
    model = config.build({"text": size.states, "graph": size.graph_width}).to(on)
    items = 3 * size.batch
    tokens = torch.randn(items * size.tokens, size.states)
    layers = torch.randn(items * LAYERS, size.graph_width)
    known = Known(
        {
            "text": Rows(tokens, torch.full((items,), size.tokens)),
            "graph": Rows(layers, torch.full((items,), LAYERS), each=LAYERS),
        },
        torch.arange(items),
    )
    batch = known.view(np.arange(items), np.zeros(items, np.int64))[0].to(on)
    optimizer = torch.optim.AdamW(model.parameters(), fused=on.type == "cuda")
    own = torch.arange(size.batch, device=on)
    none = torch.zeros(size.batch, size.batch, dtype=torch.bool, device=on)

    def step(run: Callable[..., Tensor]) -> None:
        with torch.autocast(on.type, HALF):
            anchors, structure, semantic = run(batch).float().chunk(3)
            loss = info_nce(anchors, structure, own, none, 0.05) + info_nce(anchors, semantic, own, none, 0.05)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()

    operations = operations_of(lambda: step(model))
    seconds = device.seconds(lambda: step(model))
    figures = {
        "batch": size.batch,
        "step_seconds": seconds,
        "items_per_second": items / seconds,
        "mfu": device.share_of_peak(operations, seconds),
        "memory_gib": device.most_memory(lambda: step(model)),
    }
    compiled = _compiled(device, model, step)
    if compiled is not None:
        figures |= {"compiled_step_seconds": compiled, "compiled_mfu": device.share_of_peak(operations, compiled)}
    return figures


def graph_epoch(device: Device, size: Size) -> Figures:
    """An epoch of LightGCN: batches, negatives, propagation there and back, Adam; and the propagation of a step alone.

    Bytes moved: by every product, its edges' rows, indices and weights, and its result read and written; by Adam, four
    numbers read and three written for each number learned.
    """
    users = size.nodes * 3 // 4
    edges = drawn(users, size.nodes - users, size.edges, device.torch)
    config = graph_stage.Config(
        graph=lightgcn.Config(num_layers=size.graph_layers, width=size.graph_width), batch_edges=size.graph_batch
    )
    model = config.graph.build(edges.graph, range(size.graph_width), 0).to(device.torch)
    optimizer = torch.optim.Adam(model.parameters(), lr=config.learning_rate, fused=True)
    state = {"epoch": 0, "step": 0}
    epoch = device.seconds(
        lambda: graph_stage.train_epoch(alone(device.torch), config, model, edges, optimizer, state), rounds=3
    )

    def propagation() -> None:
        model.vectors.grad = None
        model().square().mean().backward()

    seconds = device.seconds(propagation)
    steps, products, row = -(-len(edges.user) // size.graph_batch), 2 * size.graph_layers, 4 * size.graph_width
    moved = products * (2 * len(edges.user) * (row + 8) + 2 * row * size.nodes)
    return {
        "edges": len(edges.user),
        "nodes": size.nodes,
        "width": size.graph_width,
        "steps": steps,
        "epoch_seconds": epoch,
        "edges_per_second": len(edges.user) / epoch,
        "share_of_bandwidth": device.share_of_bandwidth(steps * (moved + 7 * row * size.nodes), epoch),
        "propagation_seconds": seconds,
        "propagation_share_of_bandwidth": device.share_of_bandwidth(moved, seconds),
    }


def rqvae_step(device: Device, size: Size) -> Figures:
    """A step of RQ-VAE at the thesis's widths."""
    widths = (16, 8) if size is shapes.TINY else rqvae.Config().widths
    model = rqvae.Config(widths=widths, codebook_size=size.codes).build(size.uqf_width).to(device.torch)
    vectors = torch.randn(max(size.rqvae_batch, 4 * size.codes), size.uqf_width, device=device.torch)
    model.start(vectors, 0)
    optimizer = torch.optim.AdamW(model.parameters(), fused=device.torch.type == "cuda")

    def step() -> None:
        loss, _ = model.loss(VectorBatch(vectors[: size.rqvae_batch]), alone(device.torch))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()

    seconds = device.seconds(step)
    return {"batch": size.rqvae_batch, "step_seconds": seconds, "items_per_second": size.rqvae_batch / seconds}


def over_items(device: Device, size: Size) -> Figures:
    """A training step of the recommender over items with both heads, and its beam search."""
    on, index = device.torch, random_index(size)
    width = 16 if size is shapes.TINY else 64
    model = hierarchical.Config(width=width, memory=None, content=()).build(index).to(on)
    held = index.to(on)
    items = torch.randint(size.items, (size.histories, 50), device=on)
    optimizer = torch.optim.AdamW(model.parameters(), fused=on.type == "cuda")

    def step() -> None:
        with torch.autocast(on.type, HALF):
            loss = model.loss(Batch(items[:, :-1], items[:, 1:]), held)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()

    seconds = device.seconds(step)
    figures = {
        "items": size.items,
        "histories": size.histories,
        "step_seconds": seconds,
        "targets_per_second": items[:, 1:].numel() / seconds,
        "memory_gib": device.most_memory(step),
    }
    model.eval()
    with torch.no_grad():
        searched = device.seconds(lambda: model.search(items[:64], held, k=10, beam=50))
    return figures | {"users_per_second": 64 / searched}


def language_step(device: Device, size: Size) -> Figures:
    """Training of a language model: packed rows of 1,024 tokens, bfloat16 weights, AdamW, checkpointed from 1.5B up."""
    figures: Figures = {}
    for name in size.languages:
        model = shapes.language(name, device.torch, HALF)
        model.train()
        if name in ("1.5B", "3B"):
            model.gradient_checkpointing_enable({"use_reentrant": False})
        optimizer = torch.optim.AdamW(model.parameters(), fused=device.torch.type == "cuda")
        length = min(1024, size.train_tokens)
        ids = torch.randint(model.config.vocab_size, (size.train_tokens // length, length), device=device.torch)

        def step(model: Any = model, ids: Tensor = ids, optimizer: Any = optimizer) -> None:
            hidden = model.model(input_ids=ids, use_cache=False).last_hidden_state
            learned = hidden[:, -4:-1]  # a semantic id's tokens at each row's end, as in fine-tuning
            logits = model.lm_head(learned).float()
            torch.nn.functional.cross_entropy(logits.flatten(0, 1), ids[:, -3:].flatten()).backward()
            optimizer.step()
            optimizer.zero_grad()

        seconds = device.seconds(step, rounds=8)
        weights = sum(p.numel() for p in model.parameters()) - model.get_input_embeddings().weight.numel()
        rate = size.train_tokens / seconds
        figures[name] = {
            "tokens_per_second": rate,
            "mfu": device.share_of_peak(6 * weights * rate, 1.0),
            "memory_gib": device.most_memory(step),
        }
        del model, optimizer, step
    return figures


def language_beam(device: Device, size: Size) -> Figures:
    """One user's beam search over a language model, prompt and all levels."""
    name, index = size.languages[0], random_index(size)
    model = shapes.language(name, device.torch, HALF, added=3 * size.codes).eval()
    decoder = Language(model, level_starts(index.sizes, model.config.vocab_size - 3 * size.codes))
    built = index.to(device.torch).trie
    prompts = torch.randint(model.config.vocab_size - 3 * size.codes, (1, size.context), device=device.torch)
    figures: Figures = {"model": name, "context": size.context}
    with torch.no_grad():
        figures["prompt_ms"] = 1e3 * device.seconds(lambda: decoder.start(prompts))
        for width in size.beams:
            k = min(10, width)
            run = lambda width=width, k=k: beam.search(decoder, prompts, built, k=k, beam=width)  # noqa: E731
            figures[f"beam_{width}_ms"] = 1e3 * device.seconds(run)
    return figures


def trie_step(device: Device, size: Size) -> Figures:
    """The children of 16 x 50 nodes at the last level."""
    index = random_index(size)
    built = index.to(device.torch).trie
    nodes = torch.randint(len(built.levels[1]), (16 * min(50, len(built.levels[1])),), device=device.torch)
    return {
        "items": size.items,
        "step_ms": 1e3 * device.seconds(lambda: built.step(2, nodes)),
        "build_seconds": device.seconds(lambda: trie.build(index.codes), rounds=1),
    }


def embedding(device: Device, size: Size) -> Figures:
    """Tokens a second of a Qwen3-Embedding-0.6B-shaped encoder on texts of one length."""
    model = Transformer(shapes.encoder(size is shapes.TINY, device.torch, HALF))
    held = model.model.get_input_embeddings()
    weights = sum(p.numel() for p in model.model.parameters()) - held.weight.numel()
    figures: Figures = {}
    for length in size.texts:
        ids = torch.randint(held.num_embeddings, (size.embedded // length, length), device=device.torch)
        seconds = device.seconds(lambda ids=ids: model(ids, None))
        figures[f"texts_of_{length}"] = {
            "tokens_per_second": ids.numel() / seconds,
            "mfu": device.share_of_peak(2 * weights * ids.numel(), seconds),
        }
    return figures


def random_index(size: Size) -> Index:
    """Random codes, each once."""
    keys = np.random.default_rng(0).choice(size.codes**3, size.items, replace=False)
    return Index.of(np.stack(np.unravel_index(keys, (size.codes,) * 3), 1), (size.codes,) * 3)


def _compiled(device: Device, model: Any, step: Callable[[Any], None]) -> float | None:
    """Seconds of a step of the compiled model; None without a GPU, or where it cannot be compiled."""
    if device.torch.type != "cuda":
        return None
    try:
        made = torch.compile(model)
        return device.seconds(lambda: step(made))
    except Exception as error:  # the compiler's own, of many kinds; the plain figure stands beside it
        print(f"  not compiled: {type(error).__name__}", flush=True)
        return None


TIMES: dict[str, Callable[[Device, Size], Figures]] = {
    "uqf": uqf_step,
    "language_beam": language_beam,
    "language_training": language_step,
    "embedding": embedding,
    "hierarchical": over_items,
    "graph": graph_epoch,
    "rqvae": rqvae_step,
    "trie": trie_step,
}
"""In the order in which they run, the ones with a bar first."""
