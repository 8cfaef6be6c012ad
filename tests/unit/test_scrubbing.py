# ruff: noqa: RUF001 (letters of other scripts are what is tested)
"""Who somebody is goes out of a text; what only looks like it stays."""

import string
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from observability.core.scrubbing import CUT_MARK, KINDS, own_patterns, scrub, scrubbed

LIMIT = 100_000
PHONES = [
    *("+49 30 1234567", "+49 (0)30 1234567", "+49-30-1234567", "+4930123456", "+1 (555) 123-4567", "+1.555.123.4567"),
    *("0049 30 1234567", "00493012345678", "001-555-123-4567", "+44 20 7946 0958", "+86 138 0013 8000"),
    *("(030) 123456-78", "030 1234567", "030/1234567", "030 / 1234567", "0171-1234567", "01711234567", "020 7946 0958"),
    *("06 12 34 56 78", "06.12.34.56.78", "555-123-4567", "555.123.4567", "(555) 123-4567", "1-555-123-4567"),
    # of other scripts, in full width, and with the spaces and dashes of typesetters
    *("+٤٩ ٣٠ ١٢٣٤٥٦٧", "＋４９ ３０ １２３４５６７", "+49\u00a030\u00a01234567", "+49\u201130\u20111234567"),
    *("+49\u200b30\u200b1234567", "\\u002b49 30 1234567"),
]
EMAILS = [
    *("anna@example.com", "Anna.B+orders@sub.example.co.uk", "x_y-z@example.museum", "o'neil@example.com"),
    *("anna@bücher.example", "用户@例子.中国", "anna@xn--bcher-kva.example", "anna@xn--e1afmkfd.xn--p1ai"),
    *("anna\\u0040example.com", "anna%40example.com", "anna&#64;example.com", "anna＠example．com", "anna@[192.0.2.1]"),
    *("an\u200bna@exam\u200dple.com", "anna\u00ad@example.com", '"anna b"@example.com'),
]
CARDS = [  # numbers for tests, of the card networks
    *(
        "4111111111111111",
        "4111 1111 1111 1111",
        "4111-1111-1111-1111",
        "4111  1111  1111  1111",
        "4 1 1 1 1 1 1 1 1 1 1 1 1 1 1 1",
    ),
    *(
        "378282246310005",
        "3782 822463 10005",
        "5555555555554444",
        "2223003122003222",
        "6011111111111117",
        "4222222222222",
    ),
    *(
        "30569309025904",
        "3530111333300000",
        "6304000000000000",
        "４１１１１１１１１１１１１１１１",
        "4111\u200b1111\u200b1111\u200b1111",
    ),
    *("4111\u00a01111\u00a01111\u00a01111", "4111\u20131111\u20131111\u20131111", "\\u0034111111111111111"),
]
IBANS = [  # examples of the SWIFT registry
    *(
        "DE89370400440532013000",
        "DE89 3704 0044 0532 0130 00",
        "DE89-3704-0044-0532-0130-00",
        "de89 3704 0044 0532 0130 00",
    ),
    *(
        "GB29 NWBK 6016 1331 9268 19",
        "FR1420041010050500013M02606",
        "NO93 8601 1117 947",
        "MT84MALT011000012345MTLCAST001S",
    ),
    *(
        "CH93 0076 2011 6238 5295 7",
        "DE89\u00a03704\u00a00044\u00a00532\u00a00130\u00a000",
        "ＤＥ８９３７０４００４４０５３２０１３０００",
    ),
]
ADDRESSES = [
    *(
        "192.0.2.17",
        "10.0.0.1",
        "255.255.255.255",
        "2001:db8::1",
        "2001:DB8:0:0:8:800:200C:417A",
        "fe80::1%eth0",
        "::1",
    ),
    *("::ffff:192.0.2.1", "64:ff9b::192.0.2.33", "0:0:0:0:0:ffff:192.0.2.1", "2001:db8::", "١٠.٠.٠.١"),
]
PLANTED = [
    *(("phone", text) for text in PHONES),
    *(("email", text) for text in EMAILS),
    *(("card", text) for text in CARDS),
    *(("iban", text) for text in IBANS),
    *(("ip", text) for text in ADDRESSES),
]
AROUND = [
    "{}",
    "say {} now",
    '{{"value": "{}"}}',
    "({}).",
    "to={};",
    "\\n{}\\n",
    "\t{}\r\n",
    "这是 {}，谢谢",
    "<b>{}</b>",
    "{}, {}",
]

