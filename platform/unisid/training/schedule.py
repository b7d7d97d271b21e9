"""Learning-rate schedules: multipliers of the peak rate, pure functions of the step."""

import math


def warmup_cosine(step: int, warmup_steps: int, total_steps: int) -> float:
    """Linear from 0 to 1 over `warmup_steps`, then half a cosine down to 0 at `total_steps`."""
    if step < warmup_steps:
        return (step + 1) / warmup_steps
    progress = (step - warmup_steps) / max(1, total_steps - warmup_steps)
    return 0.5 * (1.0 + math.cos(math.pi * min(1.0, progress)))


def constant(step: int, warmup_steps: int, total_steps: int) -> float:
    """Linear from 0 to 1 over `warmup_steps`, then 1."""
    return (step + 1) / warmup_steps if step < warmup_steps else 1.0


def inverse_square_root(step: int, warmup_steps: int, total_steps: int) -> float:
    """Linear from 0 to 1 over `warmup_steps`, then sqrt(warmup_steps / step)."""
    warmup = max(1, warmup_steps)
    return min((step + 1) / warmup, math.sqrt(warmup / (step + 1)))


SCHEDULES = {"cosine": warmup_cosine, "constant": constant, "inverse_square_root": inverse_square_root}
