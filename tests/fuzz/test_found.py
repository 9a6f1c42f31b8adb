"""What the fuzzers have found, each with the least damage that shows it: declared errors since."""

from __future__ import annotations

import base64
import re
from collections.abc import Callable

import pytest

from tests.fuzz.targets import TARGETS

Damage = Callable[[bytes], bytes]

P256, UNKNOWN_KEY = bytes.fromhex("06072a8648ce3d0201"), bytes.fromhex("06072a8648ce3d0221")
POINT, NO_POINT = b"\x03\x42\x00\x04", b"\x03\x42\x00\x05"
V3, V17 = b"\xa0\x03\x02\x01\x02", b"\xa0\x03\x02\x01\x10"
UTF8_NAME, NO_NAME = b"\x06\x03\x55\x04\x03\x0c", b"\x06\x03\x55\x04\x03\x0d"
_BLOCK = re.compile(rb"-----BEGIN CERTIFICATE-----\n(.*?)-----END CERTIFICATE-----\n", re.DOTALL)


def instead(old: bytes, new: bytes) -> Damage:
    def damage(seed: bytes) -> bytes:
        assert old in seed
        return seed.replace(old, new, 1)

    return damage


def in_pem(damage: Damage) -> Damage:
    """To the first certificate."""

    def damaged(match: re.Match[bytes]) -> bytes:
        return match[0].replace(match[1], base64.encodebytes(damage(base64.b64decode(match[1]))))

    return lambda seed: _BLOCK.sub(damaged, seed, count=1)


KEYS = {
    "no point": instead(POINT, NO_POINT),
    "unknown key": instead(P256, UNKNOWN_KEY),
    "version": instead(V3, V17),
}
NUMBER, NEST = b"a = " + b"9" * 5000, b"a = " + b"[" * 5000

FOUND: dict[str, dict[str, Damage]] = {
    "credential_inside": KEYS,
    "ssl_certificate_inside": KEYS,
    "identity_file": {
        "name": in_pem(lambda der: re.sub(UTF8_NAME + b"(.).", UTF8_NAME + b"\\1\xff", der, count=1)),
        **{name: in_pem(damage) for name, damage in KEYS.items()},
    },
    "authority_file": {name: in_pem(damage) for name, damage in KEYS.items()},
    "authority_hash": KEYS,
    "ssl_authority_inside": {
        "version": KEYS["version"],
        "name": instead(b"\x0c\x04root", b"\x0c\x04\xffoot"),
    },
    "est_request_inside": {"version": instead(b"\x02\x01\x00\x30", b"\x02\x01\x10\x30")},
    "est_answer_inside": {"name": lambda seed: seed.replace(UTF8_NAME, NO_NAME), "version": KEYS["version"]},
    "accounts": {"number": lambda _: NUMBER, "depth": lambda _: NEST},
    "manifest": {"number": lambda _: NUMBER, "depth": lambda _: NEST},
    "scenario": {"number": lambda _: NUMBER, "depth": lambda _: NEST},
    "labels": {"footer": lambda seed: seed[:-300] + bytes(292) + seed[-8:]},
}


@pytest.mark.parametrize(
    ("name", "damage"), [(name, damage) for name, each in FOUND.items() for damage in each]
)
def test_what_was_found_is_refused(name: str, damage: str) -> None:
    seed = TARGETS[name].seeds()[0]
    assert not TARGETS[name].attempt(FOUND[name][damage](seed))


def test_an_answer_whose_length_is_no_number_is_described() -> None:
    assert TARGETS["probe_http"].attempt(b"HTTP/1.1 200 OK\r\nContent-Length: 1x\r\n\r\nabc")
