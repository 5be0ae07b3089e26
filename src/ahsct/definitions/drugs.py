"""Drugs by the names that people write: brand names, salts and doses told apart from the substance."""

from __future__ import annotations

import csv
import re
from dataclasses import dataclass
from functools import cache
from importlib.resources import files


@dataclass(frozen=True, kw_only=True)
class Drug:
    """A substance: how it is given (injectable, oral, monoclonal, other), and whether it is cytotoxic."""

    name: str
    group: str
    is_cytotoxic: bool


@cache
def _by_name() -> dict[str, Drug]:
    text = (files("ahsct.definitions") / "drugs.csv").read_text(encoding="utf-8")
    found: dict[str, Drug] = {}
    for row in csv.DictReader(text.splitlines()):
        drug = Drug(name=row["drug"], group=row["group"], is_cytotoxic=row["is_cytotoxic"] == "yes")
        found |= dict.fromkeys(row["names"].split(";"), drug)
    return found


@cache
def _pattern() -> re.Pattern[str]:
    names = sorted(_by_name(), key=len, reverse=True)
    return re.compile(r"(?<![a-z0-9])(" + "|".join(re.escape(name) for name in names) + r")(?![a-z0-9])")


def drug_named(text: str) -> Drug | None:
    """Return the drug that a text names, in any spelling of the table; None if it names none, several or a placebo.

    A corticosteroid beside another drug is taken for its premedication.

    The names (`drugs.csv`) are recalled: substances, their common brand names and abbreviations.

    Examples
    --------
    >>> drug_named("Ocrelizumab 600 mg").name, drug_named("TYSABRI").name
    ('ocrelizumab', 'natalizumab')
    >>> drug_named("study drug"), drug_named("rituximab or ocrelizumab")
    (None, None)
    """
    if "placebo" in text.casefold():
        return None
    found = {_by_name()[name].name: _by_name()[name] for name in _pattern().findall(text.casefold())}
    if len(found) > 1:
        found.pop("corticosteroid", None)
    return next(iter(found.values())) if len(found) == 1 else None
