"""The secure tracker over HTTPS as strangers, members and other clients (curl, openssl) meet it."""

from __future__ import annotations

import asyncio
import base64
import logging
import shutil
import socket
import ssl
import subprocess
import time
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from aiohttp.test_utils import make_mocked_request
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from hypothesis import given, settings
from hypothesis import strategies as st

from btresearch.peer import Address, AnnounceRequest, bencode
from btresearch.peer.announce import decode_response
from btresearch.session.secure import SecureTracker, certificate, csr, reply
from btresearch.session.secure.authority import spki_sha256, urn
from btresearch.session.secure.errors import MembersError
from btresearch.session.secure.members import MAX_PER_TORRENT
from btresearch.transport.btls import chain
from tests.session.secure.test_secure_authority import GREEDY, SUBJECT
from tests.session.secure.tracking import (
    OTHER,
    PASSWORD,
    V1,
    V2,
    Tracked,
    basic,
    certificates,
    names_of,
    request,
    tracked,
    unverified,
)

TEXT = ("content-type", "text/plain; charset=utf-8")


def _query(port: int, infohash: bytes = V2[:20], **more: Any) -> str:
    said = AnnounceRequest(infohash=infohash, peer_id=bytes(20), port=port, left=1)
    extra = "".join(f"&{name}={quote(value)}" for name, value in more.items())
    return f"/announce?{said.query()}{extra}"


async def _pin_of(held: Tracked, name: str) -> bytes:
    status, _, body = await held.enroll(V1, name=name)
    assert status == 200
    return spki_sha256(certificates(body)[0].public_key())  # type: ignore[arg-type]


def test_enrolment_as_rfc_7030_has_it(tmp_path: Path) -> None:
    async def main() -> None:
        async with tracked(tmp_path) as held:
            for label in (V1.hex(), V2.hex(), V2.hex().upper()):
                status, headers, body = await held.ask(f"/.well-known/est/{label}/cacerts", name=None)
                assert status == 200 and "Server" not in headers
                assert headers["Content-Type"] == "application/pkcs7-mime; smime-type=certs-only"
                assert headers["Content-Transfer-Encoding"] == "base64"
                (ca,) = certificates(body)
                assert chain.spki_sha256(ca) == held.tracker.ca
                for operation in ("simpleenroll", "simplereenroll"):
                    path = f"/.well-known/est/{label}/{operation}"
                    status, headers, body = await held.ask(path, request())
                    assert (status, headers["Content-Transfer-Encoding"]) == (200, "base64")
                    (leaf,) = certificates(body)
                    ders = [one.public_bytes(Encoding.DER) for one in (leaf, ca)]
                    found = chain.validate(ders, ca={held.tracker.ca}, infohash=V2, now_s=time.time())
                    assert found.hashes == (V1, V2)
                    assert found.not_after_s <= time.time() + 4 * 3600

    asyncio.run(main())


def test_names_in_the_request_are_not_read(tmp_path: Path) -> None:
    async def main() -> None:
        async with tracked(tmp_path) as held:
            status, _, body = await held.enroll(body=request(extensions=GREEDY, subject=SUBJECT))
            assert status == 200
            (leaf,) = certificates(body)
            assert names_of(leaf) == [urn(V1), urn(V2)]
            assert leaf.subject == x509.Name([])

    asyncio.run(main())


def test_strangers_and_labels(tmp_path: Path) -> None:
    async def main() -> None:
        async with tracked(tmp_path, "ann", "bob") as held:
            held.members.remove("bob")
            answers = set()
            for name, password in (("ann", "wrong"), ("bob", PASSWORD), ("eve", "x")):
                status, headers, body = await held.enroll(name=name, password=password)
                answers.add((status, headers["WWW-Authenticate"], body))
            status, headers, body = await held.enroll(name=None)
            answers.add((status, headers["WWW-Authenticate"], body))
            assert answers == {
                (401, 'Basic realm="members", charset="UTF-8"', b"name or password is wrong\n")
            }
            denied = {await _status_body(held, label) for label in (OTHER, bytes(20), bytes(32), V2[:20])}
            assert denied == {(403, b"not entitled to this torrent\n")}
            for path in ("xyz", V1.hex()[:-1], V2.hex() + "00", "..", "%2e%2e", "-"):
                assert (await held.ask(f"/.well-known/est/{path}/simpleenroll", request()))[0] == 404
            for path in ("/", "/.well-known/est/cacerts", "/scrape", f"/.well-known/est/{V1.hex()}/csrattrs"):
                assert (await held.ask(path))[0] == 404
            assert (await held.ask(f"/.well-known/est/{V1.hex()}/simpleenroll"))[0] == 405

    asyncio.run(main())


