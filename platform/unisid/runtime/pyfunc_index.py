"""The registered SID index: item id -> semantic id, and semantic id or prefix -> item ids.

Input: a table with the column `key`; the parameter `direction` is `item_to_sid` or `sid_to_items`.
Output: `sid` (spelled), `item_ids`, and a `problem` where a key has no answer; one row a key.
"""

from typing import Any

import mlflow
import pandas as pd

from unisid.artifacts.catalog import Catalog
from unisid.artifacts.codes import Codes
from unisid.artifacts.store import Place
from unisid.errors import ConfigError, DataError
from unisid.ops.semantic_ids import parse, spell
from unisid.runtime import served
from unisid.serving import ids


class SIDIndex(mlflow.pyfunc.PythonModel):
    """Lookup both ways over one version of the index."""

    def load_context(self, context: Any) -> None:
        self.codes = Codes.read(Place.of(context.artifacts["codes"]))
        self.item_ids = Catalog.read(Place.of(context.artifacts["catalog"])).item_ids.to_pylist()
        self.item_of = {item_id: item for item, item_id in enumerate(self.item_ids)}

    def predict(self, context: Any, model_input: pd.DataFrame, params: dict[str, Any] | None = None) -> pd.DataFrame:
        with served.refusals():
            direction = (params or {}).get("direction", "item_to_sid")
            if direction not in ("item_to_sid", "sid_to_items"):
                raise ConfigError(f"SID index: direction '{direction}'; must be 'item_to_sid' or 'sid_to_items'")
            keys = model_input[served.filled_column(model_input, ("key",), "SID index")].tolist()
            read = self._sid if direction == "item_to_sid" else self._items
            return served.answered(keys, read, lambda rows, _: rows, {"sid": "", "item_ids": []})

    def _sid(self, key: Any) -> tuple[dict[str, Any], str]:
        item_id = ids.text_of(key, "key")
        if item_id not in self.item_of:
            raise DataError(f"key: no item {ids.some([item_id])} in this index of {len(self.item_ids)} items")
        return {"sid": spell(tuple(self.codes.codes[self.item_of[item_id]].tolist())), "item_ids": [item_id]}, ""

    def _items(self, key: Any) -> tuple[dict[str, Any], str]:
        prefix = parse(ids.text_of(key, "key"))
        found = [self.item_ids[item] for item in self.codes.find(prefix)]
        return {"sid": spell(prefix), "item_ids": found}, "" if found else "key: no item has this semantic id or prefix"


mlflow.models.set_model(SIDIndex())
