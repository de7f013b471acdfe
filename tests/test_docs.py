"""The README and the docs say only what is so: their code runs, their commands, keys and links exist."""

from __future__ import annotations

import doctest
import json
import re
import runpy
import shlex
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import SimpleITK
import typer
import yaml

from shapewise.cli import app
from shapewise.config import (
    BesideConfig,
    EdgeLengthConfig,
    Experiment,
    RelationConfig,
    Section,
    load_experiment,
    parse_experiment,
)
from shapewise.constraints import PENALTIES
from shapewise.data.layouts import LAYOUTS, find_cases
from shapewise.data.phantom import make_phantom
from shapewise.data.table import COLUMNS, read_table
from shapewise.descriptors import registry
from shapewise.errors import TableError
from shapewise.evaluation import biomarkers, evaluate, values
from shapewise.plots.compare import FILES

ROOT = Path(__file__).parents[1]
DOCS = ROOT / "docs"
PAGES = [ROOT / "README.md", ROOT / "CHANGELOG.md", *sorted(DOCS.glob("*.md"))]
SCALES = {
    "the annotated value": "value",
    "the annotated spread along the same axis": "spread",
    "the product of the spreads along its axes": "spread_power",
    "1": "one",
}


def read(path: Path) -> str:
    return path.read_text(encoding="utf-8")


def blocks(path: Path, *languages: str) -> list[tuple[str, str]]:
    """(language, text) of the fenced blocks of a page, in order."""
    found = re.findall(r"^```(\w+)\n(.*?)^```", read(path), re.DOTALL | re.MULTILINE)
    return [(language, text) for language, text in found if language in languages]


def pages_with(*languages: str) -> list[Any]:
    return [pytest.param(path, id=path.stem) for path in PAGES if blocks(path, *languages)]


def prose(path: Path) -> str:
    return re.sub(r"^```.*?^```", "", read(path), flags=re.DOTALL | re.MULTILINE)


@pytest.fixture
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder to write into, with a DICOM series and pictures, and a registry that forgets additions."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(registry, "_descriptors", dict(registry._descriptors))
    write_series(tmp_path / "scans" / "series001")
    (tmp_path / "pictures" / "heart002").mkdir(parents=True)
    for number in range(11):
        picture = SimpleITK.GetImageFromArray(np.full((8, 8), number, dtype=np.uint8))
        SimpleITK.WriteImage(picture, str(tmp_path / "pictures" / "heart002" / f"slice{number}.png"))
    return tmp_path


def write_series(folder: Path) -> None:
    folder.mkdir(parents=True)
    writer = SimpleITK.ImageFileWriter()
    writer.KeepOriginalImageUIDOn()
    for index, plane in enumerate(np.random.default_rng(0).integers(0, 1000, (3, 8, 6)).astype(np.int16)):
        image = SimpleITK.GetImageFromArray(plane[None])
        for key, value in {
            "0008|0060": "MR",
            "0020|000e": "1.2.3",
            "0020|0032": f"0\\0\\{5 * index}",
            "0020|0037": "1\\0\\0\\0\\1\\0",
        }.items():
            image.SetMetaData(key, value)
        writer.SetFileName(str(folder / f"{index}.dcm"))
        writer.Execute(image)


@pytest.mark.parametrize("path", pages_with("python", "pycon"))
def test_the_code_of_a_page_runs_from_top_to_bottom(path: Path, elsewhere: Path) -> None:
    names: dict[str, Any] = {"__name__": f"docs_{path.stem}"}
    runner, parser = doctest.DocTestRunner(verbose=False), doctest.DocTestParser()
    for language, text in blocks(path, "python", "pycon"):
        if language == "python":
            with warnings.catch_warnings():
                # Lightning's own advice (workers, logging) is not about this page.
                warnings.filterwarnings("ignore", module=r"(pytorch_lightning|monai)\b.*")
                exec(compile(text, str(path), "exec"), names)
        else:
            example = parser.get_doctest(text, names, path.name, str(path), 0)
            example.globs = names
            output: list[str] = []
            assert runner.run(example, out=output.append, clear_globs=False).failed == 0, "".join(output)


def test_pictures_become_slices_in_the_order_of_their_numbers(elsewhere: Path) -> None:
    names: dict[str, Any] = {}
    for _, text in list(blocks(DOCS / "own_data.md", "python"))[:2]:
        exec(compile(text, "own_data.md", "exec"), names)
    written = SimpleITK.ReadImage(str(elsewhere / "mydata" / "imagesTr" / "heart002_0000.nii.gz"))
    assert SimpleITK.GetArrayFromImage(written)[:, 0, 0].tolist() == list(range(11))


