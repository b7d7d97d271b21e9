from collections import Counter
from itertools import chain

import numpy as np
import pyarrow as pa
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.backbones.models import index_of, language_model
from unisid.artifacts.instructions import WORDS
from unisid.artifacts.tables import write_table
from unisid.backbones import NO_LOSS, lcrec
from unisid.compute import Stream
from unisid.errors import ConfigError, DataError
from unisid.ops.prompts import NEXT
from unisid.ops.semantic_ids import TOKEN, spell
from unisid.runtime.streams import pieces, read_piece
from unisid.training import packing
from unisid.training.packing import Batching, Packer, Sample, Steps, lay, pack

SID = 1 << 20


class Letters:
    """A vocabulary of letters; a semantic id's tokens are one entry each."""

    opening, closing, ending = [1, 2], [3], [4]

    def __init__(self, max_tokens: int = 200) -> None:
        self.max_tokens, self.asked = max_tokens, Counter()

    def encode(self, texts):
        assert texts, "tokenizers do not take an empty list"
        self.asked.update(texts)
        return [self.spelled(text) for text in texts]

    def spelled(self, text):
        entries, at = [], 0
        for found in TOKEN.finditer(text):
            entries += [ord(letter) + 10 for letter in text[at : found.start()]]
            entries.append(SID + 1000 * (ord(found[1]) - ord("a")) + int(found[2]))
            at = found.end()
        return entries + [ord(letter) + 10 for letter in text[at:]]

    @staticmethod
    def decode(entries):
        sid = lambda e: f"<{chr(ord('a') + (e - SID) // 1000)}_{(e - SID) % 1000}>"  # noqa: E731
        return "".join(sid(e) if e >= SID else "|" if e < 10 else chr(e - 10) for e in entries)


def table_of(rows):
    schema = pa.schema([pa.field(n, pa.list_(pa.string()) if n == "pieces" else pa.string()) for n in WORDS])
    return pa.Table.from_pylist([dict(zip(WORDS, row, strict=True)) for row in rows], schema)


def unpacked(packed):
    """Every sample of a micro-batch: its entries and which of them are learned."""
    found = []
    for ids, positions, labels in zip(packed.ids, packed.positions, packed.labels, strict=True):
        starts = [n for n, p in enumerate(positions.tolist()) if p == 0 and ids[n] != 0]
        ends = [*starts[1:], int((ids != 0).sum())][: len(starts)]
        for a, b in zip(starts, ends, strict=True):
            assert positions[a:b].tolist() == list(range(b - a))
            learned = labels[a:b] != NO_LOSS
            assert torch.equal(labels[a:b][learned], ids[a:b][learned])
            found.append((tuple(ids[a:b].tolist()), tuple(learned.tolist())))
        assert (labels[ids == 0] == NO_LOSS).all()
        assert (positions[ids == 0] == 0).all()
    return found


FRAME = 10
"""Entries of a sample beside its pieces and its response."""
sids = st.lists(st.integers(0, 99), min_size=3, max_size=3).map(spell)
words = st.text("abc ", min_size=1, max_size=12)
row = st.tuples(
    st.just("H:\n"),
    st.lists(sids, min_size=1, max_size=9) | st.lists(words, min_size=1, max_size=9),
    st.just("\nT:"),
    sids | words,
)


@settings(deadline=None)
@given(st.lists(row, max_size=12), st.booleans(), st.integers(1, 4))
def test_what_fits_is_said_word_for_word_and_only_the_response_is_learned(rows, packed, number):
    packer = Packer(Letters(), packed)
    found = [s for micro in packer.micro_batches(packer.samples(table_of(rows)), number) for s in unpacked(micro)]
    expected = Counter(f"||{h}" + "\n".join(p) + f"{t}||{r}|".replace("||", "|", 1) for h, p, t, r in rows)
    assert Counter(Letters.decode(ids) for ids, _ in found) == expected
    for ids, learned in found:
        answer = Letters.decode(ids).rpartition("T:|")[2]
        assert sum(learned) == len(Letters().spelled(answer.removesuffix("|"))) + 1
        assert learned == tuple([False] * (len(ids) - sum(learned)) + [True] * sum(learned))
    assert packer.counts == Counter(samples=len(rows), dropped=0)


