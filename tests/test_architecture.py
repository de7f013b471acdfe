"""Imports run one way: who may know whom is written here, and nowhere else."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

SOURCE = Path(__file__).parents[1] / "src" / "shapewise"
LEAVES = {"typing", "errors"}
MAY_IMPORT = {
    "typing": set(),
    "errors": set(),
    "descriptors": LEAVES,
    "constraints": LEAVES,
    "projection": LEAVES | {"descriptors", "constraints"},
    "losses": LEAVES | {"descriptors", "constraints", "projection"},
    "interruption": set(),
    "progress": set(),
    "whole_file": {"errors"},
    "data": LEAVES | {"descriptors", "progress", "whole_file"},
    "networks": LEAVES,
    "training": LEAVES | {"losses", "constraints", "data", "progress", "whole_file"},
    "evaluation": LEAVES | {"descriptors", "constraints", "data", "progress", "whole_file"},
    "plots": LEAVES | {"evaluation", "constraints", "data", "config", "run_folder"},
    "config": {"errors"},
    "run_folder": {"errors", "config", "whole_file"},
    "build": LEAVES
    | {"config", "descriptors", "constraints", "projection", "losses", "data", "networks", "training"},
    "run_split": LEAVES | {"run_folder", "data"},
    "run_network": LEAVES | {"config", "run_folder", "build"},
    "run_training": LEAVES
    | {
        "config",
        "run_folder",
        "run_split",
        "run_network",
        "build",
        "data",
        "training",
        "evaluation",
        "progress",
    },
    "runs": LEAVES
    | {"config", "run_folder", "run_split", "run_network", "run_training"}
    | {"build", "data", "evaluation", "progress"},
    "annotate": LEAVES
    | {
        "data",
        "descriptors",
        "projection",
        "evaluation",
        "build",
        "run_folder",
        "run_network",
    },  # the last for --run
    "__main__": {"cli"},
    "cli": LEAVES
    | {"annotate", "config", "runs", "run_training", "data", "plots", "interruption", "progress"},
}
PURE = {"typing", "errors", "descriptors", "constraints", "projection", "losses"}
PURE_MAY_IMPORT = {"torch", "numpy", "jaxtyping"}
WHERE_IT_IS = {"gpu_kernels.py": {"triton"}}  # comes with PyTorch for GPUs; nothing else imports this module


def modules() -> list[Path]:
    return sorted(path for path in SOURCE.rglob("*.py") if path.parent != SOURCE or path.stem != "__init__")


def room_of(path: Path) -> str:
    return path.relative_to(SOURCE).parts[0].removesuffix(".py")


def imported_modules(path: Path) -> set[str]:
    found = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path} imports relatively"
            found |= {f"{node.module}.{alias.name}" for alias in node.names} | {node.module or ""}
    return found


def rooms_known_to(path: Path) -> set[str]:
    rooms = {name.split(".")[1] for name in imported_modules(path) if name.startswith("shapewise.")}
    return {room for room in rooms if room in MAY_IMPORT}


@pytest.mark.parametrize("path", modules(), ids=lambda path: str(path.relative_to(SOURCE)))
def test_a_module_knows_only_rooms_below_its_own(path: Path) -> None:
    room = room_of(path)
    assert rooms_known_to(path) - {room} <= MAY_IMPORT[room]


@pytest.mark.parametrize(
    "path", [path for path in modules() if room_of(path) in PURE], ids=lambda p: str(p.relative_to(SOURCE))
)
def test_the_mathematics_needs_torch_and_numpy_only(path: Path) -> None:
    import sys

    outside = {name.split(".")[0] for name in imported_modules(path)} - {"shapewise"}
    assert outside - set(sys.stdlib_module_names) <= PURE_MAY_IMPORT | WHERE_IT_IS.get(path.name, set())


def test_an_arrow_that_runs_the_other_way_is_seen(tmp_path: Path) -> None:
    bad = tmp_path / "bad.py"
    bad.write_text("from shapewise.training import EpochLog\nfrom shapewise import plots\n")
    assert rooms_known_to(bad) == {"training", "plots"}
