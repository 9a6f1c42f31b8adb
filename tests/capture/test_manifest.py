"""manifest.toml: there and back, and what is refused."""

from __future__ import annotations

from pathlib import Path

import pytest

from btresearch.capture import Load, Manifest, read_manifest, sha256_of
from btresearch.errors import InputError

MANIFEST = Manifest(
    scenario="mse", kind="wire", sha256="ab" * 32, packets=12, session="s1", seed=3, started_ns=5, profile="dsl",
    load=Load(before=0.5, after=1.25, cpus=2), tools={"libtorrent": "2.0.11", "odd name": 'a"b'}, notes=("one", "two"),
)  # fmt: skip


def test_round_trip(tmp_path: Path) -> None:
    MANIFEST.write(tmp_path / "manifest.toml")
    assert read_manifest(tmp_path / "manifest.toml") == MANIFEST


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        ("format = 1", "format = 2", "format 1"),
        ('kind = "wire"', 'kind = "imagined"', "wire or packetised"),
        ("packets = 12", 'packets = "12"', "int for 'packets'"),
        ("packets = 12\n", "", "the keys packets"),
        ("seed = 3", "sead = 3", "no key 'sead'"),
        ("cpus = 2", "cpu = 2", "no key 'cpu'"),
        ("seed = 3", "seed =", "a TOML file"),
    ],
)
def test_a_wrong_manifest_says_what_is_wrong(tmp_path: Path, old: str, new: str, expected: str) -> None:
    text = MANIFEST.to_toml()
    assert old in text
    (tmp_path / "manifest.toml").write_text(text.replace(old, new))
    with pytest.raises(InputError, match=expected):
        read_manifest(tmp_path / "manifest.toml")


def test_sha256_of_a_file(tmp_path: Path) -> None:
    (tmp_path / "abc").write_bytes(b"abc")
    # FIPS 180-2 appendix B.1
    assert sha256_of(tmp_path / "abc") == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
