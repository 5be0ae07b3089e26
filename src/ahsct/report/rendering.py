"""What all pages share: the templates, the words about the kind of data, how many rows a figure shows."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from typing import Any

import jinja2

from ahsct.report.formats import number

TAGS = {"observed": "", "reconstructed": "Invented courses", "simulated": "Simulated patients"}
BANNERS = {
    "observed": "",
    "reconstructed": (
        "The patients are reconstructed from published totals and are not real people; "
        "anything that is not a published number is an illustration."
    ),
    "simulated": "They are not real people; the numbers describe a model.",
}
ROWS_SHOWN = 50


def render(template: str, context: Mapping[str, Any]) -> str:
    """Return a page."""
    return _environment().get_template(template).render(context)


@cache
def _environment() -> jinja2.Environment:
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("ahsct.report"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.globals["cell"] = _cell
    return environment


def _cell(value: Any) -> str:
    """Return one value of a figure's data."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return number(value, "")
    if isinstance(value, list):
        return "; ".join(str(item) for item in value)
    return str(value)
