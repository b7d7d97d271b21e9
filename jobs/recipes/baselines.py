"""Baselines that take training, on the other recipes' catalogs: `unisid run demo_sasrec --until baseline`.

Without `--until` the base recipe's own artifacts are shared or made too, and the baseline stands in its table.
"""

from dataclasses import replace

from jobs.recipes import amazon, demo
from unisid.baselines import BaselineConfig, bert4rec, bprmf, caser, fdsa, gru4rec, hgn, hstu, lightgcn, s3rec, sasrec
from unisid.planning import Recipe
from unisid.stages import baseline


def demo_sasrec() -> Recipe:
    """SASRec on MovieLens-100K."""
    return _beside(demo.demo(), sasrec.Config())


def demo_gru4rec() -> Recipe:
    """GRU4Rec on MovieLens-100K."""
    return _beside(demo.demo(), gru4rec.Config())


def demo_bprmf() -> Recipe:
    """BPR-MF on MovieLens-100K."""
    return _beside(demo.demo(), bprmf.Config())


def demo_lightgcn() -> Recipe:
    """LightGCN on MovieLens-100K, from the demo's graph."""
    return _beside(demo.demo(), lightgcn.Config())


def demo_caser() -> Recipe:
    """Caser on MovieLens-100K."""
    return _beside(demo.demo(), caser.Config())


def demo_bert4rec() -> Recipe:
    """BERT4Rec on MovieLens-100K."""
    return _beside(demo.demo(), bert4rec.Config())


def demo_hstu() -> Recipe:
    """HSTU on MovieLens-100K."""
    return _beside(demo.demo(), hstu.Config())


def demo_hgn() -> Recipe:
    """HGN on MovieLens-100K."""
    return _beside(demo.demo(), hgn.Config())


def demo_fdsa() -> Recipe:
    """FDSA on MovieLens-100K."""
    return _beside(demo.demo(), fdsa.Config())


def demo_s3rec() -> Recipe:
    """S3-Rec on MovieLens-100K."""
    return _beside(demo.demo(), s3rec.Config())


def beauty_sasrec() -> Recipe:
    """SASRec with cross-entropy on Amazon-2014 Beauty: the row that every table needs."""
    return _beside(amazon.beauty(), sasrec.Config())


def beauty_gru4rec() -> Recipe:
    """GRU4Rec on Amazon-2014 Beauty."""
    return _beside(amazon.beauty(), gru4rec.Config())


def beauty_bprmf() -> Recipe:
    """BPR-MF on Amazon-2014 Beauty."""
    return _beside(amazon.beauty(), bprmf.Config())


def beauty_lightgcn() -> Recipe:
    """LightGCN on Amazon-2014 Beauty, from the recipe's graph."""
    return _beside(amazon.beauty(), lightgcn.Config())


def beauty_caser() -> Recipe:
    """Caser on Amazon-2014 Beauty."""
    return _beside(amazon.beauty(), caser.Config())


def beauty_bert4rec() -> Recipe:
    """BERT4Rec on Amazon-2014 Beauty; its sequences are short, so more is hidden."""
    return _beside(amazon.beauty(), bert4rec.Config(gaps=0.5))


def beauty_hstu() -> Recipe:
    """HSTU on Amazon-2014 Beauty."""
    return _beside(amazon.beauty(), hstu.Config())


def beauty_hgn() -> Recipe:
    """HGN on Amazon-2014 Beauty."""
    return _beside(amazon.beauty(), hgn.Config())


def beauty_fdsa() -> Recipe:
    """FDSA on Amazon-2014 Beauty."""
    return _beside(amazon.beauty(), fdsa.Config())


def beauty_s3rec() -> Recipe:
    """S3-Rec on Amazon-2014 Beauty."""
    return _beside(amazon.beauty(), s3rec.Config())


def _beside(base: Recipe, settings: BaselineConfig) -> Recipe:
    """The base with a baseline, under a name of its own."""
    fitted = baseline.Config(baseline=settings, pool=base.model.pool)
    return replace(base, name=f"{base.name}-{settings.kind}", baseline=fitted)
