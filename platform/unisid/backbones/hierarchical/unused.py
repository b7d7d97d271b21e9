"""The codes that no item has after a prefix, in a softmax over whole codebooks.

P positions with a target, X children looked at, K codes of a level.
"""

from typing import TYPE_CHECKING

from jaxtyping import Float, Int
from torch import Tensor

from unisid.backbones import Index
from unisid.decoding.hierarchy import Children

if TYPE_CHECKING:
    from unisid.backbones.hierarchical.model import Hierarchical
    from unisid.backbones.hierarchical.states import States


def log_mass_of_unused(
    model: "Hierarchical", states: "States", level: int, targets: Int[Tensor, " P"], children: Children, index: Index
) -> Float[Tensor, " P"]:
    """log of the sum of e^logit over the codes of a level that no child of the target's parent has; -10^30 for none."""
    prefix, query = index.codes[targets].long(), model.query(states, level)
    logits = query @ model.codes[level].get_parameter("weight").float().T
    for number, table in enumerate(model.codes[:level]):
        logits = logits + (query * table(prefix[:, number])).sum(1, keepdim=True)
    first = index.trie.levels[level].first_leaf[children.node].long()
    used = index.codes[index.trie.items[first].long(), level].long()
    return logits.index_put((children.row, used), logits.new_full((), -1e30)).logsumexp(1)
