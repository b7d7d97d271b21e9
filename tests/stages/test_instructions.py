import itertools
from collections import Counter

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tests.stages import ring
from unisid.artifacts.codes import Codes
from unisid.artifacts.instructions import COLUMNS, Instructions
from unisid.artifacts.keywords import SCHEMA
from unisid.artifacts.sequences import Sequences
from unisid.artifacts.tables import write_table
from unisid.config import to_record
from unisid.errors import ArtifactError, ConfigError, DataError
from unisid.ops.prompts import SEPARATOR
from unisid.ops.semantic_ids import spell
from unisid.runtime.local import LocalCompute
from unisid.stages import instructions, sequences

N = 40
USERS = [*ring.walks(30, N), [5, 6, 7], [7]]
TITLES = [f"item {number}" for number in range(N)]
ALL = instructions.Config().tasks
HISTORIES = {
    "next": "sid-sid",
    "next_title": "sid-title",
    "titles_to_title": "title-title",
    "titles_to_sid": "title-sid",
}


def inputs_at(place, titles=TITLES):
    found = {"catalog": ring.write_catalog(place / "catalog", USERS, N), "codes": ring.write_index(place / "codes", N)}
    columns = {"item_id": TITLES, "title": pa.array(titles, pa.string()), "text": TITLES}
    write_table(found["catalog"], "items", 0, pa.table(columns))
    counts = sequences.make(ring.job(sequences.Config(), found, place / "sequences", LocalCompute()))
    ring.record(place / "sequences", "sequences", {}, counts)
    return found | {"sequences": place / "sequences"}


def made(place, inputs, compute=None, **settings):
    out, config = place / "instructions", instructions.Config(**settings)
    counts = instructions.make(ring.job(config, inputs, out, compute or LocalCompute()))
    ring.record(out, "instructions", {"tasks": list(config.tasks)}, counts)
    return Instructions.read(out), counts


@pytest.fixture
def inputs(place):
    return inputs_at(place)


def rows(read, split="train"):
    return read.table(split).to_pylist()


def expected(inputs, split, titles=TITLES):
    """Every task's rows (user, target, pieces, response), the slow way."""
    codes = Codes.read(inputs["codes"]).codes
    words = {"sid": [spell(row) for row in codes], "title": titles}
    samples = Sequences.read(inputs["sequences"]).table(split).to_pylist()
    found = {
        kind: Counter(
            (s["user"], s["target"], tuple(words[a][i] for i in s["history"]), words[b][s["target"]]) for s in samples
        )
        for kind, (a, b) in {kind: how.split("-") for kind, how in HISTORIES.items()}.items()
    }
    for kind, (a, b) in {"title_to_sid": ("title", "sid"), "sid_to_title": ("sid", "title")}.items():
        found[kind] = Counter((-1, i, (words[a][i],), words[b][i]) for i in range(N))
    return found


def counted(some):
    found: dict[str, Counter] = {}
    for row in some:
        key = (row["user"], row["target"], tuple(row["pieces"]), row["response"])
        found.setdefault(row["task"], Counter())[key] += 1
    return found


def test_every_task_asks_every_sample_and_item_once(place, inputs):
    read, counts = made(place, inputs)
    wanted = expected(inputs, "train")
    assert counted(rows(read)) == wanted
    assert tuple(read.table("train").column_names) == COLUMNS
    assert read.num_rows("train") == counts["train"] == sum(sum(c.values()) for c in wanted.values())
    assert read.tasks == ALL
    assert {kind: c["train"] for kind, c in counts["tasks"].items()} == {k: sum(c.values()) for k, c in wanted.items()}
    assert (counts["items_without_title"], counts["titles_cleaned"]) == (0, 0)


def test_validation_asks_the_validation_samples(place, inputs):
    read, _ = made(place, inputs, valid_rows=0)
    assert counted(rows(read, "valid")) == expected(inputs, "valid")
    capped, counts = made(place / "capped", inputs, valid_rows=7)
    found = counted(rows(capped, "valid"))
    assert {kind: sum(c.values()) for kind, c in found.items()} == dict.fromkeys(ALL, 7)
    assert all(found[kind] <= expected(inputs, "valid")[kind] for kind in ALL)
    assert counts["valid"] == 7 * len(ALL)


