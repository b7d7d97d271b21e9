"""The pipeline over small stages: skip, share, resume, drift, and what is told."""

import errno
import re
from dataclasses import replace

import pytest

from tests.artifacts.failing_disks import Brittle
from tests.encoders.models import tiny_bert
from tests.three_stages import CODES, MADE, Config, Recipe, run, states, use_small_stages
from unisid import pipeline, planning, stages
from unisid.artifacts import lease, swap
from unisid.artifacts.by_fingerprint import FOLDER
from unisid.artifacts.curve import read_curve, read_score
from unisid.artifacts.record import Record, fingerprint_of, read_record, require, require_input, write_record
from unisid.artifacts.store import NOUNS, Address, Place, Store
from unisid.backbones import hierarchical, lcrec, parallel, retrieval
from unisid.encoders import transformer
from unisid.errors import ArtifactError, ConfigError, DataError, DriftError
from unisid.legend import NDCG


@pytest.fixture(autouse=True)
def small_stages(monkeypatch):
    use_small_stages(monkeypatch)


def test_it_makes_what_is_missing_and_then_nothing(place):
    store = Store(place)
    assert set(states(store, Recipe()).values()) == {"to make"}
    places, _ = run(store, Recipe())
    assert MADE == ["catalog", "embeddings", "codes"]
    assert places["codes"].read("data") == b"ccec"
    assert set(states(store, Recipe()).values()) == {"complete"}
    _, said = run(store, Recipe())
    assert MADE == ["catalog", "embeddings", "codes"]
    assert said == ["everything is there, nothing to make"]


def test_the_lease_of_a_run_that_was_killed_at_its_very_end_does_not_stay(place):
    store = Store(place)
    run(store, Recipe())
    left = store.root / lease.FOLDER
    left.write("r@1.json", lease._written(replace(lease.Owner(), started=1.0)))
    assert run(store, Recipe())[1] == ["everything is there, nothing to make"]
    assert "r@1.json" not in left.sizes()


def test_until_stops_early(place):
    run(Store(place), Recipe(), until="embeddings")
    assert MADE == ["catalog", "embeddings"]
    with pytest.raises(ConfigError, match="no stage 'code'; did you mean 'codes'"):
        run(Store(place), Recipe(), until="code")


def test_what_a_recipe_leaves_out_is_neither_made_nor_an_input(place):
    store, without = Store(place), Recipe(embeddings=None)
    places, _ = run(store, without)
    assert MADE == ["catalog", "codes"]
    assert list(places) == ["catalog", "codes"]
    assert places["codes"].read("data") == b"cc"
    assert set(read_record(places["codes"]).inputs) == {"catalog"}
    assert states(store, without) == {"catalog": "complete", "codes": "complete"}
    with pytest.raises(ConfigError, match=r"recipe 'r': has no embeddings; .*embeddings.Config\(\)"):
        run(store, without, until="embeddings")
    with pytest.raises(DriftError, match=r"(?s)codes/r/1.*inputs.embeddings: \(absent\) -> "):
        run(store, Recipe())


def test_runtime_settings_cause_nothing(place):
    run(Store(place), Recipe())
    run(Store(place), Recipe(embeddings=Config(workers=7)))
    assert MADE == ["catalog", "embeddings", "codes"]


def test_another_setting_under_the_same_name_is_drift_before_anything_runs(place):
    store = Store(place)
    run(store, Recipe())
    with pytest.raises(DriftError, match=r"(?s)embeddings/r/1: .*size: 1 -> 2.*--name.*unisid drop embeddings/r/1"):
        run(store, Recipe(embeddings=Config(size=2)))
    assert MADE == ["catalog", "embeddings", "codes"]