def commands() -> list[Any]:
    texts = [(path, text) for path in PAGES for _, text in blocks(path, "bash")]
    lines = [(path, line) for path, text in texts for line in text.strip().split("\n")]
    return [pytest.param(line, id=f"{path.stem}-{number}") for number, (path, line) in enumerate(lines)]


@pytest.mark.parametrize("line", commands())
def test_a_command_that_is_shown_exists(line: str) -> None:
    program, *arguments = shlex.split(line, comments=True)
    if program == "shapewise":
        check_subcommand(*arguments)
    elif program == "make":
        targets = re.findall(r"^([\w-]+):", read(ROOT / "Makefile"), re.MULTILINE)
        assert set(arguments) <= set(targets)
    else:
        assert program == "python"
        assert (ROOT / arguments[0]).is_file()


def check_subcommand(name: str, *arguments: str) -> None:
    """Parse the line as the shell would, without running it, and load the experiment that it names."""
    command = typer.main.get_command(app).commands[name]
    parameters = command.make_context(name, list(arguments)).params
    experiment = parameters.get("experiment")
    if experiment is not None and (ROOT / experiment).exists():
        load_experiment(ROOT / experiment, parameters["overrides"])


@pytest.mark.parametrize("path", [pytest.param(ROOT / "README.md", id="README")])
def test_the_table_of_commands_lists_all_of_them_with_real_options(path: Path) -> None:
    rows = re.findall(r"^\| `shapewise (\w+) (.*?)` \|", read(path), re.MULTILINE)
    group = typer.main.get_command(app)
    assert {name for name, _ in rows} == set(group.commands)
    for name, synopsis in rows:
        command = group.commands[name]
        options = {option for parameter in command.params for option in parameter.opts}
        assert set(re.findall(r"--[\w-]+", synopsis)) <= options


@pytest.mark.parametrize("path", pages_with("yaml"))
def test_an_experiment_that_is_shown_is_valid(path: Path) -> None:
    for _, text in blocks(path, "yaml"):
        content = yaml.safe_load(text)
        content.pop("extends", None)
        parse_experiment(content, where=path.name)


def test_the_experiment_for_ones_own_data_is_the_one_in_examples() -> None:
    (shown,) = [yaml.safe_load(text) for _, text in blocks(DOCS / "own_data.md", "yaml")]
    assert shown == yaml.safe_load(read(ROOT / "examples" / "own_data" / "experiment.yaml"))


def test_the_stand_in_for_ones_own_data_is_a_data_set(tmp_path: Path) -> None:
    make_phantom(tmp_path / "phantom", patients=1, size=(128, 128))
    example = runpy.run_path(str(ROOT / "examples" / "own_data" / "make_dataset.py"))
    example["make_dataset"](tmp_path / "phantom", tmp_path / "mydata")
    study = find_cases(tmp_path / "mydata")
    assert (study.layout, study.classes) == ("nnunet", ("RV", "Myo", "LV"))
    assert [case.patient for case in study.cases if case.mask] == ["patient001", "patient001"]


def documented_keys(path: Path) -> dict[str, str]:
    return dict(re.findall(r"^\| `([\w.]+)` \| `?(.*?)`? \|", read(path), re.MULTILINE))


def leaves(section: type[Section], prefix: str = "") -> dict[str, Any]:
    """Dotted key -> default, or "required", of every key that is no section itself."""
    found: dict[str, Any] = {}
    for name, field in section.model_fields.items():
        kind = field.annotation
        if isinstance(kind, type) and issubclass(kind, Section):
            found |= leaves(kind, f"{prefix}{name}.")
        else:
            found[prefix + name] = "required" if field.is_required() else field.get_default()
    return found


def test_every_key_of_an_experiment_is_documented_with_its_default() -> None:
    documented = documented_keys(DOCS / "experiments.md")
    beside = leaves(BesideConfig)  # of which only what is its own, or has another default
    own = {f"supervision.beside.{key}": beside[key] for key in BesideConfig.__annotations__}
    edges = leaves(EdgeLengthConfig, "supervision.edge_length.")
    expected = leaves(Experiment) | leaves(RelationConfig) | own | edges
    assert documented.keys() == expected.keys()
    for key, default in expected.items():
        plain = list(default) if isinstance(default, tuple) else default
        assert yaml.safe_load(documented[key]) == plain, key


