"""A large shop's own tables on a GPU cluster, one GPU a worker: sizes of our own, which no paper has.

UQF and LightGCN have the UQF thesis's shapes. All else is chosen for many items and for speed: a smaller text encoder,
ids of four codes out of 1,024, larger batches, and a recommender over items in place of a language model. The
thesis's own settings are in `thesis.py`.
"""

from unisid.backbones import hierarchical
from unisid.compute import Pool
from unisid.datasets import tables
from unisid.encoders import transformer
from unisid.fusion import uqf
from unisid.graphs import lightgcn
from unisid.planning import Recipe
from unisid.stages import catalog, codes, embeddings, fused, graph, metrics, model, sequences
from unisid.tokenizers import rqvae
from unisid.training.loop import Training

READERS = Pool(workers=32, cpus=1)
GPUS = Pool(workers=8, cpus=8, gpus=1)


def production() -> Recipe:
    """All stages on eight GPUs, Qwen3-Embedding first; give your tables with --catalog.dataset.items."""
    return Recipe(
        name="production",
        catalog=catalog.Config(
            dataset=tables.Config(),
            protocol="temporal",
            history_length=10,
            k_core=0,
            title_rules=False,
            keep_cold_items=True,
            pool=READERS,
        ),
        embeddings=embeddings.Config(
            encoder=transformer.Config(model="Qwen/Qwen3-Embedding-0.6B", dtype="bfloat16"),
            batch_tokens=65_536,
            tokenize=READERS,
            pool=GPUS,
        ),
        graph=graph.Config(graph=lightgcn.Config(num_layers=5, width=256), batch_edges=1 << 20, pool=GPUS),
        fused=fused.Config(
            fusion=uqf.Config(),
            batch_size=2048,
            training=Training(epochs=1000, patience=40, learning_rate=1e-4, weight_decay=1e-5),
            pool=GPUS,
        ),
        codes=codes.Config(
            tokenizer=rqvae.Config(num_levels=4, codebook_size=1024),
            batch_size=20_480,
            training=Training(epochs=5000, patience=50, validate_every=10, learning_rate=1e-3, weight_decay=0.1),
            pool=GPUS,
        ),
        sequences=sequences.Config(pool=READERS),
        model=model.Config(
            backbone=hierarchical.Config(width=256, num_layers=4, num_heads=4, feedforward_width=1024, dense=False),
            batch_size=4096,
            training=Training(epochs=60, patience=4, validate_every=2, learning_rate=1e-3, schedule="constant"),
            pool=GPUS,
        ),
        metrics=metrics.Config(method="uqf-hierarchical", test_samples=100_000, pool=GPUS),
    )