def test_equal_artifacts_are_shared_under_another_name(place):
    store = Store(place)
    run(store, Recipe())
    other = Recipe(name="other", codes=Config(size=2))
    assert states(store, other) == {"catalog": "shared", "embeddings": "shared", "codes": "to make"}
    places, _ = run(store, other)
    assert MADE == ["catalog", "embeddings", "codes", "codes"]
    assert str(places["catalog"]).endswith("catalog/r/1")
    assert str(places["codes"]).endswith("codes/other/1")


def test_planning_in_a_store_of_hundreds_of_artifacts_takes_tens_of_requests(place, monkeypatch):
    store, spent = Store(place), []
    for noun in ("catalog", "embeddings", "codes"):
        for number in range(100):
            address = Address(noun, f"n{number}", "1")
            write_record(store.place(address), Record(address=str(address), config={"n": number}, inputs={}))
    states(store, Recipe())  # the first looks through all of them
    for name in ("exists", "read", "_entries", "stamp", "open", "write", "remove"):
        plain = getattr(Place, name)
        monkeypatch.setattr(Place, name, lambda self, *args, plain=plain: (spent.append(self), plain(self, *args))[1])
    assert states(store, Recipe()) == dict.fromkeys(("catalog", "embeddings", "codes"), "to make")
    assert 0 < len(spent) < 30
    run(store, Recipe())
    spent.clear()
    assert states(store, Recipe(name="other")) == dict.fromkeys(("catalog", "embeddings", "codes"), "shared")
    assert 0 < len(spent) < 30


def test_what_is_dropped_is_not_looked_for_any_more(place):
    store = Store(place)
    run(store, Recipe())
    fingerprint = read_record(store.place(CODES)).fingerprint
    folder = store.root / FOLDER / "codes" / fingerprint
    assert list(folder.sizes()) == ["r@1"]
    pipeline.drop(store, CODES)
    assert not folder.sizes()
    assert states(store, Recipe(name="other"))["codes"] == "to make"


def test_a_changed_input_is_drift_downstream_and_says_which(place):
    store = Store(place)
    run(store, Recipe())
    pipeline.drop(store, Address.parse("embeddings/r/1"))
    with pytest.raises(DriftError, match=r"(?s)codes/r/1.*inputs.embeddings"):
        run(store, Recipe(embeddings=Config(size=2)))


def test_a_half_made_artifact_is_invisible_and_gone_on_with(place):
    store = Store(place)
    with pytest.raises(RuntimeError, match="pulled plug"):
        run(store, Recipe(embeddings=Config(fail=True)))
    assert not store.place(Address.parse("embeddings/r/1")).exists()
    (half,) = store.drafts(Address.parse("embeddings/r/1"))
    assert read_record(half) is None
    assert half.exists("part-0")
    assert states(store, Recipe()) == {"catalog": "complete", "embeddings": "half made", "codes": "to make"}
    half.write("kept", b"1")
    places, _ = run(store, Recipe())
    assert places["embeddings"].exists("kept"), "parts of the same settings are kept"


def test_parts_made_from_other_settings_are_cleared(place):
    store = Store(place)
    with pytest.raises(RuntimeError, match="pulled plug"):
        run(store, Recipe(embeddings=Config(fail=True)))
    (half,) = store.drafts(Address.parse("embeddings/r/1"))
    half.write("kept", b"1")
    places, _ = run(store, Recipe(embeddings=Config(size=5)))
    assert not places["embeddings"].exists("kept")
    assert places["embeddings"].read("part-0") == b"xxxxx"
    assert store.drafts(Address.parse("embeddings/r/1")) == []


def test_the_record_holds_what_made_it(place):
    store = Store(place)
    places, _ = run(store, Recipe(codes=Config(size=3, workers=4)))
    record = read_record(places["codes"])
    assert record.config == {"size": 3}
    assert record.runtime == {"workers": 4, "fail": False}
    assert record.counts == {"size": 3}
    assert record.inputs["embeddings"]["fingerprint"] == read_record(places["embeddings"]).fingerprint
    assert record.files["data"] == len(b"c" + b"ce" + b"ccc")
    assert sorted(record.files) == ["curve.parquet", "data", "part-0"]
    assert places["codes"].hidden() == []
    curve = read_curve(places["codes"])
    assert curve == [
        (3, "loss", 0.5),
        (4, "parts_done", 1.0),
        (4, "parts_per_second", 1.0),
    ]  # what the total is, is shown
    assert read_score(places["codes"]) == NDCG


