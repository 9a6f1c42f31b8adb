"""The claims of E1 as a literal table, and how each is checked.

A claim is (what is expected, of which detector, over which cells, within which rates). The report prints the
expectation beside the finding, whichever way it falls. They were written before the first capture; one that was
changed or added later says so (`Claim.revised`).
"""

from __future__ import annotations

from dataclasses import dataclass, field

import pandas as pd

from btresearch.evidence.evidence import Finding
from btresearch.evidence.intervals import clopper_pearson, resampled
from btresearch.evidence.matrix import pooled

Where = dict[str, str | tuple[str, ...]]
BTLS = ("btls_basic",)
COVER: Where = {"class_": "cover"}
UNMEASURED = "no flow of these cells was captured or judged, or the detector is not installed"


@dataclass(frozen=True)
class Claim:
    """A prediction about one detector's rate over some cells: `at_least` <= rate <= `at_most`.

    `counts` says what is counted: `flagged` (a censor would act) or `named` (the detector says BitTorrent). With
    `applicable` the rate is over the flows on which the detector did not abstain. `revised` says how the claim was
    changed since it was first written; then it may owe something to results that were seen.
    """

    id: str
    question: int
    adversary: str
    text: str
    detector: str
    where: Where = field(hash=False)
    at_least: float
    at_most: float
    caveat: str
    counts: str = "flagged"
    applicable: bool = False
    revised: str = ""

    def check(self, counted: pd.DataFrame, *, seed: int = 0, kind: str = "") -> Finding:
        """Compare the prediction with the rate over the sessions of `matrix.tally`; `kind` names their capture."""
        sums = pooled(counted, detector=self.detector, **self.where)
        abstained = int(sums["abstained"].sum())
        if self.applicable:
            sums["n"] -= sums["abstained"]
        sums = sums[sums["n"] > 0]
        result, holds = UNMEASURED, None
        if len(sums):
            result, holds = self._compare(sums, seed)
            result += f"; it abstained on {abstained} more" if self.applicable else ""
        caveat = self.caveat + (f" Revised: {self.revised}" if self.revised else "")
        name, n = f"{self.id} {kind}".rstrip(), int(sums["n"].sum())
        return Finding(name, self.question, self.adversary, self.text, n, result, holds, caveat)

    def _compare(self, sums: pd.DataFrame, seed: int) -> tuple[str, bool]:
        hits, n = int(sums[self.counts].sum()), int(sums["n"].sum())
        text = f"{hits} of {n} {self.counts} in {len(sums)} sessions ({hits / n:.1%}; 95 % interval"
        low, high = resampled(sums[self.counts].to_numpy(float), sums["n"].to_numpy(float), seed=seed)
        text += f" by session {low:.1%} to {high:.1%}," if 0 < hits < n and len(sums) > 1 else ""
        low, high = clopper_pearson(hits, n)
        text += f" {low:.1%} to {high:.1%} if flows were independent)"
        text += f"; 0 of {n} is a bound of {3 / n:.2%} at best, not a proof" if hits == 0 else ""
        return text, self.at_least <= hits / n <= self.at_most


