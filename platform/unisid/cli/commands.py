"""All commands, and a line of words read as one of them."""

import contextlib
import io
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Annotated, Any, Literal, Union

import tyro
from tyro.conf import Positional

from unisid import __version__
from unisid.cli import (
    exchange,
    experiment,
    flow,
    index,
    judge,
    look,
    machine,
    promote,
    recommend,
    report,
    reproduce,
    search,
    serve,
    update,
)
from unisid.cli.completion import completing
from unisid.cli.configured import RecipeCommand
from unisid.cli.session import Command, Configured
from unisid.config import did_you_mean
from unisid.console import styled

Commands = Mapping[str, type[Command] | tuple[str, Mapping[str, type[Command]]]]


@dataclass(frozen=True, kw_only=True)
class Completion(Command):
    """Print what completes words in a shell: source <(unisid completion bash)."""

    shell: Positional[Literal["bash", "zsh", "fish"]]
    """the shell that reads it"""

    def act(self) -> None:
        from unisid import recipes
        from unisid.artifacts.nouns import NOUNS

        written = io.StringIO()
        with contextlib.suppress(SystemExit), contextlib.redirect_stdout(written):  # as tyro ends
            _parsed(["--tyro-print-completion", self.shell])
        takers = [name for name, kind in every() if issubclass(kind, RecipeCommand)]
        names = [name for name, _ in every()]
        print(completing(written.getvalue(), names, takers, list(recipes.ready()), NOUNS))


INDEX: Mapping[str, type[Command]] = {
    "extend": index.Extend,
    "add": index.Add,
    "refresh": index.Refresh,
    "compare": index.Compare,
    "cold-start": index.ColdStart,
}
COMMANDS: Commands = {
    "plan": flow.Plan,
    "run": flow.Run,
    "search": search.Search,
    "experiment": experiment.Experiment,
    "sync": flow.Sync,
    "reproduce": reproduce.Reproduce,
    "recipes": flow.Recipes,
    "list": look.List,
    "show": look.Show,
    "verify": look.Verify,
    "drop": look.Drop,
    "sid": look.Sid,
    "items": look.Items,
    "recommend": recommend.Recommend,
    "serve": serve.Serve,
    "index": ("Extend, refresh, compare and try an index.", INDEX),
    "promote": promote.Promote,
    "update": update.Update,
    "judge": judge.Judge,
    "certify": judge.Certify,
    "export": exchange.Export,
    "import": exchange.Import,
    "doctor": machine.Doctor,
    "completion": Completion,
    "report": report.Report,
}
"""Each command by its word; one that has actions with what it is for."""
DESCRIPTION = "Semantic IDs and generative recommenders from a shop's catalogue and interactions."
EXIT_CODES = (
    "exit codes: 0 done, 1 an error you can put right, 2 wrong words, 70 a fault of unisid,\n"
    "130 interrupted, 143 asked to stop (SIGTERM; SIGHUP: 129). A reader that leaves early (| head) ends\n"
    "a command that only prints with 141; one that makes something goes on without its console."
)
HELP = ("-h", "--help")


def parse(words: Sequence[str]) -> Command:
    """The command that words name, with its options.

    Raises:
        SystemExit: 2 for wrong words, once they are said; 0 once help or the version is printed.
    """
    if list(words) == ["--version"]:
        print(f"unisid {__version__}")
        raise SystemExit(0)
    names, kind = named(words)
    takes_settings = kind is not None and issubclass(kind, Configured)
    if set(words) & set(HELP):
        _help(names, words if takes_settings else ())
    if not takes_settings:
        return _parsed(words)[0]
    command, rest = _parsed(words, known_only=True)
    assert isinstance(command, Configured)
    return replace(command, settings=tuple(rest))


def named(words: Sequence[str]) -> tuple[list[str], type[Command] | None]:
    """The words that name a command, and the command; none where they name none, or one that has actions.

    Raises:
        SystemExit: 2, for a word that is no command.
    """
    names: list[str] = []
    known: Any = COMMANDS
    for word in words:
        if word.startswith("-"):
            break
        if word not in known:
            whole = " ".join(["unisid", *names])
            said = f"no command '{word}'{did_you_mean(word, known)}; known: {', '.join(known)}"
            print(f"error: {whole}: {said}", file=sys.stderr)
            raise SystemExit(2)
        names.append(word)
        found = known[word]
        if isinstance(found, type):
            return names, found
        known = found[1]
    return names, None


def every() -> Iterator[tuple[str, type[Command]]]:
    """(the words that name it, the command) of every command."""
    for name, found in COMMANDS.items():
        if isinstance(found, type):
            yield name, found
        else:
            yield from ((f"{name} {action}", kind) for action, kind in found[1].items())


def _help(names: Sequence[str], words: Sequence[str]) -> None:
    """Print a command's help and, where words with settings name a recipe, the settings; leave."""
    try:
        _parsed([*names, "--help"])
    except SystemExit as left:
        if left.code:  # the reader left
            raise
        print(f"\n{EXIT_CODES}", flush=True)
    given = [word for word in words if word not in HELP]
    if given[len(names) :]:
        command, _ = _parsed(given, known_only=True)
        assert isinstance(command, Configured)
        command.show_settings(" ".join(["unisid", *names]))
    raise SystemExit(0)


def _parsed(words: Sequence[str], known_only: bool = False) -> tuple[Command, list[str]]:
    """The command, and the words that are none of its own where those are left aside."""
    options = (tyro.conf.OmitArgPrefixes, tyro.conf.FlagCreatePairsOff)
    with styled():
        found: Any = tyro.cli(
            _union(_narrowed(COMMANDS, words)),
            prog="unisid",
            description=DESCRIPTION,
            args=list(words),
            config=options,
            return_unknown_args=known_only,  # type: ignore[call-overload]
        )
    return found if known_only else (found, [])


def _narrowed(commands: Mapping[str, Any], words: Sequence[str]) -> Mapping[str, Any]:
    """Only the command that the first word names, where it names one: what is like a wrong word is then its own."""
    return {words[0]: commands[words[0]]} if words and words[0] in commands else commands


def _union(commands: Mapping[str, Any]) -> Any:
    """The type of one of these commands, as tyro reads it."""
    members = []
    for name, found in commands.items():
        if isinstance(found, type):
            members.append(Annotated[found, tyro.conf.subcommand(name)])
        else:
            text, actions = found
            inner = _union(actions)
            members.append(
                Annotated[Any, tyro.conf.subcommand(name, description=text, constructor_factory=_giving(inner))]
            )
    if len(members) == 1:  # tyro takes a union of one for its member
        members.append(Annotated[None, tyro.conf.Suppress])
    return Union[tuple(members)]  # noqa: UP007


def _giving(found: Any) -> Any:
    return lambda: found
