"""The plans are experiments that load; what is wrong with a plan, or with the command, is one line."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from shapewise.config import load_experiment

FOLDER = Path(__file__).parents[2] / "campaigns"
PLANS = sorted(FOLDER.glob("*.yaml"))
ARMS = [
    pytest.param(plan, arm, id=f"{plan.stem}-{arm}")
    for plan in PLANS
    for arm in yaml.safe_load(plan.read_text())["arms"]
]


@pytest.mark.parametrize(("plan", "arm"), ARMS)
def test_every_arm_is_an_experiment(plan: Path, arm: str) -> None:
    content = yaml.safe_load(plan.read_text())
    chosen = content["arms"][arm]
    overrides = [*content["overrides"], *chosen.get("overrides", [])]
    experiment = load_experiment(plan.parent / chosen["experiment"], overrides)
    assert f"training.epochs={experiment.training.epochs}" in content["overrides"]


@pytest.mark.parametrize(
    ("text", "hint"),
    [
        (None, "No such file"),
        (b"\xff\xfe\x00", "a plan"),
        (b"seeds: [0", "valid YAML"),
        (b"seeds: [0]\nseeds: [1]\narms: {a: {experiment: e.yaml}}", "seeds twice"),
        (b"- pixels", "a mapping, found list"),
        (b"", "a mapping, found NoneType"),
        (b"seeds: [0]", "valid `arms`"),
        (b"arms: {a: {experiment: e.yaml}}", "valid `seeds`"),
        (b"seeds: [0]\narms: {a: {}}", "valid `arms.a.experiment`"),
        (b"seeds: [0]\narms: {a: e.yaml}", "valid `arms.a`"),
        (b"seeds: [0]\narms: [a]", "valid `arms`"),
        (b"seeds: [0]\narms: {a/b: {experiment: e.yaml}}", "valid `arms.a/b"),
        (b"seeds: [0]\narms: {a: {experiment: e.yaml, override: []}}", "valid `arms.a.override`"),
        (b"seeds: [0]\narms: {a: {experiment: e.yaml, overrides: x=1}}", "valid `arms.a.overrides`"),
        (b"seeds: [0]\noverride: [x=1]\narms: {a: {experiment: e.yaml}}", "valid `override`"),
        (b"seeds: [2001-99-01]\narms: {a: {experiment: e.yaml}}", "valid YAML"),
        (b"seeds: [0.5]\narms: {a: {experiment: e.yaml}}", "valid `seeds.0`"),
        (b"seeds: ['0']\narms: {a: {experiment: e.yaml}}", "valid `seeds.0`"),
        (b"seeds: [true]\narms: {a: {experiment: e.yaml}}", "valid `seeds.0`"),
        (b"seeds: [-1]\narms: {a: {experiment: e.yaml}}", "valid `seeds.0`"),
        (b"seeds: 3\narms: {a: {experiment: e.yaml}}", "valid `seeds`"),
        (b"seeds: []\narms: {a: {experiment: e.yaml}}", "valid `seeds`"),
    ],
)
@pytest.mark.parametrize("name", ["run", "figures"])
def test_a_bad_plan_is_refused_in_a_line(script, tmp_path: Path, name: str, text, hint: str) -> None:
    plan = tmp_path / "plan.yaml"
    if text is not None:
        plan.write_bytes(text)
    more = ["--table"] if name == "run" else ["--figures", tmp_path]
    status, out, error = script(name, plan, "--out", tmp_path, *more)
    assert (status, out, error.count("\n")) == (2, "", 1)
    assert error.startswith(f"error: {plan}: expected ")
    assert hint in error


@pytest.mark.parametrize(
    ("arguments", "hint"),
    [
        (["--arms", "pixles"], "expected arms among pixels, projection"),
        (["--jobs", "0"], "--jobs: expected a whole number of at least 1, found 0"),
        (["--jobs", "two"], "--jobs: expected a whole number of at least 1, found two"),
        (["--seeds", "0,one"], "--seeds: expected a whole number of at least 0, found one"),
        (["--seeds", "-1"], "--seeds"),
        (["--markdown"], "--markdown: expected --table"),
        ([], "--data: expected a data folder, found none"),
        (["--data", "/nowhere"], "/nowhere: expected a data folder, found none"),
        (["--data", __file__], f"{__file__}: expected a data folder, found a file"),
        (["--data", "."], "absent.yaml: expected a readable experiment file"),
        (["--frobnicate"], "--frobnicate"),
    ],
)
def test_a_bad_command_is_refused_in_a_line(script, tmp_path: Path, arguments, hint: str) -> None:
    plan = tmp_path / "plan.yaml"
    plan.write_text("seeds: [0]\narms: {pixels: {experiment: absent.yaml}, projection: {experiment: b.yaml}}")
    status, out, error = script("run", plan, "--out", tmp_path / "runs", *arguments)
    assert (status, out, error.count("\n")) == (2, "", 1)
    assert hint in error
    assert not (tmp_path / "runs").exists()


def test_the_experiments_of_a_plan_are_checked_before_the_first_run(
    script, experiment_file, phantom: Path, tmp_path: Path
) -> None:
    plan = tmp_path / "plan.yaml"
    bad = {"experiment": experiment_file().name, "overrides": ["training.epoch=1"]}
    plan.write_text(
        yaml.safe_dump({"seeds": [0], "arms": {"a": {"experiment": experiment_file().name}, "b": bad}})
    )
    status, _, error = script("run", plan, "--out", tmp_path / "runs", "--data", phantom)
    assert status == 2
    assert "did you mean `training.epochs`?" in error
    assert not (tmp_path / "runs").exists()
