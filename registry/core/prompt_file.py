"""A prompt as a file: everything that moves it to another registry, whichever notation the file is written in.

The versions are in the order in which they were published. What an export says besides (`ordinal`, `author`,
`published_at`) is for people; an import gives its own.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from registry.core.content import Content
from registry.core.problems import Problem, ProblemsFound
from registry.core.validation import TYPES, UNSTORABLE, storable
from registry.core.versions import SemVer, parse_version

FORMAT = "serinus-prompt-1"
FIELDS = ("format", "name", "description", "tags", "labels", "versions")
CONTENT_FIELDS = ("type", "template", "config", "input_schema", "response_schema")
VERSION_FIELDS = ("version", "ordinal", *CONTENT_FIELDS, "notes", "sha256", "author", "published_at")


@dataclass(frozen=True, slots=True)
class FileVersion:
    number: SemVer
    content: Content
    notes: str


@dataclass(frozen=True, slots=True)
class PromptFile:
    """labels: each points at one of the versions."""

    name: str
    description: str
    tags: tuple[str, ...]
    labels: Mapping[str, SemVer]
    versions: tuple[FileVersion, ...]


def read_prompt_file(data: Any) -> PromptFile:
    """What was parsed from a file, which anybody may have written. Raises ProblemsFound naming everything wrong."""
    if problems := list(_problems(data)):
        raise ProblemsFound(problems)
    return PromptFile(
        name=data["name"],
        description=data.get("description", ""),
        tags=tuple(data.get("tags", ())),
        labels={label: _number(version) for label, version in data.get("labels", {}).items()},
        versions=tuple(
            FileVersion(_number(version["version"]), _content(version), version["notes"])
            for version in data["versions"]
        ),
    )


def _problems(data: Any) -> Iterator[Problem]:
    if not isinstance(data, dict):
        yield _expected("", "an object that holds one prompt", data)
        return
    if data.get("format") != FORMAT:
        yield Problem("format", "invalid", f"expected {FORMAT}, as export_prompts writes it")
        return
    yield from _unknown(data, FIELDS, "")
    yield from _text_problems(data.get("name"), "name")
    yield from _text_problems(data.get("description", ""), "description")
    yield from _tag_problems(data.get("tags", []))
    versions = data.get("versions")
    if not isinstance(versions, list):
        yield _expected("versions", "a list of versions", versions)
        return
    for index, version in enumerate(versions):
        yield from _version_problems(version, f"versions[{index}]")
    yield from _order_problems(versions)
    yield from _label_problems(data.get("labels", {}), set(map(_number_of, versions)))


def _tag_problems(tags: Any) -> Iterator[Problem]:
    if not isinstance(tags, list):
        yield _expected("tags", "a list of texts", tags)
        return
    for index, tag in enumerate(tags):
        yield from _text_problems(tag, f"tags[{index}]")


def _version_problems(version: Any, path: str) -> Iterator[Problem]:
    if not isinstance(version, dict):
        yield _expected(path, "an object that holds one version", version)
        return
    yield from _unknown(version, VERSION_FIELDS, f"{path}.")
    yield from _text_problems(version.get("notes"), f"{path}.notes")
    yield from _number_problems(version.get("version"), f"{path}.version")
    if type(version.get("ordinal", 1)) is not int:
        yield _expected(f"{path}.ordinal", "a whole number", version["ordinal"])
    if version.get("type") not in TYPES:
        yield Problem(f"{path}.type", "invalid", f"expected one of {', '.join(TYPES)}")
    else:
        yield from _content_problems(version, path)


def _content_problems(version: dict[str, Any], path: str) -> Iterator[Problem]:
    try:
        content = storable(_content(version))
    except ProblemsFound as found:
        for problem in found.problems:
            yield Problem(f"{path}.{problem.field}", problem.code, problem.message)
        return
    if version.get("sha256", content.sha256) != content.sha256:
        message = f"the content's is {content.sha256}: was it edited? Leave sha256 out where that was meant"
        yield Problem(f"{path}.sha256", "content_changed", message)


def _order_problems(versions: list[Any]) -> Iterator[Problem]:
    """Of versions that may still be anything."""
    seen: set[SemVer] = set()
    last = 0
    for index, version in enumerate(versions):
        number = _number_of(version)
        if number is None:
            continue
        if number in seen:
            yield Problem(f"versions[{index}].version", "duplicate", f"{number} is already in this file")
        seen.add(number)
        ordinal = version.get("ordinal", last + 1)
        if type(ordinal) is int:
            if ordinal <= last:
                message = f"expected more than {last}: the versions stand in the order in which they were published"
                yield Problem(f"versions[{index}].ordinal", "invalid", message)
            last = ordinal


def _label_problems(labels: Any, numbers: set[SemVer | None]) -> Iterator[Problem]:
    if not isinstance(labels, dict):
        yield _expected("labels", "an object of versions by label", labels)
        return
    for label, version in labels.items():
        path = f"labels.{_shown(label)}"
        yield from _text_problems(label, path)
        if problems := list(_number_problems(version, path)):
            yield from problems
        elif _number(version) not in numbers:
            yield Problem(path, "unknown_version", f"{_number(version)} is not among the versions of this file")


def _number_problems(written: Any, path: str) -> Iterator[Problem]:
    try:
        _number(written)
    except ValueError as error:
        yield Problem(path, "invalid", str(error))


def _number(written: Any) -> SemVer:
    """Raises ValueError that says what was expected."""
    if not isinstance(written, str):  # 2.10 without quotes would be 2.1
        raise ValueError(f'expected a text such as "2.3" or "v2.3", got {_kind(written)}')
    number = parse_version(written)
    if isinstance(number, int):
        raise ValueError(f"expected major and minor such as {number}.0")
    return number


def _number_of(version: Any) -> SemVer | None:
    """None where it is not one."""
    try:
        return _number(version.get("version")) if isinstance(version, dict) else None
    except ValueError:
        return None


def _content(version: dict[str, Any]) -> Content:
    return Content(
        version["type"],
        version.get("template"),
        version.get("config", {}),
        version.get("input_schema"),
        version.get("response_schema"),
    )


def _text_problems(text: Any, path: str) -> Iterator[Problem]:
    if not isinstance(text, str):
        yield _expected(path, "a text", text)
    elif UNSTORABLE.search(text):
        yield Problem(path, "invalid_text", "expected text without NUL and without lone surrogate characters")


def _unknown(data: dict[str, Any], known: Iterable[str], before: str) -> Iterator[Problem]:
    for name in data:
        if name not in known:
            message = f"unknown field; expected one of {', '.join(known)}"
            yield Problem(f"{before}{_shown(name)}", "unknown", message)


def _expected(path: str, what: str, got: Any) -> Problem:
    return Problem(path, "invalid", f"expected {what}, got {_kind(got)}")


def _kind(value: Any) -> str:
    return "nothing" if value is None else type(value).__name__


def _shown(name: str) -> str:
    return UNSTORABLE.sub("?", name[:64])
