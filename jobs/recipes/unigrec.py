"""UniGRec: a tokenizer and TIGER that learn from one another, taught by SASRec; sized for two cores, and as published.

What the paper leaves to its code is taken from that: a warm start, and a last stage with the tokenizer at rest. On two
cores temperatures are ours, relative to the codewords' distances; at full size the paper's (docs/stages/joint.md).
"""

from dataclasses import replace

from jobs.recipes.demo import LAPTOP, demo_tiger
from unisid.backbones import tiger
from unisid.baselines import sasrec
from unisid.compute import Pool
from unisid.datasets import amazon
from unisid.encoders import transformer
from unisid.fusion import single
from unisid.joint import unigrec
from unisid.planning import Recipe
from unisid.stages import baseline, catalog, codes, embeddings, fused, joint, metrics, model
from unisid.tokenizers import soft
from unisid.training.loop import Training

ONE_GPU = Pool(workers=1, cpus=8, gpus=1)


def demo_unigrec() -> Recipe:
    """MovieLens-100K: the demo's TIGER, trained with its tokenizer."""
    base = demo_tiger()
    return replace(
        base,
        name="demo-unigrec",
        codes=codes.Config(
            tokenizer=soft.Config(num_levels=3, codebook_size=64, widths=(256, 128, 32), anneal_steps=600),
            unique="append",
            batch_size=512,
            training=Training(epochs=200, patience=200, validate_every=10, learning_rate=1e-3),
            pool=LAPTOP,
        ),
        joint=joint.Config(
            method=unigrec.Config(tokenizer_rate=1e-4, warm_epochs=1),
            teacher=baseline.Config(
                baseline=sasrec.Config(width=64),
                training=Training(epochs=60, patience=5, learning_rate=1e-3, schedule="constant"),
                pool=LAPTOP,
            ),
        ),
        metrics=replace(base.metrics, method="unigrec-tiger"),
    )


def unigrec_beauty() -> Recipe:
    """Amazon-2014 Beauty with every setting of UniGRec's released run: one GPU."""
    return Recipe(
        name="unigrec-beauty",
        catalog=catalog.Config(
            dataset=amazon.Config(
                release="2014",
                reviews=("data/amazon-2014/reviews_Beauty_5.json.gz",),
                metadata=("data/amazon-2014/meta_Beauty.json.gz",),
            ),
            protocol="leave-one-out",
            history_length=20,
            published={"users": 22_362, "items": 12_083, "interactions": 198_313},
        ),
        embeddings=embeddings.Config(
            encoder=transformer.Config(model="sentence-transformers/sentence-t5-base"), pool=ONE_GPU
        ),
        fused=fused.Config(fusion=single.Config(modality="text"), pool=ONE_GPU),
        codes=codes.Config(
            tokenizer=soft.Config(
                relative=False, first_temperature=0.01, last_temperature=0.001, anneal_steps=3000 * 12
            ),
            unique="append",
            keep="reconstruction",
            batch_size=1024,
            training=Training(
                epochs=3000, patience=3000, learning_rate=1e-3, weight_decay=1e-4, warmup_steps=50 * 12, seed=2025
            ),
            pool=ONE_GPU,
        ),
        joint=joint.Config(
            method=unigrec.Config(
                tokenizer_rate=2e-7,
                reconstruction_weight=0.5,
                tokenizer_distillation=0.01,
                recommender_distillation=0.1,
                contrast_temperature=0.07,
                warm_epochs=10,
            ),
            teacher=baseline.Config(baseline=sasrec.Config(width=256), pool=ONE_GPU),
        ),
        model=model.Config(
            backbone=tiger.Config(
                width=128,
                num_heads=4,
                head_width=64,
                feedforward_width=512,
                num_encoder_layers=6,
                num_decoder_layers=6,
                dropout=0.1,
            ),
            batch_size=512,
            beam=30,
            training=Training(
                epochs=200,
                patience=15,
                learning_rate=5e-3,
                weight_decay=0.05,
                schedule="constant",
                warmup_steps=5140,
                seed=2025,
            ),
            afterwards=Training(
                epochs=100, patience=10, learning_rate=4e-4, weight_decay=0.05, schedule="constant", seed=2025
            ),
            pool=ONE_GPU,
        ),
        metrics=metrics.Config(method="unigrec-tiger", beam=30, cutoffs=(5, 10, 20), pool=ONE_GPU),
    )
