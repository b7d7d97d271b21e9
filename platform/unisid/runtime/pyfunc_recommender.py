"""The registered recommender: histories of item ids -> ranked item ids with scores.

Input: a table with the column `history` (a list of item ids, oldest first); parameters `k` and `exclude_history`.
`mlflow.pyfunc.load_model(uri, model_config={"codes": PATH})` serves with another copy of the index: any index but
the one it was trained on is refused.
"""

from typing import Any

import mlflow
import numpy as np
import pandas as pd

from unisid.artifacts.catalog import Catalog
from unisid.artifacts.store import Place
from unisid.errors import DataError
from unisid.recommend import Recommender


class Recommending(mlflow.pyfunc.PythonModel):
    """Ranks items for histories, under the trie of the model's own index."""

    def load_context(self, context: Any) -> None:
        places = {noun: Place.of(path) for noun, path in context.artifacts.items()}
        codes = Place.of((context.model_config or {}).get("codes") or places["codes"].uri)
        self.recommender = Recommender.load(places["model"], codes, places["catalog"])
        self.item_ids = Catalog.read(places["catalog"]).item_ids.to_pylist()
        self.item_of = {item_id: item for item, item_id in enumerate(self.item_ids)}

    def predict(self, context: Any, model_input: pd.DataFrame, params: dict[str, Any] | None = None) -> pd.DataFrame:
        settings = {"k": 10, "exclude_history": True} | (params or {})
        histories = [self._numbers(history) for history in model_input["history"]]
        items, scores = self.recommender.rank(histories, int(settings["k"]), bool(settings["exclude_history"]))
        return pd.DataFrame(
            {
                "item_ids": [[self.item_ids[i] for i in row if i >= 0] for row in items],
                "scores": [row[found >= 0].tolist() for row, found in zip(scores, items, strict=True)],
            }
        )

    def _numbers(self, history: Any) -> np.ndarray[Any, Any]:
        unknown = [item_id for item_id in history if item_id not in self.item_of]
        if unknown:
            raise DataError(f"recommender: no item '{unknown[0]}' in its catalogue of {len(self.item_ids)} items")
        return np.array([self.item_of[item_id] for item_id in history], np.int64)


mlflow.models.set_model(Recommending())
