"""Where a report comes from: hashes, versions, seed; and the only date in the folder."""

from __future__ import annotations

import json
import os
import platform
from collections.abc import Mapping
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

from ahsct import __version__
from ahsct.analysis import Analysis

_LIBRARIES = ("numpy", "scipy", "polars", "duckdb", "numba", "matplotlib", "jinja2")


def provenance_of(analysis: Analysis, *, share: bool) -> dict[str, Any]:
    """Return what the analysis and its report were made from, without a date."""
    study, definition = analysis.study, analysis.definition
    return {
        "study_id": study.study_id,
        "data_kind": study.data_kind,
        "study_content_sha256": study.content_hash,
        "sources_sha256": {Path(name).name: digest for name, digest in sorted(study.sources.items())},
        "definition": definition.id,
        "definition_sha256": definition.hash,
        "is_shared_version": share,
        "seed": analysis.provenance.get("seed"),
        "analysis": {key: value for key, value in sorted(analysis.provenance.items()) if key != "seed"},
        **software(),
    }


def software() -> dict[str, Any]:
    """Return the versions behind a page."""
    return {
        "ahsct": __version__,
        "python": platform.python_version(),
        "libraries": {name: version(name) for name in _LIBRARIES},
    }


def write_provenance(provenance: Mapping[str, Any], path: Path) -> None:
    """Write `provenance.json`: with `created`, the time of writing in UTC.

    The environment variable SOURCE_DATE_EPOCH (seconds, reproducible-builds.org) takes the place of
    the clock.
    """
    epoch = os.environ.get("SOURCE_DATE_EPOCH")
    now = datetime.fromtimestamp(int(epoch), UTC) if epoch else datetime.now(UTC)
    stated = {"created": now.strftime("%Y-%m-%dT%H:%M:%SZ"), **provenance}
    path.write_text(json.dumps(stated, indent=2, ensure_ascii=False, default=str) + "\n", encoding="utf-8")
