"""Which published version a client means by a prompt's name and a version's number, for many at once."""

from collections.abc import Collection, Iterable, Mapping

from django.db.models import TextField
from django.db.models.functions import Cast

from registry.core.versions import SemVer, parse_version
from registry.models import PromptVersion

MOST_REMEMBERED = 50_000
# A prompt's name and a version as a client writes it: `v2.3`, `2.3.0`, `7`; None for what it does not name.
Named = tuple[str | None, str | None]

_found: dict[Named, int] = {}


def find_versions(named: Iterable[Named]) -> Mapping[Named, int]:
    """Ids of the versions that exist; what is unknown or unreadable is missing from the answer, never guessed.

    Versions never change and are never deleted, so what has been found once is remembered.
    """
    named = set(named)
    if len(_found) > MOST_REMEMBERED:
        _found.clear()
    _found.update(_look_up(named - _found.keys()))
    return {pair: _found[pair] for pair in named if pair in _found}


def find_response_schemas(version_ids: Collection[int]) -> Mapping[int, str]:
    """The response schemas of the versions that have one, as JSON text."""
    if not version_ids:
        return {}
    with_schema = PromptVersion.objects.filter(id__in=version_ids, response_schema__isnull=False)
    return dict(with_schema.values_list("id", Cast("response_schema", TextField())))


def _look_up(named: Collection[Named]) -> Mapping[Named, int]:
    numbers = {(name, text): number for name, text in named if name and text and (number := _number(text)) is not None}
    if not numbers:
        return {}
    ids: dict[tuple[str, SemVer | int], int] = {}
    for id_, name, ordinal, major, minor, patch in PromptVersion.objects.filter(
        prompt__name__in={name for name, _ in numbers}
    ).values_list("id", "prompt__name", "ordinal", "major", "minor", "patch"):
        ids[name, ordinal] = ids[name, SemVer(major, minor, patch)] = id_
    return {pair: ids[pair[0], number] for pair, number in numbers.items() if (pair[0], number) in ids}


def _number(text: str) -> SemVer | int | None:
    try:
        return parse_version(text)
    except ValueError:
        return None