STAYS = [
    # orders, amounts and counts
    *("order 12345678", "order 2026-0012345", "ORD-0123-45678", "#0123 45678", "PO 0012345678", "SKU-4111-1111-1111"),
    *(
        "1,234,567.89 EUR",
        "1.234.567,89",
        "12,50 €",
        "$1234.56",
        "+12.5 %",
        "123 456",
        "10000000 users",
        "3+12345 = 12348",
    ),
    # times
    *("2026-11-25", "25.11.2026", "11/25/2026", "01.02.2026", "01-02-2026", "2026-11-25 10:00:00", "20261125100000"),
    *(
        "2026-11-25T10:00:00.123456+01:00",
        "2026-11-25T10:00:00Z",
        "1764064800000",
        "1764064800",
        "10:30:00",
        "phone: 2026-11-25",
    ),
    # ids, hashes and versions
    *(
        "550e8400-e29b-41d4-a716-446655440000",
        "d41d8cd98f00b204e9800998ecf8427e",
        "0x7f001234567",
        "gpt-4o-mini-2026-01-15",
    ),
    "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
    *(
        "v1.2.3.4",
        "version 1.2.3.4",
        "Chrome/120.0.0.0",
        "1.3.6.1.4.1.311",
        "1.2.3",
        "react@18.2.0",
        "foo@1.0.0-beta.rc1",
    ),
    *("978-3-16-148410-0", "aa:bb:cc:dd:ee:ff", "ab:cd:ef:01:23:45:67:89:ab:cd:ef:01:23:45:67:89"),
    # code and numbers of machines
    *(
        "std::vector",
        "face::add",
        "x[::2]",
        "x[::-1]",
        "a[1::2]",
        "@app.route",
        "me@home",
        "0.4532015112830366",
        "-1.4111111111111111e-5",
    ),
    # no checksum, no address
    *(
        "4111 1111 1111 1112",
        "0000 0000 0000 0000",
        "DE89370400440532013001",
        "XX89370400440532013000",
        "999.1.1.1",
        "12:34::zz",
    ),
]

pieces = st.sampled_from(
    [*(text for _, text in PLANTED), *STAYS, *"abz09+-.:@[]\\ \u200b٣４", "\\u0040", "\\n", "\ud83d", "[email]"]
)
texts = st.one_of(st.text(), st.lists(pieces, max_size=12).map("".join))


def luhn(digits: str) -> bool:
    """Written from ISO/IEC 7812-1 without a look at the code under test."""
    doubled = [int(digit) * (1 + place % 2) for place, digit in enumerate(reversed(digits))]
    return sum(number - 9 if number > 9 else number for number in doubled) % 10 == 0


def iban(country: str, account: str) -> str:
    """With the check digits that ISO 13616 gives it."""
    number = "".join(str(int(character, 36)) for character in f"{account}{country}00")
    return f"{country}{98 - int(number) % 97:02}{account}"


@pytest.mark.parametrize("around", AROUND)
def test_scrub__planted__a_placeholder_in_its_place(around: str) -> None:
    found = {text: scrub(around.format(text, text)) for _, text in PLANTED}

    assert found == {text: around.format(f"[{kind}]", f"[{kind}]") for kind, text in PLANTED}


@pytest.mark.parametrize("around", ["{}", "say {} now", '{{"value": "{}"}}'])
def test_scrub__what_only_looks_like_it__stays(around: str) -> None:
    found = {text: scrub(around.format(text)) for text in STAYS}

    assert found == {text: around.format(text) for text in STAYS}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("phone: 5551234567", "phone: [phone]"),
        ('{"phone_number": "5551234567"}', '{"phone_number": "[phone]"}'),
        ("Telefon 1234567", "Telefon [phone]"),
        ("12 4111111111111111 123", "12 [card] 123"),
        ("AB12 DE89 3704 0044 0532 0130 00 bitte", "AB12 [iban] bitte"),
        ("卡号4111111111111111是", "卡号[card]是"),
        ("http://anna@example.com:8080/x", "http://[email]:8080/x"),
        ("host/10.0.0.1:8080", "host/[ip]:8080"),
        ("[2001:db8::1]:443", "[[ip]]:443"),
        ("ip:2001:db8::1", "ip:[ip]"),
    ],
)
def test_scrub__beside_other_text__only_what_tells(text: str, expected: str) -> None:
    assert scrub(text) == expected


