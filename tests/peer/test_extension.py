"""The extension handshake of BEP 10."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from btresearch.peer import ExtensionHandshake, RemoteProtocolError, extension


def test_example_of_bep_10() -> None:
    # BEP 10, "handshake message"; the lengths given there take the first micro sign for one byte
    payload = b"d1:md11:LT_metadatai1e6:\xb5T_PEXi2ee1:pi6881e1:v13:\xc2\xb5Torrent 1.2e"
    hello = extension.decode_handshake(payload)
    assert hello.ids == {b"LT_metadata": 1, b"\xb5T_PEX": 2}
    assert hello.fields[b"v"] == "µTorrent 1.2".encode()
    assert extension.encode_handshake(hello.fields) == payload


def test_own_handshake() -> None:
    fields = extension.handshake_fields(
        {b"ut_metadata": 1}, metadata_size=99, client="x", peer_address=bytes(4)
    )
    assert extension.decode_handshake(extension.encode_handshake(fields)) == ExtensionHandshake(
        ids={b"ut_metadata": 1},
        metadata_size=99,
        request_queue=extension.REQUEST_QUEUE,
        fields={
            b"m": {b"ut_metadata": 1},
            b"metadata_size": 99,
            b"reqq": 500,
            b"v": b"x",
            b"yourip": bytes(4),
        },
    )


def test_over_btls_it_names_nobody() -> None:
    fields = extension.handshake_fields({b"ut_metadata": 1}, metadata_size=99, tls=True)
    assert fields.keys() == {b"m", b"reqq", b"metadata_size", b"tls"}


def test_btls_and_the_listening_port() -> None:
    fields = extension.handshake_fields({}, tls=True, port=6881)
    payload = extension.encode_handshake(fields)
    assert payload == b"d1:mde1:pi6881e4:reqqi500e3:tlsi1ee"
    hello = extension.decode_handshake(payload)
    assert (hello.tls, hello.port) == (True, 6881)


@pytest.mark.parametrize(
    "payload", [b"de", b"d1:pi0e3:tlsi0ee", b"d1:pi65536e3:tlsi2ee", b"d1:p1:x3:tls1:1e"]
)
def test_btls_and_a_port_are_said_or_not(payload: bytes) -> None:
    hello = extension.decode_handshake(payload)
    assert (hello.tls, hello.port) == (False, None)


@settings(deadline=None, max_examples=100)
@given(st.binary(max_size=100))
def test_only_protocol_errors_escape(payload: bytes) -> None:
    try:
        assert extension.decode_handshake(b"d" + payload).port != 0
    except RemoteProtocolError as error:
        assert str(error)


def test_senseless_values_are_left_out() -> None:
    hello = extension.decode_handshake(b"d1:md1:ai0e1:bi256e1:c1:x1:di-1ee13:metadata_sizei-5e4:reqq1:xe")
    assert hello.ids == {b"a": 0}
    assert (hello.metadata_size, hello.request_queue) == (None, None)


@pytest.mark.parametrize("payload", [b"", b"le", b"d1:mlee", b"d1:m", b"d" * 99, bytes(20_000)])
def test_refused(payload: bytes) -> None:
    with pytest.raises(RemoteProtocolError, match="extension handshake"):
        extension.decode_handshake(payload)


def test_number_of_extensions_is_bounded() -> None:
    many = extension.encode_handshake({b"m": {b"%d" % number: 1 for number in range(65)}})
    with pytest.raises(RemoteProtocolError, match="at most 64"):
        extension.decode_handshake(many)
