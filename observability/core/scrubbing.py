"""Which parts of a text tell who somebody is? They are replaced by `[email]`, `[phone]`, `[card]`, `[iban]`, `[ip]`.

Best effort by form and checksum, never by meaning: names, addresses and what is written out in words stay. In doubt a
number that may be a card or a phone goes; dates, UUIDs, hashes, prices and order numbers without the form of one stay.

Texts come from outside, so the work is linear in their length: RE2 for every pattern, bounded windows for checksums.
Patterns run over a projection of the text in which digits, dashes, full-width and escaped characters (`\\u0040`) are
ASCII and invisible characters are gone; what they find is cut out of the text as it came.
"""

import unicodedata
from bisect import bisect_right
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from ipaddress import AddressValueError, IPv6Address
from itertools import accumulate
from typing import Any, NamedTuple

import re2

CUT_MARK = "… [cut]"
LONGEST_FOUND = 320  # characters of the longest e-mail address, and more than a number has
MOST_PASSES = 8
KINDS = ("email", "phone", "card", "iban", "ip")
NAME = re2.compile(r"[A-Za-z0-9][A-Za-z0-9 _-]{0,39}")


class Found(NamedTuple):
    """A part of a text, as offsets from start to before end, and the name of what it is."""

    start: int
    end: int
    name: str


class OwnPattern(NamedTuple):
    """regexp: also matches placeholders, so that none is taken for text."""

    name: str
    regexp: Any


class Shift(NamedTuple):
    """From offsets in a shortened text to those in its source: the one at starts[i] is at sources[i] there."""

    starts: list[int]
    sources: list[int]


def own_patterns(written: Mapping[str, str]) -> tuple[OwnPattern, ...]:
    """Patterns by the name of their placeholder. Raises ValueError, which says of which name what is wrong."""
    for name in written:
        if not NAME.fullmatch(name):
            raise ValueError(f"the name {name!r} is not 1 to 40 letters, digits, spaces, _ and -")
    placeholders = "|".join(rf"\[{name}\]" for name in (*KINDS, *written))
    return tuple(OwnPattern(name, _compiled(name, pattern, placeholders)) for name, pattern in written.items())


def scrubbed(text: str, *, own: Sequence[OwnPattern] = (), limit: int) -> str:
    """The text with placeholders, of at most `limit` characters and a mark where it was cut.

    Scrubs a little more than it keeps, so that no number is cut in two and left unrecognised.
    """
    kept = scrub(text[: limit + LONGEST_FOUND], own)
    if len(text) > limit + LONGEST_FOUND:
        return kept[:-LONGEST_FOUND][:limit] + CUT_MARK
    return kept if len(kept) <= limit else kept[:limit] + CUT_MARK


def scrub(text: str, own: Sequence[OwnPattern] = ()) -> str:
    """The text with placeholders. What was glued to something found may stand free after it, hence the passes."""
    for _ in range(MOST_PASSES):
        found = _find(text, own)
        if not found:
            break
        text = _replace(text, _united(found))
    return text


def _compiled(name: str, pattern: str, placeholders: str) -> Any:
    options = re2.Options()
    options.log_errors = False
    try:
        re2.compile(pattern, options)
        return re2.compile(f"{placeholders}|({pattern})", options)
    except re2.error as error:
        reason = error.args[0]
        raise ValueError(f"{name}: {reason.decode() if isinstance(reason, bytes) else reason}") from None


def _find(text: str, own: Sequence[OwnPattern]) -> list[Found]:
    """What there is to replace, with offsets in the text."""
    folded, shifts = _fold(text)
    ascii_only = folded.encode("ascii", "replace")
    found = [found for find in FINDERS for found in find(ascii_only)]
    if any(at in folded for at in ATS):
        found += _emails(folded)
    found += _own(folded, own)
    return [Found(_source(start, shifts), _source(end, shifts), name) for start, end, name in found]


