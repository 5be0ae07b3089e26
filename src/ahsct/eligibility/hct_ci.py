"""The haematopoietic cell transplantation comorbidity index, in two versions, with what is missing."""

from __future__ import annotations

from functools import cache
from importlib.resources import files
from typing import Literal

import polars as pl

from ahsct.errors import RequestError, TableError, did_you_mean
from ahsct.vocabulary import require_columns

WARNING = (
    "The published mortality by HCT-CI score comes from allogeneic transplants; it does not apply to "
    "autologous transplantation in MS and is not shown."
)
Version = Literal["hct_ci", "hct_ci_age"]
_SUPERSEDES = {"pulmonary_severe": "pulmonary_moderate", "hepatic_severe": "hepatic_mild"}
_AGE_POINT_YEARS = 40


@cache
def hct_ci_items() -> pl.DataFrame:
    """Return the items: `item`, `points`, `definition`, `seen` (recalled definitions are unverified)."""
    return pl.read_csv((files("ahsct.definitions") / "hct_ci.csv").read_bytes())


def hct_ci(frame: pl.DataFrame, *, version: Version = "hct_ci") -> pl.DataFrame:
    """Return the score of each patient, as a range where items are missing.

    Parameters
    ----------
    frame
        `patient_id` and one flag per item of `hct_ci_items` (missing = not known; an absent column is
        missing for everybody); `age_years` for "hct_ci_age".
    version
        "hct_ci" (Sorror 2005), or "hct_ci_age", which adds a point from 40 years on.

    Returns
    -------
    pl.DataFrame
        `patient_id`, `version`, `score` (missing unless every item is known), `score_min`, `score_max`
        (missing items taken as absent, as present), `missing`, `items` present, `warning`. The severe form of
        a lung or liver item takes the place of the milder one.

    Raises
    ------
    TableError
        A column is missing or no flag.
    RequestError
        An unknown version.

    References
    ----------
    Sorror et al. (2005), doi:10.1182/blood-2005-05-2004. Age: Sorror et al. (2014), doi:10.1200/JCO.2013.53.8157.

    Examples
    --------
    Diabetes and moderate lung disease: 1 + 2, when everything else is known to be absent.

    >>> known = {item: [False] for item in hct_ci_items()["item"]} | {"diabetes": [True], "pulmonary_moderate": [True]}
    >>> hct_ci(pl.DataFrame({"patient_id": ["a"], **known}))["score"].to_list()
    [3]
    """
    if version not in ("hct_ci", "hct_ci_age"):
        raise RequestError(f'hct_ci: version must be "hct_ci" or "hct_ci_age", not {version!r}.')
    require_columns(
        "hct_ci", "patients", frame, ["patient_id"] + (["age_years"] if version == "hct_ci_age" else [])
    )
    items = dict(hct_ci_items().select("item", "points").iter_rows())
    unknown = [name for name in frame.columns if name not in (*items, "patient_id", "age_years")]
    if unknown:
        raise TableError(f"hct_ci: no item {unknown[0]!r}.{did_you_mean(unknown[0], list(items))}")
    for name in items:
        if name in frame.columns and frame[name].dtype not in (pl.Boolean, pl.Null):
            raise TableError(f"hct_ci: `{name}` must be true, false or missing, not {frame[name].dtype}.")
    flags = frame.select(
        "patient_id",
        *(
            (pl.col(n).cast(pl.Boolean) if n in frame.columns else pl.lit(None, pl.Boolean)).alias(n)
            for n in items
        ),
        *([(pl.col("age_years") >= _AGE_POINT_YEARS).alias("age")] if version == "hct_ci_age" else []),
    )
    points = items | ({"age": 1} if version == "hct_ci_age" else {})

    def total(absent: bool) -> pl.Expr:
        terms = []
        for name, value in points.items():
            counts = pl.col(name).fill_null(not absent)
            for severe, mild in _SUPERSEDES.items():
                if name == mild:
                    counts = counts & ~pl.col(severe).fill_null(not absent)
            terms.append(counts.cast(pl.Int64) * value)
        return pl.sum_horizontal(terms)

    # a milder form beside the severe one changes nothing
    needed = {
        name: pl.col(name).is_null() & ~pl.any_horizontal(
            [pl.col(severe).fill_null(False) for severe, mild in _SUPERSEDES.items() if mild == name] or [pl.lit(False)]
        )
        for name in points
    }  # fmt: skip
    return (
        flags.select(
            "patient_id",
            pl.lit(version).alias("version"),
            total(absent=True).alias("score_min"),
            total(absent=False).alias("score_max"),
            pl.concat_list(pl.when(is_missing).then(pl.lit(name)) for name, is_missing in needed.items())
            .list.drop_nulls()
            .alias("missing"),
            pl.concat_list(pl.when(pl.col(name).fill_null(False)).then(pl.lit(name)) for name in points)
            .list.drop_nulls()
            .alias("items"),
            pl.lit(WARNING).alias("warning"),
        )
        .with_columns(pl.when(pl.col("missing").list.len() == 0).then("score_min").alias("score"))
        .select("patient_id", "version", "score", "score_min", "score_max", "missing", "items", "warning")
    )


def typed_flags(frame: pl.DataFrame, *, name: str) -> pl.DataFrame:
    """Return a table of comorbidities read as text with its types: flags, and the age as a number.

    Raises
    ------
    TableError
        A flag is neither true, false nor empty, or an age is no number: column and first row are named.
    """
    columns = []
    for column in frame:
        text = column.str.strip_chars().replace("", None)
        if column.name == "patient_id":
            columns.append(column)
            continue
        if column.name == "age_years":
            value = text.cast(pl.Float64, strict=False)
        else:
            words = {"true": True, "false": False, "yes": True, "no": False, "1": True, "0": False}
            value = text.str.to_lowercase().replace_strict(words, default=None, return_dtype=pl.Boolean)
        is_wrong = value.is_null() & text.is_not_null()
        if is_wrong.any():
            kind = "a number" if column.name == "age_years" else "true or false"
            raise TableError(
                f"{name}: `{column.name}` must be {kind} or empty; {is_wrong.sum()} of {frame.height} rows are not, "
                f"the first is row {(is_wrong.arg_max() or 0) + 1}."
            )
        columns.append(value)
    return pl.DataFrame(columns)
