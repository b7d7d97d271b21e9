"""The plain engine: how the global batch is divided changes nothing, and its state is all it needs to go on."""

import math

import pytest
import torch
from torch import nn

from tests.figures import of_epochs
from tests.training import toy_language
from tests.training.toy_language import Task
from unisid.artifacts.store import Place
from unisid.compute import Descent, Pool
from unisid.errors import ArtifactError
from unisid.runtime.local import LocalCompute
from unisid.training.engine import PlainEngine, learned, trained
from unisid.training.loop import Training

TRAINING = Training(epochs=3, learning_rate=0.01, weight_decay=0.1, warmup_steps=2, checkpoint_seconds=0.0)


class Alone:
    rank, size, device = 0, 1, torch.device("cpu")

    def all_reduce(self, tensor):
        return tensor


def fit(tmp_path, task, workers=1):
    shown = []
    result = LocalCompute().fit(
        toy_language.train,
        task,
        name="tongue",
        pool=Pool(workers=workers),
        work=Place.of(tmp_path),
        report=shown.append,
    )
    return result, of_epochs(shown)


def assert_same(one, two, **tolerance):
    for name, value in one["weights"].items():
        if name != "seen":
            torch.testing.assert_close(torch.from_numpy(two["weights"][name]), torch.from_numpy(value), **tolerance)


@pytest.fixture(scope="module")
def undivided(tmp_path_factory):
    return fit(tmp_path_factory.mktemp("undivided"), Task(TRAINING))


def test_a_step_is_that_of_the_global_batch(undivided):
    """The reference: torch's AdamW, the mean over all labels of the batch, one backward pass."""
    torch.manual_seed(0)
    model = toy_language.Tongue()
    optimizer = torch.optim.AdamW([p for p in model.parameters() if p.requires_grad], weight_decay=0.1)
    best, losses = (math.inf, {}), []
    for step in range(9):
        rate = 0.01 * ((step + 1) / 2 if step < 2 else 0.5 * (1 + math.cos(math.pi * (step - 2) / 7)))
        optimizer.param_groups[0]["lr"] = rate
        words, labels = toy_language.rows(step)
        loss = toy_language.summed(model, words, labels) / toy_language.count((words, labels))
        optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        losses.append(float(loss.detach()))
        if step % 3 == 2:
            words, labels = toy_language.rows(10_000)
            score = float((toy_language.summed(model, words, labels) / toy_language.count((words, labels))).detach())
            best = min(best, (score, {k: v.clone().numpy() for k, v in model.state_dict().items()}), key=lambda b: b[0])
    result, shown = undivided
    assert result["score"] == pytest.approx(best[0], rel=1e-5)
    assert_same({"weights": best[1]}, result, rtol=1e-4, atol=1e-6)
    assert [m["loss"] for m in shown] == pytest.approx([sum(losses[n : n + 3]) / 3 for n in (0, 3, 6)], rel=1e-5)


@pytest.mark.parametrize("micro_batches", [2, 4, 8])
def test_micro_batches_change_nothing(tmp_path, undivided, micro_batches):
    result, shown = fit(tmp_path, Task(TRAINING, micro_batches=micro_batches))
    assert_same(undivided[0], result, rtol=1e-4, atol=1e-6)
    assert [m["loss"] for m in shown] == pytest.approx([m["loss"] for m in undivided[1]], rel=1e-5)


@pytest.mark.slow
def test_workers_change_nothing(tmp_path, undivided):
    result, shown = fit(tmp_path, Task(TRAINING, micro_batches=2), workers=2)
    assert_same(undivided[0], result, rtol=1e-4, atol=1e-6)
    assert [m["loss"] for m in shown] == pytest.approx([m["loss"] for m in undivided[1]], rel=1e-5)


def test_what_is_learned_is_named_once():
    model = toy_language.Tongue()
    assert list(trained(model)) == ["embed.weight", "mix.weight", "mix.bias", "norm.weight", "norm.bias"]
    assert list(learned(model)) == [*trained(model), "seen"]


def step(engine, model, number):
    loss, _ = engine.loss(lambda batch: (toy_language.summed(model, *batch), {}), toy_language.rows(number))
    engine.backward(loss)
    engine.step(0.01)


class Two(nn.Module):
    """Two parts that are both in the loss."""

    def __init__(self):
        super().__init__()
        torch.manual_seed(3)
        self.left, self.right = nn.Linear(3, 2), nn.Linear(2, 1)

    def forward(self, x):
        return self.right(self.left(x)).square().mean()


def two_steps(shares, parts=("left.", ""), state=None, clip=0.0):
    """The engine and its model after a step with each of the shares."""
    model = Two()
    engine = PlainEngine(Alone(), model, Descent(weight_decay=0.1, gradient_clip=clip, parts=parts), state)
    for number, each in enumerate(shares):
        x = torch.randn(5, 3, generator=torch.Generator().manual_seed(number))
        loss, _ = engine.loss(lambda batch: (model(batch), {}), x)
        engine.backward(loss)
        engine.step(0.01, each)
    return engine, model


