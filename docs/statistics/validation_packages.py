"""Write the second validation table of the survival, states, rates and proportions pages: ours beside R packages.

The comparisons are those of `tests/packages`, which read the values that the scripts in tests/reference/packages made. Run
from the root of the repository:

    .venv/bin/python -m docs.statistics.validation_packages
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import chain

import numpy as np
from docs.statistics.validation import PAGES, put
from tests.packages import counts, firth, illness_death, intervals, means, melding
from tests.packages.pairs import Pair


def some(compared: Callable[[], Iterator[Pair]], *beginnings: str) -> Iterator[Pair]:
    """Yield the comparisons of the quantities that begin so."""
    return (one for one in compared() if one.quantity.startswith(beginnings))


TABLES: dict[str, Callable[[], Iterator[Pair]]] = {
    "survival": lambda: chain(firth.compared(), melding.compared(), some(means.compared, "restricted")),
    "interval_censored": intervals.compared,
    "states": illness_death.compared,
    "recurrent": lambda: some(means.compared, "mean cumulative"),
    "rates": lambda: some(counts.compared, "rate"),
    "proportions": lambda: some(counts.compared, "proportion", "paired", "melded"),
}


def table(page: str) -> str:
    """Return a page's table in Markdown; the example is the number that differs most."""
    found = list(TABLES[page]())
    lines = [
        "| quantity | R package | data sets | numbers | example: ours | R | largest difference | required |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for quantity, package in dict.fromkeys((one.quantity, one.package) for one in found):
        own = [one for one in found if (one.quantity, one.package) == (quantity, package)]
        worst = max(own, key=lambda one: one.difference / one.required)
        if not worst.difference <= worst.required:
            raise SystemExit(f"{quantity}: {worst}")
        at = int(np.argmax(np.nan_to_num(worst.gaps())))
        sets = "; ".join(dict.fromkeys(one.data_set for one in own))
        kind = " (absolute)" if worst.is_absolute else ""
        lines.append(
            f"| {quantity} | {package} | {sets} | {sum(one.r.size for one in own)} | {worst.ours[at]:.10g} | "
            f"{worst.r[at]:.10g} | {worst.difference:.1e} | {worst.required:.0e}{kind} |"
        )
    return "\n".join(lines)


def main() -> None:
    """Write the tables of all pages."""
    for page in TABLES:
        path = PAGES / f"{page}.md"
        path.write_text(put(path.read_text(encoding="utf-8"), "packages", table(page)), encoding="utf-8")
        print(path.name)


if __name__ == "__main__":
    main()
