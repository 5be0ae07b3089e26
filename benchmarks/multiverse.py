"""Many definitions at once: 360 over a registry's worth of patients, and the shipped grids on the 2016 trial.

Run: python benchmarks/multiverse.py [patients [definitions [workers]]]. 20 visits per patient; the cohort is made
up, its numbers mean nothing. Wall and CPU seconds (of all processes), peak memory of each process.
"""

from __future__ import annotations

import os
import resource
import sys
import time
from dataclasses import replace

from ahsct import load_example, multiverse
from ahsct.definitions import list_grids, load_grid
from ahsct.multiverses.answers import answer_points
from cohort import cohort


def cpu_seconds() -> float:
    return sum(
        used.ru_utime + used.ru_stime
        for used in (resource.getrusage(resource.RUSAGE_SELF), resource.getrusage(resource.RUSAGE_CHILDREN))
    )


def peak_megabytes() -> str:
    own, children = (
        resource.getrusage(who).ru_maxrss / 1024 for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)
    )
    return f"{own:.0f} MB here" + (f", {children:.0f} MB in the largest worker" if children else "")


def timed(name: str, work) -> None:
    wall, cpu = time.perf_counter(), cpu_seconds()
    work()
    print(f"  {name:52} {time.perf_counter() - wall:6.2f} s wall, {cpu_seconds() - cpu:6.2f} s CPU")


def main(n_patients: int = 33_000, n_definitions: int = 360, workers: int = 2) -> None:
    print(f"{os.cpu_count()} processors, load {os.getloadavg()[0]:.1f}")
    trial = load_example("atkins2016")
    multiverse(trial, "worsening_kalincik2015")  # loads the compiled search, or compiles it
    print("the shipped grids on the 2016 trial (24 patients), kernel loaded")
    for id in list_grids():
        timed(f"{id}, {len(load_grid(id).combinations)} definitions", lambda id=id: multiverse(trial, id))
    study = cohort(n_patients)
    relapses = study.tables["relapses"].unique(["patient_id", "onset_day"], keep="first", maintain_order=True)
    study = replace(study, tables={**study.tables, "relapses": relapses})
    grid = load_grid("pira_muller2025")
    print(f"{n_patients:,} patients, {study.tables['visits'].height:,} visits")
    few = max(1, n_definitions // 10)
    timed(f"{few} definitions, 1 process", lambda: answer_points(study, grid, 0, few))
    print(f"  peak memory: {peak_megabytes()}")
    if n_definitions == len(grid.combinations):
        timed(
            f"{n_definitions} definitions, {workers} processes",
            lambda: multiverse(study, grid, workers=workers),
        )
    else:
        timed(f"{n_definitions} definitions, 1 process", lambda: answer_points(study, grid, 0, n_definitions))
    print(f"  peak memory: {peak_megabytes()}")


if __name__ == "__main__":
    main(*(int(one) for one in sys.argv[1:]))
