"""EDSS in bands as seen at visits, with death: the input of a panel Markov model."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import polars as pl

from ahsct.errors import RequestError
from ahsct.tables import Study

DEAD, ALIVE = "dead", "alive, EDSS not known"


def edss_bands(cuts: Sequence[float]) -> list[str]:
    """Return the names of the bands that the cuts make, from the lowest.

    Raises
    ------
    RequestError
        The cuts do not rise, or leave the scale.

    Examples
    --------
    >>> edss_bands([3.5, 6])
    ['EDSS below 3.5', 'EDSS 3.5 to below 6', 'EDSS 6 or more']
    """
    if not cuts or not all(0 < cut <= 10 for cut in cuts) or any(b <= a for a, b in pairwise(cuts)):
        raise RequestError(f"cuts must rise and lie in (0, 10], as [3.5, 6]; found {list(cuts)}.")
    between = [f"EDSS {low:g} to below {high:g}" for low, high in pairwise(cuts)]
    return [f"EDSS below {cuts[0]:g}", *between, f"EDSS {cuts[-1]:g} or more"]


def derive_edss_panel(study: Study, *, cuts: Sequence[float] = (3.5, 6.0)) -> pl.DataFrame:
    """Return who was seen in which band of the EDSS when, days counted from the infusion.

    The last score before the infusion stands for day 0, so that whoever dies before the first visit counts. A death is
    `DEAD` on its day; a last contact alive after the last visit is `ALIVE`. Scores count as they were measured: the
    model takes every change as real, also one within a rater's error.

    Parameters
    ----------
    cuts
        The lowest score of each band but the first.

    Returns
    -------
    pl.DataFrame
        `patient_id`, `day`, `state` of infused patients with a score by day 0 or after, for `panel_markov` with
        `states=[*edss_bands(cuts), DEAD]`, `death=DEAD`, `alive=ALIVE`. Of two scores on one day the higher counts.
    """
    names = edss_bands(cuts)
    infused = (
        study.table("transplants", ["patient_id", "infusion_day"])
        .drop_nulls("infusion_day")
        .group_by("patient_id", maintain_order=True)
        .agg(pl.col("infusion_day").min())
    )
    visits = (
        study.table("visits", ["patient_id", "visit_day", "edss"])
        .drop_nulls()
        .join(infused, on="patient_id", how="inner", maintain_order="left")
        .select("patient_id", day=pl.col("visit_day") - pl.col("infusion_day"), edss="edss")
        .group_by("patient_id", "day", maintain_order=True)
        .agg(pl.col("edss").max())
        .sort("patient_id", "day")
    )
    before = visits.filter(pl.col("day") <= 0).group_by("patient_id", maintain_order=True).last()
    seen = pl.concat(
        [before.with_columns(day=pl.lit(0, dtype=visits["day"].dtype)), visits.filter(pl.col("day") > 0)]
    )
    band = pl.sum_horizontal((pl.col("edss") >= cut).cast(pl.Int64) for cut in cuts)
    scores = seen.select(
        "patient_id", "day", state=band.replace_strict(dict(enumerate(names)), return_dtype=pl.String)
    )
    ends = (
        study.table("follow_up", ["patient_id", "last_contact_day", "vital_status", "death_day"])
        .join(infused, on="patient_id", how="inner", maintain_order="left")
        .with_columns(_dead=(pl.col("vital_status") == "dead").fill_null(False))
        .select(
            "patient_id",
            day=pl.when("_dead").then("death_day").otherwise("last_contact_day") - pl.col("infusion_day"),
            state=pl.when("_dead").then(pl.lit(DEAD)).otherwise(pl.lit(ALIVE)),
        )
        .drop_nulls()
    )
    last = scores.group_by("patient_id", maintain_order=True).agg(_last=pl.col("day").max())
    ends = ends.join(last, on="patient_id", how="inner", maintain_order="left")
    # a death on the day of a visit comes after it; a contact on that day adds nothing
    ends = ends.filter(
        (pl.col("day") > pl.col("_last")) | ((pl.col("state") == DEAD) & (pl.col("day") == pl.col("_last")))
    )
    died_then = ends.filter(pl.col("day") == pl.col("_last")).select("patient_id", day="_last")
    scores = scores.join(died_then, on=["patient_id", "day"], how="anti", maintain_order="left")
    return pl.concat([scores, ends.drop("_last")]).sort("patient_id", "day", maintain_order=True)
