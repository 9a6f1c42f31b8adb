"""`info.tls` and `x.tls`: what is read, what is refused, and that one is the other's bytes."""

from __future__ import annotations

import base64

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from btresearch.errors import InputError
from btresearch.peer import bencode
from btresearch.peer.tls_info import (
    MAX_TLS_BYTES,
    MAX_TLS_DEPTH,
    Kdf,
    TlsInfo,
    commit_of,
    decode_link,
    encode_link,
    origin_of,
)

SECRET, SALT, CA = b"s" * 32, b"a" * 16, b"h" * 32
COMMIT = commit_of(SECRET)
EST = "https://tracker.example:8443"
STRICT = {b"v": 1, b"level": b"strict", b"commit": COMMIT}
FULL = STRICT | {b"level": b"full", b"ca": [CA], b"est": EST.encode()}
KDF = {b"name": b"scrypt", b"salt": SALT, b"n": 131072, b"r": 8, b"p": 1}


def parse(fields: dict[bytes, object]) -> TlsInfo:
    return TlsInfo.decode(bencode.encode(fields), "test")  # type: ignore[arg-type]


def test_strict_and_full() -> None:
    strict, full = parse(STRICT), parse(FULL | {b"trackers": [EST.encode()]})
    assert (strict.level, strict.commit, strict.kdf, strict.ca, strict.est) == (
        "strict",
        COMMIT,
        None,
        (),
        None,
    )
    assert (full.level, full.ca, full.est, full.trackers) == ("full", (CA,), EST, (EST,))
    assert parse(STRICT | {b"kdf": KDF}).kdf == Kdf(SALT)


def test_made_ones_are_read_back() -> None:
    made = TlsInfo.create("full", COMMIT, kdf=Kdf(SALT), ca=(CA,), est=EST, trackers=("https://t.example",))
    assert TlsInfo.decode(made.encode(), "test") == made
    assert made.encode() == (
        b"d2:cal32:"
        + CA
        + b"e6:commit32:"
        + COMMIT
        + b"3:est28:"
        + EST.encode()
        + b"3:kdfd1:ni131072e4:name6:scrypt"
        b"1:pi1e1:ri8e4:salt16:" + SALT + b"e5:level4:full8:trackersl17:https://t.examplee1:vi1ee"
    )


def test_unknown_keys_are_kept() -> None:
    raw = bencode.encode(STRICT | {b"later": [1]})  # type: ignore[arg-type]
    assert TlsInfo.decode(raw, "test").encode() == raw


@pytest.mark.parametrize(
    "changes",
    [
        {b"v": 2},
        {b"v": b"1"},
        {b"level": b"basic"},
        {b"level": b"Strict"},
        {b"level": 1},
        {b"commit": COMMIT[1:]},
        {b"commit": COMMIT + b"c"},
        {b"secret": SECRET},
        {b"kdf": KDF | {b"n": 2}},
        {b"kdf": KDF | {b"r": 16}},
        {b"kdf": KDF | {b"name": b"pbkdf2"}},
        {b"kdf": KDF | {b"salt": SALT[1:]}},
        {b"kdf": KDF | {b"more": 1}},
        {b"kdf": b"scrypt"},
        {b"ca": [CA]},
        {b"ca": []},
        {b"est": EST.encode()},
        {b"trackers": [b"http://t.example"]},
        {b"trackers": [b"https://t.example/"]},
        {b"trackers": [b"https://t.example"] * 17},
        {b"trackers": b"https://t.example"},
    ],
)
def test_refused_at_strict(changes: dict[bytes, object]) -> None:
    with pytest.raises(InputError, match="tls"):
        parse(STRICT | changes)


@pytest.mark.parametrize(
    "changes",
    [
        {b"ca": []},
        {b"ca": [CA] * 17},
        {b"ca": [CA[1:]]},
        {b"ca": CA},
        {b"est": b"http://tracker.example"},
        {b"est": b"https://tracker.example/est"},
        {b"est": b"https://user@tracker.example"},
        {b"est": b"https://tracker.example:443"},
        {b"est": b"https://TRACKER.example"},
        {b"est": b"https://tracker.example:0"},
        {b"est": b"https://tracker.example:99999"},
        {b"est": b"https://\xff"},
        {b"est": b"https://" + b"x" * 400},
        {b"est": 1},
    ],
)
def test_refused_at_full(changes: dict[bytes, object]) -> None:
    with pytest.raises(InputError, match="tls"):
        parse(FULL | changes)


@pytest.mark.parametrize(
    "raw",
    [b"i1e", b"de", b"", b"d1:vi1e6:commit32:" + COMMIT + b"5:level6:stricte", b"d" + b"1:a" * MAX_TLS_BYTES],
)
def test_no_dictionary_or_not_canonical(raw: bytes) -> None:
    with pytest.raises(InputError):
        TlsInfo.decode(raw, "test")


