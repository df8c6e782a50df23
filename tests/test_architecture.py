"""The plan of the house: imports go down, files stay small, starting is instant, no workplace leaks in."""

import ast
import subprocess
import sys
from collections.abc import Iterator
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
SOURCE = ROOT / "src" / "augmentlm"
MODULES = {
    ".".join(path.relative_to(SOURCE.parent).with_suffix("").parts).removesuffix(".__init__"): path
    for path in sorted(SOURCE.rglob("*.py"))
}

LAYERS = (  # from the ground up
    {"errors", "tasks", "catalog", "weights", "hardware", "machine", "drafts"},
    {"engines", "checks", "examples", "formats", "measures", "schemas", "tables"},
    {"augmenter", "results", "sources", "tries"},
    {"runs", "arena", "distill", "hub"},
    {"reports"},
    {"ui"},
    {"cli"},
)
HEAVY = (
    "torch",
    "transformers",
    "gradio",
    "xllamacpp",
    "huggingface_hub",
    "bitsandbytes",
    "peft",
    "gguf",
    "pandas",
    "pyarrow",
    "datasets",
)
MAX_LINES, MAX_LINES_ELSEWHERE = 300, 350


def layer(module: str) -> int:
    room = module.split(".")[1]
    return next(height for height, rooms in enumerate(LAYERS) if room in rooms)


def imported(path: Path, *, only_when_loading: bool = False) -> Iterator[str]:
    """Modules of the package that a file imports; `only_when_loading` leaves out imports inside functions."""
    for node in loading(ast.parse(path.read_text(encoding="utf-8"))) if only_when_loading else every(path):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names if alias.name in MODULES)
        elif isinstance(node, ast.ImportFrom) and node.module:
            assert node.level == 0, f"{path}: imports are absolute here"
            for alias in node.names:
                inner = f"{node.module}.{alias.name}"
                name = inner if inner in MODULES else node.module
                if name in MODULES:
                    yield name


def every(path: Path) -> Iterator[ast.AST]:
    return ast.walk(ast.parse(path.read_text(encoding="utf-8")))


def loading(tree: ast.AST) -> Iterator[ast.AST]:
    """What runs while a module is loaded: not the bodies of functions, not what stands there for types alone."""
    for node in ast.iter_child_nodes(tree):
        is_for_types = isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING"
        if not is_for_types and not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield node
            yield from loading(node)


@pytest.mark.parametrize("module", [name for name in MODULES if name != "augmentlm"])
def test_imports_only_go_down(module: str) -> None:
    for target in imported(MODULES[module]):
        if target != "augmentlm":
            assert layer(target) <= layer(module), f"{module} reaches up to {target}"


def test_no_two_modules_need_each_other_to_load() -> None:
    needs = {name: set(imported(path, only_when_loading=True)) - {name} for name, path in MODULES.items()}
    TopologicalSorter(needs).prepare()


@pytest.mark.parametrize(
    "module",
    [
        "augmentlm",
        "augmentlm.cli",
        "augmentlm.arena.duel",
        "augmentlm.arena.judged",
        "augmentlm.augmenter",
        "augmentlm.cli.distill",
        "augmentlm.cli.generate",
        "augmentlm.cli.run",
        "augmentlm.cli.models",
        "augmentlm.cli.publish",
        "augmentlm.distill.collect.run",
        "augmentlm.distill.evaluate",
        "augmentlm.hub.cards",
        "augmentlm.hub.release",
        "augmentlm.runs.run",
    ],
)
def test_starting_pulls_in_nothing_heavy(module: str) -> None:
    script = f"import sys, {module}; print(*sorted({set(HEAVY)} & set(sys.modules)))"
    run = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert run.stdout.strip() == ""


def committed() -> list[Path]:
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    return [path for name in listed.split("\0") if name and (path := ROOT / name).is_file()]


def test_a_file_is_a_room_not_a_hall() -> None:
    lengths = {path: len(path.read_text(encoding="utf-8").splitlines()) for path in committed() if path.suffix == ".py"}
    halls = {
        str(path.relative_to(ROOT)): lines
        for path, lines in lengths.items()
        if lines > (MAX_LINES if path.is_relative_to(SOURCE) else MAX_LINES_ELSEWHERE)
    }
    assert halls == {}


@pytest.mark.parametrize("words", ["/" + "work/", "../" + "shared"])
def test_no_path_of_a_workplace_is_committed(words: str) -> None:
    found = [str(path.relative_to(ROOT)) for path in committed() if words.encode() in path.read_bytes()]
    assert found == []