def _united(found: Iterable[Found]) -> list[Found]:
    """Overlapping parts as one, of the name of the longest."""
    united: list[Found] = []
    longest = 0
    for part in sorted(found):
        size = part.end - part.start
        if united and part.start < united[-1].end:
            last = united[-1]
            name = part.name if size > longest else last.name
            united[-1] = Found(last.start, max(last.end, part.end), name)
            longest = max(longest, size)
        else:
            united.append(part)
            longest = size
    return united


def _replace(text: str, found: Sequence[Found]) -> str:
    pieces, end = [], 0
    for part in found:
        pieces += [text[end : part.start], f"[{part.name}]"]
        end = part.end
    return "".join([*pieces, text[end:]])


# The projection


def _ascii_of_character() -> dict[str, str]:
    """What stands for an ASCII character: digits of all scripts, full-width forms, dashes, dots and spaces."""
    dashes = dict.fromkeys("\u2010\u2011\u2012\u2013\u2014\u2015\u2212\ufe63", "-")
    dots = dict.fromkeys("\u3002\uff61\u2024\ufe52", ".") | {"\ufe6b": "@", "\u3000": " "}
    spaces = dict.fromkeys("\u00a0\u202f\u205f\u1680" + "".join(map(chr, range(0x2000, 0x200B))), " ")
    full_width = {chr(0xFEE0 + code): chr(code) for code in range(0x21, 0x7F)}
    characters = map(chr, range(0x80, 0x20000))  # the planes that have digits
    digits = {character: str(unicodedata.decimal(character)) for character in characters if character.isdecimal()}
    return dashes | dots | spaces | full_width | digits


ASCII_OF = _ascii_of_character()
FOLDABLE = frozenset(ASCII_OF)
INVISIBLE = frozenset(
    "\u00ad\u034f\u061c\u115f\u1160\u180e\ufe0e\ufe0f\ufeff\u20e3"
    + "".join(chr(code) for span in ((0x200B, 0x2010), (0x202A, 0x202F), (0x2060, 0x2070)) for code in range(*span))
)
HEX = frozenset("0123456789abcdefABCDEF")


def _fold(text: str) -> tuple[str, list[Shift]]:
    """The projection of the text, and how to come back from it."""
    shifts = []
    if "\\u" in text:
        text, shift = _unescape(text)
        shifts.append(shift)
    if text.isascii():
        return text, shifts
    characters = set(text)
    for character in characters & INVISIBLE:
        text, shift = _without(text, character)
        shifts.append(shift)
    for character in characters & FOLDABLE:
        text = text.replace(character, ASCII_OF[character])
    return text.encode("utf-8", "replace").decode(), shifts  # a lone surrogate is one question mark


def _unescape(text: str) -> tuple[str, Shift]:
    r"""With the characters that JSON wrote as \u and four hexadecimal digits."""
    first, *others = text.split("\\u")
    pieces, starts, sources = [first], [0], [0]
    length = source = len(first)
    for piece in others:
        code = piece[:4]
        if len(code) == 4 and HEX.issuperset(code):
            piece = chr(int(code, 16)) + piece[4:]
            starts += [length, length + 1]
            sources += [source, source + 6]
            source += 5 + len(piece)
        else:
            piece = "\\u" + piece
            source += len(piece)
        pieces.append(piece)
        length += len(piece)
    return "".join(pieces), Shift(starts, sources)


def _without(text: str, character: str) -> tuple[str, Shift]:
    pieces = text.split(character)
    starts = [0, *accumulate(map(len, pieces[:-1]))]
    return "".join(pieces), Shift(starts, [start + number for number, start in enumerate(starts)])


def _source(offset: int, shifts: Sequence[Shift]) -> int:
    for starts, sources in reversed(shifts):
        place = bisect_right(starts, offset) - 1
        offset = sources[place] + offset - starts[place]
    return offset


# What is found, each in the projection. LEFT: what may stand before; an escape such as \n ends in a letter.

