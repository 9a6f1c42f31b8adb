"""JA3, JA3S and JA4 against the strings and hashes that their authors publish."""

from __future__ import annotations

from collections.abc import Iterable

import pytest

from btresearch.flow.hello import ClientHello, parse_client_hello, parse_server_hello
from btresearch.flow.ja3 import ja3, ja3_text, ja3s, ja3s_text
from btresearch.flow.ja4 import alpn_letters, ja4, ja4_r
from tests.flow.wire import client_hello, numbers, server_hello, vector

# README of github.com/salesforce/ja3
JA3_SAMPLES = [
    (
        "769,47-53-5-10-49161-49162-49171-49172-50-56-19-4,0-10-11,23-24-25,0",
        "ada70206e40642a3e4461f35503241d5",
    ),
    ("769,4-5-10-9-100-98-3-6-19-18-99,,,", "de350869b8c85de67a350c8d186f11e6"),
]
# technical_details/JA4.md of github.com/FoxIO-LLC/ja4
CHROME_CIPHERS = "1301,1302,1303,c02b,c02f,c02c,c030,cca9,cca8,c013,c014,009c,009d,002f,0035"
CHROME_EXTENSIONS = "001b,0000,0033,0010,4469,0017,002d,000d,0005,0023,0012,002b,ff01,000b,000a,0015"
CHROME_ALGORITHMS = "0403,0804,0401,0503,0805,0501,0806,0601"
CHROME_JA4 = "t13d1516h2_8daaf6152771_e5627efa2ab1"
CHROME_JA4_R = (
    "t13d1516h2_002f,0035,009c,009d,1301,1302,1303,c013,c014,c02b,c02c,c02f,c030,cca8,cca9_0005,000a,000b,"
    "000d,0012,0015,0017,001b,0023,002b,002d,0033,4469,ff01_0403,0804,0401,0503,0805,0501,0806,0601"
)


def hexes(text: str) -> list[int]:
    return [int(part, 16) for part in text.split(",")]


def ja3_sample(text: str) -> ClientHello:
    version, ciphers, extensions, groups, points = (
        [int(value) for value in part.split("-") if value] for part in text.split(",")
    )
    bodies = {10: numbers(2, groups), 11: numbers(1, points, 1)}
    pairs = [(kind, bodies.get(kind, b"")) for kind in extensions]
    return parse_client_hello(client_hello(version[0], ciphers, pairs or None))


def chrome(extensions: Iterable[int], *, algorithms: bool = True, grease: bool = False) -> ClientHello:
    g = [0x4A4A] if grease else []
    bodies = {
        0: vector(2, b"\0" + vector(2, b"x.example")),
        10: numbers(2, [*g, 29]),
        11: b"\x01\0",
        13: numbers(2, [*g, *hexes(CHROME_ALGORITHMS)]) if algorithms else numbers(2, []),
        16: vector(2, vector(1, b"h2")),
        43: numbers(1, [*g, 0x0303, 0x0304]),
        51: vector(2, b""),
    }
    pairs = [(kind, bodies.get(kind, b"")) for kind in (*g, *extensions)]
    return parse_client_hello(client_hello(0x0303, [*g, *hexes(CHROME_CIPHERS)], pairs))


@pytest.mark.parametrize(("text", "digest"), JA3_SAMPLES)
def test_ja3_of_its_authors_samples(text: str, digest: str) -> None:
    hello = ja3_sample(text)
    assert (ja3_text(hello), ja3(hello)) == (text, digest)


def test_ja3_ignores_grease() -> None:
    order = hexes(CHROME_EXTENSIONS)
    assert ja3_text(chrome(order, grease=True)) == ja3_text(chrome(order))


def test_ja3s_of_its_authors_sample() -> None:
    kinds = (65281, 0, 11, 35, 5, 16)  # README of github.com/salesforce/ja3, section JA3S
    hello = parse_server_hello(server_hello(769, 47, [(kind, b"") for kind in kinds]))
    assert ja3s_text(hello) == "769,47,65281-0-11-35-5-16"
    assert ja3s(hello) == "836ce314215654b5b1f85f97c73e506f"


@pytest.mark.parametrize("grease", [False, True])
def test_ja4_of_its_authors_sample(grease: bool) -> None:
    hello = chrome(hexes(CHROME_EXTENSIONS), grease=grease)
    assert (ja4(hello), ja4_r(hello)) == (CHROME_JA4, CHROME_JA4_R)


def test_ja4_without_signature_algorithms_has_no_underscore() -> None:
    hello = chrome(hexes(CHROME_EXTENSIONS), algorithms=False)
    assert ja4(hello).endswith("_6d807ffa2a79")  # the same page


def test_ja4_does_not_depend_on_the_order_of_extensions() -> None:
    assert ja4(chrome(reversed(hexes(CHROME_EXTENSIONS)))) == CHROME_JA4


def test_ja4_of_empty_lists() -> None:
    bare = parse_client_hello(client_hello(0x0302, [], None))
    assert (ja4(bare), ja4_r(bare)) == ("t11i000000_000000000000_000000000000", "t11i000000__")


def test_ja4_keeps_signalling_suites_and_caps_counts() -> None:
    scsv = parse_client_hello(client_hello(0x0303, [0x00FF, 0x5600, 0x2F], None))
    assert ja4_r(scsv) == "t12i030000_002f,00ff,5600_"
    many = parse_client_hello(client_hello(0x0304, range(0x3000, 0x3000 + 120), None))
    assert ja4(many).startswith("t13i9900")


@pytest.mark.parametrize(
    ("version", "letters"), [(0x0304, "13"), (0x0301, "10"), (0x0300, "s3"), (0x0002, "s2"), (0x7F12, "00")]
)
def test_ja4_names_versions(version: int, letters: str) -> None:
    assert ja4(parse_client_hello(client_hello(version, [1], None)))[1:3] == letters


@pytest.mark.parametrize(
    ("name", "letters"),
    [
        (b"h2", "h2"), (b"http/1.1", "h1"), (b"", "00"), (b"x", "xx"),
        (b"\xab", "ab"), (b"\xab\xcd", "ad"), (b"0\xab", "3b"), (b"01\xab\xcd", "3d"), (b"0\xab\xcd1", "01"),
    ],
)  # fmt: skip
def test_ja4_alpn_letters_of_the_definition(name: bytes, letters: str) -> None:
    assert alpn_letters(name) == letters
