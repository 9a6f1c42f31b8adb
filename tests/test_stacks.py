"""The recorder of TLS stacks: real programs against a listener on loopback, into a table that keeps the rest."""

from __future__ import annotations

import socket
import struct
import tomllib

import pytest

from btresearch.detect.tls_stacks import TABLE, stacks
from btresearch.stacks import CLIENTS, Stack, entry, first_flight, from_captures, record, unwrapped, write
from tests.conftest import ROOT
from tests.detect.wire import client_hello

WIRE = client_hello("localhost")
PYTHON = next(client for client in CLIENTS if client.name == "Python ssl")


def test_a_program_of_this_machine_is_recorded():
    found = record(PYTHON, 1)
    assert found is not None
    facts = entry(found)
    assert facts["hellos"] == 1 and facts["kind"] == "library" and facts["alpn"] == []
    assert found.name.startswith("Python ssl 3.")


def test_a_program_that_is_not_here_is_left_out():
    assert record(type(PYTHON)("x", "library", "x", ("nosuch",), lambda: ""), 1) is None


@pytest.mark.parametrize("pieces", [1, 2, 7])
def test_a_hello_may_come_in_several_records_and_pieces(pieces):
    message = WIRE[5:]
    size = -(-len(message) // pieces)
    cut = [message[at : at + size] for at in range(0, len(message), size)]
    stream = b"".join(struct.pack(">BHH", 22, 0x0301, len(part)) + part for part in cut)
    assert unwrapped(stream) == (0x0301, message)
    assert all(unwrapped(stream[:end]) is None for end in range(len(stream)))
    here, there = socket.socketpair()
    with here, there:
        there.sendall(stream)
        assert first_flight(here) == (0x0301, message)


@pytest.mark.parametrize("stream", [b"", b"GET / HTTP/1.1\r\n\r\n", WIRE[:-1]])
def test_what_is_no_hello_is_none(stream):
    here, there = socket.socketpair()
    with here:
        with there:
            there.sendall(stream)
        assert first_flight(here) is None


def test_ssl_torrents_come_from_labelled_captures():
    folders = sorted(path.parent for path in (ROOT / "captures").glob("*/labels.parquet"))
    [found] = from_captures(folders)
    assert found.kind == "bittorrent" and found.name.startswith("libtorrent 2.")
    assert entry(found)["ja4_bc"] == ["1d37bd780c83_8e6e362c5eac"]


def test_the_table_keeps_what_is_not_recorded(tmp_path):
    path = tmp_path / "stacks.toml"
    path.write_bytes(TABLE.read_bytes())
    kept = {k for k, facts in tomllib.loads(TABLE.read_text())["stacks"].items() if not facts["recorded"]}
    made = Stack("Mine 1.0", "library", "none", "a test", ((0x0301, WIRE[5:]),))
    assert write(path, [made]) == 1
    table = tomllib.loads(path.read_text())
    assert set(table["stacks"]) == kept | {"mine-1.0"} and len(kept) == 13
    assert len(table["families"]) == 3
    assert stacks(path).find("t13d0202h2_" + table["stacks"]["mine-1.0"]["ja4_bc"][0], "").name == "Mine 1.0"
