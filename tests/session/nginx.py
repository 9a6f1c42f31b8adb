"""The nginx that benchmarks compare with too, and whether it is here."""

from __future__ import annotations

import shutil

from btresearch.bench.nginx import nginx

__all__ = ["MISSING", "WHY_MISSING", "nginx"]

MISSING = shutil.which("nginx") is None
WHY_MISSING = "nginx is not here: install nginx"
