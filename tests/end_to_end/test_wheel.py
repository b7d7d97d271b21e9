"""The wheel works outside the clone: built, installed into an empty environment, and used there as anybody would."""

import os
import subprocess
import sys
import venv
import zipfile
from pathlib import Path

import pytest

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1800)]
ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "howto" / "own-data.md"
SMALL = {
    "embeddings.encoder": "hashing",
    "graph.epochs": "1",
    "fused.fusion": "concat",
    "codes.tokenizer": "rqkmeans",
    "codes.tokenizer.codebook_size": "4",
}
"""Settings for the time."""
PLANTED = {
    "catalog.dataset": "synthetic",
    "catalog.dataset.items": "200",
    "catalog.dataset.users": "200",
    "model.training.epochs": "1",
    "codes.tokenizer.codebook_size": "8",
    "metrics.baselines": "popularity",
}
"""Settings of the demo on a planted catalogue."""
UNSET = ("PYTHONPATH", "MLFLOW_TRACKING_URI", "PYTHONDONTWRITEBYTECODE")
"""Of this process's environment: modules are to be compiled once, when they are first imported."""
PROGRAM = """
import unisid

assert "site-packages" in unisid.__file__, unisid.__file__
print(*(entry.state for entry in unisid.plan("shop.py:shop", "store", settings={settings}, until="codes")))
"""


@pytest.fixture(scope="module")
def environment(tmp_path_factory):
    """An environment of its own into which pip installed `[cpu]` of the wheel; runs a program of it."""
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
    venv.create(home, with_pip=True)
    install = ("-m", "pip", "install", "--quiet", "--no-compile", "--constraint", str(ROOT / "constraints.txt"))
    inherited = {k: v for k, v in os.environ.items() if k not in UNSET}
    command = [str(home / "bin/python"), *install, f"{wheel}[cpu]"]
    done = subprocess.run(command, env=inherited, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    [packages] = home.glob("lib/python*/site-packages")

    def tried(program: str, *words: str) -> "subprocess.CompletedProcess[str]":
        shop = folder / "shop"
        shop.mkdir(exist_ok=True)
        command = [str(home / "bin" / program), *words]
        return subprocess.run(command, cwd=shop, env=inherited, capture_output=True, text=True, check=False)

    def run(program: str, *words: str) -> str:
        done = tried(program, *words)
        assert done.returncode == 0, done.stderr
        return done.stdout

    run.tried = tried
    run.names, run.shop = zipfile.ZipFile(wheel).namelist(), folder / "shop"
    [listed] = packages.glob("unisid-*.dist-info/entry_points.txt")
    run.entry_points = listed.read_text()
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
    assert environment("unisid", "--version").startswith("unisid ")
    assert "shop" in environment("unisid", "recipes")
    words = ("--catalog.dataset", "synthetic", "--embeddings.encoder", "hashing")
    assert "to make" in environment("unisid", "plan", "demo", *words)


def test_what_the_demo_lacks_is_named_with_what_installs_it(environment):
    refused = environment.tried("unisid", "run", "demo")
    assert refused.returncode == 1
    assert "`python -m jobs.fetch_movielens data/ml-100k` fetches it" in refused.stderr
    refused = environment.tried("unisid", "run", "demo", "--catalog.dataset", "synthetic")
    assert "pip install 'unisid[demo]'" in refused.stderr


def test_the_demo_runs_to_its_report(environment):
    """On a planted catalogue: MovieLens is a download of its own."""
    words = [word for key, value in (SMALL | PLANTED).items() for word in (f"--{key}", value)]
    said = environment("unisid", "run", "demo", "--compute", "local", "--store", "demo", *words)
    assert "MovieLens" not in said, said
    assert (environment.shop / "demo/reports/demo/1/report.html").exists()
    recommended = environment("unisid", "recommend", "--user", "u0", "--store", "demo").splitlines()
    assert len(recommended) > 10, recommended


def page_of_own_data() -> tuple[str, list[list[str]]]:
    """The recipe file that the how-to shows, and the commands that follow it."""
    lines = PAGE.read_text(encoding="utf-8").split("## A recipe")[1].split("## Settings")[0].splitlines()
    shown = [line.removeprefix("    ") for line in lines if line.startswith("    ") or not line]
    commands = [line.split() for line in shown if line.startswith("unisid ")]
    return "\n".join(line for line in shown if not line.startswith("unisid ")), commands


def test_the_how_to_for_own_data_makes_semantic_ids(environment):
    """Its recipe file, which has the demo's sizes, and its commands, with settings for the time."""
    data = environment.shop / "data"
    data.mkdir(parents=True)
    items = [f"i{n},thing {n}" for n in range(30)]
    rows = [f"u{u},i{(u + n) % 30},{n}" for u in range(40) for n in range(6)]
    (data / "items.csv").write_text("\n".join(["item_id,title", *items]))
    (data / "interactions.csv").write_text("\n".join(["user_id,item_id,timestamp", *rows]))
    recipe, (plan, run) = page_of_own_data()
    (environment.shop / "shop.py").write_text(recipe)
    assert (plan, run) == (["unisid", "plan", "shop.py:shop"], ["unisid", "run", "shop.py:shop"])
    words = [word for key, value in SMALL.items() for word in (f"--{key}", value)]
    asked = [*words, "--store", "store", "--until", "codes"]
    assert "to make" in environment("unisid", *plan[1:], *asked)
    assert "codes/shop/1" in environment("unisid", *run[1:], *asked, "--compute", "local")
    assert environment("unisid", "sid", "i7", "--store", "store").splitlines()[1].split()[0] == "i7"
    assert environment("python", "-P", "-c", PROGRAM.format(settings=SMALL)).split() == ["complete"] * 5


def test_the_command_is_called_unisid(environment):
    assert "unisid = unisid.cli:main" in environment.entry_points
