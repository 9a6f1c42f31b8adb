"""Captures made by others: each ends in flows or a clear error, and every packet is accounted for."""

from __future__ import annotations

import random
from collections import Counter
from pathlib import Path

import pandas as pd
import pytest

from btresearch import flow
from btresearch.errors import InputError
from tests.flow.wire import C2S, S2C, connection, ethernet, tls_exchange, write

CHROME_JA4 = "t13d1516h2_8daaf6152771_e5627efa2ab1"
# python/test/testdata/*.json of github.com/FoxIO-LLC/ja4: JA4 per TCP source port
FOXIO_JA4 = {
    "tls-web/FoxIO-LLC_ja4__browsers-x509.pcapng": {54524: CHROME_JA4, 54525: CHROME_JA4, 54603: CHROME_JA4},
    "tls-web/FoxIO-LLC_ja4__http2-with-cookies.pcapng": {58847: CHROME_JA4},
    "other-encrypted/FoxIO-LLC_ja4__ssh2.pcapng": {
        57368: "t12d190800_d83cc789557e_7af1ed941c26",
        57371: "t12d1909h2_d83cc789557e_7af1ed941c26",
        57374: "t12d190800_d83cc789557e_7af1ed941c26",
        57375: CHROME_JA4,
        57376: "t12d1909h2_d83cc789557e_7af1ed941c26",
    },
}
# counts of damage that isn't a packet without a flow
NO_PACKETS = (
    "file_", "client_hello", "server_hello", "tcp_out_of_window", "fragments_incomplete", "ip_length_beyond_frame",
)  # fmt: skip


def unaccounted(flows: pd.DataFrame) -> int:
    attrs = flows.attrs
    damaged = sum(count for kind, count in attrs["damage"].items() if not kind.startswith(NO_PACKETS))
    in_flows = int((flows.packets_c2s + flows.packets_s2c).sum())
    return int(attrs["packets"]) - in_flows - damaged - sum(attrs["skipped"].values())


@pytest.mark.shared
def test_every_capture_ends_in_flows_or_a_clear_error(shared_pcaps: Path) -> None:
    found: Counter[str] = Counter()
    for path in sorted(shared_pcaps.glob("*/*")):
        try:
            flows = flow.read(path)
        except InputError as error:
            assert path.name in str(error)
            found["errors"] += 1
            continue
        assert unaccounted(flows) == 0, path.name
        found["read"] += 1
        found["tls"] += int(flows.is_tls.sum())
        if path.parent.name.startswith(("robustness", "tls")):
            flow.check(flows)
    assert found["read"] > 400
    assert found["errors"] <= 2
    assert found["tls"] > 400


@pytest.mark.shared
@pytest.mark.parametrize("name", FOXIO_JA4)
def test_ja4_of_its_authors_captures(shared_pcaps: Path, name: str) -> None:
    flows = flow.read(shared_pcaps / name)
    ours = {row.sport: row.ja4 for row in flows.itertuples() if row.ja4}
    assert ours == FOXIO_JA4[name]


def test_mutated_captures_end_in_flows_or_a_clear_error(tmp_path: Path) -> None:
    exchange = tls_exchange([(C2S, b"x"), (S2C, bytes(3000))], tmp_path)
    whole, rng = write(tmp_path / "x.pcap", ethernet(connection(exchange))).read_bytes(), random.Random(1)
    for _ in range(150):
        data = bytearray(whole)
        for _ in range(rng.randint(1, 12)):
            data[rng.randrange(24, len(data))] = rng.randrange(256)
        (tmp_path / "y.pcap").write_bytes(data)
        try:
            assert unaccounted(flow.check(flow.read(tmp_path / "y.pcap"))) == 0
        except InputError as error:  # the first record's header is damaged
            assert "y.pcap: byte 24: expected" in str(error)
