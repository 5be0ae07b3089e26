"""Published beside reproduced: each printed number and what this analysis gives for it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import polars as pl

from ahsct.report.formats import and_list
from ahsct.report.tables import Row, Table, text_table
from ahsct.report.words import words
from ahsct.studies import agrees_with, answers, our_number

_SELECTORS = ("endpoint", "component", "estimand", "population", "term", "statistic")
_WHICH_WORDS = {
    "estimate": "",
    "lower": "lower limit ",
    "upper": "upper limit ",
    "n_events": "events ",
    "n": "n = ",
}


def published_table(published: pl.DataFrame, rows: Sequence[Row]) -> Table | None:
    """Return one line per published number: printed, ours, and whether they agree to the last digit.

    `published` holds the columns of a study's published numbers and the selectors `our_*`; several
    lines with the same published columns select several of our numbers.
    """
    own = [name for name in published.columns if not name.startswith("our_")]
    groups: dict[tuple[Any, ...], list[Row]] = {}
    for line in published.iter_rows(named=True):
        groups.setdefault(tuple(line[name] for name in own), []).append(line)
    sources: dict[str, int] = {}
    printed = []
    for lines in groups.values():
        first = lines[0]
        verdict, ours, reason = _compare(lines, rows)
        source = ", ".join(part for name in ("source_title", "source_url") if (part := _text(first, name)))
        place = f"[{sources.setdefault(source, len(sources) + 1)}] " if source else ""
        defined = _text(first, "endpoint_definition")
        printed.append(
            (
                _text(first, "endpoint") + (f" ({defined})" if defined else ""),
                _text(first, "time_y"),
                _published_text(first),
                ours,
                verdict,
                "; ".join(part for part in (reason, _text(first, "notes")) if part),
                f"{place}{_text(first, 'quote_locator')}".strip(),
            )
        )
    return text_table(
        "published",
        "Published numbers, and the same numbers from this analysis",
        ("Published", "Time, years", "Printed", "This analysis", "Verdict", "Reason, remark", "Source"),
        printed,
        is_folded=False,
        notes=[(f"[{place}]", source) for source, place in sources.items()],
    )


def _compare(lines: Sequence[Row], rows: Sequence[Row]) -> tuple[str, str, str]:
    """Return (verdict, our numbers, reason) of one published number."""
    first = lines[0]
    selecting = [line for line in lines if _text(line, "our_endpoint")]
    if _text(first, "reproduced") == "not reproducible":
        return "not reproducible", "", "" if _text(first, "notes") else "no data to compute it from"
    if not selecting:
        return "shown", "", ""
    by_target: dict[tuple[str, ...], list[Row]] = {}
    for line in selecting:
        by_target.setdefault((*(_text(line, f"our_{n}") for n in _SELECTORS), _text(line, "our_time_years")), []).append(line)  # fmt: skip
    said, reasons, agrees = [], [], True
    for target in by_target.values():
        row = next((row for row in rows if answers(target[0], row)), None)
        if row is None:
            agrees = False
            reasons.append(
                f"no row {_text(target[0], 'our_endpoint')} {_text(target[0], 'our_term')}".strip()
            )
            continue
        if row.get("hidden"):
            return "hidden", "", "a count under 5 would be shown"
        said += [f"{_WHICH_WORDS[_text(line, 'our_which')]}{_our_text(line, row)}" for line in target]
        differing = [_text(line, "our_which") for line in target if not agrees_with(line, row)]
        if differing:
            agrees = False
            reasons.append(f"{and_list([words(name) for name in differing])} not as printed")
        if any(_text(line, "our_which") in ("lower", "upper") for line in target):
            reasons.append(f"interval: {row['method']}")
    if not agrees and not said:
        return "not found", "", "; ".join(dict.fromkeys(reasons))
    return ("agrees" if agrees else "differs"), ", ".join(said), "; ".join(dict.fromkeys(reasons))


def _our_text(line: Row, row: Row) -> str:
    ours = our_number(line, row)
    return "none" if ours is None else f"{ours:.{int(_text(line, 'our_decimals') or 0)}f}".replace("-", "−")


def _published_text(line: Row) -> str:
    low, high = _text(line, "ci_low"), _text(line, "ci_high")
    level = f" ({_text(line, 'ci_level') or '95'} % CI {low}–{high})" if low and high else ""
    unit = "" if _text(line, "unit") in ("month", "EDSS") else _text(line, "unit").replace("percent", "%")
    return f"{_text(line, 'estimate')} {unit}{level}".strip()


def _text(line: Mapping[str, Any], name: str) -> str:
    value = line.get(name)
    return "" if value is None else str(value)
