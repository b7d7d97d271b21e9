"""Rates of `production`'s shapes on an H100, until a GPU has been measured, and on two cores.

UQF is 256 wide inside, LightGCN has 5 layers of 256, codes are 4 of 1,024, TIGER has 12 layers of 256. Fused and model
are derived: our CPU's measured rate times 200, a guess that may be off by three either way. So is the search for near
texts: 1.65e-7 s times N^1.5 on one core at 64 wide (measured at 10^6 items), 16 times that at the encoder's width.

Memory: bytes an interaction, a token or an item of a host are what the runs of 10^4 to 10^6 items took
(`benchmarks.scale`), but `fused`'s, which are two copies of the sample's text vectors and one of its graph vectors. A
GPU's are the encoder's 1.2 GB of weights and what a step of `production` computes with, derived from its shapes.
"""

import dataclasses
from collections.abc import Callable

from unisid.capacity import Cost
from unisid.stages.sequences import ROWS_PER_GROUP

DERIVED = "derived: two cores of 2026-11-22 times 200"
PUBLISHED = "published, one H100"
GRAPH_WIDTH, GRAPH_LAYERS, ENCODER_WIDTH, FUSED_WIDTH = 256, 5, 1024, 256
SEARCH_SECONDS = 1.65e-7 * 16
"""Times N^1.5, on a core, at the encoder's width."""
TWO_CORES = "measured: two cores of 2026-11-22"
HISTORY, NUMBERS = 5, 7.2
"""Items of a history, and numbers written for an interaction, where a user has ten: histories of 1 to 7, 8 and 9 items,
the user and the target of each, and the 8 to learn from once more as a sequence: (45 + 9 + 9 + 9) / 10."""
CPU_SPREAD = 2.0
CPU_RATES = {
    "embeddings": (
        240.0,
        f"derived: MiniLM's 9,940 tokens/s on two cores of 2026-11-22 by {10.6 / 440:.3f} in weights",
    ),
    "graph": (566_000.0, "derived: 2.9 G multiply-adds/s on two cores of 2026-11-22 by 5,120 an edge and step"),
    "fused": (107.0, TWO_CORES),
    "codes": (8_700.0, TWO_CORES),
    "model": (33.0, "derived: the demo's 690 samples/s on two cores of 2026-11-22 by 1/21"),
}
"""Units a second of a machine of two cores, in one pass, and where that is from."""
HOST = "measured: one core of 2026-11-29, from 10^4 to 3 x 10^4 items (benchmarks.scale)"


def h100(tokens: float = 64.0, states_share: float = 1.0) -> list[Cost]:
    """The costs of all stages, for ten interactions an item.

    Args:
        tokens: of a text.
        states_share: of the items whose token states are kept (`embeddings.states_of`).
    """
    states, graph = 2 * ENCODER_WIDTH * states_share, (GRAPH_LAYERS + 1) * GRAPH_WIDTH * 4 / 10
    is_inline = states_share < 1  # texts are encoded once more, and only the sample is learned from
    return [
        Cost(
            noun="catalog",
            unit="interactions",
            rate=150_000,
            low=35_000,
            high=300_000,
            source=HOST,
            where="host",
            memory=0.5e9,
            unit_memory=60,
            unit_disk=28,
        ),
        Cost(
            noun="embeddings",
            unit="tokens",
            rate=500_000,
            low=250_000,
            high=670_000,
            source=PUBLISHED,
            passes=2 if is_inline else 1,
            memory=4e9,
            memory_of="device",
            host_memory=0.5e9,
            unit_host_memory=7,
            unit_disk=states + 4 * ENCODER_WIDTH / tokens,
        ),
        # 3 TB moved for 10^9 edges one way, at 3.35 TB/s; 1,000 steps there and back
        Cost(
            noun="graph",
            unit="interactions",
            rate=1e9 / 0.9 / 2,
            low=1e9 / 0.9 / 6,
            high=1e9 / 0.9 / 2,
            source=PUBLISHED,
            passes=1000,
            memory=0.5e9,
            memory_of="device",
            unit_memory=40,
            shared_memory=8 * 2 * GRAPH_WIDTH * 4 / 10,
            host_memory=0.5e9,
            unit_host_memory=100,
            unit_disk=graph,
        ),
        Cost(
            noun="fused",
            unit="items",
            rate=21_000,
            low=7_000,
            high=63_000,
            source=DERIVED,
            passes=100 * states_share + is_inline / 3,
            search=SEARCH_SECONDS / 200 * states_share**1.5,
            memory=10e9,
            memory_of="device",
            host_memory=0.7e9,
            unit_host_memory=4 * (2 * ENCODER_WIDTH + (GRAPH_LAYERS + 1) * GRAPH_WIDTH) * states_share,
            unit_disk=4 * FUSED_WIDTH + 2 * 50 * 4 * states_share,
        ),
        Cost(
            noun="codes",
            unit="items",
            rate=1.7e6,
            low=0.6e6,
            high=5e6,
            source=DERIVED,
            passes=1000,
            memory=0.7e9,
            unit_memory=1580,
            unit_disk=32,
        ),
        Cost(
            noun="sequences",
            unit="interactions",
            rate=150_000,
            low=45_000,
            high=300_000,
            source=HOST,
            where="host",
            memory=0.5e9,
            unit_memory=46,
            numbers=NUMBERS,
            group=ROWS_PER_GROUP * HISTORY,
        ),
        Cost(
            noun="model",
            unit="interactions",
            rate=6_600,
            low=2_200,
            high=20_000,
            source=DERIVED,
            passes=10,
            memory=10e9,
            memory_of="device",
            host_memory=0.8e9,
            unit_host_memory=62,
        ),
        Cost(
            noun="metrics",
            unit="users",
            rate=175 / 2,
            low=40,
            high=175,
            source=TWO_CORES,
            where="host",
            memory=0.8e9,
            item_memory=430,
        ),
    ]


def cpu(tokens: float = 64.0, states_share: float = 1.0) -> list[Cost]:
    """The same on machines of two cores: what their rates were, or are derived from; all memory is the host's."""
    return [_on_cpu(cost, states_share) for cost in h100(tokens, states_share)]


def _on_cpu(cost: Cost, states_share: float) -> Cost:
    found = cost
    if cost.memory_of == "device":
        found = dataclasses.replace(
            cost,
            memory_of="host",
            memory=cost.memory + cost.host_memory,
            unit_memory=cost.unit_memory + cost.unit_host_memory,
            host_memory=0.0,
            unit_host_memory=0.0,
        )
    if cost.noun in CPU_RATES:
        rate, source = CPU_RATES[cost.noun]
        found = dataclasses.replace(found, rate=rate, low=rate / CPU_SPREAD, high=rate * CPU_SPREAD, source=source)
    return dataclasses.replace(found, search=SEARCH_SECONDS * states_share**1.5) if cost.search else found


RATES: dict[str, Callable[[float, float], list[Cost]]] = {"H100": h100, "H200": h100, "cpu": cpu}
"""By machine. An H200 computes as an H100 does, and has more memory."""
