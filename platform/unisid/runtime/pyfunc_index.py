"""The registered SID index: item id -> semantic id, and semantic id or prefix -> item ids.

Input: a table with the column `key`; the parameter `direction` is `item_to_sid` or `sid_to_items`.
Output: `sid` (spelled) and `item_ids`, one row a key.
"""

from typing import Any

import mlflow
import pandas as pd

from unisid.artifacts.catalog import Catalog
from unisid.artifacts.codes import Codes
from unisid.artifacts.store import Place
from unisid.errors import ConfigError, DataError
from unisid.ops.semantic_ids import parse, spell


class SIDIndex(mlflow.pyfunc.PythonModel):
    """Lookup both ways over one version of the index."""

    def load_context(self, context: Any) -> None:
        self.codes = Codes.read(Place.of(context.artifacts["codes"]))
        self.item_ids = Catalog.read(Place.of(context.artifacts["catalog"])).item_ids.to_pylist()
        self.item_of = {item_id: item for item, item_id in enumerate(self.item_ids)}

    def predict(self, context: Any, model_input: pd.DataFrame, params: dict[str, Any] | None = None) -> pd.DataFrame:
        direction = (params or {}).get("direction", "item_to_sid")
        if direction == "item_to_sid":
            rows = [self._sid(str(key)) for key in model_input["key"]]
        elif direction == "sid_to_items":
            rows = [self._items(str(key)) for key in model_input["key"]]
        else:
            raise ConfigError(f"SID index: direction '{direction}'; must be 'item_to_sid' or 'sid_to_items'")
        return pd.DataFrame(rows, columns=["sid", "item_ids"])

    def _sid(self, item_id: str) -> tuple[str, list[str]]:
        if item_id not in self.item_of:
            raise DataError(f"SID index: no item '{item_id}' in this index of {len(self.item_ids)} items")
        return spell(tuple(self.codes.codes[self.item_of[item_id]].tolist())), [item_id]

    def _items(self, text: str) -> tuple[str, list[str]]:
        prefix = parse(text)
        return spell(prefix), [self.item_ids[item] for item in self.codes.find(prefix)]


mlflow.models.set_model(SIDIndex())
