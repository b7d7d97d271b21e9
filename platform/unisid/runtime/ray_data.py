"""`map` and streams on Ray Data: a block a part, an actor pool a step, results streamed back as they come.

A map of one part runs as tasks, a step each: an actor imports PyTorch anew, which takes seconds, whereas a task gets a
process that Ray has kept from an earlier one. Small catalogues have many such maps.

Three things keep it from hanging or losing work. The pools are cut to what the session can hand out, because actors
of a later step that find no core would wait for ever for those of an earlier one; and on a cluster, to what is left of
it without its largest node, because those that were on a lost node wait likewise. There they are also cut so that each
finds a node that has its cores: what is left here and there adds up to nothing. Blocks are never split or joined (no
target size), so a part stays the grain of retry: when an actor dies, Ray starts another and gives it the same
part. And a step's UnisidError travels as data, so that it reaches the driver as itself and is not tried again.
"""

import dataclasses
import json
import sys
from collections.abc import Callable, Iterator, Sequence
from itertools import repeat
from typing import Any

import pyarrow as pa
import pyarrow.ipc as ipc
import ray.data

from unisid import errors
from unisid.compute import Part, Pool, Step, Stream
from unisid.errors import ConfigError, UnisidError
from unisid.runtime.streams import Piece, read_piece

WORD = "unisid.word"
"""The only column of a table that is a message: Ray Data drops empty blocks and schema metadata, but never rows."""

RETRIES = 10
"""So many times a part that has a task of its own begins again after its process or node was lost."""


def stream(
    parts: Sequence[Part],
    steps: Sequence[Step],
    cpus: float,
    gpus: float,
    lasting: float | None = None,
    nodes: Sequence[float] = (),
) -> Iterator[pa.Table]:
    """Stream parts through steps within so many cores and GPUs; yields as `Compute.map` says.

    Args:
        lasting: how many of the cores are left when a node is lost; the pools share those, to live on there.
        nodes: the cores of each node that must hold the workers; none where that is not known.
    """
    grants = onto([*nodes], fit_into([step.pool for step in steps], len(parts), cpus, gpus, lasting))
    if len(parts) == 1:
        yield single(parts[0], steps, grants)
        return
    context(preserve_order=False)
    dataset = given([pa.Table.from_pylist([part]) for part in parts])
    for step, grant in zip(steps, grants, strict=True):
        dataset = dataset.map_batches(
            Link,
            fn_constructor_args=(step.make, step.pool.cpus),
            batch_size=None,
            batch_format="pyarrow",
            zero_copy_batch=True,
            compute=ray.data.ActorPoolStrategy(size=grant.workers, max_tasks_in_flight_per_actor=2),
            num_cpus=grant.cpus,
            num_gpus=grant.gpus,
        )
    for table in dataset.iter_batches(batch_size=None, batch_format="pyarrow", prefetch_batches=1):
        yield unwrap(table)


def single(part: Part, steps: Sequence[Step], grants: Sequence[Pool]) -> pa.Table:
    """The table that the steps make of one part, in tasks that are cancelled where the caller is interrupted."""
    blocks: list[Any] = [pa.Table.from_pylist([part])]
    for step, grant in zip(steps, grants, strict=True):
        # not by .options: there a task that holds a GPU would leave its process and the memory behind
        task = ray.remote(num_cpus=grant.cpus, num_gpus=grant.gpus, max_retries=RETRIES)(_link)
        blocks.append(task.remote(blocks[-1], step.make, step.pool.cpus))
    try:
        return unwrap(ray.get(blocks[-1]))
    except BaseException:
        for reference in blocks[1:]:
            ray.cancel(reference, force=True)
        raise


def _link(block: pa.Table, make: Callable[[], Callable[[pa.Table], pa.Table]], cpus: float) -> pa.Table:
    return Link(make, cpus)(block)


def read(source: Stream, found: Sequence[Piece]) -> Iterator[pa.Table]:
    """The pieces of a stream in their order, read ahead by two tasks.

    The tasks hold no cores: a read that waited for one would wait for ever where the readers' own workers hold all.
    """
    if not found:
        return
    context(preserve_order=True)
    dataset = given([pa.Table.from_pylist([dataclasses.asdict(p)]) for p in found]).map_batches(
        _read,
        fn_kwargs={"source": source},
        batch_size=None,
        batch_format="pyarrow",
        compute=ray.data.TaskPoolStrategy(size=2),
        num_cpus=0,
    )
    for block in dataset.iter_batches(batch_size=None, batch_format="pyarrow", prefetch_batches=2):
        yield unwrap(block)


def given(tables: Sequence[pa.Table]) -> ray.data.Dataset:
    """A dataset of a block a table, made in this process.

    Ray Data's own way for tables has a task look at each, which wants a core: it waits for ever where workers hold all.
    """
    words = [{WORD: json.dumps({"table": _packed(table)})} for table in tables]
    return ray.data.from_items(words, override_num_blocks=len(words))


def _packed(table: pa.Table) -> str:
    sink = pa.BufferOutputStream()
    with ipc.new_stream(sink, table.schema) as writer:
        writer.write_table(table)
    return sink.getvalue().to_pybytes().hex()


def _read(block: pa.Table, source: Stream) -> pa.Table:
    return answer(lambda part: read_piece(source, Piece(**part.to_pylist()[0])), block)


