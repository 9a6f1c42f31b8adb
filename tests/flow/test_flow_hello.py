"""Hello parsing against hand-made messages, scapy's dissector, and damaged input."""

from __future__ import annotations

import warnings
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from btresearch.flow.hello import HelloError, is_grease, parse_client_hello, parse_server_hello
from btresearch.flow.tls import RecordParser
from tests.flow.wire import C2S, S2C, client_hello, joined, numbers, server_hello, tls_exchange, vector

FULL = client_hello(
    0x0303,
    [0x0A0A, 0x1301, 0xC02F],
    [
        (0x1A1A, b""),
        (0, vector(2, b"\x00" + vector(2, b"a.example"))),
        (10, numbers(2, [0x2A2A, 0x11EC, 29])),
        (11, numbers(1, [0], 1)),
        (13, numbers(2, [0x0403, 0x0804])),
        (16, vector(2, vector(1, b"h2") + vector(1, b"http/1.1"))),
        (43, numbers(1, [0x3A3A, 0x0304, 0x0303])),
        (51, vector(2, b"\x2a\x2a" + vector(2, b"\0") + b"\x00\x1d" + vector(2, bytes(32)))),
    ],
)


def test_every_field_of_a_client_hello() -> None:
    hello = parse_client_hello(FULL)
    assert hello.ciphers == (0x0A0A, 0x1301, 0xC02F)
    assert [kind for kind, _ in hello.extensions] == [0x1A1A, 0, 10, 11, 13, 16, 43, 51]
    assert hello.server_name == b"a.example"
    assert hello.groups == (0x2A2A, 0x11EC, 29)
    assert hello.point_formats == (0,)
    assert hello.signature_algorithms == (0x0403, 0x0804)
    assert hello.alpn == (b"h2", b"http/1.1")
    assert hello.supported_versions == (0x3A3A, 0x0304, 0x0303)
    assert hello.key_share_groups == (0x2A2A, 29)


def test_a_hello_without_an_extension_block() -> None:
    hello = parse_client_hello(client_hello(0x0301, [4, 5], None))
    assert (hello.extensions, hello.server_name, hello.alpn) == ((), None, ())


def test_a_server_hello_selects_its_version_and_alpn() -> None:
    hello = parse_server_hello(
        server_hello(0x0303, 0x1302, [(43, b"\x03\x04"), (16, vector(2, vector(1, b"h2")))])
    )
    assert (hello.selected_version, hello.cipher, hello.alpn) == (0x0304, 0x1302, b"h2")
    assert parse_server_hello(server_hello(0x0303, 0xC02F, [])).selected_version == 0x0303


def test_the_server_hello_of_a_draft_has_no_session_id() -> None:
    body = b"\x7f\x12" + bytes(32) + b"\x13\x01" + vector(2, b"\x00\x28" + vector(2, b"ab"))
    hello = parse_server_hello(b"\x02" + vector(3, body))
    assert (hello.selected_version, hello.cipher, hello.extensions) == (0x7F12, 0x1301, ((40, b"ab"),))


@pytest.mark.parametrize("value", [0x0A0A, 0x1A1A, 0xFAFA])
def test_grease_values(value: int) -> None:
    assert is_grease(value)


@pytest.mark.parametrize("value", [0x0A1A, 0x0A, 0x1301, 0xFAFB])
def test_values_that_are_no_grease(value: int) -> None:
    assert not is_grease(value)


@pytest.mark.parametrize("size", [0, 1, 3, 4, 10, 37, 40, 46, len(FULL) - 1])
def test_a_cut_hello_is_a_clear_error(size: int) -> None:
    with pytest.raises(HelloError, match="expected"):
        parse_client_hello(FULL[:size])


def test_the_wrong_message_is_a_clear_error() -> None:
    with pytest.raises(HelloError, match="type 2 expected, 1 there"):
        parse_server_hello(FULL)


@settings(deadline=None, max_examples=100)
@given(st.integers(0, len(FULL) - 1), st.binary(min_size=1, max_size=4))
def test_damage_gives_a_hello_or_a_clear_error(at: int, junk: bytes) -> None:
    message = FULL[:at] + junk + FULL[at + len(junk) :]
    for parse in (parse_client_hello, parse_server_hello):
        try:
            assert parse(message).random
        except HelloError as error:
            assert str(error)


def test_scapy_reads_the_same_in_real_hellos(tmp_path: Path) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # scapy's TLS layer imports ciphers that cryptography has moved
        from scapy.layers.tls.handshake import TLS13ServerHello, TLSClientHello
    exchange = tls_exchange([], tmp_path)
    ours, theirs = {}, {}
    for way, layer in ((C2S, TLSClientHello), (S2C, TLS13ServerHello)):
        parser = RecordParser()
        parser.feed(joined(exchange, way), 0)
        ours[way], theirs[way] = parser.hello.message, layer(parser.hello.message)
    client, server = parse_client_hello(ours[C2S]), parse_server_hello(ours[S2C])
    assert list(client.ciphers) == theirs[C2S].ciphers
    assert [kind for kind, _ in client.extensions] == [extension.type for extension in theirs[C2S].ext]
    assert client.session_id == theirs[C2S].sid
    by_type = {extension.type: extension for extension in theirs[C2S].ext}
    assert client.server_name == by_type[0].servernames[0].servername
    assert list(client.groups) == by_type[10].groups
    assert list(client.signature_algorithms) == by_type[13].sig_algs
    assert list(client.supported_versions) == by_type[43].versions
    assert [name.protocol for name in by_type[16].protocols] == list(client.alpn)
    assert (server.cipher, server.session_id) == (theirs[S2C].cipher, theirs[S2C].sid)
    assert [kind for kind, _ in server.extensions] == [extension.type for extension in theirs[S2C].ext]
