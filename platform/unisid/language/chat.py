"""What a language model expects around a question: the beginning of a text, the turns of a chat."""

import json
from dataclasses import asdict, dataclass
from typing import Any

from jinja2 import TemplateError

from unisid.errors import ConfigError

QUESTION = "the-question-stands-here"


@dataclass(frozen=True)
class Frame:
    """Entries before a prompt, after it, and at the end of a response.

    It is written beside a trained model, because some chat templates contain the date.
    """

    opening: list[int]
    closing: list[int]
    ending: list[int]

    @classmethod
    def of(cls, tokenizer: Any, whose: str) -> "Frame":
        """By the tokenizer's chat template; without one, by whether its texts begin with a token of their own."""
        if tokenizer.eos_token_id is None:
            raise ConfigError(f"{whose}: its tokenizer names no token that ends a text (eos_token); give one that does")
        ending = [int(tokenizer.eos_token_id)]
        if not tokenizer.chat_template:
            begun = tokenizer("").input_ids[:1]
            return cls(begun if begun == [tokenizer.bos_token_id] else [], [], ending)
        try:
            text = tokenizer.apply_chat_template(
                [{"role": "user", "content": QUESTION}],
                add_generation_prompt=True,
                tokenize=False,
                enable_thinking=False,
            )
        except TemplateError as error:
            raise ConfigError(f"{whose}: its chat template takes no single question ({error})") from None
        before, found, after = text.partition(QUESTION)
        if not found or QUESTION in after:
            raise ConfigError(f"{whose}: its chat template does not repeat the question once; give another model")
        opening, closing = tokenizer([before, after], add_special_tokens=False).input_ids
        return cls(opening, closing, ending)

    def to_json(self) -> bytes:
        return (json.dumps(asdict(self)) + "\n").encode()

    @classmethod
    def from_json(cls, data: bytes) -> "Frame":
        return cls(**json.loads(data))
