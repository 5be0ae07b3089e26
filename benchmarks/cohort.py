"""A made-up cohort of any size, for timing only: its numbers mean nothing."""

from __future__ import annotations

import numpy as np
import polars as pl

from ahsct import Study, make_study


def cohort(n_patients: int, visits_each: int = 20, *, seed: int = 1) -> Study:
    """Return a simulated study with `visits_each` visits per patient over about eight years."""
    rng = np.random.Generator(np.random.Philox(seed))
    ids = pl.Series([f"P{i:07d}" for i in range(n_patients)])
    n = n_patients * visits_each
    who = np.repeat(np.arange(n_patients), visits_each)
    step = np.tile(np.arange(visits_each), n_patients)
    day = -60 + 155 * step + rng.integers(-10, 11, n)
    start = rng.integers(4, 13, n_patients)
    walk = rng.choice([-1, 0, 0, 0, 1], n).reshape(n_patients, visits_each)
    walk[:, 0] = 0
    edss = np.clip(start[:, None] + walk.cumsum(axis=1), 2, 18).ravel() / 2
    last = day.reshape(n_patients, visits_each)[:, -1] + 30
    n_relapses = rng.poisson(0.6, n_patients)
    relapse_of = np.repeat(np.arange(n_patients), n_relapses)
    scans = day.reshape(n_patients, visits_each)
    scan_of = np.repeat(np.arange(n_patients), scans.shape[1])
    return make_study(
        "cohort",
        data_kind="simulated",
        patients=pl.DataFrame({"patient_id": ids, "sex": rng.choice(["F", "M"], n_patients)}).with_columns(
            pl.lit("aHSCT").alias("arm"),
            pl.Series("age_at_index_years", rng.uniform(18, 55, n_patients)),
            pl.lit("RRMS").alias("ms_course"),
            pl.lit(-1500).alias("diagnosis_day"),
        ),
        visits=pl.DataFrame({"patient_id": ids[who], "visit_day": day, "edss": edss}),
        relapses=pl.DataFrame(
            {"patient_id": ids[relapse_of], "onset_day": rng.integers(-700, 2800, relapse_of.size)}
        ).with_columns(pl.col("onset_day").clip(upper_bound=pl.Series(last[relapse_of]))),
        mri=pl.DataFrame(
            {
                "patient_id": ids[scan_of],
                "scan_day": scans.ravel(),
                "gd_n": rng.binomial(1, 0.02, scan_of.size),
                "new_t2_n": rng.binomial(1, 0.03, scan_of.size),
                "reference_scan_day": pl.Series(np.roll(scans, 1, axis=1).ravel()).set(
                    pl.Series(np.tile(np.arange(scans.shape[1]) == 0, n_patients)), None
                ),
                "with_gd": np.ones(scan_of.size, dtype=bool),
            }
        ),
        transplants=pl.DataFrame({"patient_id": ids}).with_columns(
            pl.lit(-50).alias("mobilisation_start_day"),
            pl.lit(-7).alias("conditioning_start_day"),
            pl.lit(0).alias("infusion_day"),
        ),
        follow_up=pl.DataFrame({"patient_id": ids, "last_contact_day": last, "vital_status": "alive"}),
    )
