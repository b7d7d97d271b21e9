"""Decides whether a newly promoted or candidate pair is withdrawn, by its errors, latency, agreement and clicks."""

import hashlib
import math
from dataclasses import dataclass, field

import numpy as np

from unisid.ops.by_user import Users, t_test
from unisid.serving.settings import Serving

MOST_CLICKS = 1 << 18
"""Clicks that a tally keeps; the first ones."""


@dataclass
class Tally:
    """Statistics of the rows that a pair answered."""

    rows: int = 0
    errors: int = 0
    """Rows that failed; a row whose own request is wrong is none of them."""
    seconds: float = 0.0
    compared: int = 0
    """Rows that the pair before answered too."""
    agreement: float = 0.0
    """The sum over these of the share of items that both recommend."""
    clicks: list[tuple[float, float]] = field(default_factory=list, repr=False)
    """For each click the gain of the item in the list of this pair and of the other: 1 / log2(1 + rank), 0 where it is
    not listed (NDCG of one item)."""

    def add(self, rows: int, errors: int, seconds: float) -> None:
        """Rows that were answered together, in so much time for all of them."""
        self.rows, self.errors, self.seconds = self.rows + rows, self.errors + errors, self.seconds + seconds

    def compare(self, new: list[str], old: list[str]) -> None:
        """A row's items by both pairs."""
        self.compared += 1
        self.agreement += len({*new} & {*old}) / max(1, len(new))

    def click(self, new: list[str], old: list[str], clicked: str) -> None:
        """A clicked item, and what both pairs recommend to the user at that time, best first."""
        if len(self.clicks) < MOST_CLICKS:
            self.clicks.append((gain(new, clicked), gain(old, clicked)))

    def figures(self) -> dict[str, float]:
        """Figures for display: rows, errors, milliseconds a row, agreement and the gain of clicks by both."""
        found = {"rows": self.rows, "errors": self.errors, "ms_per_row": 1000 * self.each}
        found |= {"compared": self.compared, "agreement": self.agreement / max(1, self.compared)}
        gains = np.array(self.clicks or [(0.0, 0.0)]).mean(axis=0).tolist()
        return found | {"clicks": len(self.clicks), "click_gain": gains[0], "click_gain_in_use": gains[1]}

    @property
    def each(self) -> float:
        """Seconds a row."""
        return self.seconds / max(1, self.rows)


def gain(listed: list[str], item: str) -> float:
    """1 / log2(1 + rank) of an item in a list, best first; 0 where it is not there."""
    return 1.0 / math.log2(2 + listed.index(item)) if item in listed else 0.0


def chosen(key: str, share: float) -> bool:
    """Whether a key falls into a share of all keys, by hash: the same in every process, and true of larger shares."""
    digest = hashlib.blake2b(key.encode("utf-8", "surrogatepass"), digest_size=8).digest()
    return int.from_bytes(digest, "big") < share * 2**64


def fault_of(now: Tally, before: Tally, settings: Serving) -> str:
    """The reason to withdraw a pair; empty where there is none."""
    share = now.errors / max(1, now.rows)
    if share > settings.most_errors:
        return f"{now.errors} of {now.rows} rows failed, serving.most_errors is {settings.most_errors:g}"
    slower = now.each / before.each if before.rows and before.each else 0.0
    if settings.most_slower and slower > settings.most_slower:
        return (
            f"a row took {now.each * 1000:.1f} ms, {slower:.1f} times as long as before; serving.most_slower is "
            f"{settings.most_slower:g}"
        )
    agreement = now.agreement / max(1, now.compared)
    if settings.least_agreement and now.compared and agreement < settings.least_agreement:
        return (
            f"{agreement:.3f} of its items are recommended by the pair before too, serving.least_agreement is "
            f"{settings.least_agreement:g}"
        )
    return ""


def fault_by_clicks(now: Tally, settings: Serving) -> str:
    """The reason to withdraw a pair by its clicks; empty where there is none, or no test is due.

    They are at n, 2n, 4n, ... clicks, n = `guard_clicks`, by a paired one-sided t-test. To be called after each click.

    The look number i, from 0, is at `click_level` / 2^(i + 1), so that all looks together find a loss where there is
    none with a probability of at most `click_level`.
    """
    least = settings.guard_clicks
    looks, rest = divmod(len(now.clicks), least) if least else (0, 0)
    if rest or looks.bit_count() != 1:
        return ""
    look = looks.bit_length() - 1
    new, old = np.array(now.clicks).T
    found = t_test(old - new, Users.single(len(new)))
    if found.p >= settings.click_level / 2 ** (look + 1):
        return ""
    return (
        f"it ranks what is clicked lower: NDCG@10 {new.mean():.4f} against {old.mean():.4f} over {len(new)} clicks, "
        f"p {found.p:.2g}, serving.click_level is {settings.click_level:g}"
    )
