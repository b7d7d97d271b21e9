"""A small file that several processes change: of changes made at once from the same state, one succeeds.

On a local or network disk changes are made under a file lock. On S3 they are conditional requests (`If-None-Match: *`,
`If-Match`), which take boto3. Elsewhere a file is created exclusively where fsspec can, or written, and read back
after a moment. Whatever the answer was, what counts is what is read afterwards: a request may have succeeded though
its answer was lost.
"""

import contextlib
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, unquote, urlparse

import pyarrow.fs as pafs

from unisid.artifacts.store import Place
from unisid.errors import ArtifactError

LOCK = "lock"
SETTLE_SECONDS = 1.0
"""Until a write is read back on a store without conditional writes: longer than two writes at once take."""
READS = 5
"""So often a file that is there is read until its error counts: on object storage one that others replace meanwhile
cannot be read."""
REFUSED = ("PreconditionFailed", "ConditionalRequestConflict", "412", "409")


@contextlib.contextmanager
def exclusive(folder: Path, name: str = LOCK) -> Iterator[None]:
    """Only one process at a time is inside, among all that use the file `name` of this folder of a disk.

    The operating system ends the hold of a process that dies.
    """
    from filelock import FileLock

    try:
        folder.mkdir(parents=True, exist_ok=True)
        lock = FileLock(str(folder / name))
        lock.acquire(poll_interval=0.01)
    except OSError as error:
        raise ArtifactError(
            f"{folder / name}: cannot be written ({error}); free space or rights are needed, "
            "or another place for the store (--store)"
        ) from error
    try:
        yield
    finally:
        lock.release()


@dataclass(frozen=True)
class Swap:
    """One such file."""

    folder: Place
    name: str

    def read(self) -> bytes | None:
        """The file's content now; None where there is no file."""
        for _ in range(READS - 1):
            try:
                return self.folder.read(self.name)
            except ArtifactError:  # it is not there, or was replaced while it was read, or fails
                if not self.folder.exists(self.name):
                    return None
        return self.folder.read(self.name)

    def swap(self, before: bytes | None, after: bytes | None) -> bool:
        """Whether the file went from one content to another; None: it is not there.

        Raises:
            ArtifactError: the place cannot be read or written.
        """
        fs = self.folder.filesystem[0]
        if self.folder.is_local:
            with exclusive(Path(self.folder.filesystem[1])):
                return self._checked(before, after)
        if isinstance(fs, pafs.S3FileSystem) and (found := _bucket(self.folder.uri)) is not None:
            return self._on_s3(*found, before, after)
        if before is None and after is not None:
            return self._created(fs, after)
        changed = self._checked(before, after)
        if changed and after is not None and not _same_owner(before, after):
            time.sleep(SETTLE_SECONDS)
            return self.read() == after
        return changed

    def _checked(self, before: bytes | None, after: bytes | None) -> bool:
        """Changed, if nothing else was there when it was read just before."""
        if self.read() != before:
            return False
        if after is None:
            self.folder.remove(self.name)
        else:
            self.folder.write(self.name, after)
        return True

    def _created(self, fs: Any, body: bytes) -> bool:
        """Created exclusively where the file system can, else written and read back."""
        if self.read() is not None:
            return False
        inner = getattr(getattr(fs, "handler", None), "fs", None)
        path = f"{self.folder.filesystem[1]}/{self.name}"
        if inner is None:
            return self._settled(body)
        try:
            inner.makedirs(path.rpartition("/")[0], exist_ok=True)
            inner.pipe_file(path, body, mode="create")
        except FileExistsError:
            return self.read() == body
        except (NotImplementedError, ValueError, TypeError):  # it cannot create exclusively
            return self._settled(body)
        except OSError as error:
            if self.read() != body:
                raise ArtifactError(
                    f"{self.folder / self.name}: cannot be written ({error}); free space or rights "
                    "are needed, or another place for the store (--store)"
                ) from error
        return self.read() == body

    def _settled(self, body: bytes) -> bool:
        """Write, and read back after others that wrote at the same time."""
        self.folder.write(self.name, body)
        time.sleep(SETTLE_SECONDS)
        return self.read() == body

    def _on_s3(self, client: Any, bucket: str, prefix: str, before: bytes | None, after: bytes | None) -> bool:
        from botocore.exceptions import BotoCoreError, ClientError

        where = {"Bucket": bucket, "Key": f"{prefix}/{self.name}"}
        try:
            tag = None
            if before is not None:
                found = client.get_object(**where)
                tag = found["ETag"]
                if found["Body"].read() != before:
                    return False
            if after is None:
                client.delete_object(**where)
            else:
                client.put_object(**where, Body=after, **({"IfMatch": tag} if tag else {"IfNoneMatch": "*"}))
        except (ClientError, BotoCoreError) as error:
            code = str(error.response["Error"].get("Code")) if isinstance(error, ClientError) else ""
            if code == "NotImplemented":  # the store has no conditional writes
                changed = self._checked(before, after)
                time.sleep(SETTLE_SECONDS)
                return changed and self.read() == after
            held = self.read()
            if held != after and code not in (*REFUSED, "NoSuchKey"):
                raise ArtifactError(
                    f"{self.folder / self.name}: cannot be written ({error}); rights are needed, or "
                    "another place for the store (--store)"
                ) from error
            return held == after
        return True


def _same_owner(before: bytes | None, after: bytes) -> bool:
    """Whether two contents begin alike: what an owner renews needs no second look, no other changes it."""
    start = after.partition(b",")[0]
    return before is not None and before.partition(b",")[0] == start


def _bucket(uri: str) -> tuple[Any, str, str] | None:
    """A boto3 client that reaches what pyarrow reaches by a URI, the bucket and the prefix; None without boto3."""
    try:
        import boto3
        from botocore.config import Config
    except ImportError:
        return None
    parts = urlparse(uri)
    options = {key: values[-1] for key, values in parse_qs(parts.query).items()}
    endpoint = options.get("endpoint_override")
    if endpoint and "://" not in endpoint:
        endpoint = f"{options.get('scheme', 'https')}://{endpoint}"
    keys = {}
    if parts.username and parts.password:
        keys = {"aws_access_key_id": unquote(parts.username), "aws_secret_access_key": unquote(parts.password)}
    tries = Config(connect_timeout=10, read_timeout=20, retries={"mode": "standard", "max_attempts": 4})
    client = boto3.client("s3", endpoint_url=endpoint, region_name=options.get("region"), config=tries, **keys)
    return client, str(parts.hostname), parts.path.strip("/")