ESCAPE = r"\\[nrtbf]"
LEFT = rf"(?:\A|[^0-9A-Za-z]|{ESCAPE})"
ATS = ("@", "%40", "&#64;", "&#x40;")
EMAIL = re2.compile(
    r"(?:[\pL\pM\pN._%+'!#$&*^~-]+|\"[\pL\pN][\pL\pM\pN ._+-]*\")(?:@|%40|&#64;|&#x40;)"
    r"(?:(?:[\pL\pM\pN_-]+\.)+(?:xn--[a-z0-9-]+|[\pL\pM]{2,})|\[[0-9A-Fa-fIPv.:]+\])"
)


def _emails(folded: str) -> Iterator[Found]:
    for match in EMAIL.finditer(folded):
        start, end = match.span()
        if end < len(folded) and folded[end].isdecimal():  # package@1.0.0-beta.rc1
            continue
        while folded[start] in "'.":
            start += 1
        if folded[start] in "nrtbf" and folded[start - 1 : start] == "\\" and folded[start + 1] not in "@%&":
            start += 1
        yield Found(start, end, "email")


CARD = re2.compile(rb"[0-9](?:[ -]{0,2}[0-9]){12,}")
CARD_LENGTHS = range(13, 20)
DIGITS = frozenset(b"0123456789")
GLUE = frozenset(b"0123456789abcdefABCDEF")  # beside such a character a number is a part of a hash
DOUBLED = (0, 2, 4, 6, 8, 1, 3, 5, 7, 9)  # the sum of the digits of twice a digit


def _cards(text: bytes) -> Iterator[Found]:
    """Every window of whole groups of digits that may be a card, whatever stands before and after it."""
    for match in CARD.finditer(text):
        start, end = match.span()
        places = [at for at in range(start, end) if text[at] in DIGITS]
        begins = [i for i, at in enumerate(places) if i == 0 or places[i - 1] != at - 1]
        ends = {*begins[1:], len(places)}
        if _continues(text, start - 1, -1) and not _is_escape(text, start - 1):
            begins = begins[1:]
        if _continues(text, end, 1):
            ends.discard(len(places))
        digits = [text[at] - 0x30 for at in places]
        windows = [
            (first, first + length)
            for first in begins
            if len(digits) - first >= CARD_LENGTHS.start and _issuer(digits[first : first + 4])
            for length in CARD_LENGTHS
            if first + length in ends
        ]
        for first, after in _with_checksum(digits, windows):
            yield Found(places[first], places[after - 1] + 1, "card")


def _with_checksum(digits: Sequence[int], windows: Sequence[tuple[int, int]]) -> Iterator[tuple[int, int]]:
    """The windows whose Luhn sum is a multiple of ten, ISO/IEC 7812-1: their last digit counts once, the one before
    doubled, and so on. Sums from the first digit on make a window cost the same whatever its length."""
    if not windows:
        return
    once_even = [0, *accumulate(DOUBLED[d] if i % 2 else d for i, d in enumerate(digits))]
    once_odd = [0, *accumulate(d if i % 2 else DOUBLED[d] for i, d in enumerate(digits))]
    for first, after in windows:
        sums = once_odd if (after - 1) % 2 else once_even
        if (sums[after] - sums[first]) % 10 == 0:
            yield first, after


def _continues(text: bytes, at: int, step: int) -> bool:
    """Whether a number goes on at its edge: into a hash, or beyond a decimal point."""
    if not 0 <= at < len(text):
        return False
    beyond = at + step
    is_point = text[at] == ord(".") and 0 <= beyond < len(text) and text[beyond] in DIGITS
    return is_point or text[at] in GLUE


def _is_escape(text: bytes, at: int) -> bool:
    return at > 0 and text[at - 1] == ord("\\") and text[at] in b"nrtbf"


def _issuer(digits: Sequence[int]) -> bool:
    """Whether cards begin so: 3 to 6 travel and banking, Mastercard 22 to 27, Mir 22, UnionPay 81, Troy 9792."""
    two = digits[0] * 10 + digits[1]
    return 30 <= two <= 69 or 22 <= two <= 27 or two == 81 or list(digits) == [9, 7, 9, 2]


