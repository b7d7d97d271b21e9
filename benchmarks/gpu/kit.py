"""Make a folder to carry to a machine that has torch and transformers: the code, and wheels of what else it imports.

python -m benchmarks.gpu.kit FOLDER [--python 3.12]
"""

import argparse
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
PACKED = ("faiss-cpu", "jaxtyping", "psutil", "pyarrow", "scipy", "wadler_lindig")
"""What the code imports besides torch, transformers and what those require; without dependencies of their own."""
PLATFORMS = ("manylinux_2_28_x86_64", "manylinux_2_27_x86_64", "manylinux2014_x86_64", "any")


def copy(folder: Path, python: str) -> None:
    """The code, what runs it, and the version of Python that its wheels are for."""
    folder.mkdir(parents=True)
    ignored = shutil.ignore_patterns("__pycache__", "results")
    for name in ("benchmarks", "platform"):
        shutil.copytree(ROOT / name, folder / name, ignore=ignored)
    shutil.copy(Path(__file__).parent / "run.sh", folder)
    (folder / "python").write_text(f"{python}\n")


def download(folder: Path, python: str) -> None:
    """The wheels, of the versions that the tests run with."""
    where = [word for name in PLATFORMS for word in ("--platform", name)]
    pip = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--only-binary", ":all:"]
    words = ["--constraint", str(ROOT / "constraints.txt"), "--python-version", python, *where]
    subprocess.run([*pip, *words, "--dest", str(folder / "wheels"), *PACKED], check=True)


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.gpu.kit", description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path, help="made anew")
    parser.add_argument("--python", default="3.12", help="the version of Python there")
    args = parser.parse_args()
    if args.folder.exists() and not (args.folder / "python").is_file():
        parser.error(f"{args.folder}: is there, and is no kit; name another folder")
    shutil.rmtree(args.folder, ignore_errors=True)
    copy(args.folder, args.python)
    download(args.folder, args.python)


if __name__ == "__main__":
    main()