async def _status_body(held: Tracked, label: bytes) -> tuple[int, bytes]:
    status, _, body = await held.enroll(label)
    return status, body


def test_bodies_that_are_none(tmp_path: Path) -> None:
    async def main() -> None:
        async with tracked(tmp_path) as held:
            for body, expected in (
                (b"", 400),
                (b"not base64 \xff", 400),
                (base64.b64encode(b"\x30\x03\x02\x01\x05"), 400),
                (b"A" * (csr.MAX_BODY_BYTES + 1), 413),
            ):
                assert (await held.enroll(body=body))[0] == expected
            plain = {"Content-Type": "application/x-www-form-urlencoded"}
            assert (await held.enroll(headers=plain))[0] == 415
            assert held.members.issues(held.members.entitlement("ann", V1), now_s=0) == ()

    asyncio.run(main())


@settings(deadline=None, max_examples=15)
@given(bodies=st.lists(st.binary(max_size=300), min_size=1, max_size=5))
def test_fuzzed_bodies(tmp_path_factory: pytest.TempPathFactory, bodies: list[bytes]) -> None:
    async def main(folder: Path) -> None:
        async with tracked(folder) as held:
            for body in bodies:
                assert (await held.enroll(body=base64.b64encode(body)))[0] == 400
                assert (await held.enroll(body=body))[0] == 400
                encoded = base64.b64encode(body).decode()
                header = {"Authorization": f"Basic {encoded}"}
                assert (await held.enroll(name=None, headers=header))[0] in (401, 429)

    asyncio.run(main(tmp_path_factory.mktemp("fuzz")))


def test_issuance_is_limited(tmp_path: Path) -> None:
    async def main() -> None:
        async with tracked(tmp_path, "ann", "bob") as held:
            for _ in range(MAX_PER_TORRENT):
                assert (await held.enroll())[0] == 200
            status, headers, _ = await held.enroll()
            assert status == 429
            assert 3500 < int(headers["Retry-After"]) <= 3600
            assert (await held.enroll(name="bob"))[0] == 200

    asyncio.run(main())


def test_removed_member_is_refused_everywhere_at_once(tmp_path: Path) -> None:
    async def main() -> None:
        async with tracked(tmp_path, "ann", "bob") as held:
            await _pin_of(held, "bob")
            await _pin_of(held, "ann")
            assert (await held.ask(_query(1), name="bob"))[0] == 200
            held.members.remove("bob")
            for operation in ("simpleenroll", "simplereenroll"):
                path = f"/.well-known/est/{V1.hex()}/{operation}"
                assert (await held.ask(path, request(), name="bob"))[0] == 401
            assert (await held.ask(_query(1), name="bob"))[0] == 401
            status, _, body = await held.ask(_query(2))
            assert status == 200
            assert decode_response(body).peers == ()

    asyncio.run(main())


def test_announces_carry_flags_and_pins(tmp_path: Path) -> None:
    async def main() -> None:
        async with tracked(tmp_path, "ann", "bob") as held:
            await _pin_of(held, "ann")
            latest = await _pin_of(held, "ann")
            assert (await held.ask(_query(1, V1)))[0] == 200
            status, _, body = await held.ask(_query(2, V2[:20]), name="bob")
            assert status == 200
            (peer,) = decode_response(body).peers
            assert (peer.address, peer.tls, peer.requires_tls, peer.pin) == (
                Address("127.0.0.1", 1),
                True,
                True,
                latest,
            )
            fields = bencode.decode(body)
            assert isinstance(fields, dict)
            assert (fields[b"tls_flags"], fields[b"tls_pins"]) == (b"\x03", latest)

    asyncio.run(main())


