"""The standard document: its test vectors, and the single file that is submitted.

Vectors come from the implementation (`peer`, `transport`), so that document and code can't drift apart.
"""

from __future__ import annotations

from btresearch.bep.flatten import DOCUMENT, flatten
from btresearch.bep.vectors import VectorsDiffer, check, generate, write

__all__ = ["DOCUMENT", "VectorsDiffer", "check", "flatten", "generate", "write"]
