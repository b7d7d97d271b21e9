"""The model: a trained recommender and the fingerprint of the codes it was trained on.

`model.safetensors`, `backbone.json` (the settings that build it), and beside them whatever the library of a language
model needs to load the weights on its own (`config.json`, `tokenizer.json`, ...) and
`new_rows.safetensors`, the rows of its new tokens before training and after. Loading it with other codes is
refused; only an index that extends the one it was trained on will do, as far as its levels have not grown.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow.compute as pc
from numpy.typing import NDArray
from torch import Tensor

from unisid.artifacts.catalog import Catalog
from unisid.artifacts.codes import Codes
from unisid.artifacts.curve import FILE as CURVE
from unisid.artifacts.reading import contents, damaged, whole
from unisid.artifacts.record import RECORD, Record, read_record, require
from unisid.artifacts.store import Place
from unisid.artifacts.weights import read_json, read_weights, write_json, write_weights
from unisid.errors import ArtifactError

WEIGHTS, BACKBONE, NEW_ROWS = "model.safetensors", "backbone.json", "new_rows.safetensors"


def write_model(
    place: Place, backbone: dict[str, Any], weights: Mapping[str, Tensor], files: Mapping[str, bytes] | None = None
) -> None:
    """Write a trained backbone: the settings that build it, as `config.to_record` gives them, its weights, and what
    must lie beside them."""
    write_weights(place, WEIGHTS, weights)
    for name, data in (files or {}).items():
        with place.writing(name) as stream:
            stream.write(data)
    write_json(place, BACKBONE, backbone)


@dataclass(frozen=True)
class Model:
    """A read model."""

    place: Place
    record: Record

    @classmethod
    def read(cls, place: Place, codes: Codes, goes_on: bool = False) -> "Model":
        """Raises ArtifactError where the model was not trained on these codes or on some that they extend.

        Args:
            goes_on: it is only to be trained further: codes that are named after those that it was trained on will do.
        """
        record = require(place, "model")
        trained_on = record.inputs.get("codes")
        if trained_on is None:
            raise damaged(place, RECORD, "names no codes that the model was trained on")
        if goes_on and codes.refreshes.get("spoken", {}).get(trained_on["fingerprint"]) == list(codes.sizes):
            return cls(place, record)
        if trained_on["fingerprint"] not in (codes.record.fingerprint, *codes.extends):
            raise ArtifactError(
                f"{place}: was trained on the codes {trained_on['address']} ({trained_on['fingerprint'][:12]}), not "
                f"{codes.record.address} ({codes.record.fingerprint[:12]}); load it with the index it was trained on"
            )
        if trained_on["fingerprint"] != codes.record.fingerprint:
            with whole(codes.place, RECORD, "the record of an extension"):
                sizes = codes.extension["spoken"][trained_on["fingerprint"]]
            if sizes != list(codes.sizes):
                raise ArtifactError(
                    f"{place}: was trained on the tokens of {trained_on['address']}, whose levels have {sizes} codes; "
                    f"{codes.record.address} extends it and has {list(codes.sizes)}: train a recommender on that index"
                )
        return cls(place, record)

    def backbone(self) -> dict[str, Any]:
        """The settings of the backbone, as `config.from_record` reads them."""
        return read_json(self.place, BACKBONE)

    def weights(self) -> dict[str, Tensor]:
        """The backbone's weights, by name, on the CPU."""
        return read_weights(self.place, WEIGHTS)

    def new_rows(self) -> dict[str, Tensor]:
        """The rows of a language model's new tokens [M, D]: 'first' before training, 'last' after; else empty."""
        return read_weights(self.place, NEW_ROWS) if NEW_ROWS in self.place.sizes() else {}

    def files(self) -> dict[str, bytes]:
        """Files beside the weights that other libraries read: name -> content."""
        known = {WEIGHTS, BACKBONE, NEW_ROWS, RECORD, CURVE}
        names = self.record.files or self.place.sizes()  # files added later by others are not the model's
        return {name: contents(self.place, name) for name in names if name not in known}


def numbers_before(place: Place, codes: Codes, catalog: Catalog) -> NDArray[np.int64] | None:
    """The number [N] that each item had where weights were trained, -1 for one that came later; None where they were
    trained on this index or one that it extends, so that items have kept their numbers."""
    record = read_record(place)
    inputs = {} if record is None else record.inputs
    if "codes" not in inputs or inputs["codes"]["fingerprint"] in (codes.record.fingerprint, *codes.extends):
        return None
    before = Catalog.read(place.parent.parent.parent / inputs["catalog"]["address"])
    found = pc.index_in(catalog.item_ids, value_set=before.item_ids)
    return found.fill_null(-1).to_numpy(zero_copy_only=False).astype(np.int64)