@pytest.mark.parametrize(
    ("page", "names"),
    [
        ("constraints.md", list(PENALTIES)),
        ("experiments.md", list(LAYOUTS)),
        ("table.md", list(COLUMNS)),
        ("run_folder.md", [*evaluate.METRICS, *values.COLUMNS, *biomarkers.COLUMNS, *biomarkers.QUANTITIES]),
        ("run_folder.md", list(FILES)),
    ],
)
def test_a_page_names_everything_that_there_is(page: str, names: list[str]) -> None:
    text = prose(DOCS / page)
    assert [name for name in names if f"`{name}`" not in text] == []


def descriptor_rows() -> list[list[str]]:
    text = read(DOCS / "descriptors.md").partition("## The list")[2].partition("## Moments")[0]
    return [[cell.strip(" `") for cell in row.split("|")[1:-1]] for row in re.findall(r"^\| `.*", text, re.M)]


@pytest.mark.parametrize("row", [pytest.param(row, id=row[0]) for row in descriptor_rows()])
def test_a_descriptor_has_the_components_and_the_scale_that_its_row_says(row: list[str]) -> None:
    name, _, components, _, scale, _ = row
    descriptor = registry.get(name)
    two, three = components.split(" / ")
    assert descriptor.components(2) == int(two)
    assert three == "2-D only" or descriptor.components(3) == int(three)
    assert descriptor.scale == SCALES[scale]


def test_every_descriptor_of_the_package_has_a_row() -> None:
    files = (ROOT / "src" / "shapewise" / "descriptors").glob("*.py")
    registered = {name for path in files for name in re.findall(r'^@register\(\s*"(\w+)"', read(path), re.M)}
    assert registered == {row[0] for row in descriptor_rows()}


@pytest.mark.parametrize("path", pages_with("csv"))
def test_a_table_that_is_shown_is_valid(path: Path, tmp_path: Path) -> None:
    for _, text in blocks(path, "csv"):
        (tmp_path / "table.csv").write_text(text, encoding="utf-8")
        assert len(read_table(tmp_path / "table.csv")) == text.count("\n") - 1


@pytest.mark.parametrize(
    "change",
    [{"unit": "cm"}, {"class": "XX"}, {"value": "many"}, {"lower": 3, "upper": 2}, {"case": ["p", "p"]}],
    ids=lambda change: next(iter(change)),
)
def test_the_messages_about_bad_tables_are_those_shown(change: dict[str, Any], tmp_path: Path) -> None:
    row = dict.fromkeys(COLUMNS, "") | {"case": "p", "frame": 1, "slice": 0, "class": "LV", "component": 0}
    row |= {"descriptor": "volume", "value": 1, "unit": "px", "source": "mask"} | change
    path = tmp_path / "table.csv"
    pd.DataFrame(row, index=range(2 if isinstance(row["case"], list) else 1)).to_csv(path, index=False)
    with pytest.raises(TableError) as caught:
        read_table(path, ["RV", "Myo", "LV"])
    assert f"`{str(caught.value).replace(str(tmp_path) + '/', '')}`" in prose(DOCS / "table.md")


def test_the_description_of_a_data_set_is_json() -> None:
    (text,) = [text for _, text in blocks(DOCS / "own_data.md", "json")]
    assert json.loads(text)["labels"]["background"] == 0


def links() -> list[Any]:
    found = [(path, link) for path in PAGES for link in re.findall(r"\]\(([^)\s]+)\)", prose(path))]
    local = [(path, link) for path, link in found if "://" not in link]
    return [pytest.param(path, link, id=f"{path.stem}-{link}") for path, link in local]


@pytest.mark.parametrize(("path", "link"), links())
def test_a_link_leads_somewhere(path: Path, link: str) -> None:
    file, _, anchor = link.partition("#")
    target = path.parent / file if file else path
    assert target.exists()
    if anchor:
        headings = re.findall(r"^#+ (.*)$", prose(target), re.MULTILINE)
        assert anchor in {slug(heading) for heading in headings}


def slug(heading: str) -> str:
    """The anchor that GitHub gives a heading."""
    return re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")


def test_every_page_is_in_the_index() -> None:
    index = read(DOCS / "index.md")
    pages = {path.name for path in DOCS.glob("*.md")} - {"index.md"}
    assert [name for name in sorted(pages) if f"({name})" not in index] == []
