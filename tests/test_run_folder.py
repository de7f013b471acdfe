from __future__ import annotations

import json
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path

import pytest

from shapewise.config import Experiment, parse_experiment
from shapewise.errors import ConfigError, RunError
from shapewise.run_folder import RunFolder, discarded_on_error, flatten, taken, write_text

EXPERIMENT = parse_experiment({"name": "one"}, where="test")


def start(run: RunFolder, experiment: Experiment) -> None:
    run.start(experiment, data_root=Path("data"), classes=("LV",))


def test_a_run_remembers_its_experiment_and_versions(tmp_path: Path) -> None:
    run = RunFolder(tmp_path / "run")
    start(run, EXPERIMENT)
    record = run.read_record()
    assert run.read_experiment() == EXPERIMENT
    assert record.data_root == str(Path("data").resolve())
    assert record.versions["torch"] != "missing"


def test_a_resumed_run_keeps_its_record(tmp_path: Path) -> None:
    run = RunFolder(tmp_path)
    start(run, EXPERIMENT)
    run.update_record(train_seconds=3.0)
    start(run, EXPERIMENT)
    assert run.read_record().train_seconds == 3.0


def test_more_epochs_go_on_with_the_same_run(tmp_path: Path) -> None:
    run = RunFolder(tmp_path)
    start(run, EXPERIMENT)
    start(run, parse_experiment({"name": "one", "training": {"epochs": 300}}, where="test"))
    assert run.read_experiment().training.epochs == 300


def test_another_experiment_is_refused_with_the_key_that_differs(tmp_path: Path) -> None:
    run = RunFolder(tmp_path)
    start(run, EXPERIMENT)
    other = parse_experiment({"name": "one", "training": {"seed": 5}}, where="test")
    with pytest.raises(RunError, match=r"training\.seed=0, found training\.seed=5"):
        start(run, other)


@pytest.mark.parametrize("classes", [("RV",), ("LV", "RV")])
def test_data_of_other_classes_is_refused_and_not_written_down(
    tmp_path: Path, classes: tuple[str, ...]
) -> None:
    run = RunFolder(tmp_path)
    start(run, EXPERIMENT)
    with pytest.raises(
        RunError, match=f"the classes that the run began with, LV, found {', '.join(classes)}$"
    ):
        run.start(EXPERIMENT, data_root=Path("data"), classes=classes)
    assert run.read_record().classes == ("LV",)


def test_a_folder_with_other_files_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "thesis.tex").write_text("years of work")
    with pytest.raises(RunError, match="other files"):
        start(RunFolder(tmp_path), EXPERIMENT)
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.tex"]


@pytest.mark.parametrize("left", [".unfinished-1", "run.json"])
def test_a_folder_whose_first_start_was_killed_can_be_started_again(tmp_path: Path, left: str) -> None:
    run = RunFolder(tmp_path)
    if left == "run.json":
        start(run, EXPERIMENT)
        run.experiment_file.unlink()
    else:
        (tmp_path / left).mkdir()
        (tmp_path / left / "run.json").write_text("{")
    start(run, EXPERIMENT)
    assert run.read_experiment() == EXPERIMENT


def test_an_experiment_that_a_trained_run_has_lost_is_named(tmp_path: Path) -> None:
    run = RunFolder(tmp_path)
    start(run, EXPERIMENT)
    run.split_file.write_text("patient,split\n")
    run.experiment_file.unlink()
    with pytest.raises(ConfigError, match=r"experiment\.yaml: expected a readable"):
        start(run, EXPERIMENT)


def test_another_format_is_refused(tmp_path: Path) -> None:
    run = RunFolder(tmp_path)
    start(run, EXPERIMENT)
    run.record_file.write_text(json.dumps({"format": 99, "versions": {"shapewise": "7.0"}}))
    with pytest.raises(RunError, match=r"format 99 of shapewise 7\.0"):
        run.read_record()


@pytest.mark.parametrize("content", [None, "", "{", "[]", "3"])
def test_a_missing_or_broken_record_is_named(tmp_path: Path, content: str | None) -> None:
    if content is not None:
        (tmp_path / "run.json").write_text(content)
    with pytest.raises(RunError, match=r"run\.json|a run folder"):
        RunFolder(tmp_path).read_record()


def test_flatten_keeps_empty_mappings() -> None:
    assert flatten({"a": {}, "b": {"c": {"d": 1}}}) == {"a": {}, "b.c.d": 1}


def test_a_full_disk_is_named_and_leaves_nothing(
    tmp_path: Path, full_disk: Callable[[int], AbstractContextManager[None]]
) -> None:
    with (
        full_disk(3),
        pytest.raises(RunError, match=rf"^{tmp_path}/file: expected a file that can be written"),
    ):
        write_text(tmp_path / "file", "longer")
    assert list(tmp_path.iterdir()) == []


def test_a_file_is_replaced_whole(tmp_path: Path) -> None:
    write_text(tmp_path / "f", "old")
    write_text(tmp_path / "f", "new")
    assert [path.name for path in tmp_path.iterdir()] == ["f"]
    assert (tmp_path / "f").read_text() == "new"


@pytest.mark.parametrize("lock", [True, False])
@pytest.mark.parametrize("before", ["nothing", "an empty folder", "older files"])
def test_only_what_the_failed_block_made_is_removed(tmp_path: Path, before: str, lock: bool) -> None:
    folder = tmp_path / "run"
    if before != "nothing":
        folder.mkdir()
    if before == "older files":
        (folder / "older").write_text("x")

    def fail() -> None:
        with taken(folder) if lock else nullcontext(), discarded_on_error(folder):
            folder.mkdir(exist_ok=True)
            (folder / "file").write_text("x")
            (folder / "folder").mkdir()
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fail()
    assert folder.exists() == (before != "nothing")
    if before == "an empty folder":
        assert not list(folder.iterdir())
    if before == "older files":
        assert (folder / "older").read_text() == "x"


def test_what_cannot_be_removed_does_not_keep_the_rest(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An open file, where the system does not let go of one."""
    unlink = Path.unlink

    def held(path: Path, missing_ok: bool = False) -> None:
        if path.name == ".lock":
            raise PermissionError(path)
        unlink(path, missing_ok)

    monkeypatch.setattr(Path, "unlink", held)

    def fail() -> None:
        with taken(tmp_path), discarded_on_error(tmp_path):
            for name in ("a", "b", "c"):
                (tmp_path / name).write_text("x")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fail()
    assert [path.name for path in tmp_path.iterdir()] == [".lock"]


@pytest.mark.parametrize("key", ["data_root", "classes", "seed", "versions", "train_seconds"])
def test_an_entry_of_another_type_is_named(tmp_path: Path, key: str) -> None:
    run = RunFolder(tmp_path)
    start(run, EXPERIMENT)
    run.update_record(**{key: {"a": []}})
    with pytest.raises(RunError, match=f"a valid `{key}"):
        run.read_record()


def test_taking_a_folder_leaves_no_trace_where_nothing_was_begun(tmp_path: Path) -> None:
    (tmp_path / "thesis.tex").write_text("years of work")
    with taken(tmp_path), taken(tmp_path / "new"):
        assert (tmp_path / "new").is_dir()
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.tex"]


def test_the_lock_is_no_file_of_somebody_else(tmp_path: Path) -> None:
    run = RunFolder(tmp_path / "run")
    with taken(run.path):
        start(run, EXPERIMENT)
    assert run.read_experiment() == EXPERIMENT
