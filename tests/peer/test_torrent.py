"""Reading .torrent files: what is kept, and every hostile one refused with its place."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from btresearch.errors import InputError
from btresearch.peer import Torrent, bencode
from btresearch.peer.tls_info import Kdf, TlsInfo

PIECE = 16384


def info(**changes: object) -> dict[bytes, object]:
    """A right info dictionary of one file of 20,000 bytes, with `changes` (None takes a key out)."""
    fields: dict[bytes, object] = {
        b"name": b"data.bin",
        b"piece length": PIECE,
        b"pieces": b"h" * 40,
        b"length": 20_000,
    }
    for key, value in changes.items():
        fields[key.replace("_", " ").encode()] = value
    return {key: value for key, value in fields.items() if value is not None}


def folder(*paths: list[bytes], length: int = 10, **changes: object) -> dict[bytes, object]:
    files = [{b"length": length, b"path": path} for path in paths]
    count = -(-length * len(paths) // PIECE)
    return info(length=None, files=files, pieces=b"h" * 20 * count, **changes)


def load(fields: object, **root: object) -> Torrent:
    return Torrent.load(bencode.encode({"info": fields, **root}))  # type: ignore[dict-item]


def test_single_file() -> None:
    torrent = load(info(), announce="http://tracker/announce")
    assert torrent.infohash == hashlib.sha1(bencode.encode(info())).digest()  # type: ignore[arg-type]
    assert [(file.path, file.length_bytes, file.offset_bytes) for file in torrent.files] == [
        (("data.bin",), 20_000, 0)
    ]
    assert torrent.total_bytes == 20_000
    assert torrent.piece_count == torrent.layout.piece_count == 2
    assert torrent.layout.piece_bytes(1) == 20_000 - PIECE
    assert torrent.announce == (("http://tracker/announce",),)
    assert not torrent.private


def test_folder_has_offsets_and_begins_with_its_name() -> None:
    torrent = load(folder([b"a", b"b"], [b"c"]))
    assert [(file.path, file.offset_bytes) for file in torrent.files] == [
        (("data.bin", "a", "b"), 0),
        (("data.bin", "c"), 10),
    ]


def test_infohash_is_of_the_bytes_that_came() -> None:
    # keys out of order: a reader that re-encodes would compute another infohash
    raw = b"d4:name8:data.bin12:piece lengthi16384e6:pieces40:" + b"h" * 40 + b"6:lengthi20000ee"
    torrent = Torrent.load(b"d4:info" + raw + b"e")
    assert torrent.infohash == hashlib.sha1(raw).digest()
    assert torrent.info_bytes == raw
    assert any("out of order" in warning for warning in torrent.warnings)
    assert Torrent.load(torrent.dump()) == torrent


def test_tls_of_the_file_is_kept_and_never_exported_unasked() -> None:
    wanted = TlsInfo.create("strict", bytes(32))
    tls = bencode.decode(wanted.encode())
    torrent = load(info(tls=tls), tls={"require": 1}, **{"tls secret": b"s" * 32})
    assert torrent.tls_info == wanted
    assert (torrent.secret, torrent.requires_tls) == (b"s" * 32, True)
    assert b"tls secret" not in torrent.dump() and Torrent.load(torrent.dump()).secret is None
    assert Torrent.load(torrent.dump(with_secret=True)) == torrent
    assert b"s" * 32 not in repr(torrent).encode()


def test_a_secret_has_no_say_beside_a_passphrase_or_without_a_level() -> None:
    tls = bencode.decode(TlsInfo.create("strict", bytes(32), kdf=Kdf(bytes(16))).encode())
    for each in (info(tls=tls), info()):
        assert load(each, **{"tls secret": b"s" * 32}).secret is None


@pytest.mark.parametrize(
    ("root", "requires"), [({"require": 1}, True), ({"require": 0}, False), ({}, False), (1, False)]
)
def test_tls_beside_the_info_dictionary_only_raises_the_policy(root: object, requires: bool) -> None:
    torrent = load(info(), tls=root)
    assert (torrent.requires_tls, torrent.tls_info) == (requires, None)


@pytest.mark.parametrize("tls", [1, {}, {"v": 2, "level": "strict", "commit": "c" * 32}])
def test_tls_that_is_not_understood_is_refused(tls: object) -> None:
    with pytest.raises(InputError, match="tls"):
        load(info(tls=tls))


def test_tiers_of_bep_12_win_over_announce() -> None:
    torrent = load(
        info(), **{"announce": "http://a", "announce-list": [["http://b", "http://c"], ["udp://d"]]}
    )
    assert torrent.announce == (("http://b", "http://c"), ("udp://d",))
    assert Torrent.load(torrent.dump()).announce == torrent.announce


def test_dump_keeps_what_it_does_not_know() -> None:
    torrent = load(info(private=1, source="x"), **{"comment": "hello", "url-list": ["http://web"]})
    again = Torrent.load(torrent.dump())
    assert again == torrent
    assert again.private
    assert again.root[b"comment"] == b"hello"


def test_padding_files_may_repeat_their_names() -> None:
    pad = {b"length": 5, b"path": [b".pad", b"5"], b"attr": b"p"}
    files = [{b"length": 10, b"path": [b"a"]}, pad, {b"length": 10, b"path": [b"b"]}, pad]
    torrent = load(info(length=None, files=files, pieces=b"h" * 20))
    assert [file.padding for file in torrent.files] == [False, True, False, True]


NAMES = {
    "parent": b"..",
    "here": b".",
    "empty": b"",
    "absolute": b"/etc/passwd",
    "climbing": b"../../etc/passwd",
    "backslash": b"..\\..\\windows",
    "NUL": b"a\x00b",
    "newline": b"a\nb",
    "escape": b"\x1b[2J",
    "drive": b"C:evil",
    "long": b"x" * 256,
    "not UTF-8": b"\xff\xfe",
}


@pytest.mark.parametrize("name", NAMES.values(), ids=NAMES.keys())
def test_unsafe_names_are_refused_everywhere(name: bytes) -> None:
    with pytest.raises(InputError, match=r"info\.name"):
        load(info(name=name))
    with pytest.raises(InputError, match=r"info\.files"):
        load(folder([b"ok", name]))
    with pytest.raises(InputError, match=r"info\.files"):
        load(folder([name, b"ok"]))


REFUSED = {
    "no info": ({"x": 1}, "info dictionary"),
    "info is a list": ({"info": []}, "info dictionary"),
    "no name": ({"info": info(name=None)}, "info.name"),
    "no pieces": ({"info": info(pieces=None)}, "2 hashes"),
    "v2 without files": ({"info": info(pieces=None, meta_version=2)}, "info.file tree: a dictionary"),
    "later version": ({"info": info(meta_version=3)}, "info.meta version: version 2"),
    "too few hashes": ({"info": info(pieces=b"h" * 20)}, "2 hashes of 20 bytes, not 20 bytes"),
    "half a hash": ({"info": info(pieces=b"h" * 41)}, "2 hashes"),
    "zero piece length": ({"info": info(piece_length=0)}, "info.piece length"),
    "negative piece length": ({"info": info(piece_length=-1)}, "info.piece length"),
    "huge piece length": ({"info": info(piece_length=1 << 40)}, "info.piece length"),
    "negative length": ({"info": info(length=-1)}, "info.length"),
    "no content": ({"info": info(length=0, pieces=b"")}, "bytes of content, not 0"),
    "huge length": ({"info": info(length=1 << 60)}, "info.length"),
    "length and files": ({"info": info(files=[])}, "either length or files"),
    "neither": ({"info": info(length=None)}, "either length or files"),
    "no files": ({"info": info(length=None, files=[])}, "a list of files"),
    "file is a number": ({"info": info(length=None, files=[1])}, "a dictionary for each file"),
    "negative file": ({"info": folder([b"a"], [b"b"], length=-5)}, "file length"),
    "no path": ({"info": folder([])}, "a path of at least one part"),
    "deep path": ({"info": folder([b"a"] * 100)}, "a path of 1 to 64 parts"),
    "long path": ({"info": folder([b"a" * 200] * 20)}, "a path of at most 3072 bytes"),
    "same twice": ({"info": folder([b"a"], [b"a"])}, "each path once"),
    "file then folder": ({"info": folder([b"a"], [b"a", b"b"])}, "files and folders apart"),
    "folder then file": ({"info": folder([b"a", b"b"], [b"a"])}, "files and folders apart"),
}


@pytest.mark.parametrize(("root", "expected"), REFUSED.values(), ids=REFUSED.keys())
def test_refused_with_field_and_offset(root: dict[str, object], expected: str) -> None:
    data = bencode.encode(root)  # type: ignore[arg-type]
    with pytest.raises(InputError) as caught:
        Torrent.load(data)
    assert expected in str(caught.value)
    assert caught.value.offset is not None
    assert caught.value.offset < len(data)


def test_every_truncation_is_refused() -> None:
    data = load(info(), announce="http://t").dump()
    for end in range(len(data)):
        with pytest.raises(InputError):
            Torrent.load(data[:end])


@settings(deadline=None, max_examples=100)
@given(st.data())
def test_damage_raises_input_error_or_nothing(data: st.DataObject) -> None:
    encoded = bytearray(load(folder([b"a"], [b"b", b"c"])).dump())
    for _ in range(data.draw(st.integers(1, 4))):
        encoded[data.draw(st.integers(0, len(encoded) - 1))] = data.draw(st.integers(0, 255))
    try:
        torrent = Torrent.load(bytes(encoded))
    except InputError:
        return
    for file in torrent.files:
        assert ".." not in file.path
        assert not any("/" in part or part == "" for part in file.path)


def test_odd_names_are_remarked_not_refused() -> None:
    torrent = load(folder([b"nul.txt"], [b"a."], ["x\u202egpj.exe".encode()], [b"Case"], [b"case"]))
    remarks = " ".join(torrent.warnings)
    assert "nul.txt" in remarks
    assert "direction of writing" in remarks
    assert "differs from another path" in remarks


def test_unreadable_and_oversized_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(InputError, match=r"none\.torrent: expected a readable"):
        Torrent.load(tmp_path / "none.torrent")
    path = tmp_path / "big.torrent"
    path.write_bytes(load(info()).dump())
    assert Torrent.load(path) == Torrent.load(str(path)) == load(info())
    monkeypatch.setattr("btresearch.peer.torrent.MAX_INFO_BYTES", 10)
    with pytest.raises(InputError, match="at most 20 bytes"):
        Torrent.load(path)


def test_metadata_alone_makes_the_same_torrent() -> None:
    torrent = load(info())
    assert Torrent.from_info(torrent.info_bytes) == torrent


def test_piece_hash_is_by_index() -> None:
    torrent = load(info(pieces=b"a" * 20 + b"b" * 20))
    assert [torrent.piece_hash(index).sha1 for index in (0, 1)] == [b"a" * 20, b"b" * 20]
    for index in (-1, 2):
        with pytest.raises(IndexError):
            torrent.piece_hash(index)


@pytest.mark.interop
def test_libtorrent_computes_the_same_infohash() -> None:
    libtorrent = pytest.importorskip("libtorrent")
    torrent = load(folder([b"a", b"b"], [b"c"], private=1))
    other = libtorrent.torrent_info(libtorrent.bdecode(torrent.dump()))
    assert other.info_hash().to_bytes() == torrent.infohash
    assert (other.num_files(), other.total_size(), other.num_pieces()) == (2, 20, 1)
