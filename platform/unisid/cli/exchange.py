"""`unisid export` and `unisid import`: an index or a recommender given to other systems, an index taken from them."""

from __future__ import annotations  # what is heavy is named here and imported where it is used

import argparse
import json
from collections.abc import Callable

from unisid.artifacts.catalog import Catalog
from unisid.artifacts.codes import Codes
from unisid.artifacts.lookup import newest_of, place_of
from unisid.artifacts.store import Address, Store
from unisid.errors import ConfigError

Command = Callable[[str, Callable[[argparse.Namespace], None], str], argparse.ArgumentParser]


def add_commands(command: Command, store_of: Callable[[argparse.Namespace], Store]) -> None:
    """Add both commands to the parser."""
    sub = command(
        "export",
        lambda args: _export(args, store_of(args)),
        "Write an index, or a recommender, as a folder that others read without this product.",
    )
    sub.add_argument("address", help="an index (codes/shop/3) or a recommender (model/shop/3)")
    sub.add_argument("--to", required=True, metavar="FOLDER", help="a folder that is empty or not there yet, or a URI")
    sub.add_argument("--codes", help="of a recommender: an index that extends its own (default: its own)")
    sub.add_argument("--json", action="store_true", help="print the manifest")
    sub = command(
        "import",
        lambda args: _import(args, store_of(args)),
        "Take semantic IDs that others made as an index of a catalog.",
    )
    sub.add_argument("path", help="the folder of a package, or a file: LC-Rec's JSON, Parquet, .npy or .pt")
    sub.add_argument("--to", required=True, metavar="ADDRESS", help="the index to make, such as codes/theirs/1")
    sub.add_argument("--catalog", help="whose items, such as catalog/shop/1 (default: the newest)")
    sub.add_argument("--items", default="", metavar="FILE", help="the shop's ids of items that PATH numbers (item2id)")
    sub.add_argument("--json", action="store_true", help="print JSON")


def _export(args: argparse.Namespace, store: Store) -> None:
    address = Address.parse(args.address)
    if address.noun == "codes":
        from unisid.exchange.indexes import export_codes

        if args.codes:
            raise ConfigError(
                f"--codes: {args.address} is an index itself; it goes with a recommender (model/...) only"
            )
        manifest = export_codes(Codes.read(place_of(store, address)), store, args.to)
    elif address.noun == "model":
        from unisid.exchange.models import export_model
        from unisid.in_use import named_pair
        from unisid.serving.recommender import Recommender

        pair = named_pair(store, address, Address.parse(args.codes) if args.codes else None, None)
        recommender = Recommender.load(pair.model, pair.codes, pair.catalog, vectors=pair.vectors)
        manifest = export_model(recommender.backbone, pair.model, pair.codes, pair.catalog, args.to)
    else:
        raise ConfigError(f"unisid export: {address} is no index and no recommender; must be codes/... or model/...")
    if args.json:
        return print(json.dumps(manifest, indent=2, sort_keys=True))
    size = sum(file["bytes"] for file in manifest["files"].values())
    print(f"{address}: {manifest['items']:,} items, {len(manifest['files'])} files of {size:,} bytes in {args.to}")
    if address.noun == "codes":
        print(f"it reads itself: python {args.to}/reader.py {args.to}")


def _import(args: argparse.Namespace, store: Store) -> None:
    from unisid.versions.take import take_codes

    catalog = Address.parse(args.catalog) if args.catalog else newest_of(store, "catalog", None)[0]
    made = take_codes(store, Address.parse(args.to), catalog, args.path, args.items)
    codes = Codes.read(made)
    quality = codes.record.part("quality")
    if args.json:
        return print(json.dumps({"address": codes.record.address, **codes.record.counts}, indent=2, sort_keys=True))
    shop = Catalog.read(place_of(store, catalog)).record.address
    print(
        f"{codes.record.address}: {len(codes.codes):,} items of {shop}, levels of {', '.join(map(str, codes.sizes))} "
        f"codes, {quality['distinct_share']:.1%} distinct as they came"
    )
    print(f"a recommender on it: unisid run RECIPE --codes.given {args.path}")