@settings(deadline=None)
@given(row, st.integers(8, 60))
def test_what_is_too_long_loses_its_oldest_pieces_and_no_semantic_id_is_cut(row, most):
    head, pieces_, tail, response = row
    packer = Packer(Letters(most))
    samples = packer.samples(table_of([row]))
    least = FRAME + sum(3 if TOKEN.search(text) else 1 for text in (pieces_[-1], response))
    assert bool(samples) == (least <= most), "dropped only where nothing of it can be left out"
    assert packer.counts["dropped"] == (not samples)
    for sample in samples:
        assert len(sample) <= most
        text = Letters.decode(sample.ids)
        prompt, _, answer = text.removesuffix("|").rpartition(f"{tail}|")
        assert prompt.startswith(f"||{head}")
        kept = prompt.removeprefix(f"||{head}").split("\n")
        whole = kept == pieces_[-len(kept) :] and answer == response
        if whole:
            one_more = "\n".join(pieces_[-len(kept) - 1 :])
            longer = FRAME + len(Letters().spelled(one_more)) + len(Letters().spelled(response))
            assert len(kept) == len(pieces_) or longer > most
        else:
            assert packer.counts["cut"] == 1
            assert len(kept) == 1
            for before, after in ((pieces_[-1], kept[0]), (response, answer)):
                assert after
                assert before.startswith(after)
                assert after == before or not TOKEN.search(before)
        assert (packer.counts["shortened"] == 1) == (whole and len(kept) < len(pieces_))


@settings(deadline=None)
@given(st.lists(st.tuples(st.integers(1, 20), st.integers(1, 5)), max_size=30), st.integers(20, 50))
def test_packing_loses_nothing_and_keeps_samples_apart(sizes, room):
    samples = [
        Sample([100 + n] * (length + learned), learned)
        for n, (length, learned) in enumerate(sizes)
        if length + learned <= room
    ]
    rows = lay(sorted(samples, key=len, reverse=True), room)
    assert sorted(s.ids for line in rows for s in line) == sorted(s.ids for s in samples)
    assert all(sum(map(len, line)) <= room for line in rows)
    packed = pack(rows)
    assert packed.num_labels == sum(s.num_learned for s in samples)
    assert packed.ids.shape == (max(1, len(rows)), max((sum(map(len, line)) for line in rows), default=1))
    assert Counter(ids for ids, _ in unpacked(packed)) == Counter(tuple(s.ids) for s in samples)
    if len(samples) > 1 and sum(map(len, samples)) <= room:
        assert len(rows) == 1


def test_a_first_token_is_never_learned():
    """Its label would be predicted from the sample before it."""
    packed = pack([[Sample([5, 6, 7], 2), Sample([8, 9], 1)]])
    assert packed.labels.tolist() == [[NO_LOSS, 6, 7, NO_LOSS, 9]]
    assert packed.positions.tolist() == [[0, 1, 2, 0, 1]]


def test_texts_are_tokenised_once_while_they_are_remembered(monkeypatch):
    rows = [("H:\n", ["aa", "bb"], "\nT:", "cc"), ("H:\n", ["bb", "aa"], "\nT:", "aa")] * 5
    packer = Packer(Letters())
    packer.samples(table_of(rows))
    packer.samples(table_of(rows))
    assert set(packer.backbone.asked.values()) == {1}
    monkeypatch.setattr(packing, "KEPT_TEXTS", 7)
    wanted = packer.samples(table_of(rows))
    packer.samples(table_of([("H:\n", ["dd", "ee"], "\nT:", "ff")]))
    assert len(packer._known) <= 7
    assert packer.samples(table_of(rows)) == wanted


def test_without_packing_a_row_is_one_sample_beside_others_of_its_length():
    rows = [("H:\n", ["x" * n], "\nT:", "y") for n in (3, 30, 4, 29, 5, 31, 2, 32)]
    packer = Packer(Letters(), packed=False)
    short, long = sorted(packer.micro_batches(packer.samples(table_of(rows)), 2), key=lambda p: p.ids.shape[1])
    assert (len(short.ids), len(long.ids)) == (4, 4)
    assert long.ids.shape[1] - short.ids.shape[1] == 27


def test_packed_rows_are_as_long_as_fits():
    rows = [("H:\n", ["x" * 30], "\nT:", "y")] * 16
    packer = Packer(Letters(100))
    (packed,) = packer.micro_batches(packer.samples(table_of(rows)), 1)
    assert packed.ids.shape == (8, 2 * len(packer.samples(table_of(rows))[0]))


