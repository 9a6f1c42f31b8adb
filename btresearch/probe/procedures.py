"""Probes that are more than steps: resumption, renegotiation, the chain's sizes, thresholds."""

from __future__ import annotations

import asyncio
import ssl
from dataclasses import replace

from cryptography.hazmat.primitives.serialization import Encoding
from OpenSSL import SSL

from btresearch.peer.address import Address
from btresearch.probe import tls_answer
from btresearch.probe.cable import connected
from btresearch.probe.channel import Channel, Offer
from btresearch.probe.client_hello import ClientHello, unknown_ticket
from btresearch.probe.observation import Observation
from btresearch.probe.steps import Raw
from btresearch.probe.suite_http import GET, JUNK
from btresearch.probe.visit import QUICK_S, Plain, Probe, Procedure, Web, observed, settle

TLS12 = Offer(max_version=SSL.TLS1_2_VERSION)
THRESHOLDS = (1, 4, 5, 6, 16, 64, 256, 1024, 4096, 16384)
MAX_REQUESTS = 1001


async def _resume(address: Address, offer: Offer, server_name: bytes | None) -> Observation:
    async with connected(address) as cable:
        earlier = Channel(cable, offer)
        if await earlier.open():
            earlier.send(GET)
            await cable.turn()
    async with connected(address) as cable:
        channel = Channel(cable, replace(offer, server_name=server_name), earlier)
        if await channel.open():
            await settle(cable)
            channel.send(GET)
        return observed(channel, await cable.until_end(QUICK_S))


async def _renegotiate(address: Address) -> Observation:
    async with connected(address) as cable:
        channel = Channel(cable, TLS12)
        if await channel.open():
            channel.tls.renegotiate()
            channel.done = False
            await channel.open()
        return observed(channel, await cable.until_end(QUICK_S))


async def _chain(address: Address) -> Observation:
    async with connected(address) as cable:
        channel = Channel(cable, Offer())
        await channel.open()
        chain = channel.tls.get_peer_cert_chain(as_cryptography=True) or []
        sizes = [f"{len(one.public_bytes(Encoding.DER))} bytes" for one in chain]
        return Observation(answers=tuple(sizes))


async def _ticket_lifetime(address: Address) -> Observation:
    """From the standard library, which alone tells the hint of a TLS 1.3 ticket."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    tls = context.wrap_bio(incoming, outgoing)
    async with connected(address) as cable:
        cable.on_data = lambda data: _feed(incoming, data)
        for _ in range(4):
            try:
                tls.do_handshake()
                break
            except ssl.SSLWantReadError:
                cable.write(outgoing.read())
                await cable.turn()
            except ssl.SSLError:
                return Observation(answers=("no session",))
        cable.write(outgoing.read())
        await cable.turn(1.0)
        try:
            tls.read(1)
        except ssl.SSLWantReadError:
            pass
        except ssl.SSLError:
            return Observation(answers=("no session",))
    session = tls.session
    hint = session.ticket_lifetime_hint if session else 0
    return Observation(answers=(f"ticket {bool(session and session.has_ticket)} for {hint} s",))


def _feed(incoming: ssl.MemoryBIO, data: bytes) -> None:
    incoming.write(data)


async def _threshold(address: Address, probe: type[Plain] | type[Web], first: bytes) -> Observation:
    """How many bytes of junk the host takes before it answers or hangs up."""
    found: list[str] = []
    for size in THRESHOLDS:
        seen = await probe("", ((first + JUNK)[:size],)).visit(address)
        kind = seen.answers[0].partition(" |")[0] if seen.answers else "silent"
        shown = seen.records[-1] if seen.records and probe is Plain else kind
        found.append(f"{size}: {shown}, {seen.end}")
    return Observation(answers=tuple(found))


async def _many_requests(address: Address) -> Observation:
    """When keep-alive ends (nginx: keepalive_requests)."""
    async with connected(address) as cable:
        channel = Channel(cable, Offer())
        await channel.open()
        for _ in range(MAX_REQUESTS):
            channel.send(GET)
            if cable.end:
                break
            await asyncio.sleep(0)
        end = await cable.until_end(QUICK_S * 3)
        app = bytes(channel.app)
        kept, closed = app.count(b"Connection: keep-alive"), app.count(b"Connection: close")
        return Observation(answers=(f"keep-alive {kept}, close {closed}",), end=end)


async def _early_data(address: Address) -> Observation:
    """Whether a ticket allows 0-RTT is for its owner to see; from outside: is early data ever accepted?"""
    hello = ClientHello().but(extra=unknown_ticket()).encode()
    async with connected(address) as cable:
        cable.write(hello + b"\x17\x03\x03\x00\x60" + JUNK[:96])
        await cable.turn()
        words = tls_answer.describe(bytes(cable.received))
        return Observation(records=words, end=await cable.until_end(QUICK_S))


def _resumption(name: str, offer: Offer, server_name: bytes | None = None) -> Procedure:
    return Procedure(f"resume: {name}", lambda address: _resume(address, offer, server_name))


PROBES: tuple[Probe, ...] = (
    _resumption("tls 1.3", Offer()),
    _resumption("tls 1.2", TLS12),
    _resumption("tls 1.2 by session id", Offer(max_version=SSL.TLS1_2_VERSION, tickets=False)),
    _resumption("tls 1.3 ticket under another name", Offer(), b"example.net"),
    Procedure("renegotiation", _renegotiate),
    Procedure("certificate chain", _chain),
    Procedure("ticket lifetime", _ticket_lifetime),
    Procedure("early data with an unknown ticket", _early_data),
    Procedure("threshold: junk in clear", lambda address: _threshold(address, Plain, b"\x01")),
    Procedure("threshold: high junk in clear", lambda address: _threshold(address, Plain, b"\x90")),
    Procedure("threshold: tls junk", lambda address: _threshold(address, Plain, b"\x16\x03\x01")),
    Procedure("threshold: letters in the channel", lambda address: _threshold(address, Web, b"A" * 600)),
    Procedure("threshold: junk in the channel", lambda address: _threshold(address, Web, b"")),
    Procedure("requests on one connection", _many_requests),
    Web("channel: plain handshake record in the channel", (Raw(b"\x16\x03\x03\x00\x05hello"),)),
)
