"""Which TLS stack sent the ClientHello, and does the hello agree with itself?

JA4's second and third part (cipher suites; extensions without server name and ALPN, with signature algorithms)
name the stack by the table of `tls_stacks`; NPF's string tells stacks of one JA4 apart. Then each consistency rule
of RULES gives a finding with a score of its own. The verdict:

- bittorrent: a server name of 40 or 64 hex digits from a stack that only BitTorrent clients send;
- flagged: such a name from any stack, a stack of BitTorrent clients under another name, or a finding that
  contradicts the stack (a Chromium that its authors could not have built);
- other: everything else. Oddities add up in the score and never flag alone: each has innocent causes.

The score is 1 - common x the product of (1 - score) over the findings. A stack that is not in the table is said to
be unknown, which is no accusation. One rule cannot be asked of a flow table: whether the server name was ever
looked up (`sni_unresolved`) needs the host's DNS answers, so it is never among the findings.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from ipaddress import ip_address
from typing import NamedTuple

import pandas as pd

from btresearch.detect.cells import blob, integer, rows, text
from btresearch.detect.contract import Verdict, abstain, answers, bittorrent, flagged, other
from btresearch.detect.tls_shape import Shape, shape_of
from btresearch.detect.tls_stacks import Stack, stacks

HEX_INFOHASH = re.compile(r"[0-9A-Fa-f]{40}(?:[0-9A-Fa-f]{24})?")
CHROMIUM_CIPHERS = "8daaf6152771"  # JA4's b of the list that Chromium's versions share
SIZE_SLACK_BYTES = 160  # GREASE ECH comes in steps of 32 bytes, and names make padding shorter
RECORDED_NAME_BYTES = len("localhost")
MOST = 0.99
CIPHERS_AT = 4 + 2 + 32  # message header, version, random; a session id of one length byte follows
AES, CHACHA = 1, 3  # HPKE AEAD identifiers, RFC 9180 section 7.3
ECH_OUTER = re.compile(
    rb"\xfe\x0d..\x00\x00\x01\x00([\x01\x03])", re.DOTALL
)  # type, length, outer, HKDF-SHA256


class Hello(NamedTuple):
    """What the rules look at; of `shape` None is "cannot be seen"."""

    ja3: str
    ja4: str
    sni: str
    alpn: str
    message: bytes = b""
    shape: Shape | None = None

    @property
    def ciphers(self) -> str:
        """JA4's second part."""
        return self.ja4.split("_")[1]


class Finding(NamedTuple):
    """One rule's answer: its name, how much it adds (0..1), the reason; `decides` flags by itself."""

    name: str
    score: float
    reason: str
    decides: bool = False


def stack_of(hello: Hello) -> Stack:
    """The stack that the table gives for the hello, or one that says that it is unknown."""
    return stacks().find(hello.ja4, hello.ja3)


def server_name(hello: Hello, _: Stack) -> Finding | None:
    """No name, an address (RFC 6066, section 3 forbids it), or an infohash."""
    name = hello.sni
    if not name:
        return Finding("sni_missing", 0.1, "no server name (as towards an IP address)")
    if HEX_INFOHASH.fullmatch(name):
        return Finding("sni_hex", 0.9, f"server name is {len(name)} hex digits", decides=True)
    if (name[-1].isdigit() or ":" in name) and _is_address(name):
        return Finding("sni_address", 0.3, "server name is an IP address, which RFC 6066 forbids")
    return None


def alpn_absent(hello: Hello, stack: Stack) -> Finding | None:
    """Browsers always offer ALPN; programs that speak no HTTP need none."""
    if hello.alpn:
        return None
    if stack.kind == "browser":
        return Finding("alpn_absent", 0.6, "no ALPN although this browser always offers it", decides=True)
    return Finding("alpn_absent", 0.1, "no ALPN")


def alpn_without_sni(hello: Hello, _: Stack) -> Finding | None:
    """HTTP towards an address: routers and tests do, the web does not."""
    if hello.sni or not hello.alpn:
        return None
    return Finding("alpn_without_sni", 0.1, "ALPN without a server name")


def ech_cipher(hello: Hello, _: Stack) -> Finding | None:
    """Chromium's GREASE ECH follows its cipher order: AES first, AES inside (uTLS until 1.8.1 drew it by lot)."""
    if hello.ciphers != CHROMIUM_CIPHERS or (found := ECH_OUTER.search(hello.message)) is None:
        return None
    aead, expected = found[1][0], CHACHA if first_suite(hello.message) == 0x1303 else AES
    if aead == expected:
        return None
    return Finding(
        "ech_cipher", 0.9, f"GREASE ECH with AEAD {aead}, the suites prefer {expected}", decides=True
    )


def first_suite(message: bytes) -> int:
    """The first TLS 1.3 cipher suite that a ClientHello offers; -1 if there is none."""
    if len(message) <= CIPHERS_AT:
        return -1
    at = CIPHERS_AT + 1 + message[CIPHERS_AT]
    listed = message[at + 2 : at + 2 + int.from_bytes(message[at : at + 2], "big")]
    return next((0x1300 | listed[i + 1] for i in range(0, len(listed) - 1, 2) if listed[i] == 0x13), -1)


