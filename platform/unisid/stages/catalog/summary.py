"""What a catalog did to the data it was made from, in words: for the console, for the report.

Made from the record's counts alone, so a catalog of an older version shows what it counted.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from unisid.artifacts.catalog import SPLITS
from unisid.log import logger
from unisid.raw.folders import OF_A_FOLDER
from unisid.raw.rows import listed, shown
from unisid.stages.catalog.published import in_words

LOG = logger(__name__)
Counts = Mapping[str, Any]
MOST = 0.5
"""A share from which a warning says 'most'."""
OTHER_RULE = "the figures under the rule 'allowed' are the ones to read"
LEAN = 0.05
"""How far from a half the share of steps to a greater id may be before it is worth a warning."""


@dataclass(frozen=True)
class Decision:
    """Something that a policy dropped, merged, kept or made up."""

    count: int
    what: str
    setting: str
    """What decides it."""


EXACT = {
    "s": "second",
    "ms": "millisecond",
    "us": "microsecond",
    "ns": "nanosecond",
    "position": "order alone, there are no times",
}
"""What times count, in words."""
TARGETS = {"train": "training targets", "valid": "validation targets", "test": "test targets"}
"""What is predicted in each split."""
WEIGHTS = "catalog.event_weights"
DECISIONS = (
    ("dropped.missing_time", "dropped: interactions without a time", "catalog.dataset.times.missing"),
    ("dropped.outlying_time", "dropped: interactions of an impossible time", "catalog.dataset.times.outlying"),
    ("dropped.event", "dropped: interactions of other kinds", "catalog.events"),
    ("dropped.unknown_item", "dropped: interactions with an item that the items lack", "catalog.unknown_items"),
    (
        "dropped.left_out",
        "dropped: interactions with an item that the catalog left out",
        "give it with the day's items",
    ),
    ("dropped.duplicate_row", "dropped: interactions that repeat user, item and time", "catalog.duplicate_rows"),
    ("dropped.title_rules", "dropped: interactions with an item of a bad title", "catalog.title_rules"),
    ("dropped.outside_window", "dropped: interactions outside the window", "catalog.window_start, catalog.window_end"),
    ("dropped.k_core", "dropped: interactions of a user or an item with too few", "catalog.k_core"),
    ("held_out", "held out: items, with all their interactions", "catalog.cold_share"),
    (
        "oddities.duplicate_rows",
        "kept: interactions that repeat user, item and time, so that the next item is the same",
        "catalog.duplicate_rows drop keeps one of each",
    ),
    (
        "oddities.duplicate_items",
        "merged: rows of items whose id came before, the first row won",
        "catalog.duplicate_items",
    ),
    (
        "oddities.unmet_items",
        "dropped: items without any interaction, they get no semantic id",
        "catalog.keep_cold_items True keeps them",
    ),
    ("oddities.ruled_items", "dropped: items of a bad title", "catalog.title_rules"),
    (
        "oddities.filtered_items",
        "dropped: items that lost all their interactions to the rules above",
        "catalog.keep_cold_items True keeps them",
    ),
    ("oddities.cold_items", "kept: items without interactions", "catalog.keep_cold_items"),
    (
        "oddities.lost_characters",
        "kept: texts in which a character was lost before they came here (U+FFFD)",
        "export them anew, in one encoding",
    ),
    ("oddities.empty_texts", "made up: texts of items that have none, 'item without text'", "catalog.text"),
)
"""Count, what it means, the setting that decides."""


def decisions(counts: Counts) -> list[Decision]:
    """The effects of the policies that had any."""
    found = [Decision(int(_at(counts, key)), what, setting) for key, what, setting in DECISIONS]
    return [decision for decision in found + _rated(counts) + _weighed(counts) if decision.count]


def _rated(counts: Counts) -> list[Decision]:
    """How many interactions were dropped for their rating."""
    least = _at(counts, "least_rating", 0.0)
    words = {
        "low_rating": f"dropped: interactions with a rating below {least:g}",
        "no_rating": "dropped: interactions without a rating",
    }
    return [Decision(_at(counts, f"dropped.{key}"), what, "catalog.least_rating") for key, what in words.items()]


def _weighed(counts: Counts) -> list[Decision]:
    """How many of the kept interactions there are of each kind that has a weight."""
    return [
        Decision(found["interactions"], f"weighed {found['weight']:g} each: interactions of the kind '{kind}'", WEIGHTS)
        for kind, found in _at(counts, "weights", {}).items()
    ]


def warnings(counts: Counts) -> list[str]:
    """Warnings to read before relying on the figures of this catalog."""
    found = [_kinds(counts), _empty(counts), _sparse(counts), _ties(counts), _early(counts), _leaning(counts)]
    found += _repeats(counts) + _passed_over(counts) + _crowds(counts)
    return [text for text in found if text]


def lines(counts: Counts) -> list[str]:
    """The block for the console; none where there is nothing to say."""
    done = decisions(counts)
    width = max((len(f"{decision.count:,}") for decision in done), default=0)
    block = [f"  {d.count:>{width},} {d.what} ({d.setting})" for d in done]
    head = ["what was dropped, merged, weighed or made up:"] if block else []
    return [*head, *block]


def log(counts: Counts) -> None:
    """Log the block for the console, and the warnings."""
    for line in lines(counts):
        LOG.info(line)
    for text in warnings(counts):
        LOG.warning(text)


def facts(counts: Counts) -> list[tuple[str, Any]]:
    """The figures that a reader of a report wants first, by name; those that were counted."""
    wanted = {
        "items": "items",
        "users": "users",
        "interactions": "interactions",
        "first interaction": "first_time",
        "last interaction": "last_time",
    }
    found = [(name, _at(counts, key, None)) for name, key in wanted.items()]
    unit = str(_at(counts, "time_unit", ""))
    found += [("times are given to the", EXACT.get(unit, unit or None))]
    found += [
        ("interactions at the very time of the user's one before", _percent(_at(counts, "tied_steps", None))),
        ("next items with a greater id than the item before", _percent(_at(counts, "order.to_greater_id", None))),
    ]
    taken = [split for split in SPLITS if "taken_before" in counts]
    found += [(f"{TARGETS[split]} that the user took before", _percent(_share(counts, split))) for split in taken]
    found += [("published counts", in_words(counts) or None)]
    return [(name, value) for name, value in found if value is not None]


def unused(counts: Counts) -> list[tuple[str, str]]:
    """The columns of each table that were not used, with what they hold where that is known; a table that has such."""
    return [(table, str(columns)) for table, columns in _at(counts, "unread", {}).items() if columns]


def _percent(share: float | None) -> str | None:
    return None if share is None else f"{100 * share:.3g}%"


def repeated_targets(taken: int, samples: int, split: str, remedy: str) -> str:
    """A warning where most targets of a split are items that their user took before; else nothing."""
    if not samples or taken / samples < MOST:
        return ""
    return (
        f"{taken:,} of {samples:,} {split} targets are items that the user took before: under the history rule "
        f"'excluded' these cannot be found, and its figures rest on the other {samples - taken:,}; "
        f"{remedy}"
    )


def repeated_in(counts: Counts, split: str, remedy: str) -> str:
    """The same, by the counts of a catalog."""
    return repeated_targets(_at(counts, f"taken_before.{split}"), counts.get(split, 0), split, remedy)


def _repeats(counts: Counts) -> list[str]:
    return [
        repeated_in(counts, "valid", "set model.valid_history to allowed"),
        repeated_in(counts, "test", OTHER_RULE),
    ]


def _passed_over(counts: Counts) -> list[str]:
    return [
        f"the folder of the {role} holds what is not read: {listed(names)}; {OF_A_FOLDER}: give all files in one form, "
        "or take out what does not belong to them"
        for role, names in _at(counts, "passed_over", {}).items()
    ]


def _crowds(counts: Counts) -> list[str]:
    return [
        f"{found:,} of {counts['interactions']:,} interactions are of the user '{shown(name)}', and count as one "
        "person's history: if that stands for many users or for none, drop these rows"
        for name, found in _at(counts, "crowds", {}).items()
    ]


def _kinds(counts: Counts) -> str:
    unread = re.sub(r"\([^)]*\)", "", str(_at(counts, "unread.interactions", "")))  # without what they hold
    names = re.findall(r"[\w-]*(?:event|action|behavio|kind|type)[\w-]*", unread, re.IGNORECASE)
    if not names:
        return ""
    return (
        f"the interactions' column '{names[0]}' is not read, and all its kinds count alike: "
        "catalog.dataset.event names such a column, catalog.events the kinds to keep"
    )


def _sparse(counts: Counts) -> str:
    none = [split for split in SPLITS if counts.get(split) == 0]
    if not none:
        return ""
    return (
        f"no sample falls to {' and '.join(none)}: nothing can learn from them or be judged by them; give more "
        "interactions a user (leave-one-out takes three for a sample of each split)"
    )


def _empty(counts: Counts) -> str:
    empty, items = _at(counts, "oddities.empty_texts"), counts.get("items", 0)
    if not items or empty / items < MOST:
        return ""
    which = "all" if empty == items else f"{empty:,} of"
    return (
        f"{which} {items:,} items have no text: the text 'item without text' stands in, and nothing can be learned "
        "from it; name the columns of text as catalog.text and catalog.dataset.columns"
    )


def _ties(counts: Counts) -> str:
    share = counts.get("tied_steps", 0.0)
    if share < MOST:
        return ""
    which = "all times of a user are equal" if share == 1 else f"{share:.0%} of a user's steps have equal times"
    return (
        f"{which}: the order of these interactions is not known, catalog.ties decides it (seed: by chance; row: as "
        "in the files); give finer times, or an order as catalog.dataset.position"
    )


def _early(counts: Counts) -> str:
    last = str(counts.get("last_time", ""))
    if not last or last[:4] >= "1980" or "-" not in last or counts.get("time_unit") == "position":
        return ""
    return (
        f"the times lie between {counts['first_time']} and {last}: numbers that count, not dates? Their order is "
        "used as it is"
    )


def _leaning(counts: Counts) -> str:
    steps, share = _at(counts, "order.steps"), _at(counts, "order.to_greater_id", 0.5)
    away = abs(share - 0.5)
    if not steps or away < LEAN or away < 3 * 0.5 / steps**0.5:
        return ""
    way = "greater" if share > 0.5 else "smaller"
    side = max(share, 1 - share)
    return (
        f"{side:.0%} of the users' steps go to a {way} item id, where chance gives 50%: the order of equal times "
        "seems to follow the files, which a model can learn (catalog.ties seed and true times undo it), or ids "
        "grow with time"
    )


def _share(counts: Counts, split: str) -> float | None:
    return counts["taken_before"][split] / counts[split] if counts.get(split) else None


def _at(counts: Counts, key: str, default: Any = 0) -> Any:
    value: Any = counts
    for name in key.split("."):
        value = value.get(name) if isinstance(value, Mapping) else None
    return default if value is None else value
