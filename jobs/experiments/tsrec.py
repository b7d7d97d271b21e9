"""TS-Rec's questions (table 3, figure 4), of any recipe with a language model:
`unisid experiment tsrec --dataset demo_llm --seeds 42 43 44`."""

from dataclasses import replace

from jobs.recipes.language import with_token_semantics
from unisid.experiments.definition import Experiment, Method
from unisid.planning import Recipe


def tsrec(base: Recipe) -> Experiment:
    """Table 3: with and without rows from keywords, with and without tasks about tokens. "Without" rows are the
    library's, as the paper's are."""
    arms = {
        "tsrec": {},
        "no-sa-init": {"initialised": False},
        "no-ts-align": {"aligned": False},
        "neither": {"initialised": False, "aligned": False},
    }
    return Experiment(
        name="tsrec",
        question="What do rows from keywords and tasks about tokens add, each and together?",
        methods=tuple(_method(base, name, **arm) for name, arm in arms.items()),
        ours="tsrec",
    )


def tsrec_depth(base: Recipe) -> Experiment:
    """Figure 4: keyword rows for none, one, two, ... of the levels, with curves over training."""
    levels = base.codes.tokenizer.num_levels
    methods = [_method(base, "depth-0", at=0, initialised=False)]
    methods += [_method(base, f"depth-{depth}", at=depth, depth=depth) for depth in range(1, levels + 1)]
    return Experiment(
        name="tsrec_depth",
        question="Does it pay to begin deeper levels with keywords too?",
        methods=tuple(methods),
        ours=f"depth-{levels}",
        axis="levels whose rows come from keywords",
    )


def _method(
    base: Recipe, name: str, *, at: float | None = None, depth: int = 0, initialised: bool = True, aligned: bool = True
) -> Method:
    recipe = with_token_semantics(base, depth=depth, initialised=initialised, aligned=aligned)
    return Method(name, replace(recipe, baseline=None, metrics=replace(recipe.metrics, method=name, baselines=())), at)
