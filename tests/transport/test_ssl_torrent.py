"""libtorrent's SSL torrents: who gets in, who doesn't, and what the records look like."""

from __future__ import annotations

import os
from datetime import timedelta

import pytest
from OpenSSL import SSL

from btresearch.errors import InputError
from btresearch.transport import LocalProtocolError, RemoteProtocolError
from btresearch.transport.btls.openssl import OpenSslEngine
from btresearch.transport.ssl_torrent import (
    PeerCertificate,
    SslTorrent,
    SslTorrentConnection,
    SslTorrents,
    dial,
    names_torrent,
)
from tests.transport.link import CHUNKINGS, Link
from tests.transport.ssl_peers import (
    CLIENT_ONLY,
    DAY,
    INFOHASH,
    NAME,
    authority,
    held,
    key_pem,
    member,
    pem_of,
    root,
    serving,
    ssl_pair,
    torrent,
)

HANDSHAKE = b"\x13BitTorrent protocol" + bytes(48)


def _records(wire: bytes) -> list[tuple[int, int]]:
    """(content type, length) of every TLS record."""
    found = []
    while wire:
        length = int.from_bytes(wire[3:5], "big")
        found.append((wire[0], length))
        wire = wire[5 + length :]
    return found


def _refusal(initiator: SslTorrentConnection, responder: SslTorrentConnection) -> str:
    """Why one of the two hung up; neither may have let an application byte through."""
    link = Link(initiator, responder)
    initiator.send(HANDSHAKE)
    with pytest.raises(RemoteProtocolError) as caught:
        link.start()
    assert link.apps[1] == b""
    return caught.value.reason


@pytest.mark.parametrize("chunking", CHUNKINGS)
def test_both_ends_know_the_torrent(chunking: str) -> None:
    link = Link(*ssl_pair(), CHUNKINGS[chunking]).start()
    link.send(0, HANDSHAKE)
    link.send(1, HANDSHAKE[::-1])
    assert tuple(map(bytes, link.apps)) == (HANDSHAKE[::-1], HANDSHAKE)
    assert [end.infohash for end in link.ends] == [INFOHASH] * 2


def test_the_sni_is_the_infohash_in_clear() -> None:
    link = Link(*ssl_pair()).start()
    assert INFOHASH.hex().encode() in link.wires[0]
    assert NAME.encode() not in link.wires[0] + link.wires[1]  # TLS 1.3 hides the certificates


def test_a_block_is_two_records_of_libtorrents_sizes() -> None:
    link = Link(*ssl_pair()).start()
    piece = (9 + 16384).to_bytes(4, "big") + b"\x07" + bytes(8) + os.urandom(16384)
    link.wires[1].clear()
    link.send(1, piece)
    assert _records(bytes(link.wires[1])) == [(23, 13 + 17), (23, 16384 + 17)]
    assert link.apps[0] == piece


def _self_signed() -> PeerCertificate:
    alone = authority("*")
    return held(alone.certificate, alone.key)


def _below_a_leaf() -> PeerCertificate:
    """A member's certificate must not make members."""
    leaf, key = root().issue("*")
    forged, forged_key = type(root())(leaf, key).issue("*")
    return held(forged, forged_key, leaf)


@pytest.mark.parametrize(
    "peer",
    [
        pytest.param(lambda: authority("root").peer("*"), id="another authority of the same name"),
        pytest.param(_self_signed, id="self-signed"),
        pytest.param(lambda: root().peer("*", ends=-DAY), id="expired"),
        pytest.param(lambda: root().peer("another torrent"), id="another torrent"),
        pytest.param(lambda: root().peer(NAME[:5]), id="the beginning of its name"),
        pytest.param(lambda: root().peer("*.example"), id="a host's wildcard"),
        pytest.param(lambda: root().peer(), id="no name"),
        pytest.param(_below_a_leaf, id="signed by a member"),
    ],
)
@pytest.mark.parametrize("end", ["initiator", "responder"])
def test_strangers_get_nothing(peer: object, end: str) -> None:
    stranger = peer()  # type: ignore[operator]
    reason = _refusal(*(ssl_pair(stranger, None) if end == "initiator" else ssl_pair(None, stranger)))
    assert "verify failed" in reason or "signature" in reason


@pytest.mark.parametrize(
    "peer",
    [
        pytest.param(lambda: root().peer(NAME), id="alternative name"),
        pytest.param(lambda: root().peer("other", NAME), id="one of two"),
        pytest.param(lambda: root().peer(common=NAME), id="common name"),
        pytest.param(lambda: root().peer(common="*"), id="star"),
    ],
)
def test_members_by_every_name(peer: object) -> None:
    certificate = peer()  # type: ignore[operator]
    link = Link(*ssl_pair(certificate, certificate)).start()
    link.send(0, HANDSHAKE)
    assert link.apps[1] == HANDSHAKE


