"""What a search found: its table, its plots, its winner, and what went wrong."""

from collections.abc import Sequence

from unisid import pipeline
from unisid.errors import DataError
from unisid.evaluation import measures
from unisid.report import plots
from unisid.report import search as shown
from unisid.report.html import write_report
from unisid.search.definition import Search
from unisid.search.outcomes import Outcome
from unisid.search.running import Running
from unisid.trials.making import last_line


def show(running: Running) -> None:
    """The table, as text and as CSV, and the plots."""
    search, found = running.search, running.results()
    place = running.folder.place
    every = [name for name in measures.MEASURES if any(name in outcome.values for outcome in found)]
    text = shown.table(found, search.objectives, every)
    place.write("table.txt", (text + "\n").encode())
    place.write("trials.csv", shown.comma_separated(found, every))
    for name, figure in shown.plots(found, search.objectives, search.texts()).items():
        place.write(f"{name}.png", plots.png(figure))
    running.say(f"\n{text}\n")
    if best := winner(search, found):
        words = " ".join(f"--{key} {value}" for key, value in best.settings.items())
        running.say(f"best by {search.objectives[0]}: {words}")
    running.say(f"search  {place}")
    running.teller.publish(search.name, {}, place)


def winner(search: Search, found: Sequence[Outcome]) -> Outcome | None:
    """Of the configuration with the best mean by the first objective, the first completed seed; None without any."""
    decided = search.objectives[0]
    known = [c for c in shown.configurations(found, [decided]) if decided in c.estimates]
    if not known:
        return None
    best = max(known, key=lambda c: c.estimates[decided].mean)
    return next(o for o in found if o.state == "complete" and o.settings == best.settings)


def register(running: Running) -> None:
    """The winner's index, and its recommender where there is one, under the recipe's own name."""
    best = winner(running.search, running.results())
    if best is None:
        raise DataError(f"search {running.search.name}: no trial was completed; there is nothing to register")
    number = next(n for n, trial in enumerate(running.trials) if trial.id == best.id)
    recipe, places = running.trials[number].recipe, running.places(number)
    report = pipeline.report_place(recipe, running.store)
    write_report(places, report, note=recipe.note)
    running.teller.publish(running.search.recipe.name, places, report)


def refuse_failures(running: Running) -> None:
    failed = [(t.name, running.over[t.id]) for t in running.trials if running.over[t.id].state == "failed"]
    if failed:
        lines = "\n".join(f"  {name}: {last_line(outcome.note)}" for name, outcome in failed)
        raise DataError(f"search {running.search.name}: {len(failed)} of {len(running.trials)} trials failed; the "
                        f"table holds the others, --resume tries these again\n{lines}")  # fmt: skip
