"""Makes the instructions: the tasks' rows in words, mixed, one table a split.

Each row has one of its task's prompts, drawn by seed from the number of the row alone; the first of a task's prompts is
the one that serves and that all validation rows have. `prompts.json` hands these on to the model.

A part is one file: of every task the same share, in an order drawn by seed. Samples come in the order in which
`sequences` shuffled them and items in the catalog's, which is drawn by seed too; so each file is a fair mixture, and
no worker needs more than its file's rows, the titles and the codes. S samples, N items.
"""

import functools
import zlib
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field

import numpy as np
import pyarrow as pa

from unisid.artifacts.catalog import Catalog
from unisid.artifacts.codes import Codes
from unisid.artifacts.instructions import PROMPTS
from unisid.artifacts.keywords import Keywords
from unisid.artifacts.sequences import Sequences
from unisid.artifacts.store import Place
from unisid.artifacts.tables import Rows, open_table, read_texts, table_names, write_table
from unisid.bounds import Count, CountOrNone, Positive, Seed, Settings
from unisid.compute import Job, Part, Pool, Step
from unisid.config import Json, did_you_mean, identity_where, plug_in, runtime
from unisid.errors import ArtifactError, ConfigError, DataError
from unisid.ops.prompts import CATEGORY, Prompt, Prompts, Wordings
from unisid.ops.seeded import seed_of
from unisid.progress import Progress
from unisid.stages.instructions.rows import Asking, PromptRows, Speller, TokenSpeller, write_rows
from unisid.tasks import Source, TaskConfig

SPLITS = ("train", "valid")
ROWS_PER_FILE = 1 << 15
ROWS_PER_GROUP = 1 << 11
"""The least that a reader decodes at a time: a few megabytes of text."""


@dataclass(frozen=True, kw_only=True)
class Config(Settings):
    """What a language model is taught, and how much of each."""

    tasks: tuple[str, ...] = ("next", "title_to_sid", "sid_to_title", "next_title", "titles_to_title", "titles_to_sid")
    """Kinds in `tasks`."""
    weights: tuple[Positive, ...] = ()
    """By task, the rows that a pass holds for every row of the task's source (a training sample or an item): 1 for
    each once, 0.25 for a quarter of them, 3 for each three times. Empty: 1 for every task."""
    at_most: tuple[CountOrNone, ...] = field(default=(), metadata=identity_where(lambda config: bool(config.at_most)))
    """By task, the rows of a pass at most, a seeded share of all; 0 for no limit. Empty: none for any task."""
    wordings: Wordings = field(default="ours", metadata=identity_where(lambda config: config.wordings != "ours"))
    """How prompts are worded: `ours`, one short prompt a task; `thesis`, the sentences of the UQF thesis's listings
    (and TS-Rec's, where they have none); `lcrec`, several sentences a task, one drawn for each row, as LC-Rec has it,
    in words of our own. Serving asks with the first."""
    category: str = field(default="", metadata=identity_where(lambda config: config.names_category))
    """A word for the shop's items that some prompts of the thesis say, such as 'Office Product'."""
    description: str = field(default="description", metadata=identity_where(lambda config: config.describes))
    """The catalogue's column that tasks with descriptions read."""
    description_length: Count = field(
        default=300, metadata=identity_where(lambda config: config.describes or config.about_tokens)
    )
    """Characters of a description that are kept, cut between words."""
    valid_rows: CountOrNone = 2000
    """Validation rows a task, at most; 0 for all."""
    seed: Seed = 42
    """Of the order of rows, and of which a weight below 1 takes."""
    pool: Pool = runtime(Pool())
    """The workers that write files."""

    def __post_init__(self) -> None:
        super().__post_init__()
        if not self.tasks or len(set(self.tasks)) < len(self.tasks):
            raise ConfigError(f"instructions.tasks: {self.tasks}; must be some tasks, each once")
        for kind in self.tasks:
            plug_in("tasks", kind)
        if self.weights and len(self.weights) != len(self.tasks):
            raise ConfigError(
                f"instructions.weights: {self.weights} for the tasks {self.tasks}; must be a positive number for each"
            )
        if self.at_most and len(self.at_most) != len(self.tasks):
            raise ConfigError(
                f"instructions.at_most: {self.at_most} for the tasks {self.tasks}; must be a number of rows for each"
            )
        for kind in self.tasks:
            self.prompts(kind)

    @property
    def mix(self) -> dict[str, float]:
        """The weight of every task."""
        return dict(zip(self.tasks, self.weights or (1.0,) * len(self.tasks), strict=True))

    @property
    def limits(self) -> dict[str, int]:
        """The most rows of every task; 0 for no limit."""
        return dict(zip(self.tasks, self.at_most or (0,) * len(self.tasks), strict=True))

    @property
    def describes(self) -> bool:
        """Whether a task reads descriptions of items."""
        return any("description" in _task(kind).needs for kind in self.tasks)

    @property
    def about_tokens(self) -> bool:
        """Whether a task is about tokens, whose keywords it reads."""
        return any(_task(kind).source == "tokens" for kind in self.tasks)

    @property
    def names_category(self) -> bool:
        """Whether a prompt names the shop's category."""
        worded = [getattr(_task(kind).wordings, self.wordings) for kind in self.tasks]
        return any(CATEGORY in text for prompts in worded for prompt in prompts for text in prompt)

    def prompts(self, kind: str) -> tuple[Prompt, ...]:
        """A task's prompts in the wording chosen; the first serves.

        Raises ConfigError where one names the category and there is none.
        """
        return _task(kind).prompts(self.wordings, self.category)