def test_an_intermediate_is_carried_along() -> None:
    middle, middle_key = root().issue(common="middle", ca=True)
    leaf, key = type(root())(middle, middle_key).issue("*")
    link = Link(*ssl_pair(held(leaf, key, middle), held(leaf, key, middle))).start()
    link.send(1, HANDSHAKE)
    assert link.apps[0] == HANDSHAKE


def test_a_client_only_certificate_may_not_answer() -> None:
    assert "verify failed" in _refusal(*ssl_pair(None, root().peer("*", usage=CLIENT_ONLY)))


def _context(*, certified: bool) -> SSL.Context:
    context = SSL.Context(SSL.TLS_METHOD)
    if certified:
        context.use_certificate(member().chain[0])
        context.use_privatekey(member().key)
    return context


def _knock(
    context: SSL.Context, sni: bytes | None, door: SslTorrents | None = None, session: object = None
) -> tuple[SSL.Connection, str]:
    """Some other client at our door: its connection, and why it was refused ("" if it was let in)."""
    connection = SSL.Connection(context, None)
    connection.set_connect_state()
    if sni is not None:
        connection.set_tlsext_host_name(sni)
    if session is not None:
        connection.set_session(session)  # type: ignore[arg-type]
    knocking = OpenSslEngine(connection)
    answering = (door or serving()).accept()
    try:
        for _ in range(4):
            knocking.handshake()
            app, reply = answering.receive(knocking.drain())
            assert app == b""
            knocking.feed(reply)
            list(knocking.records() if answering.ready else ())
    except RemoteProtocolError as error:
        assert error.goodbye  # an alert; once keys are agreed it looks like any record
        return connection, error.reason
    assert answering.ready
    return connection, ""


def test_no_certificate_no_entry() -> None:
    assert "did not return a certificate" in _knock(_context(certified=False), INFOHASH.hex().encode())[1]


@pytest.mark.parametrize("sni", [None, b"00" * 20, b"album.example", INFOHASH.hex().encode()[:-1], b"z" * 40])
def test_an_unknown_name_ends_in_an_alert(sni: bytes | None) -> None:
    assert _knock(_context(certified=True), sni)[1]


def test_upper_case_hex_is_the_same_torrent() -> None:
    assert _knock(_context(certified=True), INFOHASH.hex().upper().encode())[1] == ""


def test_no_session_is_resumed() -> None:
    """A ticket would enter without a certificate, and into another torrent of the same port."""
    context, sni, door = _context(certified=True), INFOHASH.hex().encode(), serving()
    connection, refusal = _knock(context, sni, door)
    session = connection.get_session()
    assert not refusal
    assert session is not None
    _, refusal = _knock(context, sni, door, session)
    assert "session id context" in refusal


def test_used_after_it_ended() -> None:
    end, _ = ssl_pair()
    end.start()
    assert end.close() == end.close() == b""
    with pytest.raises(LocalProtocolError, match="ended"):
        end.send(b"")


def test_close_notify_is_noticed() -> None:
    link = Link(*ssl_pair()).start()
    link.ends[1].receive(link.ends[0].close())
    assert link.ends[1].closed  # type: ignore[attr-defined]


def test_many_torrents_on_one_port() -> None:
    other = SslTorrent(bytes(20), "other", authority("second").pem, member())
    served = serving(torrent(), other)
    assert len(served) == 2
    assert served.get(bytes(20)) is other
    link = Link(dial(torrent()), served.accept()).start()
    assert link.ends[1].infohash == INFOHASH
    # a member of the first is none of the second
    assert "verify failed" in _refusal(dial(torrent(infohash=bytes(20), name="other")), served.accept())


@pytest.mark.parametrize(
    ("chain", "key"),
    [
        pytest.param(b"", b"", id="nothing"),
        pytest.param(pem_of(root().certificate), key_pem(authority().key), id="another's key"),
        pytest.param(pem_of(*[root().certificate] * 11), key_pem(root().key), id="too many"),
    ],
)
def test_a_damaged_certificate_is_named(chain: bytes, key: bytes) -> None:
    with pytest.raises(InputError, match=r"mine\.pem"):
        PeerCertificate.from_pem(chain, key, "mine.pem")


def test_a_damaged_authority_is_named() -> None:
    with pytest.raises(InputError, match="ssl-cert"):
        SslTorrents().add(SslTorrent(INFOHASH, NAME, b"-----BEGIN CERTIFICATE-----\n", member()))


def test_the_key_is_in_no_repr() -> None:
    assert "PKey" not in repr(torrent())


def test_names_are_compared_whole() -> None:
    leaf, _ = root().issue("ab", common="abc", ends=timedelta(hours=1))
    assert [names_torrent(leaf, name) for name in ("ab", "abc", "abcd", "a", "")] == [
        True,
        True,
        False,
        False,
        False,
    ]