def test_too_few_samples_make_blank_micro_batches():
    packer = Packer(Letters(20))
    samples = packer.samples(table_of([("H:\n", ["<a_1>" * 30], "\nT:", "y"), ("H:\n", ["x"], "\nT:", "y")]))
    assert packer.counts == Counter(samples=2, dropped=1)
    micros = packer.micro_batches(samples, 3)
    assert [m.num_labels for m in micros] == [2, 0, 0]
    assert [tuple(m.ids.shape) for m in micros[1:]] == [(1, 1), (1, 1)]


# --- the order of steps ---


def numbered(count):
    """Samples that tell their number; of different lengths."""
    return table_of([("H:\n", ["x"] * (1 + n % 5), "\nT:", str(n)) for n in range(count)])


def shares(count, rank, workers, size):
    """As `runtime.streams.pieces` shares rows out, in tables of so many."""
    whole = numbered(count // workers * workers).take(np.arange(rank, count // workers * workers, workers))
    return lambda: (whole.slice(start, size) for start in range(0, whole.num_rows, size))


def steps_of(count, first, number, workers=1, rank=0, size=30, seed=0, batch_size=8, micro=1):
    batching = Batching(batch_size=batch_size, micro_batch_size=micro, workers=workers)
    found = Steps(shares(count, rank, workers, size), Packer(Letters()), batching, seed).steps(first, number)
    return [list(step) for step in found]


def numbers(steps):
    """Step by step, the numbers of its samples in order."""
    tell = lambda ids: int(Letters.decode(ids).rpartition("T:|")[2].removesuffix("|"))  # noqa: E731
    return [sorted(tell(ids) for micro in step for ids, _ in unpacked(micro)) for step in steps]


@settings(max_examples=15, deadline=None)
@given(st.integers(1, 90), st.sampled_from([4, 8, 12]), st.integers(1, 40), st.integers(0, 9))
def test_a_pass_holds_every_sample_once(count, batch_size, size, seed):
    found = [
        n for step in numbers(steps_of(count, 0, 2 * count, size=size, seed=seed, batch_size=batch_size)) for n in step
    ]
    assert len(found) == 2 * count * batch_size
    assert set(Counter(found).values()) == {2 * batch_size}


@settings(max_examples=15, deadline=None)
@given(st.integers(1, 12), st.sampled_from([2, 3, 4, 6]), st.integers(1, 40), st.integers(0, 9), st.data())
def test_workers_together_see_what_one_would(tens, workers, size, seed, data):
    count, batch_size = tens * 12, 24
    micro = data.draw(st.sampled_from([m for m in (1, 2, 3, 4) if batch_size % (workers * m) == 0]))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(packing, "ROWS_PER_BLOCK", 48)
        alone = numbers(steps_of(count, 0, 9, size=30, seed=seed, batch_size=batch_size))
        together = [
            numbers(steps_of(count, 0, 9, workers, rank, size, seed, batch_size, micro)) for rank in range(workers)
        ]
    run = Batching(batch_size=batch_size, micro_batch_size=1, workers=workers).rows_per_run
    if run == Batching(batch_size=batch_size, micro_batch_size=1).rows_per_run:
        assert [sorted(chain(*step)) for step in zip(*together, strict=True)] == alone
    assert all(len(step) == batch_size // workers for mine in together for step in mine)


def test_rows_that_the_workers_cannot_share_change_nothing_before_the_pass_ends():
    alone = numbers(steps_of(83, 0, 10))
    both = [numbers(steps_of(83, 0, 10, workers=2, rank=rank)) for rank in (0, 1)]
    assert [sorted(a + b) for a, b in zip(*both, strict=True)] == alone


@pytest.mark.parametrize("micro", [1, 2, 4, 8])
def test_micro_batches_are_as_many_as_stated_and_change_no_step(micro):
    steps = steps_of(50, 0, 12, micro=micro)
    assert {len(step) for step in steps} == {8 // micro}
    assert all(len(unpacked(m)) == micro for step in steps for m in step)
    assert numbers(steps) == numbers(steps_of(50, 0, 12))


@pytest.mark.parametrize("first", [0, 1, 6, 7, 13, 40])
def test_any_step_can_be_gone_to_and_gone_on_from(first, monkeypatch):
    monkeypatch.setattr(packing, "ROWS_PER_BLOCK", 16)
    monkeypatch.setattr(packing, "KEPT_ROWS", 20)
    whole = steps_of(50, 0, 50, micro=4)
    there = steps_of(50, first, 5, micro=4)
    for step, again in zip(whole[first : first + 5], there, strict=True):
        assert all(
            torch.equal(a.ids, b.ids) and torch.equal(a.labels, b.labels) for a, b in zip(step, again, strict=True)
        )
    source = Steps(shares(50, 0, 1, 30), Packer(Letters()), Batching(batch_size=8, micro_batch_size=4), 0)
    pieced = [step for start in range(0, 20, 5) for step in source.steps(start, 5)]
    assert numbers(pieced) == numbers(whole[:20])


def test_passes_and_seeds_differ():
    steps = numbers(steps_of(64, 0, 16))
    assert steps[:8] != steps[8:]
    assert steps != numbers(steps_of(64, 0, 16, seed=1))


def test_the_rows_of_real_files_fall_to_workers_so(place):
    """The guarantee above rests on how `runtime.streams` shares rows out."""
    for file, (start, stop) in enumerate([(0, 70), (70, 75), (75, 124)]):
        write_table(place, "train", file, numbered(124).slice(start, stop - start), rows_per_group=16)
    stream = Stream(place, "train-", WORDS)

    def of(rank, workers):
        tables = lambda: (read_piece(stream, p) for p in pieces(stream, rank, workers))  # noqa: E731
        batching = Batching(batch_size=8, micro_batch_size=1, workers=workers)
        return numbers(Steps(tables, Packer(Letters()), batching, 3).steps(0, 31))

    both = [of(rank, 2) for rank in (0, 1)]
    assert [sorted(a + b) for a, b in zip(*both, strict=True)] == of(0, 1)


def test_a_worker_without_rows_says_so():
    empty = Steps(lambda: iter(()), Packer(Letters()), Batching(batch_size=8, micro_batch_size=1), 0)
    with pytest.raises(DataError, match="this worker's share has no rows; use fewer workers"):
        next(iter(empty.steps(0, 1)))


@pytest.mark.parametrize("wrong", [{"batch_size": 0}, {"micro_batch_size": 3}, {"workers": 3}, {"workers": 8}])
def test_a_batch_that_cannot_be_shared_evenly_is_refused(wrong):
    with pytest.raises(ConfigError, match=r"batch_size \d+: \d workers that take \d samples at once must share"):
        Batching(**{"batch_size": 8, "micro_batch_size": 2, "workers": 1} | wrong)


# --- with a language model ---


@pytest.fixture(scope="module")
def lcrec_at(tmp_path_factory):
    folder = language_model(tmp_path_factory.mktemp("model"))

    def build(max_tokens):
        torch.manual_seed(0)
        return lcrec.Config(model=str(folder), max_tokens=max_tokens).build(index_of((5, 4, 3))).eval()

    return build


CODES = np.stack(np.unravel_index(np.random.default_rng(0).permutation(60)[:20], (5, 4, 3)), 1)


def next_rows(histories):
    """Rows of the first task; item h + 1 follows a history that ends in h."""
    sid = [spell(codes) for codes in CODES]
    return [(NEXT.head, [sid[i] for i in history], NEXT.tail, sid[history[-1] + 1]) for history in histories]


@pytest.mark.parametrize("max_tokens", [400, 110, 84])
def test_training_and_serving_read_the_same_prompt(lcrec_at, max_tokens):
    """The first task's rows, packed, are what the backbone makes of histories in tokens; shortened ones too."""
    language = lcrec_at(max_tokens)
    histories = [list(range(n)) for n in (1, 2, 5, 17)]
    samples = Packer(language).samples(table_of(next_rows(histories)))
    tokens = CODES + np.array([0, 5, 9])
    for history, sample in zip(histories, samples, strict=True):
        ids, real = language.prompts(torch.tensor(tokens[history].reshape(1, -1)))
        target = torch.tensor(tokens[history[-1] + 1]) + language.level_starts[0]
        assert sample.ids == [*ids[real].tolist(), *target.tolist(), *language.ending]
        assert sample.num_learned == 3 + len(language.ending)
    assert (len(samples[-1]) < len(samples[2]) + 12 * 4) == (max_tokens < 400)


def test_packed_samples_do_not_see_each_other(lcrec_at):
    language = lcrec_at(400)
    rows = [
        *next_rows([list(range(n)) for n in (1, 2, 3, 4, 5, 9)]),
        ("Title:\n", ["a b"], "\nIts item:", spell(CODES[3])),
    ]
    samples = Packer(language).samples(table_of(rows))
    with torch.no_grad():
        alone = sum(language.loss_of(pack([[sample]])).item() for sample in samples)
        for packed in (True, False):
            packer = Packer(language, packed)
            for number in (1, 3, 9):
                together = sum(language.loss_of(micro).item() for micro in packer.micro_batches(samples, number))
                assert together == pytest.approx(alone, rel=1e-5)