@given(texts)
def test_scrub__any_text__never_fails_nor_grows_and_is_done_at_once(text: str) -> None:
    found = scrub(text)

    assert len(found) <= 2 * len(text)  # the shortest address, ::1, becomes [ip]
    assert scrub(found) == found


@given(texts, st.from_regex(r"[3-6][0-9]{11,17}", fullmatch=True), st.sampled_from([" ", "-", ""]), texts)
def test_scrub__planted_card__gone(before: str, digits: str, separator: str, after: str) -> None:
    number = next(digits + str(check) for check in range(10) if luhn(digits + str(check)))
    written = separator.join(number[start : start + 4] for start in range(0, len(number), 4))

    found = scrub(f"{before}, {written}, {after}")

    assert f", {written}," not in found


@given(texts, st.from_regex(r"[0-9]{18}", fullmatch=True), texts)
def test_scrub__planted_iban__gone(before: str, account: str, after: str) -> None:
    planted = iban("DE", account)

    found = scrub(f"{before} {planted}; {after}")

    assert planted not in found or planted in before + after


@given(texts, st.text(string.ascii_letters + string.digits + "._+-", min_size=1, max_size=30), texts)
def test_scrub__planted_address__gone(before: str, local: str, after: str) -> None:
    planted = f"a{local}@mail.example.org"

    found = scrub(f"{before} {planted} {after}")

    assert planted not in found


@pytest.mark.parametrize(
    "text", ["1 ", "4 ", "a@", "DE12 ", "1.", "\\u0040", "4\u200b", "+1234567890", "1::", "[email]"]
)
def test_scrub__a_hundred_kilobytes_of_what_may_begin_something__done(text: str) -> None:
    assert len(scrub(text * (100_000 // len(text)))) <= 200_000


def test_own_patterns__found__by_their_names() -> None:
    own = own_patterns({"customer": r"\bC-[0-9]{6}\b", "project x": "(?i)(falcon)"})

    assert scrub("C-123456 of FALCON", own) == "[customer] of [project x]"


def test_own_patterns__match_placeholders_or_nothing__done_at_once() -> None:
    own = own_patterns({"word": "[a-z]+", "nothing": "x*"})

    once = scrub("hello a@example.com", own)

    assert once == "[word] [email]"
    assert scrub(once, own) == once


@pytest.mark.parametrize(
    ("written", "message"),
    [
        ({"open": "(a"}, "^open: missing"),
        ({"two": "a)(b"}, "^two: "),
        ({"back": r"(a)\1"}, "^back: invalid escape"),
        ({"[x]": "a"}, r"name '\[x\]' is not"),
        ({"": "a"}, "name '' is not"),
    ],
)
def test_own_patterns__unusable__named(written: dict[str, str], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        own_patterns(written)


def test_scrubbed__short_text__whole() -> None:
    assert scrubbed("a" * LIMIT, limit=LIMIT) == "a" * LIMIT


@pytest.mark.parametrize("cut_at", range(1, 19))
@pytest.mark.parametrize("rest", ["", " and more" * 100])
def test_scrubbed__limit_within_a_number__no_part_of_it_stays(cut_at: int, rest: str) -> None:
    text = "x" * (1000 - cut_at - 1) + " 4111 1111 1111 1111" + rest

    found = scrubbed(text, limit=1000)

    assert len(found) <= 1000 + len(CUT_MARK)
    assert "4111" not in found
    assert found.endswith(CUT_MARK) or not rest


def test_kinds__names_of_placeholders__all_found_above() -> None:
    kinds: Any = {kind for kind, _ in PLANTED}

    assert kinds == set(KINDS)