def test_sync_logs_everything_complete(place):
    store = Store(place)
    run(store, Recipe(), until="embeddings")
    told: list[tuple[str, dict[str, float]]] = []

    class RecordingTracker(pipeline.NullTracker):
        def metrics(self, values):
            told.append(("metric", dict(values)))

        def finish(self, record, place):
            told.append((record.address, {}))

    assert [str(a) for a in pipeline.sync(Recipe(), store, RecordingTracker(), "codes")] == [
        "catalog/r/1",
        "embeddings/r/1",
    ]
    assert ("metric", {"loss": 0.5, "step": 3}) in told
    assert ("embeddings/r/1", {}) in told


def test_nothing_to_drop_is_an_error(place):
    with pytest.raises(ArtifactError, match="nothing is there to remove"):
        pipeline.drop(Store(place), Address.parse("codes/r/1"))


def test_another_version_is_another_address(place):
    store = Store(place)
    run(store, Recipe())
    run(store, replace(Recipe(codes=Config(size=2)), version="2"))
    assert [str(a) for a in store.addresses("codes")] == ["codes/r/1", "codes/r/2"]


@pytest.fixture
def brittle(tmp_path, monkeypatch):
    """A store whose disk may fail at any change."""
    monkeypatch.setattr(swap, "SETTLE_SECONDS", 0.0)
    Brittle.allow()
    store = Store(Place.of(f"brittle://{tmp_path.name}"))
    yield store
    Brittle.allow()
    store.root.clear()


def whole(store):
    """Every artifact that looks complete, and is; raises where one only looks it."""
    found = [a for a in store.addresses() if read_record(store.place(a)) is not None]
    return {str(a): require(store.place(a), a.noun).fingerprint for a in found}


def test_wherever_the_disk_fails_nothing_looks_whole_that_is_not(brittle):
    run(Store(brittle.root / "calm"), Recipe())
    calm = whole(Store(brittle.root / "calm"))
    Brittle.allow(1000)
    run(Store(brittle.root / "counted"), Recipe())
    needed = int(1000 - Brittle.left)
    assert needed > 20
    for changes in range(needed):
        store = Store(brittle.root / str(changes))
        Brittle.allow(changes)
        try:
            run(store, Recipe())
            assert whole(store) == calm, "no more than the lease could not be removed"
            assert changes >= needed - 2
        except ArtifactError as error:
            assert re.search(r"cannot be (written|removed) \(.*\); .*rights", str(error))  # noqa: PT017
        Brittle.allow()
        assert whole(store).items() <= calm.items()
        places, _ = run(store, Recipe())
        assert whole(store) == calm
        assert places["codes"].read("data") == b"ccec"
        store.root.clear()  # this file system looks through all that it holds for each file


def test_a_read_only_store_can_be_looked_at_and_not_changed(brittle):
    run(brittle, Recipe(), until="embeddings")
    made = whole(brittle)
    with Brittle.read_only():
        assert states(brittle, Recipe()) == {"catalog": "complete", "embeddings": "complete", "codes": "to make"}
        run(brittle, Recipe(), until="embeddings")
        with pytest.raises(ArtifactError, match=r"\.leases/r@1\.json: cannot be written .*Read-only .*another place"):
            run(brittle, Recipe())
        with pytest.raises(ArtifactError, match=r"catalog/r/1/record.json: cannot be removed .*Read-only"):
            pipeline.drop(brittle, Address.parse("catalog/r/1"))
    assert whole(brittle) == made