def test_no_row_shows_what_its_user_did_later(place, inputs):
    """Training rows end before the last two interactions, which are validation's and the test's."""
    read, _ = made(place, inputs, tasks=tuple(HISTORIES))
    codes = Codes.read(inputs["codes"]).codes
    for row in rows(read):
        items = USERS[row["user"]]
        seen = {spell(codes[i]) for i in items[:-2]} | {TITLES[i] for i in items[:-2]}
        assert {*row["pieces"], row["response"]} <= seen


def test_the_prompts_are_the_tasks_own(place, inputs):
    read, _ = made(place, inputs)
    known = {kind: instructions.Config().prompts(kind)[0] for kind in ALL}
    assert {(r["task"], r["head"], r["tail"], r["separator"]) for r in rows(read)} == {(k, *known[k]) for k in ALL}
    example = next(r for r in rows(read) if r["task"] == "next" and len(r["pieces"]) == 2)
    text = example["head"] + SEPARATOR.join(example["pieces"]) + example["tail"]
    assert text.count("<a_") == 2
    assert text.startswith("Items so far:\n<a_")
    assert text.endswith(">\nNext item:")


def test_weights_say_how_often_a_source_is_asked(place, inputs):
    read, _ = made(place, inputs, tasks=("next", "title_to_sid"), weights=(0.25, 3.0))
    found, wanted = counted(rows(read)), expected(inputs, "train")
    assert sum(found["next"].values()) == round(0.25 * sum(wanted["next"].values()))
    assert found["next"] <= wanted["next"]
    assert found["title_to_sid"] == Counter(dict.fromkeys(wanted["title_to_sid"], 3))


def test_each_row_has_one_of_several_wordings_and_nothing_else_changes(place, inputs, monkeypatch):
    """By seed and by the row's number alone: not by the files; a repeated row draws again; validation has the first."""
    plain, _ = made(place / "plain", inputs, tasks=ALL, valid_rows=0)
    read, _ = made(place, inputs, wordings="lcrec", valid_rows=0)
    config = instructions.Config(wordings="lcrec")
    for split in ("train", "valid"):
        assert counted(rows(read, split)) == counted(rows(plain, split))
    for kind in ALL:
        drawn = {(r["head"], r["tail"], r["separator"]) for r in rows(read) if r["task"] == kind}
        assert drawn == {tuple(prompt) for prompt in config.prompts(kind)}
        [valid] = {(r["head"], r["tail"], r["separator"]) for r in rows(read, "valid") if r["task"] == kind}
        assert valid == config.prompts(kind)[0]

    def drawn_in(where, **settings):
        found, _ = made(place / where, inputs, wordings="lcrec", **settings)
        return Counter((r["task"], r["user"], r["target"], r["response"], r["head"]) for r in rows(found))

    monkeypatch.setattr(instructions, "ROWS_PER_FILE", 100)
    assert drawn_in("files") == drawn_in("again")
    assert drawn_in("files-too", seed=7) != drawn_in("again-too")
    threefold = drawn_in("threefold", tasks=("sid_to_title",), weights=(6.0,))
    assert len({head for _, _, target, _, head in threefold if target == 3}) > 1


def test_the_thesiss_wording_says_the_category(place, inputs):
    read, _ = made(place, inputs, wordings="thesis", category="Office Product")
    asked = {r["task"]: r["head"] + r["separator"].join(r["pieces"]) + r["tail"] for r in rows(read)}
    assert asked["next"].startswith("The user has interacted with items <a_")
    assert asked["titles_to_title"].startswith("The user has played the following Office Products before: item ")
    assert 'the following Office Product items in chronological order: "item' in asked["titles_to_sid"]
    prompts = read.prompts()
    assert prompts.next == instructions.Config(tasks=("next",), wordings="thesis").prompts("next")[0]
    assert prompts.title_to_sid.head == "Which item has the title: "


def test_at_most_takes_a_seeded_share_of_all_rows(place, inputs):
    read, counts = made(place, inputs, tasks=("next", "title_to_sid"), at_most=(20, 0))
    found, wanted = counted(rows(read)), expected(inputs, "train")
    assert (counts["tasks"]["next"]["train"], counts["tasks"]["title_to_sid"]["train"]) == (20, N)
    assert found["next"] <= wanted["next"]
    again, _ = made(place / "again", inputs, tasks=("next", "title_to_sid"), at_most=(20, 0), wordings="lcrec")
    assert counted(rows(again)) == found
    other, _ = made(place / "other", inputs, tasks=("next", "title_to_sid"), at_most=(20, 0), seed=7)
    assert counted(rows(other)) != found


