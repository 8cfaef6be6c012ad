"""How files of prompts are written and read: JSON, and YAML for people who compare and edit them.

Of YAML only what JSON can say is read: no aliases (a few lines could stand for terabytes), no tags, no dates, texts as
keys, each key once. Files may have been written by anybody.
"""

import json
import re
from collections.abc import Hashable
from pathlib import Path
from typing import Any

import yaml
from django.conf import settings

from common.bodies import parse_json
from common.errors import BadRequest, Invalid, TooLarge
from registry.core.validation import MAX_DEPTH

SUFFIXES = {".json": "json", ".yaml": "yaml", ".yml": "yaml"}
DEEPEST = MAX_DEPTH + 8  # a config stands a few levels deep in the file
TEXT_TAG = "tag:yaml.org,2002:str"
DATE_TAG = "tag:yaml.org,2002:timestamp"
RARE_LINE_ENDS = re.compile("[\x85\u2028\u2029]")

Loader: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)  # libyaml's where there is one: ten times as fast


def written(data: Any, notation: str) -> str:
    """data as the text of a file. notation: json or yaml."""
    if notation == "json":
        return json.dumps(data, indent=2, ensure_ascii=False) + "\n"
    return yaml.dump(data, Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=120)


def read_file(path: Path) -> Any:
    """What the file holds, by its suffix. Raises Invalid, BadRequest or TooLarge, and OSError."""
    notation = SUFFIXES.get(path.suffix.lower())
    if notation is None:
        raise Invalid.field("", f"expected a file that ends in {', '.join(SUFFIXES)}")
    limit = settings.MAX_DECOMPRESSED_BYTES
    with path.open("rb") as file:
        content = file.read(limit + 1)
    if len(content) > limit:
        raise TooLarge("file_too_large", f"The file is larger than {limit} bytes (SERINUS_MAX_DECOMPRESSED_BYTES)")
    return parse_json(content) if notation == "json" else parse_yaml(content)


def parse_yaml(content: bytes) -> Any:
    """Raises BadRequest."""
    try:
        text = content.decode("utf-8-sig")
        _check_events(text)
        return yaml.load(text, Loader=_Loader)  # noqa: S506 (a kind of SafeLoader)
    except (ValueError, RecursionError, yaml.YAMLError) as error:
        raise BadRequest("malformed_yaml", f"The file is not YAML as it is read here: {_where(error)}") from error


def _check_events(text: str) -> None:
    """Refuse what would grow or become another thing than JSON has, before anything is built."""
    depth = 0
    for event in yaml.parse(text, Loader=Loader):
        if isinstance(event, yaml.AliasEvent):
            raise _refused("aliases are not read", event)
        if isinstance(event, yaml.NodeEvent) and getattr(event, "tag", None) is not None:
            raise _refused("tags are not read", event)
        depth += isinstance(event, yaml.CollectionStartEvent) - isinstance(event, yaml.CollectionEndEvent)
        if depth > DEEPEST:
            raise _refused(f"expected at most {DEEPEST} levels of nesting", event)


def _refused(what: str, at: Any) -> yaml.MarkedYAMLError:
    return yaml.MarkedYAMLError(problem=what, problem_mark=at.start_mark)


def _where(error: Exception) -> str:
    mark = getattr(error, "problem_mark", None)
    problem = getattr(error, "problem", None) or str(error)
    return f"line {mark.line + 1}: {problem}" if mark else problem


class _Loader(Loader):  # type: ignore[misc]  # the class is found at run time
    yaml_implicit_resolvers = {
        first: [(tag, pattern) for tag, pattern in resolvers if tag != DATE_TAG]
        for first, resolvers in Loader.yaml_implicit_resolvers.items()
    }

    def construct_mapping(self, node: Any, deep: bool = False) -> dict[Hashable, Any]:
        seen = set()
        for key, _ in node.value:
            if key.tag != TEXT_TAG:
                raise _refused("expected texts as keys; put it in quotes", key)
            if key.value in seen:
                raise _refused(f"the key {key.value[:40]} is there twice", key)
            seen.add(key.value)
        built: dict[Hashable, Any] = super().construct_mapping(node, deep=deep)
        return built


class _Dumper(yaml.SafeDumper):
    """Texts of several lines as such."""

    def ignore_aliases(self, data: Any) -> bool:
        return True


def _represent_text(dumper: yaml.SafeDumper, text: str) -> yaml.ScalarNode:
    if RARE_LINE_ENDS.search(text):  # outside of double quotes they would come back as spaces or plain line ends
        return dumper.represent_scalar(TEXT_TAG, text, style='"')
    return dumper.represent_scalar(TEXT_TAG, text, style="|" if "\n" in text else None)


_Dumper.add_representer(str, _represent_text)
