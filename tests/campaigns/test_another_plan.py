"""A run folder counts for a plan if it holds what the plan asks for, and for nothing else."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from campaigns.conftest import Finish, Script
from shapewise.run_folder import RunFolder


def table(script: Script, plan: Path) -> tuple[str, str]:
    """Standard output and standard error of the table."""
    status, out, error = script("run", plan, "--out", plan.parent / "runs", "--table", "--markdown")
    assert status == 0, error
    return out, error


def refusal(script: Script, plan: Path) -> str:
    """The line by which a campaign refuses to run."""
    command = (plan, "--out", plan.parent / "runs", "--data", plan.parent)
    status, out, error = script("run", *command)
    assert (status, out, error.count("\n")) == (2, "", 1)
    return error


def test_a_run_of_another_experiment_is_left_out_and_named(
    script: Script, plan: Path, finish: Finish
) -> None:
    finish("pixels_s0", 0.8, 0.8)
    finish("half_s0", 0.4, 0.4)
    finish("half_s1", 0.6, 0.6, "training.batch_size=5")
    out, error = table(script, plan)
    assert "| `half` | masks | 1 | 0.400 |" in out
    assert error == (
        "of another experiment: half_s1 (training.batch_size=5, not 8)\n"
        "not finished: pixels (seed 1), third (seed 0, 1)\n"
    )
    drawn = script("figures", plan, "--out", plan.parent / "runs", "--figures", plan.parent)
    assert drawn == (0, "", "of another experiment: half_s1 (training.batch_size=5, not 8)\n")


def test_a_run_of_another_experiment_is_refused_before_the_first_run(
    script: Script, plan: Path, finish: Finish
) -> None:
    folder = finish("third_s1", 0.8, 0.8, "supervision=scribbles")
    error = refusal(script, plan)
    assert error.startswith(f"error: {folder}: expected third with seed 1")
    assert "supervision.kind=scribbles, not pixels" in error
    assert "another --out, or remove" in error
    assert [path.name for path in (plan.parent / "runs").iterdir()] == ["third_s1"]


def test_another_descriptor_table_is_another_experiment(script: Script, plan: Path, finish: Finish) -> None:
    finish("half_s0", 0.8, 0.8, "data.table=clicks.csv")
    assert "data.table=clicks.csv, not None" in refusal(script, plan)


def test_where_the_data_lie_and_what_a_finished_run_is_called_change_nothing(
    script: Script, plan: Path, finish: Finish
) -> None:
    finish("half_s0", 0.8, 0.8, "data.root=elsewhere", "name=other", "description=words")
    out, error = table(script, plan)
    assert "| `half` | masks | 1 |" in out
    assert "another" not in error


def test_an_interrupted_run_that_train_would_not_resume_is_refused(
    script: Script, plan: Path, finish: Finish
) -> None:
    (finish("half_s0", 0.8, 0.8, "description=words", epochs=1) / "metrics.csv").unlink()
    assert "description=words, not" in refusal(script, plan)


def test_a_key_that_an_older_file_does_not_have_is_as_by_default(
    script: Script, plan: Path, finish: Finish
) -> None:
    file = RunFolder(finish("half_s0", 0.8, 0.8)).experiment_file
    older = yaml.safe_load(file.read_text())
    del older["training"]["weight_average"], older["supervision"]["edge_length"]
    file.write_text(yaml.safe_dump(older))
    out, error = table(script, plan)
    assert "| `half` | masks | 1 |" in out
    assert "another" not in error
    plan.write_text(plan.read_text().replace("epochs=3", "epochs=3, training.weight_average=0.9"))
    assert "training.weight_average=0.0, not 0.9" in refusal(script, plan)


def test_plugins_lie_in_the_run_folder(script: Script, plan: Path, finish: Finish) -> None:
    (plan.parent / "more").mkdir()
    (plan.parent / "half.yaml").write_text("supervision: pixels\nplugins: [more/size.py]")
    finish("half_s0", 0.8, 0.8, "plugins=[size.py]")
    assert "another" not in table(script, plan)[1]


@pytest.mark.parametrize(
    ("decay", "trained", "asked", "left"),
    [
        ("none", 3, 3, "not finished"),
        ("none", 3, 5, "not finished"),
        ("none", 3, 2, "training.epochs=3, not 2"),
        ("cosine", 3, 3, "not finished"),
        ("cosine", 3, 5, "training.epochs=3, not 5"),
    ],
)
def test_more_epochs_than_a_run_has_are_left_to_do(
    script: Script, plan: Path, finish: Finish, decay: str, trained: int, asked: int, left: str
) -> None:
    """Unless the learning rate follows their number: then it is another training."""
    (plan.parent / "half.yaml").write_text(
        yaml.safe_dump({"supervision": "pixels", "training": {"learning_rate_decay": decay}})
    )
    finish("pixels_s0", 0.8, 0.8)
    finish("half_s0", 0.8, 0.8, epochs=trained)
    text = plan.read_text().replace("half.yaml}", f"half.yaml, overrides: [training.epochs={asked}]}}")
    plan.write_text(text)
    out, error = table(script, plan)
    assert ("`half`" in out) == (trained == asked)
    assert left in error
    assert ("half (seed 0, 1)" in error) == (left == "not finished" and asked > trained)


def test_an_interrupted_run_is_not_finished_whatever_was_measured_of_it(
    script: Script, plan: Path, finish: Finish
) -> None:
    finish("pixels_s0", 0.8, 0.8)
    finish("half_s0", 0.8, 0.8, epochs=1)
    out, error = table(script, plan)
    assert "`half`" not in out
    assert error == "not finished: pixels (seed 1), half (seed 0, 1), third (seed 0, 1)\n"


def test_a_start_that_fails_keeps_what_was_measured(script: Script, plan: Path, finish: Finish) -> None:
    """A training that does start removes it."""
    folder = finish("half_s0", 0.8, 0.8, epochs=1)
    command = ("--arms", "half", "--seeds", 0, "--data", plan.parent)
    status, out, _ = script("run", plan, "--out", plan.parent / "runs", *command)
    assert (status, out.count("\n")) == (1, 1)  # there are no data to train with
    assert (folder / "metrics.csv").exists()
