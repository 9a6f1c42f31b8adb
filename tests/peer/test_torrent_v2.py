"""Reading v2 and hybrid torrents, BEP 52: what is kept, and every hostile one refused with its place."""

from __future__ import annotations

import hashlib
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from btresearch.errors import InputError
from btresearch.peer import Torrent, bencode, merkle
from btresearch.peer.authoring import FileHashes
from btresearch.peer.info import MAX_PIECES
from btresearch.peer.layers import layer_root
from btresearch.peer.piece_hash import PieceHash

PIECE = 32768
A, B = bytes(range(256)) * 300, b"b" * 100  # three pieces, and less than one


def hashed(content: bytes) -> FileHashes:
    return FileHashes.of(merkle.leaf_hashes(content), PIECE)


def properties(content: bytes, **changes: Any) -> dict[bytes, Any]:
    fields: dict[bytes, Any] = {b"length": len(content), b"pieces root": hashed(content).root}
    fields |= {key.replace("_", " ").encode(): value for key, value in changes.items()}
    return {b"": {key: value for key, value in fields.items() if value is not None}}


TREE: dict[bytes, Any] = {b"a": properties(A), b"b": {b"c": properties(B), b"e": {b"": {b"length": 0}}}}


def root(tree: Any = None, layers: Any = None, **changes: Any) -> dict[bytes, Any]:
    """A right v2 torrent, with `changes` of its info dictionary (None takes a key out)."""
    info: dict[bytes, Any] = {
        b"name": b"t",
        b"piece length": PIECE,
        b"meta version": 2,
        b"file tree": TREE if tree is None else tree,
    }
    info |= {key.replace("_", " ").encode(): value for key, value in changes.items()}
    info = {key: value for key, value in info.items() if value is not None}
    return {b"info": info, b"piece layers": {hashed(A).root: hashed(A).layer} if layers is None else layers}


def hybrid(files: Any = None) -> dict[bytes, Any]:
    padded = A + bytes(-len(A) % PIECE) + B
    sha1s = [hashlib.sha1(padded[at : at + PIECE]).digest() for at in range(0, len(padded), PIECE)]
    v1 = [
        {b"length": len(A), b"path": [b"a"]},
        {b"length": -len(A) % PIECE, b"path": [b".pad", b"x"], b"attr": b"p"},
        {b"length": len(B), b"path": [b"b", b"c"]},
        {b"length": 0, b"path": [b"b", b"e"]},
    ]
    return root(files=v1 if files is None else files, pieces=b"".join(sha1s))


def load(fields: dict[bytes, Any]) -> Torrent:
    return Torrent.load(bencode.encode(fields))


def test_v2() -> None:
    torrent = load(root())
    assert torrent.version == 2
    assert torrent.infohash_v2 == hashlib.sha256(torrent.info_bytes).digest()
    assert torrent.infohash == torrent.infohash_v2[:20]
    assert torrent.infohashes == (torrent.infohash_v2,)
    assert [(file.path, file.length_bytes, file.offset_bytes) for file in torrent.files] == [
        (("t", "a"), 76800, 0),
        (("t", "b", "c"), 100, 3 * PIECE),
        (("t", "b", "e"), 0, 4 * PIECE),
    ]
    assert [torrent.layout.piece_bytes(index) for index in range(torrent.piece_count)] == [
        PIECE,
        PIECE,
        76800 - 2 * PIECE,
        100,
    ]
    pieces = [A[:PIECE], A[PIECE : 2 * PIECE], A[2 * PIECE :], B]
    assert all(torrent.piece_hash(index).fits(piece) for index, piece in enumerate(pieces))
    assert not any(torrent.piece_hash(index).fits(bytes(len(piece))) for index, piece in enumerate(pieces))
    assert load(root()).dump() == bencode.encode(root())


def test_hybrid() -> None:
    torrent = load(hybrid())
    assert torrent.version == 3
    assert torrent.infohashes == (
        hashlib.sha1(torrent.info_bytes).digest(),
        hashlib.sha256(torrent.info_bytes).digest(),
    )
    assert [file.padding for file in torrent.files] == [False, True, False, False]
    assert torrent.piece_hash(2).fits(A[2 * PIECE :] + bytes(-len(A) % PIECE))
    assert torrent.piece_hash(3).fits(B)
    assert Torrent.load(torrent.dump()) == torrent


def test_one_file_of_the_torrents_name_is_the_torrent() -> None:
    torrent = load(root({b"t": properties(B)}, {}))
    assert [file.path for file in torrent.files] == [("t",)]
    assert load(root({b"u": properties(B)}, {})).files[0].path == ("t", "u")


def test_metadata_alone_verifies_nothing_over_one_piece() -> None:
    torrent = Torrent.from_info(load(root()).info_bytes)
    assert [file.path[-1] for file in torrent.missing_layers] == ["a"]
    assert not torrent.piece_hash(0).fits(A[:PIECE])
    assert torrent.piece_hash(3).fits(B)
    with pytest.raises(InputError, match="piece layers"):
        torrent.dump()
    whole = torrent.with_layers({hashed(A).root or b"": hashed(A).layer})
    assert whole.piece_hash(0).fits(A[:PIECE])


def test_a_symbolic_link_is_an_empty_file_and_said() -> None:
    link = {b"": {b"attr": b"l", b"symlink path": [b"..", b"passwd"]}}
    torrent = load(root({**TREE, b"z": link}))
    assert torrent.files[-1].length_bytes == 0
    assert any("symbolic link" in warning for warning in torrent.warnings)


def deep(levels: int) -> dict[bytes, Any]:
    tree = properties(B)
    for _ in range(levels):
        tree = {b"d": tree}
    return tree