def hello_size(hello: Hello, stack: Stack) -> Finding | None:
    """The hello is shorter or longer than this stack's were, names apart."""
    low, high = stack.hello_bytes
    if not high or not hello.message:
        return None
    size, allowed = len(hello.message), range(low - SIZE_SLACK_BYTES, high + SIZE_SLACK_BYTES + 1)
    if size - len(hello.sni) in allowed or size - RECORDED_NAME_BYTES in allowed:
        return None
    return Finding("hello_size", 0.3, f"hello of {size} B, this stack's have {low}..{high} B and the name")


def mutual_auth(hello: Hello, _: Stack) -> Finding | None:
    """The client sends a certificate: rare on the web, always so in SSL torrents."""
    shape = hello.shape
    if shape is None or not shape.certificate:
        return None
    flight = "+".join(map(str, shape.flight))
    return Finding("mutual_auth", 0.4, f"client's flight of {flight} B, Finished alone has {shape.finished}")


def no_tickets(hello: Hello, _: Stack) -> Finding | None:
    """The server sends no session ticket; most web servers send one or two."""
    if hello.shape is None or hello.shape.tickets is None or hello.shape.tickets:
        return None
    return Finding("no_tickets", 0.1, "no session ticket behind the handshake")


RULES = (server_name, alpn_absent, alpn_without_sni, ech_cipher, hello_size, mutual_auth, no_tickets)


def findings(hello: Hello, stack: Stack) -> list[Finding]:
    """Every rule's finding, in the order of RULES."""
    return [found for rule in RULES if (found := rule(hello, stack)) is not None]


def _is_address(name: str) -> bool:
    try:
        ip_address(name)
    except ValueError:
        return False
    return True


@dataclass(frozen=True, kw_only=True)
class TlsFingerprint:
    """Rarity and self-consistency of the ClientHello and of the handshake's lengths."""

    name: str = "tls_fingerprint"
    version: str = "2"
    cites: tuple[str, ...] = (
        "FoxIO, JA4 technical details (github.com/FoxIO-LLC/ja4)",
        "Salesforce, JA3 and JA3S (github.com/salesforce/ja3)",
        "Cisco, Network Protocol Fingerprinting (github.com/cisco/mercury, doc/npf.md)",
        "Frolov and Wustrow, The use of TLS in Censorship Circumvention, NDSS 2019 (rarity)",
        "uTLS GHSA-7m29-f4hw-g2vx (GREASE ECH that Chrome never sends)",
        "RFC 8446, sections 4.4.4 and 4.6.1 (lengths of Finished, tickets)",
        "libtorrent manual, SSL torrents (server name is the infohash)",
    )
    question: int = 1
    sees: tuple[str, ...] = (
        "ja3",
        "ja4",
        "sni",
        "alpn",
        "client_hello",
        "ja3s",
        "tls_version",
        "tls_cipher",
        "tls_dir",
        "tls_type",
        "tls_len",
    )
    needs: str = "a hello is judged by whether its server name and its size fit its stack"
    trained: bool = False

    def __call__(self, flows: pd.DataFrame) -> pd.DataFrame:
        """Verdict per flow; abstains where no ClientHello was seen."""
        return answers(flows.index, [_verdict(*row) for row in rows(flows, self.sees)])


NO_HELLO = abstain("no ClientHello")


def _verdict(
    ja3: object,
    ja4: object,
    sni: object,
    alpn: object,
    message: object,
    ja3s: object,
    version: object,
    cipher: object,
    *records: object,
) -> Verdict:
    if not text(ja4):
        return NO_HELLO
    shape = shape_of(integer(version), integer(cipher), *records)
    return judge(Hello(text(ja3), text(ja4), text(sni), text(alpn), blob(message), shape), text(ja3s))


def judge(hello: Hello, ja3s: str = "") -> Verdict:
    """The rule at the top of this module."""
    if hello.ja4.count("_") != 2:
        return NO_HELLO
    stack = stack_of(hello)
    odd = findings(hello, stack)
    innocent = stack.common
    for finding in odd:
        innocent *= 1 - finding.score
    score = min(MOST, 1 - innocent)
    crowd = f", shared by {stack.shared} stacks" if stack.shared > 1 else ""
    server = f", JA3S {ja3s}" if ja3s else ""
    told = "".join(f"; {f.name} {f.score:g}: {f.reason}" for f in odd)
    why = f"{stack.name} ({stack.source}{crowd}), JA4 {hello.ja4}{server}{told}"
    ours = stack.kind == "bittorrent"
    if ours and any(finding.name == "sni_hex" for finding in odd):
        return bittorrent(why)
    decided = ours or any(finding.decides for finding in odd)
    return flagged(why, score) if decided else other(why, score)


DETECTOR = TlsFingerprint()
