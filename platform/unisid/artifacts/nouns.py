"""The kinds of artifacts."""

NOUNS = (
    "catalog",
    "embeddings",
    "graph",
    "fused",
    "joint",
    "codes",
    "sequences",
    "instructions",
    "model",
    "baseline",
    "metrics",
)
"""The arrows of the data flow, in order."""
