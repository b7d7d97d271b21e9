"""Obtain MovieLens-100K: the PyPI wheel of RecBole carries it as an example data set.

    python -m jobs.fetch_movielens data/ml-100k

The data are the University of Minnesota's (GroupLens); they are for research, and no part of this repository.
"""

import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

WHEEL = "recbole==1.2.1"
INSIDE = "recbole/dataset_example/ml-100k/"
FILES = ("ml-100k.inter", "ml-100k.item", "ml-100k.user")


def fetch(folder: Path) -> None:
    """Download the wheel, nothing it depends on, and unpack three files of it."""
    with tempfile.TemporaryDirectory() as scratch:
        command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--dest", scratch, WHEEL]
        subprocess.run(command, check=True)
        wheel = next(Path(scratch).glob("*.whl"))
        folder.mkdir(parents=True, exist_ok=True)
        with zipfile.ZipFile(wheel) as archive:
            for name in FILES:
                (folder / name).write_bytes(archive.read(INSIDE + name))


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    fetch(Path(sys.argv[1]))
    print(f"MovieLens-100K is in {sys.argv[1]}")