CLAIMS = (
    Claim(
        "fet-mse", 1, "A1 national first-packet filter",
        "The rule published for the Great Firewall flags MSE/PE: the randomness of its key exchange gives it away.",
        "fet", {"transport": ("mse_rc4", "mse_plain")}, 0.97, 1.0,
        "The rule alone: the deployed system also samples 26.3 % of connections and a set of address ranges.",
    ),
    Claim(
        "fet-btls", 1, "A1 national first-packet filter",
        "The Great Firewall's rule exempts BitTorrent over TLS, as it exempts every TLS ClientHello.",
        "fet", {"transport": BTLS}, 0.0, 0.0,
        "Exemption by the first three bytes; a filter that also checks the ClientHello is another claim.",
    ),
    Claim(
        "fet-cover", 1, "A1 national first-packet filter",
        "That rule exempts real TLS too, which is why a censor can afford it.",
        "fet", COVER, 0.0, 0.0, "Lab false-positive rate over the cover kinds of this corpus only.",
    ),
    Claim(
        "ndpi-clear", 1, "A0 entry-level gateway (stand-in)",
        "nDPI names clear-text BitTorrent.",
        "ndpi", {"transport": "clear"}, 1.0, 1.0, "One flow at a time, so that nothing comes from its endpoint cache.",
    ),
    Claim(
        "ndpi-mse", 1, "A0 entry-level gateway (stand-in)",
        "nDPI does not name MSE/PE with RC4 over TCP from its content.",
        "ndpi", {"transport": "mse_rc4"}, 0.0, 0.05,
        "It may still raise a risk (fully encrypted or obfuscated flow), see the matrix; and with clear-text DHT, uTP "
        "or tracker traffic beside it nDPI labels the endpoint and names the flow all the same.",
        counts="named", revised="counted flagged flows at first, named ones since nDPI's risks count as flagged.",
    ),
    Claim(
        "ndpi-btls", 1, "A0 entry-level gateway (stand-in)",
        "nDPI does not name BitTorrent over TLS.",
        "ndpi", {"transport": BTLS}, 0.0, 0.0,
        "An open engine as stand-in: no vendor's rules are public, and a flow left unnamed here may be named there.",
        counts="named", revised="counted flagged flows at first; risks are the next claim since results were seen.",
    ),
    Claim(
        "ndpi-btls-risk", 1, "A0 entry-level gateway (stand-in)",
        "nDPI does not raise a risk on BitTorrent over TLS that counts as a suspicion here.",
        "ndpi", {"transport": BTLS}, 0.0, 0.0,
        "A browser's hello to a bare address (ALPN, no SNI) gets the same risk: cover kind chrome_by_address.",
        revised="added after first results were seen.",
    ),
    Claim(
        "infohash-ssl", 1, "A1 with a crawler's list of infohashes",
        "libtorrent's SSL torrents (2012) carry the infohash in clear in the SNI.",
        "infohash_scan", {"transport": "ssl_torrent"}, 1.0, 1.0,
        "libtorrent's implementation; the hex SNI needs no list.",
    ),
    Claim(
        "infohash-btls", 1, "A1 with a crawler's list of infohashes",
        "No form of the infohash appears in BitTorrent over TLS.",
        "infohash_scan", {"transport": BTLS}, 0.0, 0.0,
        "Searched: raw, hex, base32, percent-encoded and reversed, in the SNI and the first 16 KiB each way.",
    ),
    Claim(
        "tstat-mse", 1, "A0 operator's passive probe",
        "Tstat's size and nibble-entropy rule, the one open rule that names MSE/PE, finds it.",
        "tstat_mse", {"transport": "mse_rc4"}, 0.6, 1.0,
        "Rates depend on how a client splits its first two messages into segments.",
    ),
    Claim(
        "tstat-btls", 1, "A0 operator's passive probe",
        "Tstat's rule does not find BitTorrent over TLS.",
        "tstat_mse", {"transport": BTLS}, 0.0, 0.05, "The rule is not evaluated by Tstat once TLS is recognised.",
    ),
    Claim(
        "fingerprint-btls", 1, "A1 with a table of ClientHello fingerprints",
        "btls's ClientHello is a browser's, so a fingerprint table does not single it out.",
        "tls_fingerprint", {"transport": BTLS}, 0.0, 0.05,
        "A browser's hello without SNI to an IP literal is rare in the wild; how rare, this lab can't say.",
    ),
    Claim(
        "fingerprint-ssl", 1, "A1 with a table of ClientHello fingerprints",
        "The ClientHello of libtorrent's SSL torrents is singled out.",
        "tls_fingerprint", {"transport": "ssl_torrent"}, 0.95, 1.0, "One version of libtorrent and its OpenSSL.",
    ),
    Claim(
        "tail-ssl", 2, "A2 flow statistics, fixed rule",
        "Record lengths betray libtorrent's SSL torrents: 16384-byte blocks leave 13-byte tails.",
        "record_tail", {"transport": "ssl_torrent"}, 0.95, 1.0,
        "Flows of at least 4 full records (64 KiB one way); the rule abstains on shorter ones.", applicable=True,
        revised="over all flows at first.",
    ),
    Claim(
        "tail-none", 2, "A2 flow statistics, fixed rule",
        "Record lengths betray btls without re-chunking (shape none) in the same way.",
        "record_tail", {"transport": BTLS, "shape": "none"}, 0.95, 1.0,
        "The ablation, not the default; flows of at least 4 full records.", applicable=True,
        revised="over all flows at first.",
    ),
    Claim(
        "tail-rechunk", 2, "A2 flow statistics, fixed rule",
        "Re-chunking (the default) removes the record tails.",
        "record_tail", {"transport": BTLS, "shape": "rechunk"}, 0.0, 0.1,
        "It removes this rule's evidence only; sizes, directions and times remain, see SPID.", applicable=True,
        revised="over all flows at first.",
    ),
    Claim(
        "tail-cover", 2, "A2 flow statistics, fixed rule",
        "The tail rule stays silent on real TLS.",
        "record_tail", COVER, 0.0, 0.02, "Lab false-positive rate over the cover kinds of this corpus only.",
        applicable=True, revised="over all flows at first, which diluted the rate with flows too short for the rule.",
    ),
    Claim(
        "spid-mse", 2, "A2 flow statistics, fixed model of the literature",
        "SPID (15 meters, 20 frames, trained on this lab's sessions) recognises MSE/PE.",
        "spid", {"transport": ("mse_rc4", "mse_plain")}, 0.8, 1.0,
        "The published model is lost; ours is trained on other sessions of the same lab, which flatters it. "
        "13 of its 15 meters read payload bytes: it is no test of sizes and directions alone.",
    ),
    Claim(
        "spid-btls", 2, "A2 flow statistics, fixed model of the literature",
        "The fixed model, which has never met btls, does not call it BitTorrent.",
        "spid", {"transport": BTLS}, 0.0, 0.1, "A model that has met it is the next row.",
    ),
    Claim(
        "spid-adaptive", 2, "A3 adaptive, trained on btls",
        "Trained on btls, SPID misses at least half of the flows in the default shape.",
        "spid_adaptive", {"transport": BTLS, "shape": "rechunk"}, 0.0, 0.5,
        "We predict this claim to be at risk: btls is a different program than the cover, and SPID sees that too: "
        "its handshake too, not its bulk alone (see the shortcut controls below the matrix).",
        revised="said 'no better than chance', which the same limit of one half does not measure.",
    ),
    Claim(
        "spid-adaptive-cover", 2, "A3 adaptive, trained on btls",
        "The adaptive model's lab false positives on real TLS stay below 5 %.",
        "spid_adaptive", COVER, 0.0, 0.05, "Cover kinds of this corpus; a base rate of 1:1000 needs far less.",
    ),
)  # fmt: skip


def findings(counted: pd.DataFrame, *, seed: int = 0) -> tuple[Finding, ...]:
    """Every claim checked against the table of `matrix.tally`; those that failed first.

    Captures of two kinds (wire, packetised) are never pooled: each claim is then checked for both.
    """
    kinds = sorted(counted["capture"].unique()) or [""]
    found = [
        claim.check(
            counted[counted["capture"] == kind], seed=seed, kind=f"[{kind}]" if len(kinds) > 1 else ""
        )
        for kind in kinds
        for claim in CLAIMS
    ]
    return tuple(sorted(found, key=lambda f: {False: 0, None: 1, True: 2}[f.holds]))
