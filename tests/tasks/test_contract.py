"""What every task must do; a new module in the folder is tested unasked."""

import typing
from collections import Counter

import pyarrow as pa
import pytest

from unisid.config import from_record, plug_in, plug_ins, to_record
from unisid.ops.prompts import Wordings, clean
from unisid.ops.semantic_ids import spell
from unisid.tasks import Source, TaskConfig, Words

KINDS = plug_ins("tasks")
SIDS = [spell([n, n + 1, n + 2]) for n in range(3)]
TITLES, DESCRIPTIONS = pa.array(["lamp", "pen", ""]), pa.array(["It shines.", "", "It rules."])
WORDS = Words(pa.array(SIDS), TITLES, DESCRIPTIONS)

every_kind = pytest.mark.parametrize("kind", KINDS)


def task_of(kind: str) -> TaskConfig:
    return plug_in("tasks", kind)()


@every_kind
def test_the_record_makes_the_same_task(kind: str) -> None:
    task = task_of(kind)
    assert task.kind == kind
    assert from_record(TaskConfig, to_record(task)) == task  # type: ignore[type-abstract]
    assert task.__doc__


@every_kind
def test_it_asks_of_something_with_words_of_its_own(kind: str) -> None:
    task = task_of(kind)
    assert task.source in typing.get_args(Source)
    [own] = task.prompts("ours", "")
    assert all(part.strip() for part in own[:2])


@every_kind
@pytest.mark.parametrize("wordings", typing.get_args(Wordings))
def test_every_wording_distinguishes_the_tasks(kind: str, wordings: Wordings) -> None:
    """Each prompt is there once, in every wording; the thesis has one a task."""
    prompts = task_of(kind).prompts(wordings, "Gift")
    assert len(set(prompts)) == len(prompts) > 0
    assert all((prompt.head + prompt.tail).strip() and prompt.separator for prompt in prompts)
    assert "{" not in "".join("".join(prompt) for prompt in prompts)
    assert wordings == "lcrec" or len(prompts) == 1
    assert wordings != "lcrec" or len(prompts) > 2


@every_kind
def test_no_title_can_pass_for_a_line_of_its_prompt(kind: str) -> None:
    """Heads and tails are whole lines that end in a colon, as no cleaned title does."""
    [prompt] = task_of(kind).prompts("ours", "")
    assert prompt.head.endswith(":\n")
    assert prompt.tail.startswith("\n")
    lines = (prompt.head.strip() + prompt.tail).split("\n")
    assert all(line.endswith(":") and clean(line) != line for line in lines)


@every_kind
def test_every_item_has_its_place_in_prompt_and_response(kind: str) -> None:
    """One distinct text an item, in order; none is missing, so that what is empty can be left out."""
    task = task_of(kind)
    backwards = Words(WORDS.sids[::-1], TITLES[::-1], DESCRIPTIONS[::-1])
    for texts_of in (task.pieces, task.responses):
        texts = texts_of(WORDS)
        assert pa.types.is_string(texts.type)
        assert len(texts) == len(set(texts.to_pylist())) == len(SIDS)
        assert texts.null_count == 0
        assert texts_of(backwards) == texts[::-1]
        assert len(texts_of(Words(WORDS.sids[:0], TITLES[:0], DESCRIPTIONS[:0]))) == 0


@every_kind
def test_an_item_asked_of_itself_does_not_hold_its_answer(kind: str) -> None:
    task = task_of(kind)
    assert task.source == "samples" or task.pieces(WORDS) != task.responses(WORDS)


@pytest.mark.parametrize("wordings", typing.get_args(Wordings))
def test_prompts_that_read_alike_ask_for_one_answer(wordings: Wordings) -> None:
    """Two tasks with the same prompt and the same words in it would teach two answers to one question."""
    asked = Counter(
        (prompt, task.pieces(WORDS)[0].as_py())
        for task in map(task_of, KINDS)
        for prompt in task.prompts(wordings, "Gift")
    )
    assert not [question for question, times in asked.items() if times > 1]
