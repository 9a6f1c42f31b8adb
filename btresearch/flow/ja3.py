"""JA3 and JA3S: MD5 over the numbers in a hello, in wire order (Althouse, Atkinson and Atkins, 2017).

https://github.com/salesforce/ja3 (BSD-3-Clause). GREASE values are ignored; empty fields stay.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable

from btresearch.flow.hello import ClientHello, ServerHello, is_grease


def ja3_text(hello: ClientHello) -> str:
    """The string that JA3 hashes: version,ciphers,extensions,groups,point formats in decimal."""
    extensions = (kind for kind, _ in hello.extensions)
    lists = (hello.ciphers, extensions, hello.groups, hello.point_formats)
    return ",".join([str(hello.version), *map(_join, lists)])


def ja3s_text(hello: ServerHello) -> str:
    """The string that JA3S hashes: version,cipher,extensions in decimal."""
    return f"{hello.version},{hello.cipher},{_join(kind for kind, _ in hello.extensions)}"


def ja3(hello: ClientHello) -> str:
    """The JA3 hash, 32 hex digits."""
    return _md5(ja3_text(hello))


def ja3s(hello: ServerHello) -> str:
    """The JA3S hash, 32 hex digits."""
    return _md5(ja3s_text(hello))


def _join(values: Iterable[int]) -> str:
    return "-".join(str(value) for value in values if not is_grease(value))


def _md5(text: str) -> str:
    return hashlib.md5(text.encode(), usedforsecurity=False).hexdigest()