def test_what_is_half_removed_is_not_complete(brittle):
    """Whichever change fails, the artifact is whole or to be made."""
    found = set()
    for changes in range(20):
        store = Store(brittle.root / str(changes))
        Brittle.allow()
        run(store, Recipe())
        Brittle.allow(changes, errno.EIO)
        try:
            pipeline.drop(store, Address.parse("codes/r/1"))
        except ArtifactError as error:
            found.add(re.sub(r".*codes", "codes", str(error)).partition(":")[0])
        finally:
            Brittle.allow()
        assert states(store, Recipe())["codes"] == (
            "complete" if store.place(CODES).exists("record.json") else "to make"
        )
        run(store, Recipe())
        assert whole(store)
        store.root.clear()
    assert found == {"codes/r/1/record.json", "codes/r/1"}


def test_an_input_whose_address_another_took_is_refused(place):
    store = Store(place)
    places, _ = run(store, Recipe())
    made = read_record(places["codes"])
    assert require_input(store, made, "catalog") == places["catalog"]
    pipeline.drop(store, Address.parse("catalog/r/1"))
    with pytest.raises(ArtifactError, match="no complete catalog here"):
        require_input(store, made, "catalog")
    run(store, Recipe(catalog=Config(size=2)), until="catalog")
    with pytest.raises(
        ArtifactError, match=r"catalog/r/1: has the fingerprint .* codes/r/1 was made from .*unisid drop"
    ):
        require_input(store, made, "catalog")


def test_a_truncated_artifact_is_not_complete(place):
    store = Store(place)
    run(store, Recipe())
    (store.root / "codes" / "r" / "1").write("data", b"")
    with pytest.raises(ArtifactError, match=r"codes/r/1/data: has 0 bytes, its record says 4: .* make it anew"):
        pipeline.plan(Recipe(), store, "codes")


@pytest.mark.parametrize(("file", "body"), [("record.json", b"{"), ("data", b"")])
def test_a_damaged_artifact_is_never_shared(place, file, body):
    store = Store(place)
    run(store, Recipe(name="a"))
    (store.root / "codes" / "a" / "1").write(file, body)
    assert [entry.state for entry in pipeline.plan(Recipe(name="b"), store, "codes")] == ["shared", "shared", "to make"]


def test_keywords_go_where_tokens_are_told_of_and_nowhere_else(place, monkeypatch):
    monkeypatch.undo()
    store = Store(place)
    told = pipeline.Recipe(
        keywords=stages.keywords.Config(), instructions=stages.instructions.Config(tasks=("next", "token_to_text"))
    )
    planned = {entry.noun: entry for entry in pipeline.plan(told, store)}
    assert set(planned["keywords"].inputs) == {"catalog", "codes"}
    assert set(planned["instructions"].inputs) == {"catalog", "codes", "keywords", "sequences"}
    assert "keywords" not in planned["model"].inputs
    rows = replace(told, model=replace(told.model, backbone=lcrec.Config(rows="keywords", model=str(place / "none"))))
    assert "keywords" in planning.inputs_of(rows, "model")
    with pytest.raises(ConfigError, match=r"recipe.keywords: is left out, but instructions reads what tokens have in"):
        replace(told, keywords=None)
    with pytest.raises(ConfigError, match=r"recipe.keywords: is left out, but model reads what tokens have in common"):
        replace(rows, keywords=None, instructions=None)


def test_a_recipe_without_instructions_plans_as_if_there_were_no_such_noun(place, monkeypatch):
    """What was made before the noun existed is still complete."""
    monkeypatch.undo()
    without, store = pipeline.Recipe(), Store(place)
    planned = {entry.noun: entry for entry in pipeline.plan(without, store)}
    assert "instructions" not in planned
    assert set(planned["model"].inputs) == {"catalog", "codes", "sequences"}
    taught = replace(without, instructions=stages.instructions.Config())
    changed = {entry.noun: entry for entry in pipeline.plan(taught, store)}
    assert list(changed) == [noun for noun in NOUNS if noun not in ("baseline", "joint", "keywords")]
    assert set(changed["instructions"].inputs) == {"catalog", "codes", "sequences"}
    assert set(changed["model"].inputs) == {"catalog", "codes", "sequences", "instructions"}
    before = fingerprint_of("model", planned["model"].config, planned["model"].inputs)
    assert planned["model"].fingerprint == before != changed["model"].fingerprint
    assert all(
        changed[noun].fingerprint == planned[noun].fingerprint for noun in planned if noun not in ("model", "metrics")
    )


