"""The house keeps its own rules: names, imports, lengths, no pickles."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

from unisid.artifacts.store import NOUNS
from unisid.config import plug_ins

ROOT = Path(__file__).parents[2]
PLUG_INS = (
    "datasets",
    "encoders",
    "graphs",
    "fusion",
    "tokenizers",
    "backbones",
    "baselines",
    "tasks",
    "alignment",
    "joint",
)
DRAWING = ("altair", "vl_convert")
SLOW = ("transformers", "tokenizers", "scipy.stats", *DRAWING, "sklearn", "faiss", "ray", "mlflow", "deepspeed")
"""Imported where they are used: each takes a person's time, and none decides a setting."""
UNSAFE = {
    ("trust_remote_code", "True"),
    ("weights_only", "False"),
    ("allow_pickle", "True"),
    ("shell", "True"),
}
SOURCES = sorted((ROOT / "platform").rglob("*.py")) + sorted((ROOT / "jobs").rglob("*.py"))


def test_platform_is_still_the_standard_librarys():
    """A package named platform would shadow it for everyone who starts Python here."""
    program = "import platform; print(platform.__file__); platform.system()"
    path = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    assert not path.startswith(str(ROOT / "platform"))
    assert not (ROOT / "platform" / "__init__.py").exists()


def test_imports_point_down():
    lint = Path(sys.executable).with_name("lint-imports")
    if not lint.exists():
        pytest.skip("import-linter is not installed here")
    result = subprocess.run([str(lint), "--no-cache"], cwd=ROOT, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stdout


def test_a_recipe_is_planned_without_what_only_its_making_needs(tmp_path):
    """Who asks what would run is told at once: settings, sources and every kind of plug-in do without what is slow."""
    kinds = [(folder, kind) for folder in PLUG_INS for kind in plug_ins(folder)]
    program = f"""if True:
        import sys
        from unisid.cli import main
        from unisid.config import plug_in

        assert main(sys.argv[1:]) == 0
        for folder, kind in {kinds}:
            plug_in(folder, kind)
        print("slow:", *sorted(set({SLOW}) & set(sys.modules)))
    """
    other = ["--catalog.dataset", "synthetic", "--embeddings.encoder.model", "a/b", "--model.backbone", "lcrec"]
    words = ["plan", "demo", "--store", tmp_path, *other]
    command = [sys.executable, "-c", program, *map(str, words)]
    said = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout
    assert said.splitlines()[-1] == "slow:"


@pytest.mark.parametrize("path", SOURCES, ids=lambda p: str(p.relative_to(ROOT)))
def test_nothing_unsafe_is_called(path):
    """No pickle is loaded, no code from a model folder is run, nothing is evaluated."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Call):
            name = ast.unparse(node.func)
            assert name not in ("eval", "exec", "pickle.load", "pickle.loads", "os.system"), f"{path}:{node.lineno}"
            for keyword in node.keywords:
                unsafe = (keyword.arg, ast.unparse(keyword.value)) in UNSAFE
                assert not unsafe, f"{path}:{node.lineno}"


LOADERS = ("from_pretrained", "from_config", "SentenceTransformer", "CrossEncoder", "load_dataset", "snapshot_download")
"""What of the libraries may load a model with code of its own."""


def loads(tree):
    """Every mention of a loader in a file: the call that it is called by, or the call that it is handed to."""
    called = {id(call.func): call for call in ast.walk(tree) if isinstance(call, ast.Call)}
    handed = {id(word): call for call in called.values() for word in call.args}
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute | ast.Name) and ast.unparse(node).rpartition(".")[2] in LOADERS:
            yield node, called.get(id(node)) or handed.get(id(node))


def trusts_no_code(call):
    return any(word.arg == "trust_remote_code" and ast.unparse(word.value) == "False" for word in call.keywords)


ALL_SOURCES = [*SOURCES, *sorted((ROOT / "benchmarks").rglob("*.py"))]


@pytest.mark.parametrize("path", ALL_SOURCES, ids=lambda p: str(p.relative_to(ROOT)))
def test_models_are_loaded_without_their_code(path):
    """Said in every call: where it is not, transformers offers at the terminal to run a model's own code."""
    for node, call in loads(ast.parse(path.read_text())):
        through = call is not None and isinstance(call.func, ast.Attribute) and call.func.attr == "load"
        assert through or (call is not None and trusts_no_code(call)), f"{path}:{node.lineno}: {ast.unparse(node)}"


def test_what_loads_for_others_trusts_no_code_either():
    tree = ast.parse((ROOT / "platform/unisid/pretrained.py").read_text())
    [method] = [node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef) and node.name == "load"]
    [call] = [node for node in ast.walk(method) if isinstance(node, ast.Call) and ast.unparse(node.func) == "load"]
    assert trusts_no_code(call)
    found = [call for _, call in loads(ast.parse("x.from_pretrained('a')\nlater = AutoModel.from_config"))]
    assert [call is not None and trusts_no_code(call) for call in found] == [False, False]


def test_the_architecture_names_every_room():
    page = (ROOT / "docs" / "architecture.md").read_text()
    rooms = [path.name for path in (ROOT / "platform" / "unisid").iterdir() if not path.name.startswith("__")]
    assert [room for room in sorted(rooms) if f"`{room}`" not in page and f"{room}/" not in page] == []


@pytest.mark.parametrize("noun", NOUNS)
def test_the_listing_is_the_architecture(noun):
    """One noun, the same in every room."""
    for room in ("platform/unisid/artifacts/{}.py", "jobs/{}.py", "tests/stages/test_{}.py", "docs/stages/{}.md"):
        assert (ROOT / room.format(noun)).exists(), room.format(noun)
    stage = ROOT / "platform/unisid/stages" / noun
    assert stage.with_suffix(".py").exists() or (stage / "__init__.py").exists()
