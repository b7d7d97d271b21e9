"""`unisid export` and `unisid import`: an index or a recommender given to other systems, an index taken from them."""

from dataclasses import dataclass
from typing import Annotated

from tyro.conf import Positional, arg

from unisid.cli.options import Flag, text
from unisid.cli.session import Command
from unisid.config import json_text
from unisid.errors import ConfigError


@dataclass(frozen=True, kw_only=True)
class Export(Command):
    """Write an index, or a recommender, as a folder that others read without this product."""

    writes = True
    address: Annotated[Positional[str], arg(metavar="ADDRESS")]
    """an index (codes/shop/3) or a recommender (model/shop/3)"""
    to: Annotated[str, arg(metavar="FOLDER")]
    """a folder that is empty or not there yet, or a URI"""
    codes: Annotated[str | None, text("ADDRESS", "its own")] = None
    """of a recommender: an index that extends its own"""
    json: Flag = False
    """print the manifest"""

    def act(self) -> None:
        from unisid.artifacts.codes import Codes
        from unisid.artifacts.lookup import place_of
        from unisid.artifacts.store import Address

        address, store = Address.parse(self.address), self.session.opened
        if address.noun == "codes":
            from unisid.exchange.indexes import export_codes

            if self.codes:
                raise ConfigError(
                    f"--codes: {self.address} is an index itself; it goes with a recommender (model/...) only"
                )
            manifest = export_codes(Codes.read(place_of(store, address)), store, self.to)
        elif address.noun == "model":
            from unisid.exchange.models import export_model
            from unisid.in_use import named_pair
            from unisid.serving.recommender import Recommender

            pair = named_pair(store, address, Address.parse(self.codes) if self.codes else None, None)
            recommender = Recommender.load(pair.model, pair.codes, pair.catalog, vectors=pair.vectors)
            manifest = export_model(recommender.backbone, pair.model, pair.codes, pair.catalog, self.to)
        else:
            raise ConfigError(
                f"unisid export: {address} is no index and no recommender; must be codes/... or model/..."
            )
        if self.json:
            return print(json_text(manifest))
        size = sum(file["bytes"] for file in manifest["files"].values())
        print(f"{address}: {manifest['items']:,} items, {len(manifest['files'])} files of {size:,} bytes in {self.to}")
        if address.noun == "codes":
            print(f"it reads itself: python {self.to}/reader.py {self.to}")


@dataclass(frozen=True, kw_only=True)
class Import(Command):
    """Take semantic IDs that others made as an index of a catalog."""

    writes = True
    path: Annotated[Positional[str], arg(metavar="PATH")]
    """the folder of a package, or a file: LC-Rec's JSON, Parquet, .npy or .pt"""
    to: Annotated[str, arg(metavar="ADDRESS")]
    """the index to make, such as codes/theirs/1"""
    catalog: Annotated[str | None, text("ADDRESS", "the newest")] = None
    """whose items, such as catalog/shop/1"""
    items: Annotated[str | None, text("FILE")] = None
    """the shop's ids of items that PATH numbers (item2id)"""
    json: Flag = False
    """print JSON"""

    def act(self) -> None:
        from unisid.artifacts.catalog import Catalog
        from unisid.artifacts.codes import Codes
        from unisid.artifacts.lookup import newest_of, place_of
        from unisid.artifacts.store import Address
        from unisid.versions.take import take_codes

        store = self.session.opened
        catalog = Address.parse(self.catalog) if self.catalog else newest_of(store, "catalog", None)[0]
        codes = Codes.read(take_codes(store, Address.parse(self.to), catalog, self.path, self.items or ""))
        quality = codes.record.part("quality")
        if self.json:
            body = {"address": codes.record.address, **codes.record.counts}
            return print(json_text(body))
        shop = Catalog.read(place_of(store, catalog)).record.address
        print(
            f"{codes.record.address}: {len(codes.codes):,} items of {shop}, levels of "
            f"{', '.join(map(str, codes.sizes))} codes, {quality['distinct_share']:.1%} distinct as they came"
        )
        print(f"a recommender on it: unisid run RECIPE --codes.given {self.path}")
