"""A series of experiments from end to end, and the page that holds all their tables and figures."""

from collections.abc import Callable, Mapping, Sequence

from unisid.artifacts.store import Place, Store
from unisid.compute import Compute
from unisid.errors import DataError
from unisid.experiments.definition import Chapter, Series
from unisid.experiments.run import run
from unisid.log import logger
from unisid.planning import Recipe
from unisid.runtime.trials import Runner
from unisid.trials.telling import ExperimentTracker

LOG = logger(__name__)
PAGE = "page.md"


def run_series(
    series: Series,
    base: Recipe,
    seeds: Sequence[int],
    store: Store,
    compute: Compute,
    runner: Runner,
    tracker: ExperimentTracker,
    show: Callable[[str], None],
) -> Place:
    """Run every experiment of a series, and write the page of all; returns the folder that holds it.

    Args:
        show: receives each table, and where the page lies, as text.

    Raises:
        ConfigError, DriftError: before an experiment makes anything.
        DataError: after the page of the others was written, where cells of some experiment failed.
    """
    failed: dict[str, str] = {}
    folders: dict[str, Place] = {}
    for number, chapter in enumerate(series.chapters, 1):
        own = chapter.experiment
        LOG.info(f"series {series.name}, {number} of {len(series.chapters)}: {own.name} ({chapter.title})")
        folders[own.name] = store.root / "experiments" / f"{base.name}-{own.name}"
        try:
            run(own, base, seeds, store, compute, runner, tracker, show)
        except DataError as error:
            failed[own.name] = str(error)
    folder = store.root / "experiments" / f"{base.name}-{series.name}"
    folder.write(PAGE, page_of(series, base.name, folders).encode())
    show(f"\npage  {folder / PAGE}")
    if failed:
        reasons = "\n".join(failed.values())
        raise DataError(
            f"series {series.name}: {len(failed)} of {len(series.chapters)} experiments lack cells; the page holds the "
            f"others, the same command tries these again\n{reasons}"
        )
    return folder


def page_of(series: Series, base: str, folders: Mapping[str, Place]) -> str:
    """The page as Markdown: each experiment's table as it stands in its folder, and its figures beside their names.

    A table or figure that is not there, because its cells failed, is named as missing.
    """
    parts = [f"# {series.name} on {base}\n\n{series.question}"]
    parts += ["\n\n".join(_chapter(chapter, folders[chapter.experiment.name])) for chapter in series.chapters]
    return "\n\n".join(parts) + "\n"


def _chapter(chapter: Chapter, folder: Place) -> list[str]:
    own, files = chapter.experiment.name, set(folder.sizes())
    found = [f"## {chapter.title}"]
    if "table.md" in files:
        table = folder.read("table.md").decode().split("\n", 1)[1].strip()
        found.append(f"`experiment {own}`. {table}")
    else:
        found.append(f"`experiment {own}`: no cell is complete.")
    for plot, title in chapter.figures.items():
        name = f"{plot}.png"
        beside = f"![{title}](../{folder.name}/{name})" if name in files else "not drawn"
        found.append(f"{title}: {beside}")
    return found
