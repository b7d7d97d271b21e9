"""What stands around a question: a chat template's turns, or the beginning of a text."""

import pytest
import torch

from tests.backbones.models import language_model, tokenizer
from unisid.backbones import lcrec
from unisid.errors import ConfigError
from unisid.language import loading
from unisid.language.chat import Frame


def find(model):
    return lcrec.Config(model=str(model)).language()


def load(model):
    return loading.load(find(model), torch.float32, "sdpa")


def test_a_chat_model_is_asked_in_its_own_form(tmp_path):
    asked = load(language_model(tmp_path)).tokenizer
    frame = Frame.of(asked, "it")
    assert asked.decode(frame.opening) == "<|turn|>user\n"
    assert asked.decode(frame.closing) == "<|end|>\n<|turn|>assistant\n"
    assert frame.ending == [0]
    assert frame.opening[0] == 1
    assert Frame.from_json(frame.to_json()) == frame


def test_a_model_without_a_chat_template_is_asked_as_a_text_begins(tmp_path):
    frame = Frame.of(load(language_model(tmp_path, chat=False)).tokenizer, "it")
    assert frame == Frame([2], [], [0])


@pytest.mark.parametrize(
    ("template", "message"),
    [
        ("{{ raise_exception('give a system message') }}", "takes no single question .*give a system message"),
        ("{% for m in messages %}nothing{% endfor %}", "does not repeat the question once"),
    ],
)
def test_a_chat_template_that_takes_no_question_is_refused(template, message):
    asked = tokenizer()
    asked.chat_template = template
    with pytest.raises(ConfigError, match=message):
        Frame.of(asked, "it")


def test_a_tokenizer_that_ends_no_text_is_refused():
    endless = tokenizer()
    endless.eos_token = None
    with pytest.raises(ConfigError, match="names no token that ends a text"):
        Frame.of(endless, "it")