def described(place, texts):
    inputs = inputs_at(place)
    columns = {"item_id": TITLES, "title": TITLES, "text": TITLES, "about": pa.array(texts, pa.string())}
    write_table(inputs["catalog"], "items", 0, pa.table(columns))
    return inputs


def test_descriptions_answer_and_ask(place):
    """Of items that have one, as one line, cut between words; the others make no row and are counted."""
    texts = [f"It is the {i}th.\nSecond line: of many words" if i % 4 else None for i in range(N)]
    kinds = ("description_to_sid", "sid_to_description", "next_description")
    inputs = described(place, texts)
    read, counts = made(place, inputs, tasks=kinds, description="about", description_length=24)
    assert counts["items_without_description"] == N // 4
    codes = Codes.read(inputs["codes"]).codes
    for row in rows(read):
        told = f"It is the {row['target']}th. Second"
        sid = spell(codes[row["target"]])
        if row["task"] == "description_to_sid":
            assert (row["pieces"], row["response"]) == ([told], sid)
        else:
            assert row["response"] == told
    assert {r["target"] for r in rows(read) if r["task"] == "sid_to_description"} == {i for i in range(N) if i % 4}
    with pytest.raises(DataError, match=r"its items have no column 'description'.*they have item_id, title, text"):
        made(place / "unnamed", inputs, tasks=kinds)
    bare = described(place / "bare", [""] * N)
    with pytest.raises(DataError, match=rf"task 'sid_to_description' has no row, because {N} of {N} items have no d"):
        made(place / "bare", bare, tasks=("next", "sid_to_description"), description="about")


def test_two_tasks_ask_about_every_token(place, inputs):
    """One answers with the token, one entry; the other with what its items share. No item is their target."""
    table = [("<a_1>", 0, 1, "What they share: pens."), ("<b_2>", 1, 2, ""), ("<c_0>", 2, 0, "What they share: <ink>.")]
    at = place / "keywords"
    rows_of = [(t, level, code, 4, ["pens"], 0.5, told) for t, level, code, told in table]
    columns = zip(SCHEMA, zip(*rows_of, strict=True), strict=True)
    write_table(at, "tokens", 0, pa.table({field.name: pa.array(values, field.type) for field, values in columns}))
    ring.record(at, "keywords", {}, {})
    kinds = ("next", "text_to_token", "token_to_text")
    read, counts = made(place, inputs | {"keywords": at}, tasks=kinds)
    asked = [r for r in rows(read) if r["task"] != "next"]
    assert {(r["task"], *r["pieces"], r["response"]) for r in asked} == {
        ("text_to_token", "What they share: pens.", "<a_1>"),
        ("token_to_text", "<a_1>", "What they share: pens."),
        ("text_to_token", "What they share: ‹ink›.", "<c_0>"),
        ("token_to_text", "<c_0>", "What they share: ‹ink›."),
    }
    assert {(r["user"], r["target"]) for r in asked} == {(-1, -1)}
    assert counts["tasks"]["text_to_token"] == {"train": 2, "valid": 2, "skipped": 2}
    assert instructions.inputs(instructions.Config(tasks=kinds)) == ("catalog", "codes", "keywords", "sequences")


def test_settings_that_change_nothing_bear_no_identity():
    plain = to_record(instructions.Config(), identity=True)
    assert plain == to_record(instructions.Config(category="Gift", description="x", at_most=()), identity=True)
    assert set(plain) == {"tasks", "weights", "valid_rows", "seed"}
    assert "category" in to_record(instructions.Config(wordings="thesis", category="Gift"), identity=True)


