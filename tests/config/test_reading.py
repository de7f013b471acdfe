from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from shapewise.config import (
    Experiment,
    dump_experiment,
    load_experiment,
    parse_experiment,
    valid_keys,
)
from shapewise.config.reading import UniqueKeys
from shapewise.errors import ConfigError

EXPERIMENTS = Path(__file__).parents[2] / "experiments"


def write(path: Path, text: str) -> Path:
    path.write_text(text, encoding="utf-8")
    return path


@pytest.mark.parametrize("path", sorted(EXPERIMENTS.rglob("*.yaml")), ids=lambda path: path.stem)
def test_every_shipped_experiment_loads(path: Path) -> None:
    assert load_experiment(path).training.epochs > 0


def test_what_is_written_reads_back_the_same(tmp_path: Path) -> None:
    experiment = load_experiment(EXPERIMENTS / "paper" / "acdc_barrier.yaml")
    assert load_experiment(write(tmp_path / "copy.yaml", dump_experiment(experiment))) == experiment


def test_a_child_inherits_and_overrides_key_by_key(tmp_path: Path) -> None:
    write(tmp_path / "base.yaml", "training: {epochs: 7, batch_size: 3}\nname: base\n")
    child = write(tmp_path / "child.yaml", "extends: base.yaml\ntraining: {epochs: 9}\n")
    training = load_experiment(child).training
    assert (training.epochs, training.batch_size) == (9, 3)


def test_a_circle_of_parents_is_refused(tmp_path: Path) -> None:
    write(tmp_path / "a.yaml", "extends: b.yaml\n")
    write(tmp_path / "b.yaml", "extends: a.yaml\n")
    with pytest.raises(ConfigError, match="circle"):
        load_experiment(tmp_path / "a.yaml")


@pytest.mark.parametrize("kind", ["pixels", "barrier", "quadratic", "augmented_lagrangian"])
def test_supervision_is_one_line(kind: str) -> None:
    assert parse_experiment({"supervision": kind}, where="x").supervision.kind == kind


def test_a_projection_is_of_moments_by_default(tmp_path: Path) -> None:
    experiment = load_experiment(write(tmp_path / "one.yaml", "supervision: projection"))
    assert experiment.supervision.descriptors == ("volume", "centroid", "covariance")


def test_overrides_are_typed_and_dotted(tmp_path: Path) -> None:
    path = write(tmp_path / "e.yaml", "supervision: barrier\n")
    overrides = ["training.learning_rate=0.01", "supervision.descriptors=[volume]", "augmentation.flip=true"]
    experiment = load_experiment(path, overrides)
    assert experiment.training.learning_rate == 0.01
    assert experiment.supervision.kind == "barrier"
    assert experiment.supervision.descriptors == ("volume",)
    assert experiment.augmentation.flip


