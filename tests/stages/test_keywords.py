"""Keywords of tokens: what the table holds, by hand; what columns say; what a model writes; what is refused."""

import itertools

import numpy as np
import pyarrow as pa
import pytest

from tests.backbones.models import language_model
from tests.stages import ring
from unisid.artifacts.codes import write_codes
from unisid.artifacts.keywords import SCHEMA, Keywords
from unisid.artifacts.tables import read_table, write_table
from unisid.errors import ArtifactError, DataError
from unisid.runtime.local import LocalCompute
from unisid.stages import keywords
from unisid.stages.keywords import writing

N = 24
COLORS, KINDS = ["red", "green", "blue"], ["lamp", "table", "chair", "vase"]
CODES = np.stack([np.arange(N) // 8, np.arange(N) % 4, np.arange(N) // 4 % 2], 1)


def shop(place, **columns):
    """An item's first code is its color, its second its kind."""
    found = {"catalog": ring.write_catalog(place / "catalog", ring.walks(8, N), N), "codes": place / "codes"}
    titles = [f"{COLORS[a]} {KINDS[b]} number {n}" for n, (a, b, _) in enumerate(CODES)]
    write_table(found["catalog"], "items", 0, pa.table({"item_id": titles, "title": titles, "text": titles, **columns}))
    write_codes(place / "codes", CODES, (3, 4, 2))
    ring.record(place / "codes", "codes", {}, {"sizes": [3, 4, 2]})
    return found


def made(place, inputs, **settings):
    out, config = place / "keywords", keywords.Config(**settings)
    counts = keywords.make(ring.job(config, inputs, out, LocalCompute()))
    ring.record(out, "keywords", {}, counts)
    return Keywords.read(out), counts


def test_every_token_that_an_item_has_is_named_by_what_its_items_share(place):
    read, counts = made(place, shop(place), most=1, fewest=0)
    words = dict(zip(read.tokens.to_pylist(), read.words, strict=True))
    assert [words[f"<a_{n}>"] for n in range(3)] == [[color] for color in COLORS]
    assert [words[f"<b_{n}>"] for n in range(4)] == [[kind] for kind in KINDS]
    assert (read.level.tolist(), read.code.tolist()) == ([0] * 3 + [1] * 4 + [2] * 2, [0, 1, 2, 0, 1, 2, 3, 0, 1])
    assert read_table(read.place, "tokens").schema == SCHEMA
    assert read.coverage[:7].tolist() == [1.0] * 7
    assert read.descriptions[0].as_py() == "What they share: red."
    assert counts["tokens"] == 9
    assert counts["levels"]["a"] == {"tokens": 3, "coverage": 1.0, "low": 0}


def test_columns_say_where_words_are_looked_for_and_what_is_no_keyword(place):
    brands = [["Acme", "Lodge"][n % 2] for n in range(N)]
    lines = [f"{brand} ware" for brand in brands]
    kinds = [["Kitchen", "Home", "Garden"][n // 8] for n in range(N)]
    inputs = shop(place, line=lines, brand=brands, kind=kinds)
    read, _ = made(place, inputs, text=("title", "line"), brand="brand", categories="kind")
    assert not {"acme", "lodge"} & {word for own in read.words for term in own for word in term.split()}
    assert read.descriptions[0].as_py().endswith("Mostly of Kitchen.")
    with pytest.raises(
        DataError, match=r"no column 'brnd'; did you mean 'brand'.*: set keywords.brand to what there is"
    ):
        made(place / "typo", inputs, brand="brnd")


def test_texts_that_share_nothing_are_said_to(place, caplog):
    inputs = shop(place, odd=[f"{chr(97 + n)}word{chr(97 + n)}" for n in range(N)])
    read, counts = made(place, inputs, text=("odd",), fewest=0)
    assert read.words == [[]] * 9
    assert read.descriptions.to_pylist() == [""] * 9
    assert counts["levels"]["b"]["low"] == 4
    assert "4 of the 4 tokens of level b have keywords that fewer than 10% of their items share" in caplog.text


def test_a_language_model_may_write_the_descriptions(place, tmp_path, monkeypatch):
    """It is told what the items are; where it says nothing, the sentence stays; it is part of what is made."""
    config = {"written": str(language_model(tmp_path / "model")), "items_shown": 2, "most": 1, "fewest": 0}
    monkeypatch.setattr(writing, "LONGEST", 8)
    inputs = shop(place)
    read, _ = made(place, inputs, **config)
    assert not any(text.as_py().startswith("What they share") for text in read.descriptions)
    asked, said = [], itertools.cycle(["Warm.\n Soft.", ""])
    monkeypatch.setattr(writing.Writer, "_answer", lambda _, question: asked.append(question) or next(said))
    half, _ = made(place / "half", inputs, **config)
    assert half.descriptions.to_pylist()[:3] == ["Warm. Soft.", "What they share: green.", "Warm. Soft."]
    assert asked[0].count("\n- red") == 2
    assert "Words that many of them share: red." in asked[0]
    assert "language" in keywords.sources(keywords.Config(**config))
    assert keywords.sources(keywords.Config()) == {}


def test_an_index_of_another_catalog_is_refused(place):
    inputs = shop(place)
    inputs["codes"] = ring.write_index(place / "fewer", N - 1)
    with pytest.raises(ArtifactError, match=f"has codes for {N - 1} items, the catalog .* has {N}"):
        made(place, inputs)