def prompts_of(config: Config) -> Prompts:
    """The prompts for a model trained on such instructions: the first of each task."""
    return Prompts.of(lambda kind: config.prompts(kind)[0])


def inputs(config: Config) -> tuple[str, ...]:
    """The nouns that it reads; one that the recipe leaves out is absent."""
    return ("catalog", "codes", *(("keywords",) if config.about_tokens else ()), "sequences")


def sources(config: Config) -> dict[str, Json]:
    """Nothing but artifacts goes in."""
    return {}


def make(job: Job[Config]) -> Json:
    """Write the tables; the counts are the rows of each split and task, and what became of the titles."""
    config = job.config
    catalog, codes = Catalog.read(job.inputs["catalog"]), Codes.read(job.inputs["codes"])
    samples = Sequences.read(job.inputs["sequences"])
    if len(codes.codes) != catalog.num_items:
        raise ArtifactError(
            f"{codes.place}: has codes for {len(codes.codes)} items, the catalog {catalog.place} has "
            f"{catalog.num_items}; both must come from one recipe"
        )
    parts: list[Part] = []
    for split in SPLITS:
        sizes = _sizes(job.inputs, samples.num_samples(split), catalog)
        total = sum(_share(config, kind, split, sizes).rows for kind in config.tasks)
        files = max(1, -(-total // ROWS_PER_FILE))
        parts += [{"split": split, "file": file, "files": files} for file in range(files)]
    _check_described(config, catalog)
    writer = functools.partial(_writer, job.inputs, job.out, config)
    counts: Counter[str] = Counter()
    progress = Progress(job.report, len(parts), "files")
    for counted in job.compute.map(parts, Step(writer, config.pool)):
        counts.update({name: counted[name][0].as_py() for name in counted.column_names})
        progress.advance()
    with job.out.writing(PROMPTS) as stream:
        stream.write(prompts_of(config).to_json())
    return _checked(config, counts, catalog)


def _check_described(config: Config, catalog: Catalog) -> None:
    """Raise DataError where the catalogue lacks the column of descriptions that a task reads."""
    names = open_table(catalog.place, table_names(catalog.place, "items")[0]).schema_arrow.names
    if config.describes and config.description not in names:
        like = did_you_mean(config.description, names)
        raise DataError(
            f"{catalog.place}: its items have no column '{config.description}'{like}; they have {', '.join(names)}: "
            "set instructions.description to the one that describes them, or leave out the tasks that read it"
        )


def _checked(config: Config, counts: Counter[str], catalog: Catalog) -> Json:
    """The counts for the record; raises DataError where a task has nothing to teach."""
    tasks = {kind: {name: counts[f"{kind}.{name}"] for name in (*SPLITS, "skipped")} for kind in config.tasks}
    for kind, counted in tasks.items():
        if not counted["train"]:
            if _task(kind).source == "tokens":
                raise DataError(
                    f"instructions: task '{kind}' has no row, because no token has keywords; leave it out of "
                    "instructions.tasks, or look for keywords in other columns (keywords.text)"
                )
            lack = "description" if "description" in _task(kind).needs else "title"
            raise DataError(
                f"{catalog.place}: task '{kind}' has no row, because {counts[f'without {lack}']} of "
                f"{catalog.num_items} items have no {lack}; leave it out of instructions.tasks"
            )
    return {
        **{split: sum(counted[split] for counted in tasks.values()) for split in SPLITS},
        "tasks": tasks,
        "items_without_title": counts["without title"],
        "titles_cleaned": counts["cleaned"],
        **({"items_without_description": counts["without description"]} if config.describes else {}),
    }


@dataclass(frozen=True)
class Share:
    """What a split takes of one task's source: `rows` of them, counted on from `first` and round again."""

    rows: int
    first: int
    size: int

    def spans(self, file: int, files: int) -> Iterator[tuple[int, int, int]]:
        """The rows of one of so many files, as ranges of the source, each with its first row's number in the pass."""
        at, stop = (self.first + self.rows * number // files for number in (file, file + 1))
        while at < stop:
            start = at % self.size
            end = min(self.size, start + stop - at)
            yield start, end, at - self.first
            at += end - start


def _share(config: Config, kind: str, split: str, sizes: dict[Source, int]) -> Share:
    size = sizes[_task(kind).source]
    if split == "train":
        rows = max(1, round(config.mix[kind] * size)) if size else 0
        rows = min(rows, config.limits[kind] or rows)
    else:
        rows = min(size, config.valid_rows or size)
    return Share(rows, seed_of(config.seed, zlib.crc32(f"{split}.{kind}".encode())) % max(1, size), size)


def _sizes(inputs: Mapping[str, Place], samples: int, catalog: Catalog) -> dict[Source, int]:
    """How many rows each source has."""
    tokens = len(Keywords.read(inputs["keywords"]).tokens) if "keywords" in inputs else 0
    return {"samples": samples, "items": catalog.num_items, "tokens": tokens}


def _task(kind: str) -> TaskConfig:
    task: TaskConfig = plug_in("tasks", kind)()
    return task


def _writer(inputs: Mapping[str, Place], out: Place, config: Config) -> Callable[[pa.Table], pa.Table]:
    """The map's step, with what a worker keeps between parts: titles, codes, and where the samples lie."""
    catalog = Catalog.read(inputs["catalog"])
    descriptions = read_texts(catalog.place, "items", config.description) if config.describes else None
    speller = Speller(Codes.read(inputs["codes"]).codes, catalog.titles, descriptions, config.description_length)
    tokens = _token_speller(inputs, config) if config.about_tokens else None
    samples = {split: Rows.of(inputs["sequences"], split) for split in SPLITS}

    def write(part: pa.Table) -> pa.Table:
        split, file, files = (part[name][0].as_py() for name in ("split", "file", "files"))
        sizes = _sizes(inputs, samples[split].size, catalog)
        tables: list[pa.Table] = []
        counts: dict[str, int] = {}
        for kind in config.tasks:
            task, share = _task(kind), _share(config, kind, split, sizes)
            spans = share.spans(file, files)
            rows = PromptRows.joined([_prompt_rows(task.source, samples[split], *span) for span in spans])
            prompts = config.prompts(kind) if split == "train" else config.prompts(kind)[:1]
            seed = seed_of(config.seed, zlib.crc32(f"{kind}.wording".encode()))
            about = tokens if tokens is not None and task.source == "tokens" else speller
            written = write_rows(Asking(task, config.tasks, prompts, seed), rows, about)
            tables.append(written)
            counts |= {f"{kind}.{split}": written.num_rows, f"{kind}.skipped": len(rows) - written.num_rows}
        table = pa.concat_tables(tables)
        order = np.random.default_rng((config.seed, SPLITS.index(split), file)).permutation(table.num_rows)
        write_table(out, split, file, table.take(order), ROWS_PER_GROUP)
        if split == "train":
            counts |= speller.count(*(catalog.num_items * at // files for at in (file, file + 1)))
        return pa.table({name: [value] for name, value in counts.items()})

    return write


def _token_speller(inputs: Mapping[str, Place], config: Config) -> TokenSpeller:
    """The tokens in an order drawn by seed, as samples and items lie: so that any share of them is a fair one."""
    read = Keywords.read(inputs["keywords"])
    order = pa.array(np.random.default_rng(config.seed).permutation(len(read.tokens)))
    return TokenSpeller(read.tokens.take(order), read.descriptions.take(order), config.description_length)


def _prompt_rows(source: Source, samples: Rows, start: int, stop: int, first: int) -> PromptRows:
    if source != "samples":
        return PromptRows.of_items(start, stop, first)
    return PromptRows.of_samples(samples.read(start, stop, ["user", "history", "target"]), first)
