"""The file tree of BEP 52: dictionaries within dictionaries, one path component a key."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

from btresearch.errors import InputError
from btresearch.peer import filenames
from btresearch.peer.bencode import Encodable, Value
from btresearch.peer.merkle import HASH_BYTES

MAX_TREE_DEPTH = filenames.MAX_PATH_PARTS - 1
MAX_FILES = 200_000
_SYMLINK, _PADDING = b"l", b"p"

Refuse = Callable[[str], InputError]
"""Makes the error for a reason: it knows the file and the byte."""


@dataclass(frozen=True, slots=True)
class Leaf:
    """A file of the tree. `root` is None for an empty one. `symlink`: BEP 47's attribute l."""

    path: tuple[str, ...]
    length_bytes: int
    root: bytes | None
    symlink: bool = False


def read_tree(tree: Value | None, refuse: Refuse, max_bytes: int) -> list[Leaf]:
    """The files in the order of the tree. Raises InputError: `refuse` of what was expected."""
    if not isinstance(tree, dict) or b"" in tree:
        raise refuse("a dictionary of names that is no file itself")
    leaves: list[Leaf] = []
    for leaf in _walk(tree, (), refuse, max_bytes):
        leaves.append(leaf)
        if len(leaves) > MAX_FILES:
            raise refuse(f"at most {MAX_FILES} files")
    if not leaves:
        raise refuse("at least one file")
    return leaves


def write_tree(leaves: list[Leaf]) -> dict[bytes, Encodable]:
    """The dictionary of these files; bencoding sorts it."""
    tree: dict[bytes, Encodable] = {}
    for leaf in leaves:
        node = tree
        for part in leaf.path:
            node = node.setdefault(part.encode(), {})  # type: ignore[assignment]
        properties: dict[bytes, Encodable] = {b"length": leaf.length_bytes}
        if leaf.root is not None:
            properties[b"pieces root"] = leaf.root
        node[b""] = properties
    return tree


def _walk(
    tree: Mapping[bytes, Value], parents: tuple[str, ...], refuse: Refuse, max_bytes: int
) -> Iterator[Leaf]:
    if len(parents) >= MAX_TREE_DEPTH:
        raise refuse(f"a tree of at most {MAX_TREE_DEPTH} levels")
    if list(tree) != sorted(tree):
        raise refuse("names in their order, which is that of the pieces")
    for name, node in tree.items():
        path = (*parents, _text(name, refuse))
        if not isinstance(node, dict):
            raise refuse(f"a dictionary for {'/'.join(path)!r:.80}")
        if b"" not in node:
            yield from _walk(node, path, refuse, max_bytes)
        elif len(node) > 1:
            raise refuse(f"a file or a folder, but {'/'.join(path)!r:.80} is both")
        else:
            yield _leaf(path, node[b""], refuse, max_bytes)


def _leaf(path: tuple[str, ...], properties: Value, refuse: Refuse, max_bytes: int) -> Leaf:
    shown = f"{'/'.join(path)!r:.80}"
    if not isinstance(properties, dict):
        raise refuse(f"length and pieces root for {shown}")
    length, root, attributes = (properties.get(key) for key in (b"length", b"pieces root", b"attr"))
    symlink = isinstance(attributes, bytes) and _SYMLINK in attributes
    if symlink and length is None:
        length = 0
    if not isinstance(length, int) or not 0 <= length <= max_bytes:
        raise refuse(f"a length of 0 to {max_bytes} for {shown}, not {length!r:.40}")
    if isinstance(attributes, bytes) and _PADDING in attributes:
        raise refuse(f"no padding files, which BEP 52 has no use for: {shown}")
    if not length:
        return Leaf(path, 0, None, symlink)
    if not isinstance(root, bytes) or len(root) != HASH_BYTES or symlink:
        raise refuse(f"a pieces root of {HASH_BYTES} bytes for {shown}")
    return Leaf(path, length, root)


def _text(name: bytes, refuse: Refuse) -> str:
    try:
        return name.decode()
    except UnicodeDecodeError as error:
        raise refuse(f"a name in UTF-8, not {name[:40]!r}") from error
