"""What a shell completes besides what tyro finds: names of recipes, and nouns after `--until`.

The script that tyro writes for a shell holds a description of all commands, as Python; a few lines after it add to
that. They have neither double quotes nor dollars nor backslashes, which a shell might read.
"""

import re
from collections.abc import Iterable, Sequence

SPEC = re.compile(r"^COMPLETION_SPEC = .*$", re.MULTILINE)
"""The description's line."""
ADDED = """
for path in {paths}:
    command = COMPLETION_SPEC
    for word in path:
        command = command['subcommands'][word]
    for option in command['options']:
        if '--until' in option['flags'] and 'choices' not in option:
            option.update(type='choice', choices={nouns})
    if path in {takers}:
        known = dict(command, description='a ready recipe', subcommands={{}})
        command['subcommands'] = {{name: known for name in {recipes}}}
"""


def completing(
    script: str, commands: Iterable[str], takers: Iterable[str], recipes: Sequence[str], nouns: Sequence[str]
) -> str:
    """A shell's script that also completes recipes and nouns.

    Args:
        commands: the words of every command, 'index extend'.
        takers: those of the commands that take a recipe.
    """
    paths, taking = ([name.split() for name in names] for names in (commands, takers))
    added = ADDED.format(paths=paths, takers=taking, recipes=sorted(recipes), nouns=list(nouns))
    return SPEC.sub(lambda found: found[0] + added.rstrip("\n"), script, count=1)
