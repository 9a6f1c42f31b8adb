"""Which TLS stack sent the ClientHello, and does the hello agree with itself?

JA4's second and third part (cipher suites; extensions without server name and ALPN, with signature
algorithms) name the stack; the first part and the server name are then checked against what that
stack does. The table holds what was measured or published, with its source; a stack that is not in
it is said to be unknown, which is no accusation.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from ipaddress import ip_address
from typing import Literal, NamedTuple

import pandas as pd

from btresearch.detect.cells import rows, text
from btresearch.detect.contract import Verdict, abstain, answers, bittorrent, flagged, other

HEX_INFOHASH = re.compile(r"[0-9A-Fa-f]{40}")
NO_ALPN = "00"
MEASURED = "measured on Debian 12, November 2026"
README = "FoxIO-LLC/ja4 README"


class Stack(NamedTuple):
    """A TLS client stack; `common` from 1 (a browser: crowds share it) to 0 (a few programs do)."""

    name: str
    kind: Literal["browser", "family", "library", "bittorrent"]
    common: float
    source: str


BROWSER, LIBRARY, RARE = 0.95, 0.5, 0.1
STACKS: dict[str, Stack] = {
    "8daaf6152771_02713d6af862": Stack("Chrome", "browser", BROWSER, README),
    "8daaf6152771_f4f7aae15fbc": Stack("Chromium 156", "browser", BROWSER, MEASURED),
    "8daaf6152771_806a8c22fdea": Stack("Chrome as curl_cffi 0.16 sends it", "browser", BROWSER, MEASURED),
    "8daaf6152771_a323666e1952": Stack("Chrome as utls 2026.10 sends it", "browser", BROWSER, MEASURED),
    "5b57614c22b0_3cbfd9057e0d": Stack("Firefox as curl_cffi 0.16 sends it", "browser", BROWSER, MEASURED),
    "a09f3c656075_7f0f34a4126d": Stack("Safari as curl_cffi 0.16 sends it", "browser", BROWSER, MEASURED),
    "e8f1e7e78f70_b26ce05bbdd6": Stack("curl on OpenSSL 3.0", "library", LIBRARY, MEASURED),
    "723694b0fccc_899037bd0b8c": Stack("wget on GnuTLS", "library", LIBRARY, MEASURED),
    "85036bcba153_b26ce05bbdd6": Stack("Python requests on OpenSSL 3.0", "library", LIBRARY, MEASURED),
    "85036bcba153_d41ae481755e": Stack("Python ssl on OpenSSL 3.0", "library", LIBRARY, MEASURED),
    "a33745022dd6_1f22a2ca17c4": Stack("Node.js 18 on OpenSSL 3.0", "library", LIBRARY, MEASURED),
    # OpenSSL's default hello with post-quantum groups: any program on that OpenSSL without ALPN shares it.
    "1d37bd780c83_8e6e362c5eac": Stack("libtorrent 2.1.1 (wheel's OpenSSL)", "bittorrent", RARE, MEASURED),
}
# Where JA4 was not recorded.
STACKS_BY_JA3 = {
    "d39e1be3241d516b1f714bd47c2bc968": Stack("libtorrent 2.0.8 (OpenSSL 3.0)", "bittorrent", RARE, MEASURED),
}
# A cipher list that a browser's versions have in common; other programs on its TLS library have it too,
# so nothing that the browser always does may be expected of them.
FAMILIES = {
    "8daaf6152771": Stack("a Chromium-family cipher list", "family", 0.8, README),
    "5b57614c22b0": Stack("a Firefox-family cipher list", "family", 0.8, MEASURED),
    "a09f3c656075": Stack("a Safari-family cipher list", "family", 0.8, MEASURED),
}
UNKNOWN = Stack("a stack that is not in the table", "library", 0.4, "no entry")


class Hello(NamedTuple):
    """What the rules look at."""

    ja3: str
    ja4: str
    sni: str
    alpn: str

    @property
    def parts(self) -> list[str]:
        """JA4's a, b and c."""
        return self.ja4.split("_")


def stack_of(hello: Hello) -> Stack:
    """The stack by JA4's b and c, else by JA3, else the family by b, else UNKNOWN."""
    _, ciphers, extensions = hello.parts
    exact = STACKS.get(f"{ciphers}_{extensions}") or STACKS_BY_JA3.get(hello.ja3)
    return exact or FAMILIES.get(ciphers, UNKNOWN)


def oddities(hello: Hello, stack: Stack) -> list[str]:
    """What in the hello is unusual; the first word group is the rule's name."""
    found = []
    if not hello.sni:
        found.append("no server name (as towards an IP address)")
    elif _is_address(hello.sni):
        found.append("server name is an IP address, which RFC 6066 forbids")
    if not hello.alpn:
        found.append(
            "no ALPN" + (" although this browser always offers it" if stack.kind == "browser" else "")
        )
    return found


def _is_address(name: str) -> bool:
    try:
        ip_address(name)
    except ValueError:
        return False
    return True


@dataclass(frozen=True, kw_only=True)
class TlsFingerprint:
    """Rarity and self-consistency of the ClientHello."""

    name: str = "tls_fingerprint"
    version: str = "1"
    cites: tuple[str, ...] = (
        "FoxIO, JA4 technical details (github.com/FoxIO-LLC/ja4)",
        "Salesforce, JA3 (github.com/salesforce/ja3)",
        "Frolov and Wustrow, The use of TLS in Censorship Circumvention, NDSS 2019 (rarity)",
        "libtorrent manual, SSL torrents (server name is the infohash)",
    )
    question: int = 1
    sees: tuple[str, ...] = ("ja3", "ja4", "sni", "alpn")
    needs: str = "a hello is judged by whether its server name fits its stack"
    trained: bool = False

    def __call__(self, flows: pd.DataFrame) -> pd.DataFrame:
        """Verdict per flow; abstains where no ClientHello was seen."""
        return answers(flows.index, [judge(Hello(*map(text, row))) for row in rows(flows, self.sees)])


def judge(hello: Hello) -> Verdict:
    """Hex server name from a client of BitTorrent names it; a rare stack or a contradiction flags."""
    if len(hello.parts) != 3:
        return abstain("no ClientHello")
    stack = stack_of(hello)
    odd = oddities(hello, stack)
    why = f"{stack.name} ({stack.source}), JA4 {hello.ja4}" + "".join(f"; {o}" for o in odd)
    if HEX_INFOHASH.fullmatch(hello.sni):
        why += "; server name is 40 hex digits"
        return bittorrent(why) if stack.kind == "bittorrent" else flagged(why, 0.9)
    score = min(0.8, 1 - stack.common + 0.1 * len(odd))
    if stack.kind == "bittorrent" or (stack.kind == "browser" and not hello.alpn):
        return flagged(why, score)
    return other(why, score)


DETECTOR = TlsFingerprint()
