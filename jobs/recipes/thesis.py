"""The UQF thesis: its protocol, its two data sets and its sizes (tables 5.1 to 5.5), and the sets of other papers.

What the thesis leaves open is ours and stands where it is set. Where its own form differs from the product's default,
its form is taken: known neighbours are not masked, UQF is trained in float32 without a limit on its gradient. One thing
is not taken: its graph is learned from validation and test interactions too, which leaks; `--graph.use_all_interactions
True` restores that, and marks what follows. docs/fidelity.md lists every difference.

`unisid plan thesis_office --without-data` shows what would be made where neither data nor models are at hand.
"""

from collections.abc import Mapping
from dataclasses import replace

from unisid.backbones import lcrec
from unisid.compute import Pool
from unisid.datasets import amazon
from unisid.encoders import transformer
from unisid.fusion import uqf
from unisid.graphs import lightgcn
from unisid.planning import Recipe
from unisid.stages import catalog, codes, embeddings, fused, graph, instructions, metrics, model
from unisid.tokenizers import rqvae
from unisid.training.loop import Training

ONE_GPU = Pool(workers=1, cpus=8, gpus=1)
"""The thesis has one H100 of 80 GB."""
READERS = Pool(workers=4, cpus=1)
TASKS = ("next", "title_to_sid", "sid_to_title", "next_title", "titles_to_title", "titles_to_sid")
"""The five tasks; the second goes both ways."""


def thesis_office() -> Recipe:
    """Amazon-2018 Office Products as in the UQF thesis, with LC-Rec on Qwen2.5-3B."""
    published = {"users": 8328, "items": 3459, "samples": 48_656, "train": 38_924, "valid": 4866, "test": 4866}
    return _by_time("thesis-office", "Office_Products", "2016-10", published)


def thesis_instruments() -> Recipe:
    """Amazon-2018 Musical Instruments as in the UQF thesis, with LC-Rec on Qwen2.5-3B."""
    published = {"users": 13_601, "items": 5555, "samples": 94_654, "train": 75_723, "valid": 9465, "test": 9466}
    return _by_time("thesis-instruments", "Musical_Instruments", "1996-10", published)


def thesis_industrial() -> Recipe:
    """The thesis's method on Amazon-2018 Industrial and Scientific, the second set of TS-Rec and MiniOneRec."""
    published = {"users": 7694, "items": 3685, "samples": 45_324}
    return _by_time("thesis-industrial", "Industrial_and_Scientific", "2016-10", published)


def thesis_pet() -> Recipe:
    """The thesis's method on Amazon-2014 Pet Supplies, leave-one-out, as UniGRec has it."""
    return _by_user("thesis-pet", "Pet_Supplies", {"users": 19_855, "items": 8498, "interactions": 157_747})


def thesis_sports() -> Recipe:
    """The thesis's method on Amazon-2014 Sports and Outdoors, leave-one-out, as TIGER and UNGER have it."""
    published = {"users": 35_598, "items": 18_357, "interactions": 296_337}
    return _by_user("thesis-sports", "Sports_and_Outdoors", published)


def thesis_toys() -> Recipe:
    """The thesis's method on Amazon-2014 Toys and Games, leave-one-out, as TIGER and UNGER have it."""
    return _by_user("thesis-toys", "Toys_and_Games", {"users": 19_412, "items": 11_924, "interactions": 167_597})


def _by_time(name: str, category: str, start: str, published: Mapping[str, int]) -> Recipe:
    """The thesis's protocol (5.1): title rules, 5-core inside a window, all samples split by their time."""
    folder = "data/amazon-2018"
    return _method(
        name,
        catalog.Config(
            dataset=amazon.Config(
                release="2018",
                reviews=(f"{folder}/{category}.json.gz",),
                metadata=(f"{folder}/meta_{category}.json.gz",),
            ),
            protocol="temporal",
            k_core=5,
            window_start=start,
            window_end="2018-12",  # November is the last month that counts
            min_items=3000,
            history_length=10,
            title_rules=True,
            published=published,
            pool=READERS,
        ),
    )


def _by_user(name: str, category: str, published: Mapping[str, int]) -> Recipe:
    """The protocol of TIGER, UNGER and UniGRec: 5-core, a user's last item is tested, the one before validated."""
    folder = "data/amazon-2014"
    return _method(
        name,
        catalog.Config(
            dataset=amazon.Config(
                release="2014",
                reviews=(f"{folder}/reviews_{category}_5.json.gz",),
                metadata=(f"{folder}/meta_{category}.json.gz",),
            ),
            protocol="leave-one-out",
            k_core=5,
            history_length=20,
            published=published,
            pool=READERS,
        ),
    )


def _method(name: str, data: catalog.Config) -> Recipe:
    """Tables 5.2 to 5.5 over a data set."""
    return Recipe(
        name=name,
        catalog=data,
        embeddings=embeddings.Config(
            encoder=transformer.Config(model="Qwen/Qwen3-Embedding-4B", dtype="bfloat16"),
            max_tokens=64,
            pooling="mean",
            tokenize=READERS,
            pool=ONE_GPU,
        ),
        graph=graph.Config(graph=lightgcn.Config(num_layers=5, width=256), pool=ONE_GPU),  # its rates: ours
        fused=_fused(),
        codes=codes.Config(
            tokenizer=rqvae.Config(
                num_levels=3, codebook_size=256, widths=(2048, 1024, 512, 256, 128, 64, 32), beta=0.25
            ),
            unique="assign",
            pool=ONE_GPU,  # how long and how fast: ours
        ),
        instructions=instructions.Config(tasks=TASKS, pool=READERS),
        model=_model(),
        metrics=metrics.Config(method="uqf-lcrec", beam=50, pool=ONE_GPU),
    )


def _fused() -> fused.Config:
    """Table 5.3."""
    defaults = fused.Config()
    return replace(
        defaults,
        fusion=uqf.Config(num_queries=16, num_layers=4, width=1024, output_width=1024, num_heads=16, dropout=0.1),
        num_neighbours=50,
        loss=replace(
            defaults.loss,
            structure_weight=0.4,
            reconstruction_weight=0.2,
            temperature=0.05,
            modality_dropout=0.2,
            mask_known=False,
        ),
        batch_size=256,
        training=Training(
            epochs=1000,
            patience=40,
            learning_rate=1e-4,
            weight_decay=1e-5,
            schedule="cosine",
            gradient_clip=0.0,
            precision="float32",
        ),
        pool=ONE_GPU,
        writers=ONE_GPU,
    )


def _model() -> model.Config:
    """Table 5.5; the rate and its warm-up are ours, as are the validation's beams."""
    return model.Config(
        backbone=lcrec.Config(
            model="Qwen/Qwen2.5-3B-Instruct", dtype="bfloat16", trained="all", gradient_checkpointing=False
        ),
        batch_size=1024,
        micro_batch=16,
        training=Training(epochs=10, patience=3, learning_rate=3e-4, warmup_steps=200, zero=1),
        pool=ONE_GPU,
    )
