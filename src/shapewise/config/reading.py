"""From an experiment file, its parents and the command line to an experiment, or a line of what is wrong."""

from __future__ import annotations

import difflib
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import yaml
from pydantic import ValidationError

from shapewise.config.sections import Experiment, RelationConfig, valid_keys
from shapewise.errors import ConfigError

SHORT = {"supervision": "kind"}
"""Sections that one word may stand for, and the key that it is the value of."""


def load_experiment(path: Path, overrides: list[str] | None = None) -> Experiment:
    """Read an experiment file, apply `key=value` overrides, and validate the whole.

    Args:
        path: YAML file. Its key `extends` may name another file, relative to it, whose values it inherits.
        overrides: dotted keys with YAML values, such as `training.epochs=3`; each is merged as an heir's
            file with that one key would be.

    Raises:
        ConfigError: the file is missing or no YAML mapping, a key is unknown (the nearest valid one is
            named), or a value is out of its range.
    """
    content = _read_with_parents(path, seen=())
    heirs = [_parse_override(override) for override in overrides or []]
    for heir in heirs:
        content = _merge(content, heir)
    return parse_experiment(content, where=str(path), overrides=heirs)


def parse_experiment(
    content: dict[str, Any], *, where: str, overrides: Sequence[dict[str, Any]] = ()
) -> Experiment:
    """Validate a nested mapping as an `Experiment`; `where` names its origin in errors.

    Errors in what the `overrides`, which are part of the content already, have set are the command line's.

    >>> parse_experiment({"name": "mine", "supervision": "quadratic"}, where="here").supervision.kind
    'quadratic'
    >>> parse_experiment({"epochs": 3}, where="here")
    Traceback (most recent call last):
    shapewise.errors.ConfigError: here: expected a known key (did you mean `training.epochs`?), found `epochs`
    """
    try:
        return Experiment.model_validate(_expand(content))
    except ValidationError as error:
        raise _explain(error, where, overrides) from None


def dump_experiment(experiment: Experiment) -> str:
    """Write an experiment as YAML that `load_experiment` reads back to the same experiment."""
    return yaml.safe_dump(experiment.model_dump(mode="json"), sort_keys=False)


def _read_with_parents(path: Path, seen: tuple[Path, ...]) -> dict[str, Any]:
    resolved = path.resolve()
    if resolved in seen:
        raise ConfigError(path, expected="`extends` to end somewhere", found="a circle of files")
    content = _read_yaml(path)
    parent = content.pop("extends", None)
    if parent is None:
        return content
    return _merge(_read_with_parents(path.parent / str(parent), (*seen, resolved)), content)


def _read_yaml(path: Path) -> dict[str, Any]:
    try:
        content = yaml.load(path.read_text(encoding="utf-8"), UniqueKeys)
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(path, expected="a readable experiment file", found=error) from None
    except (yaml.YAMLError, ValueError) as error:  # the latter for a day that no month has
        raise ConfigError(path, expected="valid YAML", found=" ".join(str(error).split())) from None
    if not isinstance(content, dict):
        raise ConfigError(path, expected="a mapping of keys to values", found=type(content).__name__)
    return _expand(content)


def _expand(content: dict[str, Any]) -> dict[str, Any]:
    """Write sections out that are given by one word, so that they can be merged."""
    short = {key: {leaf: content[key]} for key, leaf in SHORT.items() if isinstance(content.get(key), str)}
    return content | short


class UniqueKeys(yaml.SafeLoader):
    """Refuses what plain YAML lets pass: a key twice, the last of which would win, and endless values."""

    def get_single_data(self) -> Any:
        """Read the whole text; an alias within what it stands for would never end."""
        content = super().get_single_data()
        try:
            json.dumps(content, skipkeys=True, default=str)
        except ValueError:
            raise yaml.YAMLError("a value that holds itself") from None
        return content

    def compose_mapping_node(self, anchor: Any) -> yaml.MappingNode:
        """Read one mapping as it is written; `<<` takes other mappings in later."""
        node: yaml.MappingNode = super().compose_mapping_node(anchor)
        keys = [key.value for key, _ in node.value if isinstance(key, yaml.ScalarNode)]
        twice = [key for key in keys if keys.count(key) > 1]
        if twice:
            raise yaml.YAMLError(f"the key {twice[0]} twice in line {node.start_mark.line + 1} and below")
        return node


def _merge(base: dict[str, Any], over: dict[str, Any]) -> dict[str, Any]:
    merged = dict(base)
    for key, value in over.items():
        both = value and isinstance(value, dict) and isinstance(merged.get(key), dict)  # {} empties
        merged[key] = _merge(merged[key], value) if both else value
    return merged


def _parse_override(override: str) -> dict[str, Any]:
    key, equals, text = override.partition("=")
    if not equals or not key:
        raise ConfigError("command line", expected="an override of the form key=value", found=f"`{override}`")
    try:
        value = yaml.load(text, UniqueKeys)
    except (yaml.YAMLError, ValueError):  # the latter for a day that no month has
        raise ConfigError("command line", expected=f"a YAML value for {key}", found=f"`{text}`") from None
    for part in reversed(key.split(".")):
        value = {part: value}
    return _expand(value)


def _explain(error: ValidationError, where: str, overrides: Sequence[dict[str, Any]]) -> ConfigError:
    # A key that is missing is often one that is misspelt.
    first = min(error.errors(), key=lambda each: each["type"] != "extra_forbidden")
    place, messages = first["loc"], {"missing": "given", "tuple_type": "a list", "too_long": "a shorter list"}
    if first["type"] == "misfit":
        context = first["ctx"]
        keys = [context["key"], *context["others"]]
        blamed = _origin([key.split(".") for key in keys], where, overrides)
        return ConfigError(
            blamed, expected=f"`{keys[0]}` to be {context['expected']}", found=context["found"]
        )
    where = _origin([place], where, overrides)
    if first["type"] == "missing" and isinstance(place[-1], int):
        place, messages = place[:-1], {"missing": "a longer list"}
    key = ".".join(str(part) for part in place)
    if first["type"] == "extra_forbidden":
        near = _nearest(key)
        hint = f" (did you mean `{near}`?)" if near else ""
        return ConfigError(where, expected=f"a known key{hint}", found=f"`{key}`")
    message = first["msg"].removeprefix("Value error, ").removeprefix("Input should be ")
    message = messages.get(first["type"], message)
    return ConfigError(where, expected=f"`{key}` to be {message}", found=repr(first["input"]))


def _origin(places: Sequence[Sequence[int | str]], where: str, overrides: Sequence[dict[str, Any]]) -> str:
    """Say where one of these keys was set: on the command line, or else `where`."""
    overridden = any(_sets(heir, place) for heir in overrides for place in places)
    return "command line" if overridden else where


def _sets(heir: Any, place: Sequence[int | str]) -> bool:
    """Whether a nested mapping has a value at a place, or one in its stead."""
    for part in place:
        if not isinstance(heir, dict):
            return True
        if part not in heir:
            return False
        heir = heir[part]
    return True


def _nearest(key: str) -> str | None:
    section, _, leaf = key.rpartition(".")
    if ".relations." in key:  # a list, whose keys `valid_keys` does not know
        near = difflib.get_close_matches(leaf, RelationConfig.model_fields, n=1, cutoff=0.5)
        return f"{section}.{near[0]}" if near else None
    keys = valid_keys()
    same_leaf = [valid for valid in keys if valid.rpartition(".")[2] == key.rpartition(".")[2]]
    close = same_leaf or difflib.get_close_matches(key, keys, n=1, cutoff=0.5)
    return close[0] if close else None
