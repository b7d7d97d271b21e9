"""The registered recommender: item ids and texts in, ranked items and titles out.

Input: a table with one of four columns; parameters `k` and `exclude_history` (of histories).

    history   lists of item ids, oldest first  ->  item_ids, titles, scores: what comes next
    text      words                            ->  item_ids, titles, scores: the items that they name
    item_id   item ids                         ->  title: what the model itself calls the item
    sid       semantic ids, '<a_1><b_2><c_3>'  ->  title: the same, of the item that has it

The last three need a model that speaks words (lcrec). `mlflow.pyfunc.load_model(uri, model_config={"codes": PATH})`
serves with another copy of the index: any index but the one it was trained on is refused.
"""

from collections.abc import Iterable
from typing import Any

import mlflow
import numpy as np
import pandas as pd
from numpy.typing import NDArray

from unisid.artifacts.catalog import Catalog
from unisid.artifacts.codes import Codes
from unisid.artifacts.store import Place
from unisid.errors import DataError
from unisid.ops.semantic_ids import parse
from unisid.recommend import Answer, Recommender

COLUMNS = ("history", "text", "item_id", "sid")


class Recommending(mlflow.pyfunc.PythonModel):
    """Ranks items for histories and texts, under the trie of the model's own index."""

    def load_context(self, context: Any) -> None:
        places = {noun: Place.of(path) for noun, path in context.artifacts.items()}
        codes = Place.of((context.model_config or {}).get("codes") or places["codes"].uri)
        self.recommender = Recommender.load(places["model"], codes, places["catalog"])
        self.codes = Codes.read(codes)
        catalog = Catalog.read(places["catalog"])
        self.item_ids, self.titles = catalog.item_ids.to_pylist(), catalog.titles.to_pylist()
        self.item_of = {item_id: item for item, item_id in enumerate(self.item_ids)}

    def predict(self, context: Any, model_input: pd.DataFrame, params: dict[str, Any] | None = None) -> pd.DataFrame:
        settings = {"k": 10, "exclude_history": True} | (params or {})
        asked = [name for name in COLUMNS if name in model_input and model_input[name].notna().any()]
        if len(asked) != 1:
            raise DataError(f"recommender: the input has {asked or 'none'} of the columns {', '.join(COLUMNS)}; must "
                            "be exactly one")  # fmt: skip
        values, k = model_input[asked[0]].tolist(), int(settings["k"])
        self._check(asked[0], values)
        if asked[0] in ("item_id", "sid"):
            items = self._numbers(values).tolist() if asked[0] == "item_id" else [self._bearer(sid) for sid in values]
            return pd.DataFrame({"title": self.recommender.title_of(items)})
        if asked[0] == "text":
            return self._named(self.recommender.find(values, k))
        histories = [self._numbers(history) for history in values]
        return self._named(self.recommender.rank(histories, k, bool(settings["exclude_history"])))

    def _check(self, column: str, values: list[Any]) -> None:
        wanted = (list, tuple, np.ndarray) if column == "history" else str
        for row, value in enumerate(values):
            if not isinstance(value, wanted):
                what = "a list of item ids" if column == "history" else "text"
                raise DataError(f"recommender: {column} of row {row} is {value!r}; must be {what}")

    def _named(self, answer: Answer) -> pd.DataFrame:
        found = [(row[row >= 0], scores[row >= 0]) for row, scores in zip(*answer, strict=True)]
        return pd.DataFrame(
            {
                "item_ids": [[self.item_ids[item] for item in items] for items, _ in found],
                "titles": [[self.titles[item] for item in items] for items, _ in found],
                "scores": [scores.tolist() for _, scores in found],
            }
        )

    def _numbers(self, item_ids: Iterable[Any]) -> NDArray[np.int64]:
        known = list(item_ids)
        unknown = [item_id for item_id in known if item_id not in self.item_of]
        if unknown:
            raise DataError(f"recommender: no item '{unknown[0]}' in its catalogue of {len(self.item_ids)} items")
        return np.array([self.item_of[item_id] for item_id in known], np.int64)

    def _bearer(self, sid: str) -> int:
        """The item that has a whole semantic id."""
        codes = parse(sid)
        found = self.codes.find(codes) if len(codes) == self.codes.num_levels else ()
        if len(found) != 1:
            raise DataError(f"recommender: no item has the semantic id '{sid}'; must be one of its index, of "
                            f"{self.codes.num_levels} codes")  # fmt: skip
        return int(found[0])


mlflow.models.set_model(Recommending())