@pytest.mark.parametrize(
    ("text", "hint"),
    [
        ("trainig: {epochs: 3}", "did you mean `training`"),
        ("training: {epoch: 3}", "did you mean `training.epochs`"),
        ("epochs: 3", "did you mean `training.epochs`"),
        ("training: {epochs: 0}", "`training.epochs` to be greater than or equal to 1, found 0"),
        ("training: {epochs: many}", "`training.epochs`"),
        ("supervision: barier", "`supervision.kind`"),
        ("supervision: {descriptors: []}", "at least one descriptor"),
        ("training: {epochs: true}", "`training.epochs` to be neither true nor false, found True"),
        (
            "data: {preprocessing: {size: [128]}}",
            "`data.preprocessing.size` to be a longer list, found [128]",
        ),
        (
            "data: {preprocessing: {size: [24, 24, 24]}}",
            "`data.preprocessing.size` to be a shorter list, found [24, 24, 24]",
        ),
        ("data: {preprocessing: {size: 128}}", "`data.preprocessing.size` to be a list, found 128"),
        ("supervision: {relations: [{classes: [A, B]}]}", "`supervision.relations.0.kind` to be given"),
        (
            "supervision: {relations: [{kind: ratio, classes: [A, B], lowr: 1}]}",
            "did you mean `supervision.relations.0.lower`",
        ),
        (
            "supervision: {kind: barrier, teacher: true}",
            "`supervision.teacher` to be false where supervision.kind is barrier, found True",
        ),
        (
            "supervision: {kind: regions, extent: volume}",
            "`supervision.extent` to be slice where supervision.kind is regions, found volume",
        ),
        (
            "supervision: {kind: barrier, renew: epoch}",
            "`supervision.renew` to be step or auto where supervision.kind is barrier, found epoch",
        ),
        (
            "supervision: {renew: epoch, teacher: true}",
            "`supervision.teacher` to be false where supervision.renew is epoch, found True",
        ),
        (
            "supervision: {renew: epoch, extent: volume, beside: {}}",
            "is volume and supervision.renew is epoch, found the kind quadratic",
        ),
        (
            "training: {image_clip: 0.5, precision: 16-mixed}",
            "`training.image_clip` to be 0 where training.precision is 16-mixed",
        ),
        (
            "supervision: {relations: [{kind: ratio, clases: [A, B], lower: 1}]}",
            "did you mean `supervision.relations.0.classes`",
        ),
        (
            "supervision: {beside: {relations: [{kind: ratio, clases: [A, B]}]}}",
            "did you mean `supervision.beside.relations.0.classes`",
        ),
        ("- 1", "a mapping"),
        ("training: {epochs: 1}\ntraining: {epochs: 2}", "the key training twice"),
        ("a: [", "valid YAML"),
        ("network: &n {name: enet, options: {x: *n}}", "valid YAML, found a value that holds itself"),
        ("data: &n [*n]", "valid YAML, found a value that holds itself"),
        ("description: 2024-02-30", "valid YAML, found day is out of range"),
    ],
)
def test_a_bad_file_gets_one_line_with_the_nearest_key(tmp_path: Path, text: str, hint: str) -> None:
    path = write(tmp_path / "bad.yaml", text)
    with pytest.raises(ConfigError) as caught:
        load_experiment(path)
    assert hint in str(caught.value)
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)


NOT_FINITE = [
    "supervision.edge_length.weight={}",
    "supervision.absolute_margins={{centroid: {}}}",
    "supervision.relations=[{{kind: contact, classes: [A, B], upper: {}}}]",
    "training.betas=[0.9, {}]",
    "training.learning_rate={}",
    "training.epochs={}",
    "network.options={{channels: [4, {}]}}",
]


@pytest.mark.parametrize("number", [".inf", "-.inf", ".nan"])
@pytest.mark.parametrize("override", NOT_FINITE)
def test_numbers_are_finite(tmp_path: Path, override: str, number: str) -> None:
    path = write(tmp_path / "e.yaml", "supervision: barrier\n")
    with pytest.raises(ConfigError, match=r"^command line: .*(finite|greater|less).*(inf|nan)"):
        load_experiment(path, [override.format(number)])


@pytest.mark.parametrize(
    ("file", "override", "blamed"),
    [
        ("{}", "training.epochs=many", True),
        ("{}", "epochs=3", True),
        ("supervision: {extent: volume}", "supervision=regions", True),
        ("supervision: {kind: regions}", "supervision={extent: volume}", True),
        ("{}", "supervision.relations=[{kind: ratio}]", True),
        ("{}", "training.epochs.deep=3", True),
        ("training: {epochs: many}", "training.seed=3", False),
        ("training: {epochs: many}", "training={seed: 3}", False),
        ("supervision: {extent: volume, kind: regions}", "supervision.margin=0.3", False),
    ],
)
def test_an_override_is_blamed_for_what_it_sets(
    tmp_path: Path, file: str, override: str, blamed: bool
) -> None:
    path = write(tmp_path / "e.yaml", file)
    with pytest.raises(ConfigError) as caught:
        load_experiment(path, [override])
    assert str(caught.value).startswith("command line: expected" if blamed else f"{path}: expected")


@pytest.mark.parametrize(
    "override", ["epochs", "=3", "training.epochs=[", "training.epochs.deep=3", "network=&n {options: *n}"]
)
def test_a_bad_override_is_refused(tmp_path: Path, override: str) -> None:
    path = write(tmp_path / "e.yaml", "name: x\n")
    with pytest.raises(ConfigError):
        load_experiment(path, [override])


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"nowhere\.yaml: expected a readable experiment file"):
        load_experiment(tmp_path / "nowhere.yaml")