@pytest.mark.parametrize("fields", [STRICT, FULL, STRICT | {b"zz": 1, b"a": b"x"}])
@pytest.mark.parametrize("secret", [SECRET, None])
def test_a_link_is_the_dictionary_and_perhaps_the_secret(
    fields: dict[bytes, object], secret: bytes | None
) -> None:
    link = encode_link(parse(fields), secret)
    assert "=" not in link
    found, with_it = decode_link(link)
    assert (found.encode(), with_it) == (bencode.encode(fields), secret)  # type: ignore[arg-type]


def test_a_link_with_a_passphrase_never_holds_the_secret() -> None:
    tls = parse(STRICT | {b"kdf": KDF})
    assert encode_link(tls, SECRET) == encode_link(tls)
    forged = bencode.encode(STRICT | {b"kdf": KDF, b"secret": SECRET})  # type: ignore[arg-type]
    with pytest.raises(InputError, match="not both"):
        decode_link(base64.urlsafe_b64encode(forged).decode().rstrip("="))


def test_links_that_are_refused() -> None:
    good = encode_link(parse(STRICT))
    padded = good + "=" * (-len(good) % 4 or 4)
    for text in ("", "ZGU", padded, good + "!", good[:-1], good + " ", "A" * 3 * MAX_TLS_BYTES, "Zg", "aTFl"):
        with pytest.raises(InputError):
            decode_link(text)
    short = base64.urlsafe_b64encode(bencode.encode(STRICT | {b"secret": b"s"})).decode().rstrip("=")  # type: ignore[arg-type]
    with pytest.raises(InputError, match="secret of 32"):
        decode_link(short)


@pytest.mark.parametrize(
    ("url", "origin"),
    [
        ("https://T.example/announce?k=1", "https://t.example"),
        ("https://t.example:443/announce", "https://t.example"),
        ("https://t.example:8443", "https://t.example:8443"),
        ("https://[2001:db8::1]:8443/x", "https://[2001:db8::1]:8443"),
        ("https://t.example@evil.example/", None),
        ("http://t.example/", None),
        ("udp://t.example:80", None),
        ("https://", None),
        ("https://[", None),
        ("https://t.example:x", None),
        ("https://[2001:DB8:0:0::1]/x", "https://[2001:db8::1]"),
        ("https://192.0.2.1/x", "https://192.0.2.1"),
        ("https://192.0.2.256/x", None),
        ("https://192.0.2/x", None),
        ("https://[::ffff:192.0.2.1]/x", None),
        ("https://[fe80::1%25eth0]/x", None),
        ("https://a..example/x", None),
        ("https://-a.example/x", None),
        (f"https://{'a' * 63}.example/x", f"https://{'a' * 63}.example"),
        (f"https://{'a' * 64}.example/x", None),
    ],
)
def test_origin(url: str, origin: str | None) -> None:
    assert origin_of(url) == origin


def test_only_listed_origins_may_be_told_the_infohash() -> None:
    tls = parse(STRICT | {b"trackers": [b"https://t.example"]})
    asked = [
        "https://t.example/announce",
        "http://t.example/announce",
        "https://u.example/",
        "udp://t.example:1",
    ]
    assert [tls.may_name_torrent(url) for url in asked] == [True, False, False, False]


def test_a_link_whose_secret_is_not_the_torrent_s() -> None:
    with pytest.raises(InputError, match="made with"):
        decode_link(encode_link(parse(STRICT), b"x" * 32))


def test_nesting_has_a_limit() -> None:
    value: object = 1
    for _ in range(MAX_TLS_DEPTH - 1):
        value = [value]
    assert parse(STRICT | {b"x": value}).level == "strict"
    with pytest.raises(InputError, match="nesting"):
        parse(STRICT | {b"x": [value]})


@settings(deadline=None, max_examples=100)
@given(st.binary(max_size=200))
def test_hostile_bytes_raise_only_input_errors(data: bytes) -> None:
    for text in (data.decode("latin-1"), base64.urlsafe_b64encode(data).decode().rstrip("=")):
        with pytest.raises(InputError):
            decode_link(text)
    with pytest.raises(InputError):
        TlsInfo.decode(data, "test")


@settings(deadline=None, max_examples=100)
@given(
    st.dictionaries(
        st.sampled_from([b"v", b"level", b"commit", b"kdf", b"ca", b"est", b"trackers", b"x"]),
        st.recursive(
            st.one_of(st.integers(-9, 9), st.binary(max_size=40), st.just(COMMIT)),
            lambda inner: st.one_of(
                st.lists(inner, max_size=3), st.dictionaries(st.binary(max_size=4), inner)
            ),
            max_leaves=5,
        ),
    )
)
def test_any_dictionary_is_read_back_or_refused(fields: dict[bytes, object]) -> None:
    raw = bencode.encode(STRICT | fields)  # type: ignore[arg-type]
    try:
        assert TlsInfo.decode(raw, "test").encode() == raw
    except InputError as error:
        assert "tls" in str(error)
