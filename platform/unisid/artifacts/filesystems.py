"""File systems behind URIs: how they are reached, and how a whole file gets its name on them."""

import functools
import shutil
from urllib.parse import urlparse

import pyarrow as pa
import pyarrow.fs as pafs

from unisid.artifacts.sums import BLOCK
from unisid.errors import ArtifactError, ConfigError

LARGEST_COPY = 5 << 30
"""Most bytes that S3 copies in one request, the only kind that pyarrow supports; a larger file is uploaded again."""


def split_uri(uri: str) -> tuple[str, str]:
    """A URI's folder, and how to reach its file system ("" or "?..."); a local path is all folder."""
    folder, mark, options = uri.partition("?") if "://" in uri else (uri, "", "")
    return folder, mark + options


def give_name(fs: pafs.FileSystem, draft: str, path: str) -> None:
    """Give a whole file its name. On an object store this copies it."""
    if isinstance(fs, pafs.S3FileSystem) and fs.get_file_info(draft).size > LARGEST_COPY:
        with fs.open_input_stream(draft) as source, fs.open_output_stream(path) as target:
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
        import fsspec

        parts = urlparse(uri)
        try:
            fs = pafs.PyFileSystem(pafs.FSSpecHandler(fsspec.filesystem(parts.scheme)))
        except (ValueError, ImportError) as error:
            raise ConfigError(f"'{uri}': no file system for '{parts.scheme}://' ({refusal}; {error})") from None
        path = f"{parts.netloc}{parts.path}"
    except OSError as error:
        raise ArtifactError(f"{uri}: cannot be reached ({error}); a file system that you may read is needed") from None
    return fs, path