def test_pins_that_may_be_announced(tmp_path: Path) -> None:
    async def main() -> None:
        async with tracked(tmp_path, "ann", "bob") as held:
            first = await _pin_of(held, "ann")
            await _pin_of(held, "ann")
            bobs = await _pin_of(held, "bob")
            assert (await held.ask(_query(1, tls_pin=first)))[0] == 200
            (peer,) = decode_response((await held.ask(_query(2), name="bob"))[2]).peers
            assert peer.pin == first  # one of two machines of hers
            for pin in (bobs, bytes(32)):
                status, _, body = await held.ask(_query(3, tls_pin=pin))
                assert status == 403
                assert b"tls_pin is of no certificate issued to this member" in body
            assert b"tls_pin must be 32 bytes" in (await held.ask(_query(3, tls_pin=b"short")))[2]

    asyncio.run(main())


def test_refused_announces_are_bencoded(tmp_path: Path) -> None:
    async def main() -> None:
        async with tracked(tmp_path) as held:
            status, headers, body = await held.ask(_query(1), name=None)
            assert (status, headers["WWW-Authenticate"][:5]) == (401, "Basic")
            assert bencode.decode(body) == {b"failure reason": b"name or password is wrong"}
            for infohash in (OTHER, bytes(20)):
                status, _, body = await held.ask(_query(1, infohash))
                assert status == 403
                assert bencode.decode(body) == {b"failure reason": b"not entitled to this torrent"}
            status, _, body = await held.ask("/announce?info_hash=short")
            assert b"failure reason" in body

    asyncio.run(main())


def test_old_tls_is_refused(tmp_path: Path) -> None:
    async def main() -> None:
        async with tracked(tmp_path) as held:
            context = unverified()
            context.set_ciphers("ALL:@SECLEVEL=0")
            with pytest.warns(DeprecationWarning):
                context.minimum_version = ssl.TLSVersion.TLSv1
                context.maximum_version = ssl.TLSVersion.TLSv1_1
            with pytest.raises((ssl.SSLError, ConnectionError)):
                await asyncio.open_connection("127.0.0.1", held.tracker.port, ssl=context)
            for version in (ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3):
                context = unverified()
                context.minimum_version = context.maximum_version = version
                _, writer = await asyncio.open_connection("127.0.0.1", held.tracker.port, ssl=context)
                writer.close()

    asyncio.run(main())


@pytest.mark.parametrize(
    "start",
    [
        b"",
        b"GET /announce HTTP/1.1\r\nHost: x\r\nX-Slow: ",
        b"POST /.well-known/est/%s/simpleenroll HTTP/1.1\r\nHost: x\r\nAuthorization: %s\r\n"
        b"Content-Type: application/pkcs10\r\nContent-Length: 100\r\n\r\nAA"
        % (V1.hex().encode(), basic("ann", PASSWORD).encode()),
    ],
)
def test_slow_clients_are_cut_off(tmp_path: Path, start: bytes) -> None:
    async def main() -> float:
        async with tracked(tmp_path, connection_s=0.8) as held:
            reader, writer = await asyncio.open_connection("127.0.0.1", held.tracker.port, ssl=unverified())
            began = time.monotonic()
            writer.write(start)
            async with asyncio.timeout(5):
                while await reader.read(65536):
                    pass
            writer.close()
            return time.monotonic() - began

    assert 0.3 < asyncio.run(main()) < 4


def test_a_slow_body_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("btresearch.session.secure.est.BODY_S", 0.2)

    async def main() -> bytes:
        async with tracked(tmp_path) as held:
            reader, writer = await asyncio.open_connection("127.0.0.1", held.tracker.port, ssl=unverified())
            head = (
                f"POST /.well-known/est/{V1.hex()}/simpleenroll HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n"
            )
            head += f"Content-Type: application/pkcs10\r\nAuthorization: {basic('ann', PASSWORD)}\r\n\r\n"
            writer.write(head.encode())
            async with asyncio.timeout(5):
                line = await reader.readline()
            writer.close()
            return line

    assert asyncio.run(main()).startswith(b"HTTP/1.1 408 ")


