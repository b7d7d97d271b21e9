"""All tables and figures of the UQF thesis's chapter 6, of any dataset's recipe, on one page."""

from dataclasses import replace

from jobs.experiments.thesis import (
    OWN,
    ablation,
    both_families,
    families,
    interpretability,
    main,
    scaling,
    sensitivity,
    tokenized,
)
from unisid.experiments.definition import Chapter, Experiment, Series
from unisid.planning import Recipe

BOTH_RULES = {"forest": "Figure 6.1, history excluded", "forest-allowed": "Figure 6.1, history allowed"}


def thesis(base: Recipe) -> Series:
    """Chapter 6 of the UQF thesis: tables 6.1 to 6.4 and figures 6.1 to 6.6, with two families of recommenders."""
    return Series(
        name="thesis",
        question="What do tables 6.1 to 6.4 and figures 6.1 to 6.6 of the UQF thesis come to on this catalogue?",
        chapters=(
            Chapter(overall(base), "Table 6.1: overall"),
            *(
                Chapter(replace(found, name=f"ablation-{found.reference.partition('-')[2]}"), title, BOTH_RULES)
                for found in map(ablation, both_families(base))
                for title in ("Tables 6.2 and 6.3, within a family: tests, and the fusion beside its parts",)
            ),
            Chapter(families(base), "Table 6.3: both families in one paired table"),
            Chapter(
                sensitivity(base),
                "How much structure should count",
                {"line": "Figure 6.2, history excluded", "line-allowed": "Figure 6.2, history allowed"},
            ),
            Chapter(
                scaling(base),
                "Table 6.4: the size of the recommender",
                {
                    "line": "Figure 6.3, history excluded",
                    "bars": "Figure 6.4, history excluded",
                    "line-allowed": "Figure 6.3, history allowed",
                    "bars-allowed": "Figure 6.4, history allowed",
                },
            ),
            Chapter(
                interpretability(base),
                "What prefixes mean",
                {"labels": "Figure 6.5", "shared-users": "Figure 6.6"},
            ),
        ),
    )


def overall(base: Recipe) -> Experiment:
    """Table 6.1 with both families: `main`, and semantic ids of text, LETTER and the fusion for the other family."""
    found, twin = main(base), both_families(base)[1]
    known = {method.name for method in found.methods}
    others = (tokenized(twin, source) for source in ("text", "letter", OWN))
    return replace(
        found, name="overall", methods=(*found.methods, *(each for each in others if each.name not in known))
    )
