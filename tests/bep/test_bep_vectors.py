"""The vectors in paper/ are what the code says, and they agree with the code that does not make them."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from btresearch import bep, cli
from btresearch.bep import hellos, vectors
from btresearch.bep.examples import CHANNEL
from btresearch.transport.btls import Keyring, Responder, responder
from btresearch.transport.errors import RemoteProtocolError
from btresearch.transport.protocol import Bytes
from tests.transport.btls import independent

FOLDER = Path(__file__).parents[2] / "paper" / "vectors"


def load(name: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads((FOLDER / f"{name}.json").read_text())["vectors"]
    assert found
    return found


def test_no_difference() -> None:
    assert len(bep.check(FOLDER)) >= 14


def test_generated_twice_is_the_same() -> None:
    assert vectors.generate() == vectors.generate()


@pytest.mark.parametrize("name", sorted(path.stem for path in FOLDER.glob("*.json")))
def test_each_file_explains_itself(name: str) -> None:
    document = json.loads((FOLDER / f"{name}.json").read_text())
    assert set(document) == {"about", "section", "encoding", "vectors"}
    heading = document["section"]
    assert f"\n{heading}\n{'-' * len(heading)}\n" in (FOLDER.parent / "bep_tls.rst").read_text()
    assert f"``{name}.json``" in (FOLDER.parent / "bep_tls.rst").read_text()
    names = [vector["name"] for vector in document["vectors"]]
    assert len(names) == len(set(names))


@pytest.mark.parametrize("vector", load("key_schedule"), ids=lambda vector: vector["name"])
def test_keys_by_other_code(vector: dict[str, Any]) -> None:
    told, made = vector["inputs"], vector["outputs"]
    SK = independent.mac(
        f"bittorrent-tls {told['level_text']}".encode(),
        bytes.fromhex((told["secret32"] or "") + told["infohash"]),
    )
    assert made["SK"] == SK.hex()
    assert made["LID"] == independent.first_block(SK, b"lookup")[:16].hex()
    proof = independent.mac(independent.first_block(SK, b"proof initiator"), bytes.fromhex(told["EKM"]))
    assert made["initiator_proof"] == proof.hex()


class OneRecord:
    """A TLS engine whose handshake is over and that has received one record."""

    tls13, closed = True, False

    def __init__(self, record: bytes) -> None:
        self._record, self.said = record, bytearray()

    def feed(self, wire: Bytes) -> None:
        pass

    def handshake(self) -> bool:
        return True

    def records(self) -> Iterator[bytes]:
        record, self._record = self._record, b""
        if record:
            yield record

    def export(self, label: bytes, length: int) -> bytes:
        return {32: CHANNEL.EKM, 16: CHANNEL.K}[length]

    def write(self, app: Bytes) -> None:
        self.said += app

    def drain(self) -> bytes:
        return b""

    def forget(self) -> None:
        pass

    def shutdown(self) -> None:
        pass


@pytest.mark.parametrize("vector", load("first_record"), ids=lambda vector: vector["name"])
def test_a_responder_decides_so(vector: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    record = bytes.fromhex(vector["inputs"]["record"])
    engine = OneRecord(record)
    monkeypatch.setattr(responder, "accept", lambda _context: engine)
    identity: Any = type("Identity", (), {"context": None})
    peer = Responder(Keyring(hellos.SERVED), identity, entropy=bytes)
    try:
        app, _ = peer.receive(b"wire")
    except RemoteProtocolError:
        assert vector["outputs"]["decision_text"] == "close"
        assert not engine.said
        return
    assert peer.verdict == vector["outputs"]["decision_text"]
    assert app == (b"" if peer.verdict == "proven" else record)


def test_a_changed_file_is_named(tmp_path: Path) -> None:
    bep.write(tmp_path)
    (tmp_path / "hello.json").write_text("{}")
    (tmp_path / "stray.json").write_text("{}")
    with pytest.raises(bep.VectorsDiffer, match=r"hello\.json, stray\.json"):
        bep.check(tmp_path)


def test_a_missing_folder_is_no_traceback(tmp_path: Path) -> None:
    with pytest.raises(bep.VectorsDiffer, match=r"dispatch\.json"):
        bep.check(tmp_path / "nowhere")


def test_the_commands(tmp_path: Path) -> None:
    run = CliRunner()
    assert run.invoke(cli.app, ["paper", "vectors", "--folder", str(tmp_path)]).exit_code == 0
    assert (
        "as generated"
        in run.invoke(cli.app, ["paper", "vectors", "--check", "--folder", str(tmp_path)]).output
    )


def test_commit_by_hand() -> None:
    for vector in load("passphrase"):
        if vector["outputs"]["commit"] is None:
            continue
        secret = bytes.fromhex(vector["inputs"].get("secret32") or vector["outputs"]["secret32"])
        assert hashlib.sha256(b"bittorrent-tls commit" + secret).hexdigest() == vector["outputs"]["commit"]
