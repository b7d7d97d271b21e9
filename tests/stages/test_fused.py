import dataclasses

import numpy as np
import pyarrow as pa
import pytest
import torch

from tests.legends import without_words
from tests.lines import logged
from tests.references import infonce
from tests.references import uqf as reference
from unisid.artifacts.catalog import TEST, TRAIN, write_interactions
from unisid.artifacts.fused import Fused
from unisid.artifacts.record import Record, write_record
from unisid.artifacts.shards import Shards, shard_name, to_arrow, to_ragged, write_array, write_shard
from unisid.artifacts.store import Place
from unisid.artifacts.tables import write_table
from unisid.compute import Job, Pool
from unisid.config import to_record
from unisid.errors import ArtifactError, ConfigError, DataError
from unisid.fusion import LearnedFusion, Loss, concat, single, uqf
from unisid.runtime.local import LocalCompute
from unisid.stages import fused
from unisid.stages.fused.contrast import Contrast
from unisid.stages.fused.reading import KEPT, Known, Reader
from unisid.training import engine, loop
from unisid.training.loop import Training

N, TEXT, GRAPH, LAYERS = 40, 6, 4, 3
TEXT_DROPPED, GRAPH_DROPPED = 1, 2
LONELY = 7
"""An item that no user took in training."""

SMALL = uqf.Config(num_queries=3, width=8, output_width=8, num_layers=2, num_heads=2, dropout=0.0)
CONFIG = fused.Config(
    fusion=SMALL,
    num_neighbours=8,
    training=Training(epochs=3, patience=40, learning_rate=1e-2, weight_decay=1e-5),
    batch_size=16,
)


def finish(place: Place, noun: str, counts: dict) -> Place:
    write_record(place, Record(address=f"{noun}/toy/1", config={}, inputs={}, counts=counts))
    return place