LAYER = hashed(A).layer
REFUSED: dict[str, tuple[dict[bytes, Any], str]] = {
    "odd piece length": (root(piece_length=PIECE + 1), "a power of two"),
    "small piece length": (root(piece_length=8192), "a power of two"),
    "no tree": (root(file_tree=1), "file tree: a dictionary"),
    "empty tree": (root({}), "at least one file"),
    "root is a file": (root(properties(B)), "no file itself"),
    "file and folder": (root({b"a": {**properties(B), b"b": properties(B)}}), "both"),
    "a number": (root({b"a": 1}), "a dictionary for 'a'"),
    "too deep": (root(deep(70)), "levels of nesting"),
    "no root": (root({b"a": properties(B, pieces_root=None)}), "a pieces root of 32 bytes"),
    "short root": (root({b"a": properties(B, pieces_root=b"x" * 31)}), "a pieces root of 32 bytes"),
    "negative length": (root({b"a": properties(B, length=-1)}), "a length of 0"),
    "length is text": (root({b"a": properties(B, length=b"1")}), "a length of 0"),
    "padding": (root({b"a": properties(B, attr=b"p")}), "no padding files"),
    "link with content": (root({b"a": properties(B, attr=b"l")}), "a pieces root"),
    "up": (root({b"..": properties(B)}), "a name, not '..'"),
    "slash": (root({b"a/b": properties(B)}), "without separators"),
    "not UTF-8": (root({b"\xff": properties(B)}), "UTF-8"),
    "nothing but empty files": (root({b"a": {b"": {b"length": 0}}}, {}), "bytes of content"),
    "too many pieces": (root({b"a": properties(B, length=(MAX_PIECES + 1) * PIECE)}), "pieces, not"),
    "no layers": (root(layers=1), "without which no piece"),
    "a layer is missing": (root(layers={}), "3 hashes of 32 bytes for 't/a', not none"),
    "a short layer": (root(layers={hashed(A).root: LAYER[:-32]}), "not 64 bytes"),
    "a long layer": (root(layers={hashed(A).root: LAYER + bytes(32)}), "not 128 bytes"),
    "a wrong layer": (root(layers={hashed(A).root: LAYER[:-1] + b"x"}), "Merkle root"),
    "a strange layer": (root(layers={hashed(A).root: LAYER, bytes(32): LAYER}), "own files"),
    "hybrid of other files": (hybrid([{b"length": 229476 // 3, b"path": [b"a"]}]), "the v1 files"),
    "hybrid without padding": (
        hybrid(
            [
                {b"length": len(A), b"path": [b"a"]},
                {b"length": len(B), b"path": [b"b", b"c"]},
                {b"length": 0, b"path": [b"b", b"e"]},
            ]
        ),
        "padding that has 't/b/c' begin at byte 98304",
    ),
}


@pytest.mark.parametrize(("fields", "expected"), REFUSED.values(), ids=REFUSED.keys())
def test_refused_with_field_and_offset(fields: dict[bytes, Any], expected: str) -> None:
    data = bencode.encode(fields)
    with pytest.raises(InputError) as caught:
        Torrent.load(data)
    assert expected in str(caught.value)
    assert caught.value.offset is not None
    assert caught.value.offset < len(data)


def test_names_out_of_order_are_refused() -> None:
    data = bencode.encode(root({b"a": properties(B), b"b": properties(B)}, {}))
    one, two = (bencode.encode({name: properties(B)})[1:-1] for name in (b"a", b"b"))
    with pytest.raises(InputError, match="in their order"):
        Torrent.load(data.replace(one + two, two + one))


def test_the_same_name_twice_is_refused() -> None:
    data = bencode.encode(root({b"a": properties(B), b"b": properties(B)}, {}))
    with pytest.raises(InputError, match="each key once"):
        Torrent.load(data.replace(b"1:bd0:", b"1:ad0:"))


@settings(deadline=None, max_examples=100)
@given(st.data(), st.booleans())
def test_damage_raises_input_error_or_nothing(data: st.DataObject, both: bool) -> None:
    encoded = bytearray(bencode.encode(hybrid() if both else root()))
    for _ in range(data.draw(st.integers(1, 4))):
        encoded[data.draw(st.integers(0, len(encoded) - 1))] = data.draw(st.integers(0, 255))
    try:
        torrent = Torrent.load(bytes(encoded))
    except InputError:
        return
    assert Torrent.load(torrent.dump()) == torrent
    assert all(torrent.piece_hash(index).known for index in range(torrent.piece_count))


def test_a_hybrid_piece_must_fit_both() -> None:
    content = A[:20_000]
    leaves = merkle.leaf_hashes(content)
    root_hash, padded = merkle.root_of(leaves, level=0, depth=1), content + bytes(12_768)
    sha1 = hashlib.sha1(padded).digest()
    expected = PieceHash(sha1, root_hash, 20_000, 1)
    assert expected.fits(padded)
    assert not expected.fits(bytes(PIECE))
    # a peer's lie in the padding fits the root, and is no fault of the torrent
    assert not expected.fits(content + b"x" * 12_768)
    for wrong in (PieceHash(bytes(20), root_hash, 20_000, 1), PieceHash(sha1, bytes(32), 20_000, 1)):
        with pytest.raises(InputError, match="one content for both hashes"):
            wrong.fits(padded)


def test_layer_root_of_bep_52() -> None:
    # 3 pieces of 2 blocks: the fourth place holds the root of two zero leaves
    layer = merkle.split(LAYER)
    zeros = hashlib.sha256(bytes(64)).digest()
    left, right = (hashlib.sha256(a + b).digest() for a, b in ((layer[0], layer[1]), (layer[2], zeros)))
    assert layer_root(layer, PIECE) == hashlib.sha256(left + right).digest() == hashed(A).root
