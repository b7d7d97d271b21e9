"""ETEGRec: a tokenizer of collaborative vectors and TIGER that learn in turns; sized for two cores, and as published.

The paper quantizes SASRec's item vectors. Ours are LightGCN's of the same width, since an index must be able to take
items that no baseline has seen.
"""

from dataclasses import replace

from jobs.recipes.demo import LAPTOP, demo_tiger
from unisid.backbones import tiger
from unisid.compute import Pool
from unisid.datasets import amazon
from unisid.encoders import transformer
from unisid.fusion import single
from unisid.graphs import lightgcn
from unisid.joint import etegrec
from unisid.planning import Recipe
from unisid.stages import catalog, codes, embeddings, fused, graph, joint, metrics, model
from unisid.tokenizers import rqvae
from unisid.training.loop import Training

FOUR_GPUS = Pool(workers=4, cpus=4, gpus=1)
"""The released launch file has four processes, of 512 samples each."""
ONE_GPU = Pool(workers=1, cpus=8, gpus=1)


def demo_etegrec() -> Recipe:
    """MovieLens-100K: the demo's TIGER, in turns with its tokenizer."""
    base = demo_tiger()
    return replace(
        base,
        name="demo-etegrec",
        codes=codes.Config(
            tokenizer=rqvae.Config(num_levels=3, codebook_size=64, widths=(256, 128, 32), restart_after=0),
            unique="append",
            batch_size=512,
            training=Training(epochs=200, patience=200, validate_every=10, learning_rate=1e-3),
            pool=LAPTOP,
        ),
        joint=joint.Config(method=etegrec.Config(cycle=4, warm_epochs=1)),
        metrics=replace(base.metrics, method="etegrec-tiger"),
    )


def etegrec_scientific() -> Recipe:
    """Amazon-2023 Industrial and Scientific with every setting of ETEGRec's released run: four GPUs."""
    folder, category = "data/amazon-2023", "Industrial_and_Scientific"
    backbone = tiger.Config(
        width=128,
        num_heads=4,
        head_width=64,
        feedforward_width=512,
        num_encoder_layers=6,
        num_decoder_layers=6,
        dropout=0.1,
    )
    return Recipe(
        name="etegrec-scientific",
        catalog=catalog.Config(
            dataset=amazon.Config(
                release="2023",
                reviews=(f"{folder}/{category}.jsonl.gz",),
                metadata=(f"{folder}/meta_{category}.jsonl.gz",),
            ),
            protocol="leave-one-out",
            history_length=50,
        ),
        embeddings=embeddings.Config(
            encoder=transformer.Config(model="sentence-transformers/sentence-t5-base"), pool=ONE_GPU
        ),
        graph=graph.Config(graph=lightgcn.Config(width=256), pool=ONE_GPU),
        fused=fused.Config(fusion=single.Config(modality="graph"), pool=ONE_GPU),
        codes=codes.Config(
            tokenizer=rqvae.Config(num_levels=3, codebook_size=256, widths=(512, 256, 128), beta=0.25, restart_after=0),
            unique="append",
            batch_size=1024,
            training=Training(epochs=10_000, patience=10_000, learning_rate=1e-3),
            pool=ONE_GPU,
        ),
        joint=joint.Config(
            method=etegrec.Config(
                tokenizer_rate=1e-4, cycle=2, alignment_weight=1e-4, preference_weight=3e-4, warm_epochs=10
            )
        ),
        model=model.Config(
            backbone=backbone,
            batch_size=2048,
            beam=20,
            training=Training(
                epochs=400, patience=15, validate_every=2, learning_rate=5e-3, weight_decay=0.05, warmup_steps=8000
            ),
            afterwards=Training(epochs=100, patience=10, learning_rate=5e-4, weight_decay=0.05),
            pool=FOUR_GPUS,
        ),
        metrics=metrics.Config(method="etegrec-tiger", beam=20, cutoffs=(5, 10, 20), pool=ONE_GPU),
    )