_IBANS = (  # the registry of SWIFT: countries with how many characters theirs have
    "AD24 AE23 AL28 AT20 AZ28 BA20 BE16 BG22 BH22 BI27 BR29 BY28 CH21 CR22 CY28 CZ24 DE22 DJ27 DK18 DO28 EE20 "
    "EG29 ES24 FI18 FK18 FO18 FR27 GB22 GE22 GI23 GL18 GR27 GT28 HN28 HR21 HU28 IE22 IL23 IQ23 IS26 IT27 JO30 "
    "KW30 KZ20 LB28 LC32 LI21 LT20 LU20 LV21 LY25 MC27 MD24 ME22 MK19 MN20 MR27 MT31 MU30 NI28 NL18 NO15 OM23 "
    "PK24 PL28 PS29 PT25 QA29 RO24 RS22 RU33 SA24 SC31 SD18 SE24 SI19 SK24 SM27 SO23 ST25 SV28 TL23 TN24 TR26 "
    "UA29 VA22 VG24 XK20 YE30"
)
IBAN_LENGTHS = {country[:2]: int(country[2:]) for country in _IBANS.split()}
IBAN_HEAD = re2.compile(f"{LEFT}((?i:{'|'.join(IBAN_LENGTHS)})[0-9])".encode())
IBAN_SEPARATORS = b" -"
LETTERS_AND_DIGITS = frozenset(b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz")


def _ibans(text: bytes) -> Iterator[Found]:
    for match in IBAN_HEAD.finditer(text):
        start = match.start(1)
        wanted = IBAN_LENGTHS[text[start : start + 2].decode().upper()]
        end, account = start, bytearray()
        while end < len(text) and len(account) < wanted:
            if text[end] in LETTERS_AND_DIGITS:
                account.append(text[end])
            elif text[end] not in IBAN_SEPARATORS or text[end - 1] in IBAN_SEPARATORS:
                break
            end += 1
        goes_on = end < len(text) and text[end] in LETTERS_AND_DIGITS
        if len(account) == wanted and not goes_on and _mod_97(account.decode()) == 1:
            yield Found(start, end, "iban")


def _mod_97(account: str) -> int:
    """ISO 7064 MOD 97-10 of the account with its first four characters moved to the end, letters as 10 to 35."""
    return int("".join(str(int(character, 36)) for character in account[4:] + account[:4])) % 97


_OCTET = r"(?:25[0-5]|2[0-4][0-9]|[01]?[0-9]{1,2})"
_DOTTED = rf"{_OCTET}(?:\.{_OCTET}){{3}}"
IPV4 = re2.compile(rf"(?:\A|[^0-9A-Za-z.]|[^0-9]\.|{ESCAPE})({_DOTTED})".encode())
PRODUCT = re2.compile(rb"(?i)(?:[a-z]/|\b(?:v|ver|version|release|rev)[ .:=\"]{0,3})\z")


def _ipv4(text: bytes) -> Iterator[Found]:
    for match in IPV4.finditer(text):
        start, end = match.span(1)
        after = text[end : end + 2]
        goes_on = after[:1].isalnum() or (after[:1] == b"." and after[1:].isdigit())
        if not goes_on and not _is_version(text, start, end):
            yield Found(start, end, "ip")


def _is_version(text: bytes, start: int, end: int) -> bool:
    """`version 1.2.3.4`, and `Chrome/120.0.0.0`, but not `host/10.0.0.1`."""
    before = PRODUCT.search(text[max(0, start - 12) : start])
    return before is not None and (not before.group().endswith(b"/") or text[:end].endswith(b".0.0"))


_GROUP = "[0-9A-Fa-f]{1,4}"
IPV6 = re2.compile(
    (
        rf"(?:\A|[^0-9A-Za-z:]|[G-Zg-z_][0-9A-Za-z_]*:|{ESCAPE})("
        rf"(?:{_GROUP}:){{6}}(?:{_DOTTED}|{_GROUP}:{_GROUP})"
        rf"|(?:{_GROUP}(?::{_GROUP}){{0,6}})?::(?:(?:{_GROUP}:){{0,5}}{_DOTTED}|{_GROUP}(?::{_GROUP}){{0,6}})?"
        r")(?:%[0-9A-Za-z]+)?"
    ).encode()
)


def _ipv6(text: bytes) -> Iterator[Found]:
    if text.count(b":") < 2:
        return
    for match in IPV6.finditer(text):
        start, end = match.span(1)
        is_slice = text[start - 1 : start] == b"[" and text[max(0, start - 2) : start - 1].isalnum()
        goes_on = text[end : end + 1].isalnum() or text[end : end + 1] == b":"
        if not goes_on and not is_slice and _is_ipv6(text[start:end]):
            yield Found(start, match.end(), "ip")


def _is_ipv6(text: bytes) -> bool:
    """`face::add` is taken for a name of C++, not for an address."""
    if DIGITS.isdisjoint(text):
        return False
    try:
        IPv6Address(text.decode())
    except AddressValueError:
        return False
    return True


PHONE_WORDS = (
    r"(?i:\b(?:tele?phone|telefon|tel|phone|fax|mobile|mobil|handy|whats ?app|cell(?:phone)?)"
    r"(?:[_ -]?(?:number|nummer|no|nr))?)[^0-9A-Za-z+(]{1,6}"
)
PHONE = re2.compile(
    (
        # +49 (0)30 1234567
        rf"(?:\A|[^A-Za-z+]|{ESCAPE})(\+\(?[1-9](?:[ ./()-]{{0,3}}[0-9]){{7,16}})"
        rf"|(?:\A|[^0-9A-Za-z.#/_-]|[A-Za-z]\.|{ESCAPE})("
        r"00[1-9][0-9]{9,13}"  # 00493012345678
        r"|00[1-9][0-9]{0,3}[ ./()-]{1,3}[0-9](?:[ ./()-]{0,3}[0-9]){5,14}"  # 0049 30 1234567
        r"|\(0[0-9]{1,5}\)[ /-]{0,2}[0-9](?:[ /-]?[0-9]){3,10}"  # (030) 123456-78
        r"|0[1-9][0-9]{1,4}(?:/|[ -]{1,3}|[ ]/[ ])[0-9](?:[ -]?[0-9]){4,9}"  # 030 1234567, 0171/1234567
        r"|0[1-9](?:[ .-][0-9]{2}){4}"  # 06 12 34 56 78
        r"|0[1-9][0-9]{8,10}"  # 01711234567
        r"|(?:1[ .-])?(?:\([2-9][0-9]{2}\)[ ]?|[2-9][0-9]{2}[ .-])[0-9]{3}[ .-][0-9]{4}"  # (555) 123-4567
        rf")|{PHONE_WORDS}([0-9](?:[ ./()-]{{0,2}}[0-9]){{6,14}})"  # phone: 5551234567
    ).encode()
)
DATE = re2.compile(
    rb"(?:19|20)[0-9]{2}[-./ ]?[01]?[0-9][-./ ]?[0-3]?[0-9]|[0-3]?[0-9][-./][0-3]?[0-9][-./](?:19|20)[0-9]{2}"
)


def _phones(text: bytes) -> Iterator[Found]:
    for match in PHONE.finditer(text):
        start, end = max(match.start(1), match.start(2), match.start(3)), match.end()
        number = text[start:end]
        goes_on = text[end : end + 1].isdigit() and number.lstrip(b"+").isdigit()
        if not goes_on and not DATE.fullmatch(number):
            yield Found(start, end, "phone")


def _own(folded: str, own: Sequence[OwnPattern]) -> Iterator[Found]:
    for name, regexp in own:
        for match in regexp.finditer(folded):
            start, end = match.span()
            if match.start(1) >= 0 and end > start:
                yield Found(start, end, name)


FINDERS: Sequence[Callable[[bytes], Iterator[Found]]] = (_cards, _ibans, _ipv4, _ipv6, _phones)
