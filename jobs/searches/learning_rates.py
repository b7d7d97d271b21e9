"""How fast each part learns."""

from unisid.search.space import Space


def fusion_rate() -> Space:
    """The fusion's peak learning rate."""
    return Space({"fused.training.learning_rate": (3e-5, 1e-4, 3e-4, 1e-3)})


def tokenizer_rate() -> Space:
    """The peak learning rate of a tokenizer that learns."""
    return Space({"codes.training.learning_rate": (1e-4, 3e-4, 1e-3, 3e-3)})


def model_rate() -> Space:
    """The recommender's peak learning rate."""
    return Space({"model.training.learning_rate": (3e-4, 1e-3, 3e-3)})
