"""The sensitivities that the UQF thesis shows (6.4): how much structure counts, and the temperature."""

from unisid.search.space import Space


def structure_weight() -> Space:
    """w_s, how much shared users count in the fusion's loss; alike texts count w_t = 1 - w_s."""
    return Space({"fused.loss.structure_weight": (0.0, 0.2, 0.4, 0.6, 0.8, 1.0)})


def temperature() -> Space:
    """tau of the fusion's contrastive loss."""
    return Space({"fused.loss.temperature": (0.03, 0.05, 0.07, 0.1, 0.2)})
