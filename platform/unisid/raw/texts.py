"""Texts out of columns of any Arrow type: what is text is read, lists of texts are joined, the rest is told apart."""

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from unisid.errors import DataError


def is_binary(kind: pa.DataType) -> bool:
    """Whether these are bytes without a word on what they hold."""
    return pa.types.is_binary(kind) or pa.types.is_large_binary(kind) or pa.types.is_binary_view(kind)


def is_list(kind: pa.DataType) -> bool:
    """Whether a row of this type is a list of values."""
    tests = (
        pa.types.is_list,
        pa.types.is_large_list,
        pa.types.is_fixed_size_list,
        pa.types.is_list_view,
        pa.types.is_large_list_view,
    )
    return any(test(kind) for test in tests)


def stored(kind: pa.DataType) -> pa.DataType:
    """The type that the values have, without dictionary, run lengths and extension."""
    if isinstance(kind, pa.BaseExtensionType):
        return stored(kind.storage_type)
    if pa.types.is_dictionary(kind) or pa.types.is_run_end_encoded(kind):
        return stored(kind.value_type)
    return kind


def is_text(kind: pa.DataType) -> bool:
    """Whether a column of this type holds text: strings in any encoding of Arrow, or lists of them at any depth."""
    kind = stored(kind)
    if is_list(kind):
        return is_text(kind.value_type)
    return pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_string_view(kind)


def texts(values: pa.ChunkedArray, where: str) -> pa.ChunkedArray:
    """Texts as strings, absent ones empty; lists of texts are joined by blanks, without what is absent in them.

    Numbers are written out. Raises DataError where the type holds no text, or the bytes are not UTF-8.
    """
    chunks = [pc.fill_null(_strings(chunk, where), "") for chunk in values.chunks]
    return pa.chunked_array(chunks, pa.string())


def plain(values: pa.Array) -> pa.Array:
    """The values themselves, without dictionary, run lengths and extension."""
    if isinstance(values, pa.ExtensionArray):
        return plain(values.storage)
    if pa.types.is_run_end_encoded(values.type):
        return plain(decoded_runs(values))
    if pa.types.is_dictionary(values.type):
        entries = plain(values.dictionary)
        entries = entries.cast(pa.large_string()) if is_text(entries.type) and not is_list(entries.type) else entries
        return entries.take(values.indices)
    return values


def decoded_runs(values: pa.RunEndEncodedArray) -> pa.Array:
    """The values of runs, each as often as it stands there; of any type, which Arrow's own kernel is not."""
    places = np.searchsorted(values.run_ends.to_numpy(), np.arange(len(values)) + values.offset, side="right")
    return values.values.take(pa.array(places))


def flat(values: pa.ChunkedArray, where: str) -> pa.ChunkedArray:
    """A column of single values without dictionary and the like; text of any type, and bytes of it, as strings.

    Raises DataError where bytes are not UTF-8.
    """
    kind = stored(values.type)
    chunks = [plain(chunk) for chunk in values.chunks]
    if is_text(kind) or is_binary(kind):
        return pa.chunked_array([utf8(chunk, where) for chunk in chunks], pa.string())
    return pa.chunked_array(chunks, kind)


def utf8(values: pa.Array, where: str) -> pa.Array:
    """Strings, or bytes of them, as strings. Raises DataError where the bytes are not UTF-8."""
    narrow = values.cast(pa.binary()) if pa.types.is_binary_view(values.type) else values
    try:
        found = narrow.cast(pa.string())
        found.validate(full=True)
    except pa.ArrowInvalid:
        raise DataError(f"{where}: holds {values.type} that is not UTF-8 text; write it as UTF-8 strings") from None
    except (pa.ArrowNotImplementedError, pa.ArrowTypeError):
        raise DataError(f"{where}: holds {values.type}; text must be strings or lists of strings") from None
    return found


def _strings(values: pa.Array, where: str) -> pa.Array:
    values = plain(values)
    if not is_list(values.type):
        return utf8(values, where)
    # Casts and kernels support some kinds of list only; flattening and parents are right for all of them.
    words = _strings(values.flatten(), where)
    given = pc.is_valid(words)
    parents = np.asarray(pc.list_parent_indices(values).filter(given))
    ends = np.searchsorted(parents, np.arange(len(values) + 1))
    grouped = pa.LargeListArray.from_arrays(pa.array(ends, pa.int64()), words.filter(given))
    return pc.if_else(np.diff(ends) > 0, pc.binary_join(grouped, " "), None)
