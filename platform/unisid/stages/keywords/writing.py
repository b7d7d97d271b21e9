"""Descriptions of tokens: a sentence around the keywords, or a text written by a language model.

The question that the model is asked is our own, after the fields and the rules of TS-Rec's appendix A.1: what all items
share, no brands, no numbers, no praise. N items.
"""

import zlib
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from jaxtyping import Int

from unisid.language.chat import Frame
from unisid.ops.keywords import Keywords
from unisid.ops.prompts import clean
from unisid.pretrained import Pretrained

IN_SENTENCE = 8
"""Keywords in a sentence."""
LONGEST = 120
"""Entries of a description that a model writes."""
ITEM_LENGTH = 80
"""Characters of an item's text that the model reads."""
QUESTION = (
    "These products of a shop belong to one family:\n{items}\nWords that many of them share: {words}.\n"
    "Describe in two or three plain sentences what all of them have in common: what they are, what they are for, how "
    "they are made. Name no brand and no number, and do not praise."
)


def sentence(own: Keywords, categories: Sequence[str]) -> str:
    """The first keywords, and the two categories that most items have; empty where there are none."""
    common = [name for name, _ in Counter(filter(None, categories)).most_common(2)]
    shared = f"What they share: {', '.join(own.terms[:IN_SENTENCE])}." if own.terms else ""
    kinds = f"Mostly of {' and '.join(common)}." if common else ""
    return " ".join(filter(None, (shared, kinds)))


@dataclass(frozen=True)
class Writer:
    """A language model on this machine that describes items."""

    model: Any
    tokenizer: Any
    frame: Frame
    shown: int
    """Items of a token that it reads."""

    @classmethod
    def load(cls, found: Pretrained, shown: int) -> "Writer":
        """Raises ConfigError where the model cannot be had or used."""
        from unisid.language import loading  # slow, with transformers: not where a recipe is only planned

        language = loading.load(found, torch.float32, "sdpa")
        return cls(language.model.eval(), language.tokenizer, Frame.of(language.tokenizer, str(found)), shown)

    @torch.no_grad()
    def write(
        self,
        tokens: Sequence[str],
        chosen: Sequence[Keywords],
        groups: Int[np.ndarray, " N"],
        texts: Sequence[str],
        otherwise: Sequence[str],
    ) -> list[str]:
        """A text for every group of items; `otherwise` where the model writes nothing.

        Args:
            groups: of every item.
        """
        found = []
        for group, own in enumerate(chosen):
            items = np.flatnonzero(groups == group)
            drawn = np.random.default_rng(zlib.crc32(tokens[group].encode())).permutation(items)[: self.shown]
            shown = "\n".join(f"- {clean(texts[item], ITEM_LENGTH)}" for item in np.sort(drawn))
            written = self._answer(QUESTION.format(items=shown, words=", ".join(own.terms)))
            found.append(" ".join(written.split()) or otherwise[group])
        return found

    def _answer(self, question: str) -> str:
        entries = self.tokenizer([question], add_special_tokens=False, split_special_tokens=True)["input_ids"][0]
        room = self.model.config.max_position_embeddings - LONGEST - len(self.frame.opening) - len(self.frame.closing)
        ids = torch.tensor([[*self.frame.opening, *entries[:room], *self.frame.closing]])
        end = self.frame.ending[0]
        generated = self.model.generate(
            input_ids=ids,
            attention_mask=torch.ones_like(ids),
            do_sample=False,
            max_new_tokens=LONGEST,
            use_cache=True,
            eos_token_id=end,
            pad_token_id=end,
            temperature=None,
            top_p=None,
            top_k=None,
            repetition_penalty=1.0,
        )
        return str(self.tokenizer.decode(generated[0, ids.shape[1] :], skip_special_tokens=True))
