"""One test vector and the file that holds a family of them, as JSON that explains itself."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TypeAlias

Plain: TypeAlias = "bytes | str | int | bool | Sequence[Plain] | Mapping[str, Plain] | None"
"""What a vector's fields hold; bytes become hexadecimal digits."""

ENCODING = (
    "Strings are bytes in hexadecimal, but for the fields whose names end in _text. "
    "Numbers, true, false and null are themselves; null stands for nothing."
)


@dataclass(frozen=True)
class Vector:
    """Inputs and the outputs that follow from them by the rules of the BEP."""

    name: str
    inputs: Mapping[str, Plain]
    outputs: Mapping[str, Plain]
    comment: str = ""


@dataclass(frozen=True)
class Family:
    """The vectors of one file. `section` is the heading of the BEP that they belong to."""

    name: str
    section: str
    about: str
    vectors: Sequence[Vector] = field(repr=False)

    def dump(self) -> bytes:
        """The JSON file: sorted nowhere, indented by one, ASCII, one final newline."""
        document = {
            "about": self.about,
            "section": self.section,
            "encoding": ENCODING,
            "vectors": [_listed(vector) for vector in self.vectors],
        }
        return (json.dumps(document, indent=1) + "\n").encode("ascii")


def example_bytes(label: str, count: int = 32) -> bytes:
    """The first `count` bytes of SHA-256(label) || SHA-256(label 1) || ...: a value that stands for any."""
    stream = b"".join(
        hashlib.sha256(f"{label}{block or ''}".encode()).digest() for block in range(-(-count // 32))
    )
    return stream[:count]


def _listed(vector: Vector) -> dict[str, object]:
    head = {"name": vector.name, "comment": vector.comment} if vector.comment else {"name": vector.name}
    return head | {"inputs": _plain(vector.inputs), "outputs": _plain(vector.outputs)}


def _plain(value: Plain) -> object:
    if isinstance(value, bytes):
        return value.hex()
    if isinstance(value, Mapping):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, Sequence) and not isinstance(value, str):
        return [_plain(item) for item in value]
    return value