def test_valid_keys_are_dotted_to_the_leaves() -> None:
    keys = valid_keys(Experiment)
    assert {"training.epochs", "data.preprocessing.size", "supervision.t.cap"} <= set(keys)


def test_a_short_supervision_is_still_one_where_a_child_adds_to_it(tmp_path: Path) -> None:
    (tmp_path / "parent.yaml").write_text("supervision: pixels\n")
    child = tmp_path / "child.yaml"
    child.write_text("extends: parent.yaml\nsupervision: {beside: {weight: 0.1}}\n")
    supervision = load_experiment(child).supervision
    assert supervision.kind == "pixels"
    assert supervision.descriptors == ("length",)
    assert load_experiment(tmp_path / "parent.yaml", ["supervision.margin=0.2"]).supervision.kind == "pixels"


def test_where_priors_alone_pull_the_length_still_measures_the_validation_split() -> None:
    relations = [{"kind": "contact", "classes": ["LV", "RV"], "upper": 0}]
    supervision = {"kind": "pixels", "beside": {"descriptors": [], "relations": relations}}
    assert parse_experiment({"supervision": supervision}, where="here").supervision.descriptors == ("length",)


def test_a_key_of_a_section_that_may_be_missing_is_near_too() -> None:
    with pytest.raises(ConfigError, match=r"did you mean `supervision\.beside\.weight`\?"):
        parse_experiment({"supervision": {"beside": {"weigth": 0.1}}}, where="here")


SHORT = ["supervision=barrier", "supervision={kind: barrier}", "supervision.kind=barrier"]


@pytest.mark.parametrize("before", [True, False])
@pytest.mark.parametrize("kind", SHORT)
def test_a_kind_and_what_goes_with_it_are_given_in_any_order(tmp_path: Path, kind: str, before: bool) -> None:
    path = write(tmp_path / "e.yaml", "supervision: {kind: projection, rho: 2.0}\n")
    overrides = [kind, "supervision.margin=0.2"] if before else ["supervision.margin=0.2", kind]
    supervision = load_experiment(path, overrides).supervision
    assert (supervision.kind, supervision.margin, supervision.rho) == ("barrier", 0.2, 2.0)


def test_the_last_override_of_a_key_wins(tmp_path: Path) -> None:
    path = write(tmp_path / "e.yaml", "supervision: pixels\n")
    overrides = ["supervision.kind=hinge", "supervision=quadratic", "training.epochs=3", "training.epochs=4"]
    experiment = load_experiment(path, overrides)
    assert (experiment.supervision.kind, experiment.training.epochs) == ("quadratic", 4)


def test_an_override_is_merged_as_an_heirs_file_is(tmp_path: Path) -> None:
    text = "training: {epochs: 7, batch_size: 3}\nsupervision: {beside: {rho: 2}}\n"
    path = write(tmp_path / "e.yaml", text)
    experiment = load_experiment(path, ["training={epochs: 9}", "supervision.beside=null"])
    assert (experiment.training.epochs, experiment.training.batch_size) == (9, 3)
    assert experiment.supervision.beside is None


def test_an_empty_mapping_empties(tmp_path: Path) -> None:
    path = write(tmp_path / "some.yaml", "name: some\nnetwork: {name: residual_unet, options: {levels: 3}}")
    assert load_experiment(path, ["network.name=enet", "network.options={}"]).network.options == {}


def test_mappings_are_merged_as_yaml_has_it(tmp_path: Path) -> None:
    """A key of one's own replaces the merged one; twice among one's own it is refused."""
    text = "data: {split: &split {train: 5, seed: 3}}\ntraining: {<<: {seed: 2, epochs: 9}, seed: 4}"
    experiment = load_experiment(write(tmp_path / "merged.yaml", text))
    assert (experiment.training.epochs, experiment.training.seed) == (9, 4)
    for again in ("seed: 4, seed: 5", "<<: {epochs: 3}"):
        with pytest.raises(ConfigError, match=r"the key (seed|<<) twice"):
            load_experiment(write(tmp_path / "twice.yaml", text.replace("seed: 4", again)))


def test_a_mapping_that_merges_may_be_merged_in_its_turn() -> None:
    text = "{a: &a {x: 1}, deep: {more: &m {<<: *a, x: 2}}, k: {<<: *m, y: 3}}"
    assert yaml.load(text, UniqueKeys)["k"] == {"x": 2, "y": 3}
