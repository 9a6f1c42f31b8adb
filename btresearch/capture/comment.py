"""Labels as packet comments, in pcapML's convention.

pcapML (J. Holland et al., "Towards Reproducible Network Traffic Analysis", 2022; github.com/nprint/pcapml)
stores ground truth as the comment of each enhanced packet block: `<sample_id>,<label>`, where all packets of
one sample share the id. Its Python reader (python/src/pcapml/reader.py at 45b00b6) splits at commas, takes
fields without "=" by position and fields with it by name, so `key=value` fields may follow the label.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

_FORBIDDEN = str.maketrans({",": "_", "=": "_", "\n": " ", "\r": " "})


class Sample(NamedTuple):
    """What one comment says: the sample's id, its label, and the named fields."""

    sample_id: str
    label: str
    fields: Mapping[str, str]


def format_comment(sample_id: int, label: str, **fields: str) -> str:
    """Return pcapML's comment `sample_id,label[,key=value...]`; empty fields are left out.

    Commas, equals signs and line breaks in values become underscores and spaces: the convention has no escape.
    """
    named = [f"{name}={value.translate(_FORBIDDEN)}" for name, value in fields.items() if value]
    return ",".join([str(sample_id), label.translate(_FORBIDDEN), *named])


def parse_comment(comment: str) -> Sample | None:
    """Return what a pcapML comment says, in the positional or the keyed form (`s=0,proc=curl`).

    None where the comment isn't pcapML's. Of several comments on a packet (one a line) the first counts.
    """
    first_line = comment.partition("\n")[0]
    positional, named = [], {}
    for part in first_line.split(","):
        name, equals, value = part.partition("=")
        if equals:
            named[name] = value
        else:
            positional.append(part)
    sample_id = named.get("s") or (positional[0] if positional else "")
    label = named.get("proc") or named.get("label") or (positional[1] if len(positional) > 1 else "")
    return Sample(sample_id, label, named) if sample_id.isdigit() and label else None
