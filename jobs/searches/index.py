"""The shape of semantic ids: how many levels, how many codes."""

from unisid.search.space import Space


def codebooks() -> Space:
    """Levels and codes of a level together."""
    return Space({"codes.tokenizer.num_levels": (2, 3, 4), "codes.tokenizer.codebook_size": (64, 128, 256)})


def codebook_size() -> Space:
    """Codes of a level."""
    return Space({"codes.tokenizer.codebook_size": (64, 128, 256, 512)})


def levels() -> Space:
    """Codes of an id."""
    return Space({"codes.tokenizer.num_levels": (2, 3, 4, 5)})
