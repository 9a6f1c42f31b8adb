"""The Emerging Threats rules for BitTorrent (emerging-p2p), a verified part of UniFi's intrusion prevention.

The rules run from the home network outwards; here a packet of either end counts, since either may be at home. Not
here: the rule over three DNS queries for a tracker in ten seconds (2016662), which counts over flows. Where the
collection's text was not at hand to the byte (Vuze's UDP sizes), the rule says "about".
"""

from __future__ import annotations

import numpy as np

from btresearch.detect.payloads import COLUMNS, PORTS, Bools, Payloads
from btresearch.detect.signature import HANDSHAKE, Rule, Signatures, starts, tcp, udp, within

QUERY, REPLY = b"d1:ad2:id20:", b"d1:rd2:id20:"  # BEP 5
TRACKER_CONNECT = bytes.fromhex("000004172710198000000000")  # BEP 15
DELIVERY_OPTIMISATION_PORT = 7680
CLASSIC_PORTS = (6881, 6889)
TRACKER_PORT = 6969
USER_AGENTS = (
    b"uTorrent", b"Transmission/", b"Deluge", b"libtorrent", b"rtorrent/", b"BitComet/", b"Azureus", b"BTWebClient",
    b"KTorrent", b"BitTornado/", b"Bittorrent", b"Enhanced-CTorrent", b"FDM 3.",
)  # fmt: skip


def _request(p: Payloads) -> Bools:
    return np.asarray(p.starts(bytes.fromhex("0000000d0600")) & (p.dport != DELIVERY_OPTIMISATION_PORT))


def _classic_handshake(p: Payloads) -> Bools:
    low, high = CLASSIC_PORTS
    return np.asarray(p.starts(HANDSHAKE) & (p.dport >= low) & (p.dport <= high))


def _announce(p: Payloads) -> Bools:
    return within(starts(b"GET"), b"/announce", b"info_hash=")(p)


def _announce_6969(p: Payloads) -> Bools:
    return np.asarray(within(starts(b"GET"), b"/announce")(p) & (p.dport == TRACKER_PORT))


def _torrent_file(p: Payloads) -> Bools:
    found = within(starts(b"GET "), b".torrent")(p)
    for at in np.flatnonzero(found):
        found[at] = b".torrent" in p.payload[at].partition(b"\r\n")[0].lower()
    return found


def _user_agent(p: Payloads) -> Bools:
    asks = p.contains(b"\r\nUser-Agent: ", starts(b"GET ", b"POST ")(p))
    for at in np.flatnonzero(asks):
        agent = p.payload[at].partition(b"\r\nUser-Agent: ")[2]
        asks[at] = agent.startswith(USER_AGENTS)
    return asks


def _vuze_handshake(p: Payloads) -> Bools:
    return p.contains(b"AZVER\x01", p.k == 0)


def _metainfo(p: Payloads) -> Bools:
    body = within(starts(b"HTTP/1."), b"\r\n\r\nd8:announce")(p)
    return np.asarray(body | p.starts(b"d8:announce"))


def _vuze(p: Payloads) -> Bools:
    return np.asarray(p.starts(b"\0\0\4") & np.isin(p.length, (80, 94)))


DETECTOR = Signatures(
    name="et_p2p",
    version="1",
    cites=(
        "Emerging Threats open rules, emerging-p2p.rules, 2020 (SIDs in the answers)",
        "A UniFi gateway's log line that blocks by SID 2008581 (P2P policy)",
    ),
    rules=(
        Rule("2008581 DHT query", udp(starts(QUERY))),
        Rule("2008583 DHT nodes reply", udp(within(starts(REPLY), b"5:nodes"))),
        Rule("2000334 request message", tcp(_request)),
        Rule("2000357 piece message", tcp(starts(bytes.fromhex("0000400907000000")))),
        Rule("2102181 handshake to port 6881-6889", tcp(_classic_handshake)),
        Rule("2010139 Vuze handshake", tcp(_vuze_handshake)),
        Rule("2010144 UDP tracker connect", udp(lambda p: p.starts(TRACKER_CONNECT) & (p.length < 20))),
        Rule("2010140-2010143 about: Vuze DHT", udp(_vuze)),
        Rule("2102180 tracker announce", tcp(_announce)),
        Rule("2000369 announce to port 6969", tcp(_announce_6969)),
        Rule("2007727 .torrent in a request line", tcp(_torrent_file)),
        Rule("2014734 .torrent file", tcp(_metainfo)),
        Rule("User-Agent of a BitTorrent client", tcp(_user_agent)),
    ),
    packets=20,
    sees=(*COLUMNS, *PORTS),
    needs="three rules name ports: 6881-6889 and 6969 to match, 7680 to leave out",
)
