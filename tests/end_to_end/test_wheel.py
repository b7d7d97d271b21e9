"""The wheel works outside the clone: built, unpacked into an empty environment, and used there as anybody would."""

import os
import subprocess
import sys
import sysconfig
import venv
import zipfile
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow
ROOT = Path(__file__).parents[2]
OWN_DATA = """
import pathlib, sys
import unisid

assert "site-packages" in unisid.__file__, unisid.__file__
small = {"embeddings.encoder": "hashing", "graph.epochs": 1, "fused.fusion": "concat", "codes.tokenizer": "rqkmeans",
         "codes.tokenizer.codebook_size": 4}
items = {"item_id": [f"i{n}" for n in range(30)], "title": [f"thing {n}" for n in range(30)]}
rows = [(f"u{u}", f"i{(u + n) % 30}", n) for u in range(20) for n in range(5)]
interactions = dict(zip(("user_id", "item_id", "timestamp"), map(list, zip(*rows))))
run = unisid.run("shop", "store", items=items, interactions=interactions, settings=small, compute="local",
                 until="codes")
print(run)
"""


@pytest.fixture(scope="module")
def environment(tmp_path_factory):
    """An environment with the wheel, and the packages that it needs from the one the tests run in; runs a command."""
    folder = tmp_path_factory.mktemp("wheel")
    source = folder / "source"
    files = subprocess.run(
        ["git", "ls-files", "-z", "platform", "jobs", "pyproject.toml", "README.md", "LICENSE"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    ).stdout.split("\0")
    for name in filter(None, files):  # as a clone has them: what was built before must not help
        (source / name).parent.mkdir(parents=True, exist_ok=True)
        (source / name).write_bytes((ROOT / name).read_bytes())
    command = [sys.executable, "-c", "import setuptools.build_meta as b, sys; print(b.build_wheel(sys.argv[1]))"]
    subprocess.run([*command, str(folder)], cwd=source, capture_output=True, text=True, check=True)
    [wheel] = folder.glob("unisid-*.whl")
    home = folder / "environment"
    venv.create(home, with_pip=False)
    [packages] = home.glob("lib/python*/site-packages")
    with zipfile.ZipFile(wheel) as parts:
        parts.extractall(packages)
    (packages / "borrowed.pth").write_text(f"{sysconfig.get_paths()['purelib']}\n")  # ours come first on the path

    def run(*words: str) -> str:
        inherited = {k: v for k, v in os.environ.items() if k not in ("PYTHONPATH", "MLFLOW_TRACKING_URI")}
        shop = folder / "shop"
        shop.mkdir(exist_ok=True)
        done = subprocess.run(
            [str(home / "bin/python"), "-P", *words],
            cwd=shop,
            env=inherited,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    run.names = zipfile.ZipFile(wheel).namelist()
    return run


def test_the_wheel_has_everything_and_nothing_else(environment):
    names = set(environment.names)
    tracked = subprocess.run(
        ["git", "ls-files", "platform/unisid", "jobs"], cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout.split()
    wanted = {name.removeprefix("platform/") for name in tracked}
    assert wanted <= names
    assert {name for name in names - wanted if ".dist-info/" not in name} == set()


def test_the_command_line_works(environment):
    assert environment("-m", "unisid.cli", "--version").startswith("unisid ")
    assert "shop" in environment("-m", "unisid.cli", "recipes")
    assert "to make" in environment("-m", "unisid.cli", "plan", "demo", "--catalog.dataset", "synthetic")


def test_own_data_become_semantic_ids(environment):
    assert "codes/shop/1" in environment("-c", OWN_DATA)
    assert environment("-m", "unisid.cli", "sid", "i7", "--store", "store").splitlines()[1].split()[0] == "i7"