def baskets() -> list[list[int]]:
    """Users who stay among every fourth item, but for one taken anywhere."""
    rng = np.random.default_rng(3)
    near = [4 * rng.integers(0, N // 4, 5) + user % 4 for user in range(60)]
    return [sorted({*items.tolist(), int(rng.integers(N))} - {LONELY}) for items in near]


@pytest.fixture
def inputs(place: Place) -> dict[str, Place]:
    return make_inputs(place)


def make_inputs(place: Place, *, keep_states: bool = True, spoil: str = "") -> dict[str, Place]:
    rng = np.random.default_rng(0)
    taken = baskets()
    catalog = place / "catalog"
    write_table(catalog, "items", 0, pa.table({"item_id": [f"i{k}" for k in range(N)]}))
    users = np.repeat(np.arange(len(taken)), [len(t) + 1 for t in taken])
    items = np.concatenate([[*t, LONELY] for t in taken])  # everybody takes it in the end, in the test split
    split = np.concatenate([[*[TRAIN] * len(t), TEST] for t in taken])
    write_interactions(catalog, users, items, np.arange(len(users)), split)
    finish(catalog, "catalog", {"items": N, "users": len(taken)})

    embeddings = place / "embeddings"
    lengths = rng.integers(1, 7, N)
    topics = rng.normal(size=(5, TEXT)).repeat(8, axis=0).repeat(lengths, axis=0)  # of eight items in a row
    states = (topics + 0.3 * rng.normal(size=topics.shape)).astype(np.float16)
    means = np.stack([s.astype(np.float32).mean(0) for s in np.split(states, np.cumsum(lengths)[:-1])])
    if spoil == "states":
        states[lengths[:3].sum()] = np.nan  # item 3
    if spoil == "pooled":
        means[[3, 5], 0] = np.inf
    for index, (low, high) in enumerate([(0, 25), (25, N)]):
        columns = {"pooled": to_arrow(means[low:high])}
        if keep_states:
            rows = slice(lengths[:low].sum(), lengths[:high].sum())
            columns["states"] = to_ragged(states[rows], lengths[low:high])
        write_shard(embeddings, "states", index, pa.table(columns))
    finish(embeddings, "embeddings", {"width": TEXT, "has_states": keep_states})

    graph = place / "graph"
    layers = rng.normal(size=(N, LAYERS, GRAPH)).astype(np.float32)
    layers[LONELY] = 0
    if spoil == "graph":
        layers[11, 1, 2] = np.nan
    degree = np.bincount(np.concatenate(taken).astype(int), minlength=N).astype(np.int32)
    write_array(graph, "items", {"layers": layers, "degree": degree}, 30)
    finish(graph, "graph", {"layers": LAYERS, "width": GRAPH})
    return {"catalog": catalog, "embeddings": embeddings, "graph": graph}


def make(inputs: dict[str, Place], out: Place, config: fused.Config = CONFIG, said: list | None = None) -> dict:
    reports: list = []
    job = Job(
        config=config,
        inputs=inputs,
        out=out,
        name="toy",
        compute=LocalCompute(),
        report=reports.append,
    )
    with logged(said):
        counts = fused.make(job)
    finish(out, "fused", counts)
    return counts | {"reports": reports}


def reader(inputs: dict[str, Place], states: bool = True) -> Reader:
    return Reader(inputs, states)


def rows_of(known: Known) -> tuple[list[torch.Tensor], torch.Tensor]:
    """The token states of every item, and all graph layers [n, K, G]."""
    text, graph = known.modalities["text"], known.modalities["graph"]
    return list(text.values.float().split(text.lengths.tolist())), graph.values.view(-1, LAYERS, GRAPH)


def test_every_item_gets_a_vector_and_the_lonely_one_is_marked(inputs: dict[str, Place], place: Place) -> None:
    said: list[str] = []
    counts = make(inputs, place / "fused", said=said)
    made = Fused.read(place / "fused")
    assert made.vectors().shape == (N, 8)
    assert made.width == 8
    assert np.flatnonzero(made.text_only()).tolist() == [LONELY]
    assert counts["text_only"] == counts["structure_fallbacks"] == 1
    assert counts["epochs"] == 3
    assert counts["semantic_recall"] == 1.0
    chances = {"valid_structure_chance", "valid_semantic_chance"}
    assert without_words("fused", counts["reports"][:-1]) == chances
    told = [sorted(report)[0] for report in counts["reports"] if "running_loss" not in report]
    assert told == ["epoch"] * 3 + ["step"]
    assert counts["reports"][-1]["vectors.shards_done"] == 1
    assert any("1 items have no interactions" in line for line in said)


def test_vectors_are_the_fusion_of_whole_inputs_one_item_at_a_time(inputs: dict[str, Place], place: Place) -> None:
    make(inputs, place / "fused", dataclasses.replace(CONFIG, write_batch=7))
    fusion = fused.load(place / "fused")
    known = reader(inputs).read(np.arange(N))
    vectors = Fused.read(place / "fused").vectors()
    texts, graph = rows_of(known)
    for item, tokens in enumerate(texts):
        expected = reference.forward(fusion, tokens, graph[item])
        assert torch.allclose(torch.from_numpy(vectors[item].copy()), expected, atol=1e-4)


def test_a_reader_opens_each_file_once(inputs: dict[str, Place], monkeypatch: pytest.MonkeyPatch) -> None:
    """However many steps read from it: files grow with the catalogue, and so do steps."""
    opened: list[str] = []
    real = Place.mapped
    monkeypatch.setattr(Place, "mapped", lambda place, name: opened.append(name) or real(place, name))
    found = reader(inputs)
    for step in range(5):
        found.read(np.arange(step, step + 9))
        found.text_only(np.arange(step, step + 9))
    assert sorted(opened) == sorted(set(opened))
    assert len(opened) == 4


def test_learning_lowers_the_loss(inputs: dict[str, Place], place: Place) -> None:
    longer = dataclasses.replace(CONFIG.training, epochs=20)
    said: list = []
    counts = make(inputs, place / "fused", dataclasses.replace(CONFIG, training=longer), said)
    learning = [report for report in counts["reports"] if "loss" in report]
    curve = [report["loss"] for report in learning]
    assert max(curve[-3:]) < min(curve[:3])
    best = min(learning, key=lambda report: report["valid_score"])
    assert counts["best_valid_loss"] == pytest.approx(best["valid_score"], rel=1e-6)
    assert counts["valid"]["structure"] == pytest.approx(best["valid_structure"], rel=1e-6)
    assert f"{counts['valid']['structure']:.3f} for shared users (by chance" in " ".join(said)


def test_tables_hold_what_training_users_share_and_fall_back_on_text(inputs: dict[str, Place], place: Place) -> None:
    from tests.references.neighbours import co_occurrence

    make(inputs, place / "fused")
    structure = Shards(place / "fused", "structure").read("neighbours")
    semantic = Shards(place / "fused", "semantic").read("neighbours")
    expected = co_occurrence([set(b) for b in baskets()], N, 8)
    expected[LONELY] = semantic[LONELY].tolist()
    assert structure.tolist() == expected
    assert Shards(place / "fused", "structure").read("fallback").nonzero()[0].tolist() == [LONELY]


def test_structure_neighbours_may_be_those_of_near_steps_both_ways(inputs: dict[str, Place], place: Place) -> None:
    """Items a and b of a basket, g places apart, count .7^(g - 1) over the root^.8 of both items' damped numbers."""
    said: list[str] = []
    make(inputs, place / "fused", dataclasses.replace(CONFIG, structure="steps"), said)
    counts = np.bincount(np.concatenate(baskets()), minlength=N)
    strength = np.zeros((N, N))
    for basket in baskets():
        for one, a in enumerate(basket):
            for other, b in enumerate(basket):
                if 0 < abs(one - other) <= 10:
                    strength[a, b] += 0.7 ** (abs(one - other) - 1) * ((counts[a] + 40) * (counts[b] + 40)) ** -0.4
    found = Shards(place / "fused", "structure").read("neighbours")
    for item in range(N):
        if item != LONELY:
            own = found[item][found[item] >= 0]
            strongest = np.sort(strength[item])[::-1][: len(own)]
            assert np.allclose(strength[item][own], strongest)
            assert len(own) == min(8, (strength[item] > 0).sum())
    assert Shards(place / "fused", "structure").read("fallback").nonzero()[0].tolist() == [LONELY]
    assert "by steps of sequences" in " ".join(said)


def test_which_structure_counts_bears_identity_where_it_is_not_the_thesiss() -> None:
    assert "structure" not in to_record(fused.Config(), identity=True)
    assert to_record(fused.Config(structure="steps"), identity=True)["structure"] == "steps"
    with pytest.raises(ConfigError, match=r"fused.structure: is 'step'; must be one of users, steps"):
        fused.Config(structure="step")  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("fusion", "width"),
    [
        (single.Config(modality="text"), TEXT),
        (single.Config(modality="graph"), GRAPH),
        (concat.Config(), TEXT + GRAPH),
    ],
)
def test_the_ablations_run_through_the_same_stage(inputs, place: Place, fusion, width: int) -> None:
    counts = make(inputs, place / "fused", dataclasses.replace(CONFIG, fusion=fusion))
    made = Fused.read(place / "fused")
    known = reader(inputs, states=False).read(np.arange(N))
    unit = torch.nn.functional.normalize
    parts = {"text": unit(known.modalities["text"].values), "graph": unit(rows_of(known)[1].mean(1))}
    chosen = list(parts.values()) if width == TEXT + GRAPH else [parts[fusion.modality]]
    assert counts["width"] == width
    assert np.allclose(made.vectors(), torch.cat(chosen, 1).numpy(), atol=1e-6)
    assert np.flatnonzero(made.text_only()).tolist() == [LONELY]
    assert fused.load(place / "fused").width == width


def test_pooled_vectors_alone_are_allowed_with_a_warning(place: Place) -> None:
    said: list[str] = []
    counts = make(make_inputs(place, keep_states=False), place / "fused", said=said)
    assert counts["degenerate"] is True
    assert any("pooled vectors only" in line for line in said)


def test_a_second_run_makes_only_what_is_missing(inputs: dict[str, Place], place: Place) -> None:
    out = place / "fused"
    first = make(inputs, out)
    before = Fused.read(out).vectors().copy()
    weights = out.read("weights.safetensors")
    out.remove(shard_name("vectors", 0))
    out.remove(shard_name("structure", 0))
    again = make(inputs, out)
    assert not any("loss" in report for report in again["reports"])
    assert out.read("weights.safetensors") == weights
    assert (Fused.read(out).vectors() == before).all()
    assert {k: v for k, v in again.items() if k != "reports"} == {k: v for k, v in first.items() if k != "reports"}


def test_the_same_seed_makes_the_same_vectors(inputs: dict[str, Place], place: Place) -> None:
    config = dataclasses.replace(CONFIG, fusion=dataclasses.replace(SMALL, dropout=0.2))
    make(inputs, place / "a", config)
    make(inputs, place / "b", config)
    assert (Fused.read(place / "a").vectors() == Fused.read(place / "b").vectors()).all()


class Alone:
    """One worker, or one of two that never meet."""

    rank, size, device = 0, 1, torch.device("cpu")

    def all_gather(self, tensor: torch.Tensor) -> torch.Tensor:
        return tensor

    def all_reduce(self, tensor: torch.Tensor) -> torch.Tensor:
        return tensor


def objective(
    inputs: dict[str, Place], out: Place, loss: Loss | None = None, batch_size: int = 16, config: fused.Config = CONFIG
) -> Contrast:
    make(inputs, out, config)
    fusion = fused.load(out)
    tables = Shards(out, "structure"), Shards(out, "semantic")
    return Contrast(fusion, Alone(), reader(inputs), loss or Loss(), tables, N, batch_size, 42)  # type: ignore[arg-type]


def test_a_step_equals_three_encodings_in_plain_loops(inputs: dict[str, Place], place: Place) -> None:
    loss = Loss(modality_dropout=0.6)
    ours = objective(inputs, place / "fused", loss)
    plan = ours.plan(ours.learned[:12], np.random.default_rng(0), ours.dropped)
    assert set(plan.hidden) == {KEPT, TEXT_DROPPED, GRAPH_DROPPED}
    found = {k: v.item() for k, v in ours.losses(ours.share(plan, 0, 1), lambda x: x).items()}

    texts, layers = rows_of(ours.reader.read(np.arange(N)))

    def encode(item: int, hidden: int = KEPT) -> torch.Tensor:
        text, graph = texts[item], layers[item]
        text = torch.zeros_like(text) if hidden == TEXT_DROPPED else text
        graph = torch.zeros_like(graph) if hidden == GRAPH_DROPPED else graph
        return reference.forward(ours.fusion, text, graph)

    with torch.no_grad():
        anchors = [encode(a, h) for a, h in zip(plan.anchors, plan.hidden, strict=True)]
        own = list(range(12))
        rows = [a.tolist() for a in anchors]
        expected = {}
        for kind, items, friends in (
            ("structure", plan.structure, plan.structure_known),
            ("semantic", plan.semantic, plan.semantic_known),
        ):
            ignored = infonce.known(plan.anchors.tolist(), friends.tolist(), items.tolist())
            candidates = [encode(i).tolist() for i in items]
            expected[kind] = infonce.info_nce(rows, candidates, own, ignored, loss.temperature)
        text, graph = ours.fusion.reconstruct(torch.stack(anchors)).values()
        true_text = torch.stack([texts[a].mean(0) for a in plan.anchors])
        expected["reconstruction"] = (
            ((text - true_text) ** 2).mean() + ((graph - layers[plan.anchors].mean(1)) ** 2).mean()
        ).item()
    expected["loss"] = 0.4 * expected["structure"] + 0.6 * expected["semantic"] + 0.2 * expected["reconstruction"]
    assert found == pytest.approx(expected, rel=1e-3)


def test_the_thesis_form_counts_known_neighbours_as_negatives(inputs: dict[str, Place], place: Place) -> None:
    ours = objective(inputs, place / "fused")
    plan = ours.plan(ours.learned[:16], np.random.default_rng(0))
    masked = ours.share(plan, 0, 1)
    ours.loss_config = Loss(mask_known=False)
    plain = ours.share(plan, 0, 1)
    assert not plain.structure_ignored.any()
    assert masked.structure_ignored.sum() > 16
    gather = lambda x: x  # noqa: E731
    assert ours.losses(masked, gather)["structure"] < ours.losses(plain, gather)["structure"]


def test_validation_items_are_never_anchors_and_every_epoch_differs(inputs: dict[str, Place], place: Place) -> None:
    ours = objective(inputs, place / "fused", Loss(held_out=0.3))
    assert len(ours.held_out) == 12
    assert not set(ours.held_out) & set(ours.learned)
    first, second = ([b.own for b in ours.batches(e)] for e in (0, 1))
    assert len(first) == len(second) == ours.steps_per_epoch() == 1
    assert ours.validate() == ours.validate()


@pytest.mark.parametrize("mask_known", [True, False])
def test_validation_says_what_vectors_that_say_nothing_would_have(inputs, place, monkeypatch, mask_known) -> None:
    ours = objective(inputs, place / "fused", Loss(held_out=0.3, mask_known=mask_known))
    told = ours.validate()
    everywhere = torch.ones(1, ours.fusion.width)
    monkeypatch.setattr(type(ours.fusion), "forward", lambda self, items: everywhere.expand(len(items), -1))
    blind = ours.validate()
    for kind in ("structure", "semantic"):
        assert blind[kind] == pytest.approx(told[f"{kind}_chance"], rel=1e-6)
    if not mask_known:
        assert told["structure_chance"] == pytest.approx(np.log(12))


def test_a_catalogue_smaller_than_a_batch_fills_it_by_repeating(inputs: dict[str, Place], place: Place) -> None:
    ours = objective(inputs, place / "fused", batch_size=64)
    (batch,) = ours.batches(0)
    assert len(batch.own) == 64
    assert torch.isfinite(ours.loss(batch)[0])


def test_distinct_items_are_encoded_once(inputs: dict[str, Place], place: Place) -> None:
    ours = objective(inputs, place / "fused", batch_size=32)
    (batch,) = ours.batches(0)
    assert len(batch.where) == 96
    assert len(batch.items) <= 3 * N


def test_the_shares_of_two_workers_make_the_gradient_of_one(inputs: dict[str, Place], place: Place) -> None:
    """What engine.average_gradients does with a gather whose backward pass sums over workers, without processes."""
    ours = objective(inputs, place / "fused")
    plan = ours.plan(ours.learned[:16], np.random.default_rng(0), (0.2, 0.2))
    parameters = list(ours.fusion.parameters())
    whole = ours.losses(ours.share(plan, 0, 1), lambda x: x)["loss"]
    expected = torch.autograd.grad(whole, parameters)
    shares = [ours.share(plan, rank, 2) for rank in range(2)]
    positives: list[torch.Tensor] = []
    for share in shares:
        ours.losses(share, lambda own: positives.append(own) or torch.cat([own, own]))
    gathered = torch.cat(positives)
    losses = [ours.losses(share, lambda own: gathered)["loss"] for share in shares]
    assert (sum(losses) / 2).item() == pytest.approx(whole.item(), rel=1e-5)
    found = torch.autograd.grad(sum(losses) / 2, parameters)
    for a, b in zip(found, expected, strict=True):
        assert torch.allclose(a, b, atol=1e-5)


def test_no_dropout_shows_which_worker_an_item_is_of(inputs: dict[str, Place], place: Place) -> None:
    """A worker's items are no more alike in training than those of two: else the contrast is won by that alone."""
    dropping = dataclasses.replace(CONFIG, fusion=dataclasses.replace(SMALL, dropout=0.5))
    ours = objective(inputs, place / "fused", config=dropping)
    ours.fusion.train()
    alike, apart = [], []
    for step in range(60):
        plan = ours.plan(ours.learned[:16], np.random.default_rng(step))
        sides = []
        for rank in range(2):
            torch.manual_seed(2 * step + rank)
            sides.append(ours.fusion(ours.share(plan, rank, 2).items).detach())
        first, second = (torch.nn.functional.normalize(side - torch.cat(sides).mean(0), dim=1) for side in sides)
        alike += [(side @ side.T)[~torch.eye(len(side), dtype=torch.bool)].mean().item() for side in (first, second)]
        apart.append((first @ second.T).mean().item())
    assert ours.share(plan, 0, 2).items.seed == ours.share(plan, 1, 2).items.seed
    assert ours.share(plan, 0, 1).items.seed is None
    assert np.mean(alike) - np.mean(apart) < 0.1


@dataclasses.dataclass(frozen=True)
class FewSteps:
    task: fused.Task
    plan_seed: int = 0


def few_steps(worker, few: FewSteps) -> dict:
    """One gradient by hand, then the loop itself for two epochs; everything rank 0 can tell of it."""
    task = few.task
    torch.manual_seed(0)
    model = task.config.fusion.build(task.widths)
    tables = Shards(task.out, "structure"), Shards(task.out, "semantic")
    ours = Contrast(model, worker, task.reader, task.config.loss, tables, task.num_items, task.config.batch_size, 42)
    batch = next(iter(ours.batches(0)))
    loss, _ = ours.loss(batch)
    loss.backward()
    parameters = list(model.parameters())
    engine.average_gradients(worker, parameters)
    gradient = torch.cat([p.grad.flatten() for p in parameters])
    mean_loss = worker.all_reduce(loss.detach().clone()).item() / worker.size
    outcome = loop.run(worker, ours, task.config.training)
    state = torch.cat([p.detach().flatten() for p in parameters])
    return {"loss": mean_loss, "gradient": gradient.numpy(), "state": state.numpy(), "score": outcome.best_score}


@pytest.mark.slow
def test_two_and_eight_workers_learn_what_one_learns(inputs: dict[str, Place], place: Place) -> None:
    make(inputs, place / "fused")
    training = dataclasses.replace(CONFIG.training, epochs=2, learning_rate=1e-3)
    config = dataclasses.replace(CONFIG, training=training, loss=Loss(held_out=0.45), batch_size=8)
    few = FewSteps(fused.Task(config, reader(inputs), place / "fused", N, {"text": TEXT, "graph": GRAPH}))
    one, *several = (
        LocalCompute().fit(few_steps, few, name=f"few-{n}", pool=Pool(workers=n), work=place / ".work")
        for n in (1, 2, 8)
    )
    for many in several:
        assert many["loss"] == pytest.approx(one["loss"], rel=1e-5)
        assert many["score"] == pytest.approx(one["score"], rel=1e-4)
        assert np.allclose(many["gradient"], one["gradient"], atol=1e-5)
        assert np.allclose(many["state"], one["state"], atol=1e-4)


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        ("pooled", r"embeddings: the vectors of 2 items \('i3', 'i5'\) hold NaN or infinity"),
        ("states", r"embeddings: the vectors of 1 items \('i3'\) hold NaN or infinity"),
        ("graph", r"graph: the vectors of 1 items \('i11'\) hold NaN or infinity"),
    ],
)
def test_names_the_items_whose_inputs_are_not_finite(place: Place, spoil: str, message: str) -> None:
    with pytest.raises(DataError, match=message):
        make(make_inputs(place, spoil=spoil), place / "fused")