def test_every_file_is_the_same_mixture(place, inputs, monkeypatch):
    whole, _ = made(place / "whole", inputs)
    monkeypatch.setattr(instructions, "ROWS_PER_FILE", 100)
    monkeypatch.setattr(instructions, "ROWS_PER_GROUP", 32)
    read, counts = made(place, inputs)
    files = [n for n in read.place.sizes() if n.startswith("train-")]
    assert len(files) == -(-counts["train"] // 100) > 3
    assert counted(rows(read)) == counted(rows(whole))
    for name in files:
        file = pq.ParquetFile(read.place.open(name))
        tasks = Counter(file.read(["task"])["task"].to_pylist())
        for kind in ALL:
            assert tasks[kind] == pytest.approx(counts["tasks"][kind]["train"] / len(files), abs=1)
        assert all(file.metadata.row_group(g).num_rows <= 32 for g in range(file.num_row_groups))
        order = file.read(["task"])["task"].to_pylist()
        changes = sum(a != b for a, b in itertools.pairwise(order))
        assert changes > len(order) / 2, "tasks lie mixed"


def test_the_seed_decides_and_the_workers_do_not(place, inputs, monkeypatch):
    monkeypatch.setattr(instructions, "ROWS_PER_FILE", 100)
    first, _ = made(place, inputs)
    again, _ = made(place / "again", inputs, Backwards())
    other, _ = made(place / "other", inputs, seed=7)
    assert rows(first) == rows(again)
    assert first.place.read("train-00000.parquet") == again.place.read("train-00000.parquet")
    assert rows(first) != rows(other)
    assert counted(rows(first)) == counted(rows(other))


class Backwards(LocalCompute):
    """Machines that do the last part first, every part in a worker of its own."""

    def map(self, parts, *steps):
        for part in reversed(parts):
            yield from super().map([part], *steps)


def test_titles_that_would_break_a_prompt_are_made_harmless(place):
    titles = list(TITLES)
    titles[3], titles[4], titles[5] = "two\nlines", "like <a_1><b_2><c_0>", "x\nNext item:"
    read, counts = made(place, inputs_at(place, titles))
    assert counts["titles_cleaned"] == 3
    found = {r["target"]: r["response"] for r in rows(read) if r["task"] == "sid_to_title"}
    assert (found[3], found[4], found[5]) == ("two lines", "like ‹a_1›‹b_2›‹c_0›", "x Next item")


def test_items_without_a_title_are_left_out_of_title_tasks_only(place):
    titles = [None if i % 2 else "" if i % 3 == 0 else t for i, t in enumerate(TITLES)]
    inputs = inputs_at(place, titles)
    read, counts = made(place, inputs)
    named = {i for i, title in enumerate(titles) if title}
    found, wanted = counted(rows(read)), expected(inputs, "train", [t or "" for t in titles])
    assert counts["items_without_title"] == N - len(named)
    assert found["next"] == wanted["next"]
    assert {target for _, target, _, _ in found["sid_to_title"]} == named
    assert found["next_title"] == Counter({k: n for k, n in wanted["next_title"].items() if k[3]})
    without = Counter()
    for (user, target, pieces, response), number in wanted["titles_to_sid"].items():
        if any(pieces):
            without[user, target, tuple(p for p in pieces if p), response] += number
    assert found["titles_to_sid"] == without
    for kind in ALL:
        made_of = sum(wanted[kind].values()) - counts["tasks"][kind]["train"]
        valid = sum(expected(inputs, "valid")[kind].values()) - counts["tasks"][kind]["valid"]
        assert counts["tasks"][kind]["skipped"] == made_of + valid


def test_a_catalog_without_titles_is_refused_by_the_tasks_that_need_them(place):
    inputs = inputs_at(place, [""] * N)
    with pytest.raises(DataError, match=rf"task 'title_to_sid' has no row, because {N} of {N} items have no title"):
        made(place, inputs)
    read, _ = made(place / "next", inputs, tasks=("next",))
    assert counted(rows(read))["next"] == expected(inputs, "train")["next"]


def test_an_index_of_another_catalog_is_refused(place, inputs):
    inputs["codes"] = ring.write_index(place / "fewer", N - 1)
    with pytest.raises(ArtifactError, match=f"has codes for {N - 1} items, the catalog .* has {N}"):
        made(place, inputs)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"tasks": ()}, "must be some tasks, each once"),
        ({"tasks": ("next", "next")}, "must be some tasks, each once"),
        ({"tasks": ("nxt",)}, "no kind 'nxt'; did you mean 'next'"),
        ({"weights": (1.0,)}, "must be a positive number for each"),
        ({"tasks": ("next",), "weights": (0.0,)}, "weights: is 0.0; must be above 0"),
        ({"tasks": ("next",), "weights": (float("nan"),)}, "weights: is nan; must be a finite number"),
        ({"at_most": (3,)}, "at_most: .* must be a number of rows for each"),
        ({"wordings": "thesis"}, "category: is empty, but the wording 'The user has played the .* must be a word for"),
        ({"valid_rows": -1}, "valid_rows: is -1; must be at least 0"),
    ],
)
def test_settings_that_make_no_sense(settings, message):
    with pytest.raises(ConfigError, match=message):
        instructions.Config(**settings)
