"""How often intervals of activity-free survival at 3 years hold the truth with 24 patients, by simulation.

Run `python benchmarks/coverage_survival.py`, or with `--write` to put the table into docs/statistics/survival.md.
Times to activity are exponential; follow-up is 3 years and more for all, or ends at a uniform time between 1 and 5
years. A trial in which an interval does not exist (an estimate of 0 or 1) counts as a miss of it and is shown apart.
"""

import sys
from pathlib import Path

import numpy as np

from ahsct.estimates._intervals import INTERVALS, pointwise
from ahsct.estimates.beta_product import beta_product
from ahsct.estimates.kaplan_meier import product_limit

N_PATIENTS, N_TRIALS, YEARS = 24, 10_000, 3.0
PAGE = Path(__file__).parents[1] / "docs" / "statistics" / "survival.md"
NAMES = (*INTERVALS, "beta product")


def trial(rng: np.random.Generator, survival: float, is_censored: bool) -> list[tuple[float, float]]:
    """Return the limits of one trial at 3 years, by interval; NaN where there are none."""
    time = rng.exponential(-YEARS / np.log(survival), N_PATIENTS)
    end = rng.uniform(1, 5, N_PATIENTS) if is_censored else np.full(N_PATIENTS, YEARS + 1)
    curve = product_limit(np.minimum(time, end), time <= end)
    rows = int(np.searchsorted(curve.time, YEARS, side="right"))
    if rows == curve.time.size and curve.estimate[-1] > 0:  # nobody followed for 3 years
        return [(np.nan, np.nan)] * len(NAMES)
    now = slice(rows - 1, rows)
    limits = []
    for interval in INTERVALS:
        low, high = pointwise(curve.estimate[now], curve.std_error[now], interval=interval, conf_level=0.95)
        limits.append((float(low[0]), float(high[0])))
    after = int(curve.n_at_risk[rows]) if rows < curve.time.size else 0
    return [*limits, beta_product(curve.n_at_risk[:rows], curve.n_events[:rows], after)]


def main() -> None:
    lines = [
        "| true survival | follow-up | interval | coverage | truth below | truth above | no interval | mean width |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for survival in (0.5, 0.7, 0.85, 0.95):
        for is_censored in (False, True):
            rng = np.random.Generator(np.random.Philox(24))
            found = np.array([trial(rng, survival, is_censored) for _ in range(N_TRIALS)])
            for k, name in enumerate(NAMES):
                low, high = found[:, k, 0], found[:, k, 1]
                none = np.isnan(low)
                below, above = (survival < low).mean(), (survival > high).mean()
                cover = 1 - none.mean() - below - above
                lines.append(
                    f"| {survival:g} | {'1 to 5 years' if is_censored else 'complete'} | {name} | {100 * cover:.1f} % "
                    f"| {100 * below:.1f} % | {100 * above:.1f} % | {100 * none.mean():.1f} % | {np.nanmean(high - low):.3f} |"
                )
            print(*lines[-len(NAMES) :], sep="\n", flush=True)
    if "--write" in sys.argv:
        write(PAGE, "coverage", lines)


def write(page: Path, name: str, lines: list[str]) -> None:
    """Put lines between the page's marks of this name."""
    begin, end = f"<!-- {name} -->", f"<!-- end of {name} -->"
    text = page.read_text(encoding="utf-8")
    before, after = text.split(begin)[0], text.split(end)[1]
    page.write_text(f"{before}{begin}\n\n" + "\n".join(lines) + f"\n\n{end}{after}", encoding="utf-8")


if __name__ == "__main__":
    main()
