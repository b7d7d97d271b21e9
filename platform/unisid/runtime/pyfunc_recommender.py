"""The registered recommender: item ids and texts in, ranked items and titles out.

Input: a table with one of four columns. Each row is answered, or its `problem` says why not:

    history   lists of item ids, oldest first  ->  item_ids, titles, scores: what comes next
    text      words                            ->  item_ids, titles, scores: the items that they name
    item_id   item ids                         ->  title: what the model itself calls the item
    sid       semantic ids, '<a_1><b_2><c_3>'  ->  title: the same, of the item that has it

The last three need a model that reads and writes words (lcrec). Items of a history that the catalogue lacks are
skipped, and `problem` names them. Parameters: `k`; and for histories `exclude_history`, and `allowed`, the item ids
that may be recommended (in stock, sold in a market; ["*"]: all of them). A column `allowed` beside `history` does the
same for each row (null: all of them); where both are given, an item must be in both. Ids that the catalogue lacks
allow nothing.

`mlflow.pyfunc.load_model(uri, model_config={"codes": PATH})` serves with another copy of the index: any index but the
one it was trained on is refused.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import mlflow
import numpy as np
import pandas as pd
from numpy.typing import NDArray

from unisid.artifacts.catalog import Catalog
from unisid.artifacts.codes import Codes
from unisid.artifacts.store import Place
from unisid.errors import ConfigError, DataError
from unisid.ops.prompts import clean
from unisid.ops.semantic_ids import parse
from unisid.runtime import served
from unisid.serving import ids
from unisid.serving.inputs import beams
from unisid.serving.recommender import Answer, Recommender

COLUMNS = ("history", "text", "item_id", "sid")
EVERY = ["*"]
RANKED: Mapping[str, Any] = {"item_ids": [], "titles": [], "scores": []}
Rows = list[dict[str, Any]]


class Recommending(mlflow.pyfunc.PythonModel):
    """Ranks items for histories and texts, under the trie of the model's own index."""

    def load_context(self, context: Any) -> None:
        places = {noun: Place.of(path) for noun, path in context.artifacts.items()}
        model, catalog_place = places.pop("model"), places.pop("catalog")
        codes = Place.of((context.model_config or {}).get("codes") or places["codes"].uri)
        self.recommender = Recommender.load(model, codes, catalog_place, vectors=places)
        self.codes = Codes.read(codes)
        catalog = Catalog.read(catalog_place)
        self.item_ids, self.titles = catalog.item_ids.to_pylist(), catalog.titles.to_pylist()
        self.item_of = {item_id: item for item, item_id in enumerate(self.item_ids)}

    def predict(self, context: Any, model_input: pd.DataFrame, params: dict[str, Any] | None = None) -> pd.DataFrame:
        settings: dict[str, Any] = {"k": 10, "exclude_history": True, "allowed": EVERY} | (params or {})
        with served.refusals():
            column = served.filled_column(model_input, COLUMNS, "recommender")
            values, k = model_input[column].tolist(), int(settings["k"])
            limits = list(model_input["allowed"]) if "allowed" in model_input else [None] * len(values)
            if column != "history" and (list(settings["allowed"]) != EVERY or any(map(_is_given, limits))):
                raise ConfigError(f"recommender: 'allowed' is for histories, not for '{column}'; leave it out")
            if column in ("history", "text"):  # also where no row can be answered
                beams(k, None, len(self.item_ids))
            if column == "history":
                return self._ranked(values, limits, k, bool(settings["exclude_history"]), list(settings["allowed"]))
            if column == "text":
                return served.answered(
                    values, _words, lambda texts, _: self._rows(self.recommender.find(texts, k)), RANKED
                )
            read = self._item if column == "item_id" else self._bearer
            return served.answered(values, read, self._called, {"title": ""})

    def _ranked(self, values: list[Any], limits: list[Any], k: int, exclude: bool, allowed: list[str]) -> pd.DataFrame:
        common = None if allowed == EVERY else self._mask(allowed)

        def read(pair: tuple[Any, Any]) -> tuple[Any, str]:
            history, skipped = ids.item_numbers(pair[0], self.item_of)
            own = self._mask(ids.ids_of(pair[1], "allowed")) if _is_given(pair[1]) else None
            return (history, own), skipped

        def answer(found: list[Any], _: list[int]) -> Rows:
            mask = common
            if any(own is not None for _, own in found):
                every = np.ones(len(self.item_ids), bool) if common is None else common
                mask = np.stack([every if own is None else every & own for _, own in found])
            return self._rows(self.recommender.rank([history for history, _ in found], k, exclude, allowed=mask))

        return served.answered(list(zip(values, limits, strict=True)), read, answer, RANKED)

    def _mask(self, item_ids: Sequence[str]) -> NDArray[np.bool_]:
        mask = np.zeros(len(self.item_ids), bool)
        mask[[self.item_of[item_id] for item_id in item_ids if item_id in self.item_of]] = True
        return mask

    def _rows(self, answer: Answer) -> Rows:
        return [
            self._row(items[items >= 0].tolist(), scores[items >= 0]) for items, scores in zip(*answer, strict=True)
        ]

    def _row(self, items: list[int], scores: NDArray[np.float32]) -> dict[str, Any]:
        return {
            "item_ids": [self.item_ids[item] for item in items],
            "titles": [self.titles[item] or "" for item in items],
            "scores": scores.tolist(),
            served.PROBLEM: "" if items else "no item may be recommended: each is in the history or not allowed",
        }

    def _called(self, items: list[int], _: list[int]) -> Rows:
        return [{"title": title} for title in self.recommender.title_of(items)]

    def _item(self, value: Any) -> tuple[int, str]:
        item_id = ids.text_of(value, "item_id")
        if item_id not in self.item_of:
            raise DataError(f"item_id: no item {ids.some([item_id])} in its catalogue of {len(self.item_ids)} items")
        return self.item_of[item_id], ""

    def _bearer(self, value: Any) -> tuple[int, str]:
        """The item that has a whole semantic id."""
        sid = ids.text_of(value, "sid")
        codes = parse(sid)
        found = self.codes.find(codes) if len(codes) == self.codes.num_levels else ()
        if len(found) != 1:
            raise DataError(
                f"sid: no item has the semantic id {ids.some([sid])}; must be one of its index, of "
                f"{self.codes.num_levels} codes"
            )
        return int(found[0]), ""


def _words(value: Any) -> tuple[str, str]:
    text = ids.text_of(value, "text")
    if not clean(text):
        raise DataError(f"text: {ids.some([text])} has no words in it; must have at least one")
    return text, ""


def _is_given(value: Any) -> bool:
    return value is not None and not (isinstance(value, float) and np.isnan(value))


mlflow.models.set_model(Recommending())