def test_inputs_of_unlike_catalogs_are_refused(inputs: dict[str, Place], place: Place) -> None:
    finish(inputs["catalog"], "catalog", {"items": N + 1, "users": 60})
    with pytest.raises(ArtifactError, match="the catalog has 41 items, the embeddings 40, the graph 40"):
        make(inputs, place / "fused")


def test_a_batch_that_workers_cannot_share_is_refused() -> None:
    with pytest.raises(ConfigError, match="does not divide into equal shares for 3 workers"):
        fused.Config(batch_size=256, pool=Pool(workers=3))


def test_the_measure_of_shared_users_is_known_and_bears_identity_where_it_is_not_the_thesiss() -> None:
    with pytest.raises(ConfigError, match=r"fused.shared_users: is 'cosin'; must be one of count, cosine"):
        fused.Config(shared_users="cosin")  # type: ignore[arg-type]
    assert "shared_users" not in to_record(fused.Config(), identity=True)
    assert to_record(fused.Config(shared_users="cosine"), identity=True)["shared_users"] == "cosine"


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"structure_weight": 1.5}, "structure_weight: is 1.5; must be at least 0 and at most 1"),
        ({"held_out": 0.0}, "held_out: is 0.0; must be above 0"),
        ({"temperature": 0.0}, "temperature: is 0.0; must be above 0"),
    ],
)
def test_settings_out_of_range_are_refused(settings: dict[str, float], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        Loss(**settings)


def with_further(inputs: dict[str, Place], place: Place, zero: bool = False) -> dict[str, Place]:
    """The inputs, with an image's vector for every item but one, and a second encoder's token states."""
    rng = np.random.default_rng(7)
    image = rng.normal(size=(N, 3)).astype(np.float32) * (not zero)
    image[2] = 0
    write_array(place / "image", "states", {"pooled": image}, 30)
    finish(place / "image", "embeddings", {"width": 3, "has_states": False})
    lengths = rng.integers(1, 5, N)
    states = rng.normal(size=(lengths.sum(), 5)).astype(np.float16)
    columns = {"pooled": to_arrow(rng.normal(size=(N, 5)).astype(np.float32)), "states": to_ragged(states, lengths)}
    write_shard(place / "second", "states", 0, pa.table(columns))
    finish(place / "second", "embeddings", {"width": 5, "has_states": True})
    return inputs | {"embeddings.image": place / "image", "embeddings.second": place / "second"}


def test_further_embeddings_are_modalities_of_their_names(inputs: dict[str, Place], place: Place) -> None:
    more = with_further(inputs, place)
    counts = make(more, place / "fused")
    fusion = fused.load(place / "fused")
    assert Fused.read(place / "fused").vectors().shape == (N, 8)
    assert list(fusion.reconstruct(torch.zeros(1, 8))) == ["text", "graph", "image", "second"]
    assert counts["valid"].keys() == make(inputs, place / "plain")["valid"].keys()
    one_by_one = np.concatenate([_alone(fusion, reader(more), item) for item in range(N)])
    assert np.allclose(one_by_one, Fused.read(place / "fused").vectors(), atol=1e-4)


def _alone(fusion: LearnedFusion, read: Reader, item: int) -> np.ndarray:
    items, _ = read.read(np.array([item])).view(np.zeros(1, np.int64), np.zeros(1, np.int64))
    with torch.no_grad():
        return fusion(items).numpy()


@pytest.mark.parametrize(("fusion", "width"), [(single.Config(modality="image"), 3), (concat.Config(), 18)])
def test_a_fusion_that_learns_nothing_takes_further_modalities(inputs, place: Place, fusion, width: int) -> None:
    more = with_further(inputs, place)
    make(more, place / "fused", dataclasses.replace(CONFIG, fusion=fusion))
    made = Fused.read(place / "fused").vectors()
    assert made.shape == (N, width)
    image = torch.nn.functional.normalize(reader(more, states=False).read(np.arange(N)).modalities["image"].values)
    where = slice(0, 3) if width == 3 else slice(TEXT + GRAPH, TEXT + GRAPH + 3)
    assert np.allclose(made[:, where], image.numpy(), atol=1e-6)
    assert not made[2, where].any()


def test_every_modality_is_dropped_as_often_as_is_said(inputs: dict[str, Place], place: Place) -> None:
    more = with_further(inputs, place)
    loss = Loss(modality_dropout=0.4, dropout={"image": 0.3, "graph": 0.0})
    ours = _contrast(more, place / "fused", loss)
    assert ours.dropped == (0.1, 0.0, 0.3, 0.1)
    anchors = np.resize(ours.learned, 4000)
    hidden = ours.plan(anchors, np.random.default_rng(0), ours.dropped).hidden
    shares = np.bincount(hidden, minlength=5) / len(anchors)
    assert np.allclose(shares, [0.5, 0.1, 0.0, 0.3, 0.1], atol=0.03)
    assert shares[2] == 0.0
    known = ours.reader.read(np.arange(N))
    for number, name in enumerate(known.modalities, 1):
        seen, _ = known.view(np.arange(N), np.full(N, number))
        whole, _ = known.view(np.arange(N), np.zeros(N, np.int64))
        assert not seen[name].values.any()
        for other in set(known.modalities) - {name}:
            assert np.allclose(sorted(seen[other].values.flatten()), sorted(whole[other].values.flatten()))


def test_several_modalities_keep_their_items(inputs: dict[str, Place], place: Place) -> None:
    """Whatever the order in which each is packed, an item's means are its own in all of them."""
    known = reader(with_further(inputs, place)).read(np.arange(N))
    rows = np.random.default_rng(1).integers(0, N, 30)
    seen, where = known.view(rows, np.zeros(30, np.int64))
    for name, mean in known.means().items():
        assert torch.allclose(seen[name].mean()[where], mean[rows].float(), atol=1e-5), name


def test_two_shares_of_several_modalities_make_the_gradient_of_one(inputs: dict[str, Place], place: Place) -> None:
    ours = _contrast(with_further(inputs, place), place / "fused", Loss(held_out=0.2))
    plan = ours.plan(ours.learned[:16], np.random.default_rng(0), (0.1, 0.1, 0.2, 0.2))
    whole = ours.losses(ours.share(plan, 0, 1), lambda x: x)["reconstruction"]
    parts = [ours.losses(ours.share(plan, rank, 2), lambda own: torch.cat([own, own])) for rank in range(2)]
    assert (sum(part["reconstruction"] for part in parts) / 2).item() == pytest.approx(whole.item(), rel=1e-4)


def _contrast(inputs: dict[str, Place], out: Place, loss: Loss) -> Contrast:
    make(inputs, out)
    tables = Shards(out, "structure"), Shards(out, "semantic")
    return Contrast(fused.load(out), Alone(), reader(inputs), loss, tables, N, 16, 42)  # type: ignore[arg-type]


class Own(uqf.UQF):
    """A fusion that learns nothing but to reconstruct, by a loss of its own."""

    def loss(self, batch, settings, gather):
        found = self.reconstruct(self(batch.items)[batch.where[: len(batch.own)]])
        return {"loss": sum(((found[name] - target) ** 2).mean() for name, target in batch.targets.items())}

    def chance(self, batch):
        return {}


def test_a_fusion_may_bring_its_own_loss(inputs: dict[str, Place], place: Place, monkeypatch) -> None:
    monkeypatch.setattr(uqf.Config, "build", lambda self, widths: Own(self, widths))
    said: list[str] = []
    counts = make(inputs, place / "fused", said=said)
    assert set(counts["valid"]) == set()
    assert counts["best_valid_loss"] > 0
    learning = [report for report in counts["reports"] if "loss" in report]
    assert learning[-1]["loss"] < learning[0]["loss"]
    assert "structure" not in learning[0]
    assert not any("loss of what was held out" in line for line in said)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"dropout": {"imgae": 0.1}}, "fused.loss.dropout: no modality 'imgae'.*; this recipe has text, graph"),
        ({"reconstruction": {"image": 1.0}}, "fused.loss.reconstruction: no modality 'image'"),
        ({"dropout": {"text": 0.7, "graph": 0.4}}, "text 0.7, graph 0.4 of the anchors are to lose a modality, 1.1"),
    ],
)
def test_settings_of_modalities_that_do_not_fit_are_refused(inputs, place: Place, settings, message: str) -> None:
    config = dataclasses.replace(CONFIG, loss=Loss(**settings))
    with pytest.raises(ConfigError, match=message):
        make(inputs, place / "fused", config)
    assert not (place / "fused").exists()


def test_settings_by_modality_bear_identity_only_where_there_are_any() -> None:
    assert {"dropout", "reconstruction"}.isdisjoint(to_record(Loss(), identity=True))
    assert to_record(Loss(dropout={"image": 0.1}), identity=True)["dropout"] == {"image": 0.1}


def test_a_modality_that_there_is_not_is_refused(inputs: dict[str, Place], place: Place) -> None:
    with pytest.raises(ConfigError, match="fusion.modality: is 'grph'; did you mean 'graph'.; must be one of text, gr"):
        make(inputs, place / "fused", dataclasses.replace(CONFIG, fusion=single.Config(modality="grph")))
