"""Recipes that stand still in the middle of a stage until a test opens a gate: it may stop them there meanwhile."""

import re
from dataclasses import dataclass
from pathlib import Path

TRAINING = '''
import time
from dataclasses import replace
from pathlib import Path

from tests.end_to_end import recipes
from unisid.backbones import tiger
from unisid.planning import Recipe

GATE = Path("{gate}")
FREE = 4


class Held(tiger.Tiger):
    """Takes some steps, which are an epoch at least, and the next ones when the gate is open."""

    taken = 0

    def token_loss(self, histories, targets):
        self.taken += 1
        while self.taken > FREE and not GATE.exists():
            time.sleep(0.05)
        return super().token_loss(histories, targets)


class Config(tiger.Config):
    kind = "tiger"

    def build(self, index):
        return Held(self, index.sizes)


def tiny() -> Recipe:
    base = recipes.tiny()
    given = {{name: getattr(base.model.backbone, name) for name in base.model.backbone.__dataclass_fields__}}
    return replace(base, model=replace(base.model, backbone=Config(**given)))
'''
"""The recipe `tiny`, whose recommender learns and waits."""
EMBEDDINGS = '''
import time
from dataclasses import replace
from pathlib import Path

from tests.end_to_end.recipes import planted
from unisid.compute import Pool
from unisid.encoders import hashing
from unisid.planning import Recipe

GATE = Path("{gate}")


class Held:
    """Encodes one shard, and the next ones when the gate is open."""

    causal = False

    def __init__(self, encoder):
        self.encoder, self.width, self.made = encoder, encoder.width, 0

    def __call__(self, ids, real):
        while self.made and not GATE.exists():
            time.sleep(0.05)
        self.made += 1
        return self.encoder(ids, real)


class Config(hashing.Config):
    kind = "hashing"

    def build(self, device):
        return Held(super().build(device))


def spread() -> Recipe:
    base = planted("spread", items=2000, users=2000)
    return replace(base, embeddings=replace(base.embeddings, encoder=Config(), shard_rows=10,
                                            pool=Pool(workers=3, cpus=1)))
'''
"""The recipe `spread`, whose embeddings are made in 200 shards by three workers, of which each makes one and waits."""


@dataclass(frozen=True)
class Waiting:
    """A recipe's file, and the gate that it waits for."""

    file: Path
    gate: Path

    def open(self) -> None:
        """Let it go on."""
        self.gate.touch()


def write(folder: Path, text: str) -> Waiting:
    """Write one of the texts above as a recipe's file, its gate shut."""
    found = Waiting(folder / "waits.py", folder / "gate")
    found.file.write_text(text.format(gate=found.gate))
    return found


def first_epoch(said: str) -> int:
    """The first epoch of which a run told a figure."""
    found = re.search(r"\bepoch (\d+)", said)
    assert found is not None, said
    return int(found[1])
