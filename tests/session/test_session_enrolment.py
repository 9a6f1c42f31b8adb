"""Enrolment from the client's side: to whom credentials go, and which certificates are of use."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import logging
import ssl
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, pkcs7

from btresearch.errors import BtresearchError, InputError
from btresearch.session.accounts import Account, Accounts
from btresearch.session.enrolment import MAX_BODY_BYTES, enrol
from btresearch.session.errors import EnrolmentError, EnrolmentRefused
from btresearch.session.secure import Authority, SecureTracker, certificate, csr
from btresearch.session.secure.authority import LIFE_S
from btresearch.transport.btls import chain
from tests.session.secure.tracking import OTHER, PASSWORD, V1, V2, Tracked, tracked

BOTH = (V1, V2)


async def _enrol(held: Tracked, *, infohashes: tuple[bytes, ...] = BOTH, **changes: Any) -> Any:
    account = replace(held.account(), **changes)
    return await enrol(held.origin, infohashes, account, ca={held.tracker.ca})


def test_a_member_gets_a_credential(tmp_path: Path) -> None:
    async def main() -> None:
        async with tracked(tmp_path) as held:
            credential = await _enrol(held)
            found = chain.validate(credential.chain, ca={held.tracker.ca}, infohash=V2, now_s=time.time())
            assert found.hashes == BOTH
            assert len(credential.chain) == 2
            assert credential.spki_sha256 == found.spki_sha256
            assert (await _enrol(held)).spki_sha256 != credential.spki_sha256  # a fresh key each
            again = await enrol(
                held.origin,
                BOTH,
                held.account(),
                ca={held.tracker.ca},
                key=credential.private_key,
                renewing=True,
            )
            assert again.spki_sha256 == credential.spki_sha256
            assert again.chain != credential.chain

    asyncio.run(main())


def test_verified_by_a_ca_file(tmp_path: Path) -> None:
    async def main() -> None:
        async with tracked(tmp_path) as held:
            assert await _enrol(held, pin=None, ca=tmp_path / certificate.FILE)

    asyncio.run(main())


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"pin": bytes(32)}, "another key than the account's pin"),
        ({"pin": None}, "certificate"),
        ({"password": "hunter2hunter2"}, r"refused \(HTTP 401\)"),
        ({"user": "eve"}, r"refused \(HTTP 401\)"),
        ({"origin": "https://tracker.example"}, "this account is for https://tracker.example"),
    ],
)
def test_no_certificate(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, changes: dict[str, Any], said: str
) -> None:
    async def main() -> None:
        async with tracked(tmp_path) as held:
            with pytest.raises(EnrolmentError, match=said) as caught:
                await _enrol(held, **changes)
            assert "hunter2" not in str(caught.value) + caplog.text

    with caplog.at_level(logging.DEBUG):
        asyncio.run(main())


def test_wrong_server_sees_no_request_at_all(tmp_path: Path) -> None:
    """The key is checked after the handshake and before the first byte."""
    seen: list[bytes] = []

    async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError):
            seen.append(await reader.read(100))
        writer.close()

    async def main() -> None:
        context, _ = _server_side(tmp_path)
        server = await asyncio.start_server(connected, "127.0.0.1", 0, ssl=context)
        origin = f"https://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        for account in (
            Account(origin, "ann", PASSWORD, pin=bytes(32)),
            Account(origin, "ann", PASSWORD),  # WebPKI does not know this certificate
        ):
            with pytest.raises(EnrolmentError):
                await enrol(origin, BOTH, account, ca={bytes(32)})
        await asyncio.sleep(0.05)
        server.close()

    asyncio.run(main())
    assert not any(seen)


def test_another_torrents_and_a_ca_that_the_torrent_does_not_name(tmp_path: Path) -> None:
    async def main() -> None:
        async with tracked(tmp_path) as held:
            with pytest.raises(EnrolmentRefused):
                await _enrol(held, infohashes=(OTHER,))
            with pytest.raises(EnrolmentError, match="no CA that the torrent names"):
                await enrol(held.origin, BOTH, held.account(), ca={bytes(32)})
            assert held.members.issues(held.members.entitlement("ann", V1), now_s=0) == ()

    asyncio.run(main())


@pytest.mark.parametrize("url", ["http://127.0.0.1:1", "http://tracker.example", "ws://tracker.example"])
def test_plain_http_is_refused(url: str) -> None:
    with pytest.raises(InputError, match="an https URL"):
        asyncio.run(enrol(url, BOTH, Account(url, "ann", PASSWORD), ca={bytes(32)}))
    with pytest.raises(InputError, match="an https URL"):
        Accounts({}).at(url)


def test_nobody_there() -> None:
    account = Account("https://127.0.0.1:1", "ann", PASSWORD, pin=bytes(32))
    with pytest.raises(EnrolmentError, match=r"127\.0\.0\.1:1"):
        asyncio.run(enrol(account.origin, BOTH, account, ca={bytes(32)}))


# A server with another mind


def _server_side(folder: Path) -> tuple[ssl.SSLContext, bytes]:
    folder.mkdir(exist_ok=True)
    path = certificate.kept(folder, "127.0.0.1", now_s=int(time.time()))
    return certificate.context(path, path)


@contextlib.asynccontextmanager
async def _serving(
    folder: Path, answer: Callable[[web.Request], Awaitable[web.StreamResponse]]
) -> AsyncIterator[Account]:
    context, pin = _server_side(folder)
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", answer)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0, ssl_context=context).start()
    try:
        yield Account(f"https://127.0.0.1:{runner.addresses[0][1]}", "ann", PASSWORD, pin)
    finally:
        await runner.cleanup()


def _pkcs7(*found: x509.Certificate) -> bytes:
    return base64.b64encode(pkcs7.serialize_certificates(list(found), Encoding.DER))


async def _against(
    folder: Path, authority: Authority, issue: Callable[[bytes], web.StreamResponse]
) -> list[web.BaseRequest]:
    """Enrol where `issue` answers POST; the requests that came with credentials."""
    seen: list[web.BaseRequest] = []

    async def answer(request: web.Request) -> web.StreamResponse:
        if "Authorization" in request.headers:
            seen.append(request)
        if request.path.endswith("cacerts"):
            return web.Response(body=_pkcs7(authority.certificate))
        return issue(await request.read())

    async with _serving(folder, answer) as account:
        await enrol(account.origin, BOTH, account, ca={authority.pin})
    return seen


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
@pytest.mark.parametrize("where", ["same", "other"])
def test_redirects_are_not_followed(tmp_path: Path, status: int, where: str) -> None:
    reached: list[str] = []

    async def other(request: web.Request) -> web.StreamResponse:
        reached.append(request.path)
        return web.Response()

    async def main() -> None:
        authority = Authority.kept(tmp_path, now_s=int(time.time()))
        async with _serving(tmp_path / "other", other) as foreign:
            base = foreign.origin if where == "other" else ""
            location = {"Location": f"{base}/elsewhere/simpleenroll"}
            with pytest.raises(EnrolmentError, match="redirects elsewhere"):
                await _against(tmp_path, authority, lambda _: web.Response(status=status, headers=location))

    asyncio.run(main())
    assert reached == []


def test_a_redirect_of_cacerts_is_not_followed_either(tmp_path: Path) -> None:
    seen: list[str] = []

    async def answer(request: web.Request) -> web.StreamResponse:
        seen.append(request.path)
        return web.Response(status=302, headers={"Location": "/elsewhere"})

    async def main() -> None:
        async with _serving(tmp_path, answer) as account:
            with pytest.raises(EnrolmentError, match="redirects elsewhere"):
                await enrol(account.origin, BOTH, account, ca={bytes(32)})

    asyncio.run(main())
    assert seen == [f"/.well-known/est/{V2.hex()}/cacerts"]


@pytest.mark.parametrize(
    ("status", "headers", "kind", "retry_after_s"),
    [
        (403, {}, EnrolmentRefused, None),
        (429, {"Retry-After": "7"}, EnrolmentError, 7),
        (503, {"Retry-After": "999999999"}, EnrolmentError, 3600),
        (503, {"Retry-After": "Wed, 21 Oct 2026 07:28:00 GMT"}, EnrolmentError, None),
        (503, {"Retry-After": "²"}, EnrolmentError, None),
        (202, {"Retry-After": "60"}, EnrolmentError, 60),
        (500, {}, EnrolmentError, None),
        (204, {}, EnrolmentError, None),
    ],
)
def test_statuses(
    tmp_path: Path, status: int, headers: dict[str, str], kind: type, retry_after_s: int | None
) -> None:
    authority = Authority.kept(tmp_path, now_s=int(time.time()))
    with pytest.raises(EnrolmentError) as caught:
        asyncio.run(_against(tmp_path, authority, lambda _: web.Response(status=status, headers=headers)))
    assert type(caught.value) is kind
    assert caught.value.retry_after_s == retry_after_s


@pytest.mark.parametrize(
    "body",
    [b"", b"!", base64.b64encode(b"\x30\x03\x02\x01\x05"), b"A" * (MAX_BODY_BYTES + 1), b"\xff" * 50],
)
def test_answers_that_are_no_certificates(tmp_path: Path, body: bytes) -> None:
    authority = Authority.kept(tmp_path, now_s=int(time.time()))
    with pytest.raises(EnrolmentError):
        asyncio.run(_against(tmp_path, authority, lambda _: web.Response(body=body)))


def test_certificates_of_no_use(tmp_path: Path) -> None:
    now_s = int(time.time())
    authority, other = (Authority.kept(_folder(tmp_path / name), now_s=now_s) for name in ("one", "two"))
    stranger = ec.generate_private_key(ec.SECP256R1()).public_key()

    def attempt(issue: Callable[[Any], list[x509.Certificate]], said: str) -> None:
        def answer(body: bytes) -> web.Response:
            return web.Response(body=_pkcs7(*issue(csr.public_key(body))))

        with pytest.raises(EnrolmentError, match=said):
            asyncio.run(_against(tmp_path / "one", authority, answer))

    def signed(by: Authority, key: Any, hashes: tuple[bytes, ...], from_s: int = now_s) -> x509.Certificate:
        return by.issue(key, hashes, serial=5, from_s=from_s, life_s=LIFE_S)

    attempt(lambda key: [signed(authority, stranger, BOTH)], "another key")
    attempt(lambda key: [authority.certificate], "another key")
    attempt(lambda key: [signed(authority, key, (OTHER,))], "another torrent")
    attempt(lambda key: [signed(authority, key, (V1,))], "another torrent")  # v2 is what peers prove
    attempt(lambda key: [signed(authority, key, BOTH, now_s - 2 * LIFE_S)], "expired")
    attempt(lambda key: [signed(authority, key, BOTH, now_s + LIFE_S)], "not valid yet")
    attempt(lambda key: [signed(other, key, BOTH)], "of no use")  # same name, another CA
    attempt(lambda key: [signed(other, key, BOTH), other.certificate], "of no use")
    attempt(lambda key: [signed(authority, key, BOTH)] * 9, "over 8")


def test_a_good_answer_and_what_was_sent(tmp_path: Path) -> None:
    now_s = int(time.time())
    authority = Authority.kept(tmp_path, now_s=now_s)

    def answer(body: bytes) -> web.Response:
        leaf = authority.issue(csr.public_key(body), BOTH, serial=5, from_s=now_s, life_s=LIFE_S)
        return web.Response(body=_pkcs7(leaf))

    (request,) = asyncio.run(_against(tmp_path, authority, answer))  # cacerts came without credentials
    assert request.path == f"/.well-known/est/{V2.hex()}/simpleenroll"
    assert request.headers["Content-Type"] == "application/pkcs10"
    assert request.headers["Content-Transfer-Encoding"] == "base64"


def test_a_silent_server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("btresearch.session.enrolment.TIMEOUT_S", 0.3)

    async def answer(request: web.Request) -> web.StreamResponse:
        await asyncio.sleep(5)
        return web.Response()

    async def main() -> None:
        async with _serving(tmp_path, answer) as account:
            with pytest.raises(EnrolmentError, match="no answer"):
                await enrol(account.origin, BOTH, account, ca={bytes(32)})

    began = time.monotonic()
    asyncio.run(main())
    assert time.monotonic() - began < 3


def test_errors_are_for_people() -> None:
    assert issubclass(EnrolmentRefused, EnrolmentError) and issubclass(EnrolmentError, BtresearchError)
    assert SecureTracker.__doc__


def _folder(path: Path) -> Path:
    path.mkdir()
    return path
