"""Ranking by brute force: the library's own T5 scores every item of the catalogue, one by one."""

import torch

from unisid.backbones.tiger import FIRST_TOKEN, START, Tiger


def scores(tiger: Tiger, history: list[int], codes: torch.Tensor, renormalised: bool) -> torch.Tensor:
    """log p of every item [N] given one history (in tokens), by teacher forcing."""
    return prefix_scores(tiger, history, codes, renormalised)[:, -1]


@torch.no_grad()
def prefix_scores(tiger: Tiger, history: list[int], codes: torch.Tensor, renormalised: bool) -> torch.Tensor:
    """log p of every item's prefixes of 1 to L codes [N, L]."""
    starts = torch.tensor(tiger.level_starts)
    prompt = torch.tensor([history]) + FIRST_TOKEN
    found = []
    for semantic_id in codes:
        entries = semantic_id + starts
        decoder_input = torch.cat([torch.tensor([START]), entries[:-1]])[None]
        logits = tiger.t5(input_ids=prompt, decoder_input_ids=decoder_input).logits[0]
        steps = []
        for level, entry in enumerate(entries):
            if renormalised:
                siblings = (codes[:, :level] == semantic_id[:level]).all(1)
                options = codes[siblings, level].unique() + starts[level]
                steps.append(logits[level, entry] - logits[level, options].logsumexp(0))
            else:
                steps.append(logits[level].log_softmax(0)[entry])
        found.append(torch.stack(steps).cumsum(0))
    return torch.stack(found)


def best(values: torch.Tensor, codes: torch.Tensor, k: int, excluded: set[int]) -> list[int]:
    """The k best items that are not excluded; equal ones by semantic id."""
    items = [item for item in range(len(codes)) if item not in excluded]
    return sorted(items, key=lambda item: (-values[item].item(), codes[item].tolist()))[:k]
