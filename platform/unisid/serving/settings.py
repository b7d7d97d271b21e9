"""Settings of serving: address, batches and limits."""

from dataclasses import dataclass
from typing import Annotated

from unisid.bounds import Count, CountOrNone, NotNegative, Positive, Range, Settings, Share, ShareBelowOne
from unisid.decoding.beam import MOST_BEAMS
from unisid.errors import ConfigError

TOKEN = "UNISID_SERVE_TOKEN"
"""The environment variable whose value every request must carry (Authorization: Bearer ...); unset for none."""

Beams = tuple[Annotated[int, Range(1, MOST_BEAMS)], ...]
"""Prefixes that a search keeps at each level; the last number is that of all further levels."""


@dataclass(frozen=True, kw_only=True)
class Serving(Settings):
    """Settings of `unisid serve`."""

    host: str = "127.0.0.1"
    """The address to listen on; 0.0.0.0 for all of this machine."""
    port: Annotated[int, Range(0, 65535)] = 8000
    """The port to listen on."""
    replicas: Count = 1
    """Processes that answer (Ray only); those of a node map one copy of the pair."""
    cpus: Positive = 1.0
    """Cores a replica; also its number of threads."""
    gpus: NotNegative = 0.0
    """GPUs a replica; a fraction shares one."""
    batch_size: Annotated[int, Range(1, 1 << 16)] = 64
    """Most rows ranked at once."""
    batch_wait: Annotated[float, Range(0, 10)] = 0.002
    """Seconds that a row may wait for others to fill a batch."""
    most_waiting: Count = 1024
    """Most rows of a replica that wait or are being ranked; a request beyond them gets 503 with Retry-After."""
    most_rows: Count = 256
    """Most rows of a request."""
    most_k: Count = 200
    """Most items a row."""
    most_history: Count = 2000
    """Most item ids of a history."""
    most_ids: Count = 100_000
    """Most ids in `exclude` and in `allowed`."""
    most_text: Count = 1000
    """Most characters of a text."""
    most_explained: Count = 8
    """Most rows of a request that is to be explained, which takes a ranking more for every item of a history."""
    most_body: Count = 8 << 20
    """Most bytes of a request's body."""
    timeout: Positive = 30.0
    """Seconds until a request that is not answered gets 504, and a body that does not arrive 408."""
    adds: bool = False
    """Whether `POST /items` gives new items semantic ids, as `unisid index add` does; the server then writes to the
    store and to the registry."""
    most_added: Count = 1000
    """Most items of a `POST /items`."""
    guard_rows: CountOrNone = 0
    """After another pair is promoted: so many rows decide whether it stays (see the limits below); 0: none do."""
    most_errors: Share = 0.01
    """The guard: the largest share of rows that may fail."""
    most_slower: NotNegative = 3.0
    """The guard: how many times the time of a row with the pair before; 0: times are not looked at."""
    least_agreement: Share = 0.0
    """The guard: the least share of its items that the pair before recommends too, over a tenth of the requests; 0:
    they are not compared."""
    guard_clicks: CountOrNone = 0
    """The guard: so many clicks sent to `POST /clicks` are needed to test whether a pair ranks what is clicked worse
    than the other one; 0: clicks are not looked at."""
    click_level: Annotated[float, Range(0, 1, above=True, below=True)] = 0.05
    """The guard: the level of that test, over all its looks (half of it at the first, a quarter at the next, ...)."""
    shadow: Share = 0.0
    """The share of requests that the candidate (alias `candidate` in the registry) answers too, unseen, after the
    answer is sent."""
    canary: Share = 0.0
    """The share of users whom the candidate answers; the guard must watch it (`guard_rows`)."""
    poll: Positive = 5.0
    """Seconds between two looks at the registry and at the table of columns."""
    columns: str = ""
    """A Parquet or CSV file of facts about the items, by item_id, for rules and quotas; empty for none."""
    new_share: ShareBelowOne | None = None
    """Of the probability, that items without training interactions are to hold together, by recommenders over items;
    None: their share of the catalogue; 0: nothing is added to their scores."""
    beams: Beams = ()
    """Prefixes that a search keeps at a level, the last number for all further levels, and nowhere fewer than the items
    wanted; empty: 50, or 100 and then 50 where the first level has 256 codes or more. `unisid certify` shows how many
    are enough."""
    partitions: tuple[str, ...] = ()
    """Rules with a name, NAME=RULE: `shop-7=retailer == 7 and in_stock`."""

    def __post_init__(self) -> None:
        super().__post_init__()
        self.named_rules()
        if self.canary and not self.guard_rows:
            raise ConfigError(
                f"serving.canary: is {self.canary:g} and serving.guard_rows 0; must have a guard: --guard-rows 500"
            )
        if self.batch_size > self.most_waiting:
            raise ConfigError(
                f"serving.batch_size: is {self.batch_size}; must be at most serving.most_waiting, {self.most_waiting}"
            )

    def named_rules(self) -> dict[str, str]:
        """The partitions by name; raises ConfigError for one that is not NAME=RULE."""
        found: dict[str, str] = {}
        for text in self.partitions:
            name, has_rule, rule = text.partition("=")
            if not has_rule or not name.strip() or not rule.strip():
                raise ConfigError(f"serving.partitions: '{text}'; must be NAME=RULE, such as 'cheap=price < 20'")
            if name.strip() in found:
                raise ConfigError(f"serving.partitions: '{name.strip()}' is there twice; must have a name of its own")
            found[name.strip()] = rule.strip()
        return found