def test_a_part_whose_share_is_0_stays_bit_for_bit():
    fresh = dict(Two().named_parameters())
    engine, model = two_steps([(0.0, 1.0), (0.0, 1.0)], clip=0.1)
    assert torch.equal(model.left.weight, fresh["left.weight"])
    assert not torch.equal(model.right.weight, fresh["right.weight"])
    assert [name for name, _ in engine.state() if name.startswith("exp_avg.left")] == []


def test_shares_multiply_the_rate_of_a_part():
    """AdamW with a group for each rate is the reference."""
    steps = [(0.1, 1.0), (0.5, 1.0)]
    _, model = two_steps(steps)
    other = Two()
    groups = [{"params": list(part.parameters())} for part in (other.left, other.right)]
    optimizer = torch.optim.AdamW(groups, weight_decay=0.1)
    for number, shares in enumerate(steps):
        for group, share in zip(optimizer.param_groups, shares, strict=True):
            group["lr"] = 0.01 * share
        optimizer.zero_grad()
        other(torch.randn(5, 3, generator=torch.Generator().manual_seed(number))).backward()
        optimizer.step()
    for name, value in other.named_parameters():
        torch.testing.assert_close(dict(model.named_parameters())[name], value)


def test_parts_go_on_where_they_were():
    """Whatever the order of parts, each weight has its own moments back."""
    engine, _ = two_steps([(0.0, 1.0), (1.0, 0.5)], parts=("right.", ""))
    state = {name: tensor.clone() for name, tensor in engine.state()}
    again, _ = two_steps([], parts=("right.", ""), state=state)
    found = dict(again.state())
    assert state.keys() == found.keys()
    assert all(torch.equal(state[name], found[name]) for name in state)


def test_a_state_goes_on_where_it_was_taken():
    model, other = toy_language.Tongue(), toy_language.Tongue()
    other.frozen.load_state_dict(model.frozen.state_dict())
    descent = Descent(weight_decay=0.1, gradient_clip=1.0)
    engine = PlainEngine(Alone(), model, descent, None)
    for number in range(3):
        step(engine, model, number)
    state = {name: tensor.clone() for name, tensor in engine.state()}
    assert float(state["step.mix.bias"]) == 3.0
    second = PlainEngine(Alone(), other, descent, state)
    step(engine, model, 3)
    step(second, other, 3)
    for name, tensor in engine.state():
        assert torch.equal(tensor, dict(second.state())[name]), name


def test_a_state_of_another_model_is_refused():
    state = dict(PlainEngine(Alone(), toy_language.Tongue(), Descent(), None).state())
    with pytest.raises(ArtifactError, match=r"checkpoint: 'weight' is missing; it is another model's"):
        PlainEngine(Alone(), nn.Linear(3, 4), Descent(), state)
    state["model.mix.bias"] = torch.zeros(3)
    with pytest.raises(ArtifactError, match=r"'mix.bias' has shape \(3,\), not \(128,\)"):
        PlainEngine(Alone(), toy_language.Tongue(), Descent(), state)


def test_bfloat16_is_in_the_forward_pass_alone():
    model = toy_language.Tongue()
    engine = PlainEngine(Alone(), model, Descent(bfloat16=True), None)
    engine.loss(lambda words: (model.mix(model.embed(words)), {}), torch.arange(3))
    found, _ = engine.loss(lambda words: (model.mix(model.embed(words)), {}), torch.arange(3))
    assert found.dtype == torch.bfloat16
    assert {p.dtype for p in model.parameters()} == {torch.float32}


def test_what_learns_in_bfloat16_weights_adds_up_in_float32():
    """Alone or shared out, small updates are not lost; afterwards the weights have their own type again."""
    model = nn.Linear(1, 1, bias=False).to(torch.bfloat16)
    frozen = nn.Linear(1, 1, bias=False).to(torch.bfloat16).requires_grad_(False)
    model.frozen = frozen
    nn.init.ones_(model.weight)
    engine = PlainEngine(Alone(), model, Descent(), None)
    for _ in range(50):
        loss, _ = engine.loss(
            lambda x: ((frozen(model(x)) * torch.sign(frozen.weight)).float().sum(), {}), torch.ones(1, 1)
        )
        engine.backward(loss)
        engine.step(3e-4)
    assert float(model.weight.detach()) == pytest.approx(1 - 50 * 3e-4, abs=1e-4)
    engine.release()
    assert model.weight.dtype == torch.bfloat16
    assert float(model.weight.detach()) < 0.99


def test_validation_is_in_the_precision_of_training():
    model = toy_language.Tongue()
    for bfloat16, dtype in ((False, torch.float32), (True, torch.bfloat16)):
        with PlainEngine(Alone(), model, Descent(bfloat16=bfloat16), None).whole():
            assert model.mix(model.embed(torch.arange(3))).dtype == dtype


def test_tokens_a_second_are_shown(undivided):
    _, shown = undivided
    assert all(m["tokens_per_second"] > 0 for m in shown)
    assert "mfu" not in shown[0], "a CPU has no peak"
