"""Layer normalisation whose scale and shift follow from its own input.

B rows, D width.
"""

from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional


class AdaptiveNorm(nn.Module):
    """(1 + gamma(x)) * LN(x) + beta(x), gamma and beta linear in x and zero at first: it begins as LN without weights.

    UNGER's AdaLN (its equation 2), "conditioned on the input itself"; the paper leaves the two maps open.
    """

    def __init__(self, width: int) -> None:
        super().__init__()
        self.conditions = nn.Linear(width, 2 * width)
        nn.init.zeros_(self.conditions.weight)
        nn.init.zeros_(self.conditions.bias)

    def forward(self, values: Float[Tensor, "B D"]) -> Float[Tensor, "B D"]:
        gamma, beta = self.conditions(values).chunk(2, dim=-1)
        return (1 + gamma) * functional.layer_norm(values, values.shape[-1:]) + beta
