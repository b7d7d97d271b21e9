"""How much structure counts in the fusion's loss (figure 6.2 of the UQF thesis), and temperatures, which are ours.

The thesis keeps tau at 0.05 throughout; it has no grid of temperatures.
"""

from unisid.search.space import Space

STRUCTURE_WEIGHTS = (0.0, 0.2, 0.4, 0.6, 0.8, 1.0)


def structure_weight() -> Space:
    """w_s, how much shared users count in the fusion's loss; alike texts count w_t = 1 - w_s. The thesis's grid."""
    return Space({"fused.loss.structure_weight": STRUCTURE_WEIGHTS})


def temperature() -> Space:
    """tau of the fusion's contrastive loss, one for both kinds of neighbours."""
    return Space({"fused.loss.temperature": (0.03, 0.05, 0.07, 0.1, 0.2)})


def balance_temperature() -> Space:
    """w_s and tau together: a sharper loss has larger gradients, so the best balance may move with it."""
    return Space({"fused.loss.structure_weight": (0.2, 0.4, 0.6, 0.8), "fused.loss.temperature": (0.05, 0.1, 0.2)})


def separate_temperatures() -> Space:
    """One tau for shared users and one for alike texts."""
    tried = (0.05, 0.1, 0.2)
    return Space({"fused.loss.structure_temperature": tried, "fused.loss.semantic_temperature": tried})


def generation_temperature() -> Space:
    """The temperature of the recommender's training loss (LETTER's ranking-guided loss), where it generates tokens."""
    return Space({"model.backbone.temperature": (0.5, 0.7, 1.0, 1.5)})
