"""The kinds of artifacts."""

NOUNS = (
    "catalog",
    "embeddings",
    "graph",
    "fused",
    "joint",
    "codes",
    "keywords",
    "sequences",
    "instructions",
    "model",
    "baseline",
    "metrics",
)
"""The arrows of the data flow, in order."""
