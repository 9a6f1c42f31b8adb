from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from btresearch.transport import LocalProtocolError
from btresearch.transport.btls import TorrentKey
from btresearch.transport.btls import hello as hello_codec
from btresearch.transport.btls.keys import ChannelSecrets, hkdf_expand, hkdf_extract
from tests.transport.btls import independent

VECTORS = json.loads((Path(__file__).parents[2] / "vectors" / "btls_basic.json").read_text())["vectors"]


def test_hkdf_rfc_5869_appendix_a1() -> None:
    prk = hkdf_extract(bytes(range(13)), b"\x0b" * 22)
    assert prk.hex() == "077709362c2e32df0ddc3f0dc47bba6390b6c73bb50f9c3122ec844ad7c2b3e5"
    assert hkdf_expand(prk, bytes(range(0xF0, 0xFA)), 42).hex() == (
        "3cb25f25faacd57a90434f64d0362f2a2d2d0a90cf1a5a4c5db02d56ecc4c5bf34007208d5b887185865"
    )


def test_there_are_vectors_for_v1_and_v2() -> None:
    assert {len(vector["infohash"]) for vector in VECTORS} == {40, 64}


@pytest.mark.parametrize("vector", VECTORS, ids=lambda vector: vector["infohash"][:8])
def test_published_vectors(vector: dict[str, str]) -> None:
    infohash, EKM, K = (bytes.fromhex(vector[name]) for name in ("infohash", "EKM", "K"))
    again = {name: value.hex() for name, value in independent.basic(infohash, EKM, K).items()}
    assert {name: vector[name] for name in again} == again
    key = TorrentKey.basic(infohash)
    assert key.SK.hex() == vector["SK"]
    assert key.lid.hex() == vector["LID"]
    assert key.tag(K).hex() == vector["tag"]
    assert key.proof("initiator", EKM).hex() == vector["initiator_proof"]
    assert key.proof("responder", EKM).hex() == vector["responder_proof"]
    encoded = hello_codec.encode(key, "initiator", ChannelSecrets(EKM, K), 3)
    assert encoded.hex() == vector["initiator_hello_pad_3"]


@given(
    st.binary(min_size=20, max_size=20),
    st.binary(min_size=32, max_size=32),
    st.binary(min_size=16, max_size=16),
)
@settings(deadline=None, max_examples=50)
def test_any_torrent_agrees_with_the_independent_computation(infohash: bytes, EKM: bytes, K: bytes) -> None:
    expected, key = independent.basic(infohash, EKM, K), TorrentKey.basic(infohash)
    assert (key.SK, key.lid, key.tag(K)) == (expected["SK"], expected["LID"], expected["tag"])
    assert key.proof("initiator", EKM) == expected["initiator_proof"]
    assert key.proof("responder", EKM) == expected["responder_proof"]


def test_levels_take_the_secret_they_need_and_part_ways() -> None:
    infohash, secret = bytes(20), bytes(range(32))
    strict = TorrentKey.derive(infohash, "strict", secret)
    assert independent.mac(b"bittorrent-tls strict", secret + infohash) == strict.SK
    assert (
        len({strict.SK, TorrentKey.derive(infohash, "full", secret).SK, TorrentKey.basic(infohash).SK}) == 3
    )


@pytest.mark.parametrize(("level", "secret"), [("basic", b"x" * 32), ("strict", b""), ("full", b"x" * 31)])
def test_a_wrong_secret_is_refused(level: str, secret: bytes) -> None:
    with pytest.raises(LocalProtocolError, match=level):
        TorrentKey.derive(bytes(20), level, secret)  # type: ignore[arg-type]


@pytest.mark.parametrize("length", [0, 19, 21, 40])
def test_an_infohash_has_one_of_two_lengths(length: int) -> None:
    with pytest.raises(LocalProtocolError, match="20 or 32"):
        TorrentKey.basic(bytes(length))


def test_key_material_stays_out_of_repr() -> None:
    key = TorrentKey.basic(bytes(20))
    assert key.SK.hex() not in repr(key)
    assert repr(key.SK) not in repr(key)
    assert "ekm" not in repr(ChannelSecrets(b"ekm", b"k"))
