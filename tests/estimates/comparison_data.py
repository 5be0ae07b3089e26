"""The data and R's answers for comparisons without randomisation.

From `tests/reference/comparison.R` (formulas) and `comparison_packages.R` (WeightIt, cobalt, maicplus, MatchIt, EValue).
"""

from pathlib import Path

import polars as pl

REFERENCE = Path(__file__).parents[1] / "reference"
COVARIATES = ["x1", "x2", "x3"]
SETS = ["lalonde", "gbsg", "veteran"]
MAIC_MEANS = {"lalonde": (3.1, 11, 0.3), "gbsg": (5.3, 0.85, 2), "veteran": (6, 6, 0.4)}
AT = {"lalonde": (1000, 5000, 10000), "gbsg": (500, 1000, 1800), "veteran": (50, 100, 200)}
YEAR = 365.25

_DATA = pl.read_csv(REFERENCE / "comparison_data.csv", infer_schema_length=None)
_ROWS = pl.read_csv(REFERENCE / "comparison.csv", infer_schema_length=None)


def patients(name: str) -> pl.DataFrame:
    """Patients with covariates and treatment; also their times."""
    return _DATA.filter(pl.col("set") == name).select(
        pl.col("id").cast(pl.String).alias("patient_id"),
        (pl.col("treated") == 1).alias("is_treated"),
        *COVARIATES,
        pl.col("time").alias("time_day"),
        (pl.col("event") == 1).alias("is_event"),
    )


def r_values(name: str, what: str, group: str | None = None) -> dict[str, float]:
    """R's values by term (a time or a covariate)."""
    rows = _ROWS.filter((pl.col("set") == name) & (pl.col("what") == what))
    if group is not None:
        rows = rows.filter(pl.col("group") == group)
    return dict(rows.select(pl.col("term").cast(pl.String), "value").rows())


PACKAGES = pl.read_csv(
    REFERENCE / "comparison_packages.csv",
    comment_prefix="#",
    infer_schema_length=None,
    schema_overrides={"term": pl.String},
)


def package_values(name: str, what: str, group: str | None = None) -> dict[str, float]:
    """A package's values by term (a covariate, a patient, or nothing)."""
    rows = PACKAGES.filter((pl.col("set") == name) & (pl.col("what") == what))
    if group is not None:
        rows = rows.filter(pl.col("group") == group)
    return dict(rows.select(pl.col("term").fill_null(""), "value").rows())
