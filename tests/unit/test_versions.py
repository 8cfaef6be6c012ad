import pytest
from hypothesis import given
from hypothesis import strategies as st

from registry.core.versions import Bump, SemVer, parse_version

PARTS = st.integers(0, 999_999_999)  # what nine digits can write
NUMBERS = st.builds(SemVer, PARTS, PARTS, PARTS)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2.3", SemVer(2, 3, 0)),
        ("v2.3", SemVer(2, 3, 0)),
        ("2.3.1", SemVer(2, 3, 1)),
        (" v2.3.1 ", SemVer(2, 3, 1)),
        ("3", 3),
        ("v3", 3),
    ],
)
def test_parse_version__as_people_and_clients_write_it(text: str, expected: SemVer | int) -> None:
    assert parse_version(text) == expected


@pytest.mark.parametrize("text", ["", "v", "2.", "2.3.1.0", "latest", "-1", "1.0-beta", "²", "1" * 10, "1\n2"])
def test_parse_version__anything_else__says_what_is_expected(text: str) -> None:
    with pytest.raises(ValueError, match=r"expected a version such as 2\.3"):
        parse_version(text)


@given(NUMBERS)
def test_parse_version__reads_what_a_version_writes(number: SemVer) -> None:
    assert parse_version(str(number)) == number


@given(NUMBERS, st.sampled_from(Bump))
def test_bumped__is_higher_by_exactly_that_bump(number: SemVer, bump: Bump) -> None:
    higher = number.bumped(bump)

    assert higher > number
    assert higher.bump_from(number) == bump


def test_covers__a_larger_bump_covers_a_smaller_one() -> None:
    assert [bump for bump in Bump if bump.covers(Bump.MINOR)] == [Bump.MINOR, Bump.MAJOR]