def test_connections_are_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("btresearch.session.secure.server.MAX_CONNECTIONS", 3)

    async def main() -> list[bytes]:
        async with tracked(tmp_path) as held:
            opened = [
                await asyncio.open_connection("127.0.0.1", held.tracker.port, ssl=unverified())
                for _ in range(5)
            ]
            ends = []
            for reader, writer in opened:
                writer.write(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
                with_answer = await reader.read(12)
                ends.append(with_answer)
                writer.close()
            return ends

    assert asyncio.run(main()) == [b"HTTP/1.1 404"] * 3 + [b""] * 2


def test_nothing_secret_is_logged(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    async def main() -> None:
        async with tracked(tmp_path) as held:
            await held.enroll()
            await held.enroll(password="hunter2hunter2")
            await held.ask(_query(1))
            _, writer = await asyncio.open_connection("127.0.0.1", held.tracker.port, ssl=unverified())
            writer.write(b"\xff\xfe" * 50 + b"\r\n\r\n")
            await writer.drain()
            await asyncio.sleep(0.05)
            writer.close()

    with caplog.at_level(logging.DEBUG):
        asyncio.run(main())
    for secret in (PASSWORD, "hunter2hunter2", basic("ann", PASSWORD), "Traceback"):
        assert secret not in caplog.text


def test_a_database_in_trouble_is_no_traceback(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(*_: object) -> None:
        raise MembersError("the database of members: disk I/O error")

    async def main() -> None:
        async with tracked(tmp_path) as held:
            monkeypatch.setattr("btresearch.session.secure.members.Members.entitlement", fail)
            status, headers, body = await held.enroll()
            assert (status, headers["Retry-After"], body) == (503, "30", b"try again later\n")
            assert (await held.ask(_query(1)))[0] == 503

    asyncio.run(main())
    assert "disk I/O error" in caplog.text and "Traceback" not in caplog.text


@pytest.mark.parametrize(
    ("remote", "counted_as"),
    [
        ("192.0.2.7", "192.0.2.7"),
        ("::ffff:192.0.2.7", "192.0.2.7"),
        ("2001:db8:1:2ff::1", "2001:db8:1:200::/56"),
        ("2001:db8:1:2aa::9", "2001:db8:1:200::/56"),
    ],
)
def test_whose_failures_count_together(remote: str, counted_as: str) -> None:
    assert reply.source(make_mocked_request("GET", "/").clone(remote=remote)) == counted_as


def test_identity_is_kept_and_may_be_given(tmp_path: Path) -> None:
    async def start(folder: Path, **options: Any) -> SecureTracker:
        async with SecureTracker(folder, **options) as tracker:
            return tracker

    first, second = asyncio.run(start(tmp_path / "one")), asyncio.run(start(tmp_path / "one"))
    assert (first.pin, first.ca) == (second.pin, second.ca)
    other = asyncio.run(start(tmp_path / "two"))
    assert {other.pin, other.ca}.isdisjoint({first.pin, first.ca})
    given = tmp_path / "one" / certificate.FILE
    named = asyncio.run(start(tmp_path / "two", chain=given, key=given, origin="https://tracker.example"))
    assert named.pin == first.pin and named.ca == other.ca
    assert (named.origin, named.url) == ("https://tracker.example", "https://tracker.example/announce")
    assert all(path.stat().st_mode & 0o077 == 0 for path in (tmp_path / "one").iterdir())
    for bad in (tmp_path / "absent.pem", Path(__file__)):
        with pytest.raises(MembersError, match="in PEM"):
            asyncio.run(start(tmp_path / "two", chain=bad, key=bad))


def test_an_encrypted_key_is_refused_without_a_question(tmp_path: Path) -> None:
    key = tmp_path / "key.pem"
    tracker = asyncio.run(_started(tmp_path / "one"))
    assert tracker.pin
    private = ec.generate_private_key(ec.SECP256R1())
    from cryptography.hazmat.primitives.serialization import BestAvailableEncryption

    key.write_bytes(
        private.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, BestAvailableEncryption(b"passphrase"))
    )
    with pytest.raises(MembersError, match="in PEM"):
        certificate.context(tmp_path / "one" / certificate.FILE, key)


async def _started(folder: Path) -> SecureTracker:
    async with SecureTracker(folder) as tracker:
        return tracker


def test_two_trackers_over_one_state(tmp_path: Path) -> None:
    async def main() -> None:
        async with tracked(tmp_path, "ann", "bob") as held, SecureTracker(tmp_path) as second:
            twin = Tracked(second, held.members, held.http)
            assert (second.ca, second.pin) == (held.tracker.ca, held.tracker.pin)
            pin = await _pin_of(twin, "ann")
            assert (await held.ask(_query(1)))[0] == 200
            (peer,) = decode_response((await held.ask(_query(2), name="bob"))[2]).peers
            assert peer.pin == pin
            for _ in range(MAX_PER_TORRENT - 1):
                assert (await held.enroll())[0] == 200
            assert (await twin.enroll())[0] == 429

    asyncio.run(main())


def test_over_ipv6(tmp_path: Path) -> None:
    async def main() -> None:
        async with tracked(tmp_path, "ann", "bob", host="::1") as held:
            assert held.origin == f"https://[::1]:{held.tracker.port}"
            pin = await _pin_of(held, "ann")
            assert (await held.ask(_query(1)))[0] == 200
            (peer,) = decode_response((await held.ask(_query(2), name="bob"))[2]).peers
            assert (peer.address, peer.pin) == (Address("::1", 1), pin)

    asyncio.run(main())


def test_port_in_use(tmp_path: Path) -> None:
    async def main(port: int) -> None:
        async with SecureTracker(tmp_path, port=port):
            pass

    with socket.create_server(("127.0.0.1", 0)) as taken, pytest.raises(OSError, match="in use"):
        asyncio.run(main(taken.getsockname()[1]))


@pytest.mark.interop
def test_curl_and_openssl_enrol(tmp_path: Path) -> None:
    if not shutil.which("curl") or not shutil.which("openssl"):
        pytest.skip("curl or openssl is not here")

    async def main() -> None:
        async with tracked(tmp_path / "state") as held:
            await asyncio.to_thread(_foreign_enrolment, held, tmp_path)

    asyncio.run(main())


def _foreign_enrolment(held: Tracked, folder: Path) -> None:
    def run(*command: str) -> str:
        done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=20, check=False)
        assert done.returncode == 0, done.stderr
        return done.stdout

    key = ec.generate_private_key(ec.SECP256R1())
    pem = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    (folder / "key.pem").write_bytes(pem)
    (folder / "password").write_text(f'user = "ann:{PASSWORD}"\n')
    base = f"{held.origin}/.well-known/est/{V2.hex()}"
    pin = "sha256//" + base64.b64encode(held.tracker.pin).decode()
    curl = ("curl", "-sS", "--fail", "--insecure", "--pinnedpubkey", pin, "--config", "password")
    run("openssl", "req", "-new", "-key", "key.pem", "-subj", "/CN=x", "-outform", "DER", "-out", "csr.der")
    run("openssl", "base64", "-in", "csr.der", "-out", "csr.b64")
    run(*curl, f"{base}/cacerts", "-o", "ca.b64")
    header = ("-H", "Content-Type: application/pkcs10", "-H", "Content-Transfer-Encoding: base64")
    run(*curl, *header, "--data-binary", "@csr.b64", f"{base}/simpleenroll", "-o", "leaf.b64")
    for name in ("ca", "leaf"):
        run("openssl", "base64", "-d", "-in", f"{name}.b64", "-out", f"{name}.p7")
        run("openssl", "pkcs7", "-inform", "DER", "-in", f"{name}.p7", "-print_certs", "-out", f"{name}.pem")
    assert run("openssl", "verify", "-x509_strict", "-purpose", "sslclient", "-CAfile", "ca.pem", "leaf.pem")
    shown = run("openssl", "x509", "-in", "leaf.pem", "-noout", "-text")
    assert f"URI:{urn(V1)}, URI:{urn(V2)}" in shown
    assert "TLS Web Client Authentication" in shown
    assert run("openssl", "x509", "-in", "leaf.pem", "-noout", "-subject").strip() in (
        "subject=",
        "subject= ",
    )
