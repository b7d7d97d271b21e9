"""File systems behind URIs: how they are reached, and how a whole file gets its name on them."""

import functools
import shutil
from collections.abc import Callable
from typing import Any
from urllib.parse import urlparse

import pyarrow as pa
import pyarrow.fs as pafs

from unisid.artifacts.sums import BLOCK
from unisid.errors import ArtifactError, ConfigError

LARGEST_COPY = 5 << 30
"""Most bytes that S3 copies in one request, the only kind that pyarrow supports; a larger file is uploaded again."""

WITH_QUERIES = ("http", "https")
"""Schemes where what follows '?' names the file too."""


def split_uri(uri: str) -> tuple[str, str]:
    """A URI's folder, and how to reach its file system ("" or "?..."); a local path is all folder."""
    folder, mark, options = uri.partition("?") if "://" in uri else (uri, "", "")
    return folder, mark + options


def give_name(fs: pafs.FileSystem, draft: str, path: str) -> None:
    """Give a whole file its name. On an object store this copies it."""
    if isinstance(fs, pafs.S3FileSystem) and fs.get_file_info(draft).size > LARGEST_COPY:
        with (
            fs.open_input_stream(draft, compression=None) as source,
            fs.open_output_stream(path, compression=None) as target,
        ):
            shutil.copyfileobj(source, target, BLOCK)
    else:
        fs.move(draft, path)


@functools.lru_cache(maxsize=64)
def filesystem_of(uri: str) -> tuple[pafs.FileSystem, str]:
    """The file system of a URI or a local path, and the path in it.

    Raises:
        ConfigError: there is none of that scheme.
        ArtifactError: it cannot be reached.
    """
    if "://" not in uri:
        return pafs.LocalFileSystem(use_mmap=True), uri
    if "#" in uri:
        raise ConfigError(f"'{uri}': a URI ends at '#', what follows would be left out; write %23 for a '#' in a name")
    try:
        fs, path = pafs.FileSystem.from_uri(uri)
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError, NotImplementedError) as refusal:
        return _of_fsspec(uri, refusal)
    except OSError as error:
        raise _unreached(uri, error) from None
    if isinstance(fs, pafs.PyFileSystem) and isinstance(fs.handler, pafs.FSSpecHandler):  # hf://
        fs = pafs.PyFileSystem(_Foreign(fs.handler.fs))
    return fs, path


def _of_fsspec(uri: str, refusal: Exception) -> tuple[pafs.FileSystem, str]:
    """The same of a scheme that pyarrow refuses."""
    import fsspec

    scheme = urlparse(uri).scheme
    try:
        fs, path = fsspec.core.url_to_fs(uri if scheme in WITH_QUERIES else split_uri(uri)[0])
    except OSError as error:
        raise _unreached(uri, error) from None
    except Exception as error:  # each file system refuses in its own way
        raise ConfigError(f"'{uri}': no file system for '{scheme}://' ({refusal}; {error})") from None
    return pafs.PyFileSystem(_Foreign(fs)), path


def _unreached(uri: str, error: Exception) -> ArtifactError:
    return ArtifactError(f"{uri}: cannot be reached ({error}); a file system that you may read is needed")


def _of_the_system(method: Callable[..., Any]) -> Callable[..., Any]:
    """The method of a file system, with errors that only its own library has (of requests, of sessions) as OSError."""

    @functools.wraps(method)
    def tried(*given: Any, **named: Any) -> Any:
        try:
            return method(*given, **named)
        except (OSError, NotImplementedError, pa.ArrowException):
            raise
        except Exception as error:
            raise OSError(f"{type(error).__name__}: {error}") from error

    return tried


class _Foreign(pafs.FSSpecHandler):
    """A file system of fsspec."""

    get_file_info = _of_the_system(pafs.FSSpecHandler.get_file_info)
    get_file_info_selector = _of_the_system(pafs.FSSpecHandler.get_file_info_selector)
    create_dir = _of_the_system(pafs.FSSpecHandler.create_dir)
    delete_dir = _of_the_system(pafs.FSSpecHandler.delete_dir)
    delete_file = _of_the_system(pafs.FSSpecHandler.delete_file)
    move = _of_the_system(pafs.FSSpecHandler.move)
    copy_file = _of_the_system(pafs.FSSpecHandler.copy_file)
    open_input_stream = _of_the_system(pafs.FSSpecHandler.open_input_stream)
    open_input_file = _of_the_system(pafs.FSSpecHandler.open_input_file)
    open_output_stream = _of_the_system(pafs.FSSpecHandler.open_output_stream)
