"""What a search found: its table, its plots, its winner, and what went wrong."""

from unisid import pipeline
from unisid.errors import DataError
from unisid.evaluation import measures
from unisid.evaluation.estimates import best
from unisid.report import plots, search_plots
from unisid.report import search as shown
from unisid.report.html import write_report
from unisid.search.running import Running
from unisid.trials import events


def written(running: Running) -> str:
    """Writes the table, as text and as CSV, and the plots; returns what the console shows of it."""
    search, found = running.search, running.results()
    place = running.folder.place
    every = [name for name in measures.MEASURES if any(name in outcome.values for outcome in found)]
    text = shown.table(found, search.objectives, every)
    place.write("table.txt", (text + "\n").encode())
    place.write("trials.csv", shown.rows(found, every))
    for name, picture in search_plots.plots(found, search.objectives, search.texts()).items():
        place.write(f"{name}.png", plots.png(picture))
    lines = [f"\n{text}\n"]
    if winner := best(found, search.objectives[0]):
        words = " ".join(f"--{key} {value}" for key, value in winner.settings.items())
        lines.append(f"best by {search.objectives[0]}: {words}")
    running.tracker.publish(search.name, {}, place)
    return "\n".join([*lines, f"search  {place}"])


def register(running: Running) -> None:
    """The winner's index, and its recommender where there is one, under the recipe's own name."""
    winner = best(running.results(), running.search.objectives[0])
    if winner is None:
        raise DataError(f"search {running.search.name}: no trial was completed; there is nothing to register")
    number = next(n for n, trial in enumerate(running.trials) if trial.id == winner.id)
    recipe, places = running.trials[number].recipe, running.places(number)
    report = pipeline.report_place(recipe, running.store)
    write_report(places, report, note=recipe.note)
    running.tracker.publish(running.search.recipe.name, places, report)


def refuse_failures(running: Running) -> None:
    """Raises DataError where trials failed."""
    over = ((trial.name, running.over[trial.id]) for trial in running.trials)
    failed = {name: outcome.note for name, outcome in over if outcome.state == "failed"}
    events.refuse_failures(f"search {running.search.name}", failed, f"{len(running.trials)} trials", "--resume")
