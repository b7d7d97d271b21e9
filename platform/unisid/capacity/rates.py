"""Rates of `production`'s shapes on an H100, as docs/scale.md gives them, until a GPU has been measured.

UQF is 256 wide inside, LightGCN has 5 layers of 256, codes are 4 of 1,024, TIGER has 12 layers of 256. Fused and model
are derived: our CPU's measured rate times 200, a guess that may be off by three either way. So is the search for near
texts: 1.65e-7 s times N^1.5 on one core at 64 wide (measured at 10^6 items), 16 times that at the encoder's width.
"""

from unisid.capacity import Cost

DERIVED = "derived: two cores of 2026-11-22 times 200"
PUBLISHED = "published, one H100"
GRAPH_WIDTH, GRAPH_LAYERS, ENCODER_WIDTH, FUSED_WIDTH = 256, 5, 1024, 256
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
            memory_of="device",
            unit_memory=40,
            shared_memory=8 * 2 * GRAPH_WIDTH * 4 / 10,
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
            search=1.65e-7 * 16 / 200 * states_share**1.5,
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
            unit_disk=33,
        ),
        Cost(noun="model", unit="interactions", rate=6_600, low=2_200, high=20_000, source=DERIVED, passes=10),
        Cost(
            noun="metrics",
            unit="users",
            rate=175 / 2,
            low=40,
            high=175,
            source="measured: two cores of 2026-11-22",
            where="host",
        ),
    ]