def test_a_recipe_without_a_baseline_plans_as_if_there_were_no_such_noun(place, monkeypatch):
    monkeypatch.undo()
    without, store = pipeline.Recipe(), Store(place)
    planned = {entry.noun: entry for entry in pipeline.plan(without, store)}
    assert set(planned["metrics"].inputs) == {"catalog", "codes", "sequences", "model"}
    with_baseline = replace(without, baseline=stages.baseline.Config())
    changed = {entry.noun: entry for entry in pipeline.plan(with_baseline, store)}
    assert set(changed["metrics"].inputs) == {"catalog", "codes", "sequences", "model", "baseline"}
    assert {noun for noun in planned if changed[noun].fingerprint != planned[noun].fingerprint} == {"metrics"}
    alone = [entry.noun for entry in pipeline.plan(with_baseline, store, "baseline")]
    assert alone == ["catalog", "baseline"]
    with pytest.raises(ConfigError, match=r"has no baseline; give it settings: baseline=baseline.Config\(\)"):
        pipeline.plan(without, store, "baseline")


@pytest.mark.parametrize(
    ("ranked", "theirs", "said"),
    [(0, 7, "all test samples are ranked, and 7"), (8, 7, "8 test samples are ranked, and 7")],
)
def test_a_baseline_that_ranks_fewer_samples_than_the_metrics_is_refused(ranked, theirs, said):
    settings, fewer = stages.metrics.Config(test_samples=ranked), stages.baseline.Config(test_samples=theirs)
    with pytest.raises(ConfigError, match=f"metrics.test_samples: {said} by the recipe's baseline; must be 1 to 7"):
        pipeline.Recipe(metrics=settings, baseline=fewer)
    assert pipeline.Recipe(metrics=replace(settings, test_samples=7), baseline=fewer)


@pytest.mark.parametrize("kind", [hierarchical, parallel, retrieval], ids=lambda kind: kind.__name__.rpartition(".")[2])
def test_a_backbone_that_reads_shorter_histories_is_refused_by_the_plan(place, monkeypatch, kind):
    monkeypatch.undo()
    recipe = pipeline.Recipe()
    short = replace(recipe.model, backbone=kind.Config(max_length=recipe.catalog.history_length - 1))
    with pytest.raises(ConfigError, match="max_length: is 9, the catalogue's histories have 10 items; must be"):
        pipeline.plan(replace(recipe, model=short), Store(place))


def test_an_encoder_that_cannot_read_so_much_is_refused_before_anything_is_made(place, monkeypatch, tmp_path):
    monkeypatch.undo()
    encoder = transformer.Config(model=str(tiny_bert(tmp_path)))
    recipe = replace(pipeline.Recipe(), embeddings=stages.embeddings.Config(encoder=encoder, max_tokens=65))
    with pytest.raises(ConfigError, match=r"max_tokens: is 65, but the encoder .* reads at most 64"):
        run(Store(place), recipe, "embeddings")
    assert Store(place).addresses() == []


@pytest.mark.parametrize("kind", [DataError, ConfigError])
def test_an_error_of_training_says_of_which_stage(place, monkeypatch, kind):
    def make(job):
        raise kind("training, epoch 3: the loss is nan; lower the learning rate")

    monkeypatch.setattr(planning.STAGES["embeddings"], "make", make)
    with pytest.raises(kind, match=r"^embeddings\.training, epoch 3: the loss is nan; lower"):
        run(Store(place), Recipe())
