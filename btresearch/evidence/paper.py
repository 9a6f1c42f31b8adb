"""The documents of `paper/`: reStructuredText in, HTML out, and a warning is a failure."""

from __future__ import annotations

import io
from pathlib import Path

from docutils.core import publish_file
from docutils.utils import SystemMessage

from btresearch.errors import InputError

WARNING = 2


def build(source: Path, out: Path) -> tuple[Path, ...]:
    """Build every `.rst` of `source` into `out` as HTML; returns the pages.

    Raises:
        InputError: there is none, or docutils warns; the message carries docutils' line.
    """
    documents = sorted(source.glob("*.rst"))
    if not documents:
        raise InputError(source, "at least one .rst document")
    out.mkdir(parents=True, exist_ok=True)
    return tuple(_build(document, out / f"{document.stem}.html") for document in documents)


def _build(document: Path, page: Path) -> Path:
    complaints = io.StringIO()
    settings = {
        "halt_level": WARNING,
        "report_level": WARNING,
        "warning_stream": complaints,
        "traceback": True,
    }
    try:
        publish_file(
            source_path=str(document),
            destination_path=str(page),
            writer="html5",
            settings_overrides=settings | {"_disable_config": True, "file_insertion_enabled": True},
        )
    except SystemMessage as message:
        raise InputError(document, f"reStructuredText without warnings: {message}") from None
    return page