def context(*, preserve_order: bool) -> ray.data.DataContext:
    """Ray Data's settings in this process: quiet, and one table in is one table out."""
    found = ray.data.DataContext.get_current()
    found.enable_progress_bars = False
    found.target_max_block_size = None
    found.execution_options.preserve_order = preserve_order
    return found


def fit_into(pools: Sequence[Pool], parts: int, cpus: float, gpus: float, lasting: float | None = None) -> list[Pool]:
    """The pools cut down so that all run at once within `cpus` and `gpus`.

    Workers beyond the number of parts go first, then workers of the largest pools; when one worker a step is still
    too much, cores are shared (they only steer scheduling). GPUs are never shared beyond what a pool says.

    Raises:
        ConfigError: one worker of every step needs more GPUs than there are.
    """
    grants = [dataclasses.replace(p, workers=max(1, min(p.workers, parts))) for p in pools]
    while _need(grants, "gpus") > gpus or _need(grants, "cpus") > cpus:
        scarce = "gpus" if _need(grants, "gpus") > gpus else "cpus"
        held = [getattr(g, scarce) * g.workers if g.workers > 1 else 0.0 for g in grants]
        if not any(held):
            break
        largest = held.index(max(held))
        grants[largest] = dataclasses.replace(grants[largest], workers=grants[largest].workers - 1)
    if (need := _need(grants, "gpus")) > gpus:
        raise ConfigError(
            f"pool: one worker of each of {len(pools)} chained steps needs {need:g} GPUs, there are "
            f"{gpus:g}; set the pools' gpus so that their sum fits, or 0"
        )
    share = min(1.0, (cpus if lasting is None else lasting) / _need(grants, "cpus"))
    return [dataclasses.replace(g, cpus=max(0.001, _floor(g.cpus * share))) for g in grants]


def onto(nodes: Sequence[float], grants: list[Pool]) -> list[Pool]:
    """The pools with as many cores a worker as nodes of so many can hold at once; as they are without nodes.

    The largest workers are cut first, to one size of which the nodes hold them all.
    """
    sizes = [grant.cpus for grant in grants for _ in range(grant.workers)]
    if not sum(nodes) or find_place(sizes, nodes):
        return grants
    shares = {node / count for node in nodes for count in range(1, len(sizes) + 1)}
    size = max(share for share in shares if share and sum(map(_whole, nodes, repeat(share))) >= len(sizes))
    return [dataclasses.replace(g, cpus=max(0.001, _floor(min(g.cpus, size)))) for g in grants]


def find_place(sizes: Sequence[float], nodes: Sequence[float]) -> bool:
    """Whether workers of so many cores all find a node, in whatever order and wherever Ray puts them.

    The last one finds none only if every node has less left than it needs: then each holds as many of the largest size
    as go into it, and is full but for less than that size.
    """
    largest = max(sizes)
    wholes = sum(map(_whole, nodes, repeat(largest)))
    room = sum(max(0.0, node - largest) for node in nodes)
    return len(sizes) <= wholes or (wholes > 0 and sum(sizes) - largest <= room)


def _whole(node: float, size: float) -> int:
    return int(node / size + 1e-6)


def _need(pools: Sequence[Pool], what: str) -> float:
    return sum(float(getattr(p, what)) * p.workers for p in pools)


def _floor(cpus: float) -> float:
    return int(cpus * 1000) / 1000  # Ray counts in ten-thousandths


class Link:
    """A step in a worker's process: makes the step's function once, then maps table after table."""

    def __init__(self, make: Callable[[], Callable[[pa.Table], pa.Table]], cpus: float) -> None:
        self.make, self.cpus = make, cpus
        self.function: Callable[[pa.Table], pa.Table] | None = None

    def __call__(self, block: pa.Table) -> pa.Table:
        return answer(self._map, block)

    def _map(self, table: pa.Table) -> pa.Table:
        if self.function is None:
            self.function = self.make()
            if "torch" in sys.modules:
                sys.modules["torch"].set_num_threads(max(1, int(self.cpus)))
        return self.function(table)


def answer(function: Callable[[pa.Table], pa.Table], block: pa.Table) -> pa.Table:
    """The block that a function makes of a block; an error is passed on as a block too."""
    try:
        return wrap(function(unwrap(block)))
    except UnisidError as error:
        return _say({"error": type(error).__name__, "text": str(error)})


def wrap(table: pa.Table) -> pa.Table:
    """A table as a block: an empty one becomes a message of its schema."""
    if table.num_rows:
        return table
    return _say({"empty": table.schema.serialize().to_pybytes().hex()})


def unwrap(block: pa.Table) -> pa.Table:
    """The table that a block is or stands for; raises the error that it stands for."""
    if WORD not in block.column_names:
        return block
    word = json.loads(block[WORD][0].as_py())
    if "error" in word:
        raise getattr(errors, word["error"], UnisidError)(word["text"])
    if "table" in word:
        return ipc.open_stream(bytes.fromhex(word["table"])).read_all()
    schema = ipc.read_schema(pa.py_buffer(bytes.fromhex(word["empty"])))
    return schema.empty_table()


def _say(word: dict[str, Any]) -> pa.Table:
    return pa.table({WORD: [json.dumps(word)]})
