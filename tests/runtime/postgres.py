"""A real PostgreSQL on loopback, as Debian packages it, started from an empty folder and ended by pid."""

import contextlib
import os
import pwd
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from tests.runtime import heads

PASSWORD = "correct-horse"


def program(name: str) -> str | None:
    """The path of one of PostgreSQL's programs, of the newest version; None where it is not installed."""
    folders = sorted(Path("/usr/lib/postgresql").glob("*/bin"), key=lambda path: int(path.parent.name), reverse=True)
    return shutil.which(name, path=os.pathsep.join([*map(str, folders), os.environ.get("PATH", "")]))


@dataclass
class Database:
    """A PostgreSQL server with the user `mlflow`."""

    folder: Path
    port: int
    process: "subprocess.Popen[bytes] | None" = None

    def uri(self, scheme: str = "postgresql") -> str:
        """Its address, for SQLAlchemy's driver of a scheme."""
        return f"{scheme}://mlflow:{PASSWORD}@127.0.0.1:{self.port}/postgres"

    def start(self) -> None:
        """Start the server, and wait until it answers; it recovers what it was doing when it was killed."""
        words = ["-D", f"{self.folder}/data", "-p", str(self.port), "-k", str(self.folder), "-h", "127.0.0.1"]
        with open(self.folder / "log", "ab") as log:
            self.process = subprocess.Popen(
                [str(program("postgres")), *words], stdout=log, stderr=log, cwd=self.folder, **_plain_user()
            )
        heads.until(self._answers, "PostgreSQL answers")

    def kill(self) -> None:
        """End the server and all its processes at once, as a machine ends whose power is cut."""
        if self.process is not None:
            heads.end(self.process, seconds=0)

    def _answers(self) -> bool:
        assert self.process is not None
        assert self.process.poll() is None, (self.folder / "log").read_text()
        words = [str(program("pg_isready")), "-q", "-h", "127.0.0.1", "-p", str(self.port)]
        return subprocess.run(words, check=False).returncode == 0


@contextlib.contextmanager
def database() -> Iterator[Database]:
    """A new server, until the context ends."""
    user = _plain_user()
    folder = Path(tempfile.mkdtemp(prefix="unisid-", dir="/tmp"))  # its socket lies in it: the path must be short
    (port,) = heads.free_ports(1)
    made = Database(folder, port)
    try:
        (folder / "password").write_text(PASSWORD)
        if user:
            for path in (folder, folder / "password"):
                shutil.chown(path, user["user"], user["group"])
        words = ["-D", f"{folder}/data", "-U", "mlflow", "-A", "scram-sha-256", "--pwfile", f"{folder}/password"]
        command = [str(program("initdb")), "--no-sync", "-E", "UTF8", "--locale", "C", *words]
        done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=folder, **user)
        assert done.returncode == 0, done.stdout + done.stderr
        made.start()
        yield made
    finally:
        made.kill()
        shutil.rmtree(folder, ignore_errors=True)


def _plain_user() -> dict[str, object]:
    """Whom PostgreSQL runs as where this process is root's, which it refuses."""
    if os.getuid():
        return {}
    names = {entry.pw_name for entry in pwd.getpwall()}
    found = pwd.getpwnam("postgres" if "postgres" in names else "nobody")
    return {"user": found.pw_uid, "group": found.pw_gid, "extra_groups": []}
