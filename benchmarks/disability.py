"""Speed of the search for confirmed changes, beside the peer event detector where its environment is built.

Run: python benchmarks/disability.py (after `make test-peers`, or without the peer). Made-up registry: about 20 visits
and 4 relapses per patient over 8 years. CPU seconds are the fair figure on a machine that does other work too.
"""

from __future__ import annotations

import json
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

HERE = Path(__file__).parent
PEER = HERE.parent / ".venv-peers" / "bin" / "python"
# the peer's own arguments; ours is the rule made from them
ARGUMENTS: dict[str, Any] = {
    "outcome": "edss", "event": "multiple", "RAW_PIRA": True, "baseline": "roving", "conf_days": [84, 168],
    "conf_tol_days": [7, 730.5],
}  # fmt: skip


def registry(n_patients: int) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Return made-up visits and relapses, sorted by patient and day."""
    rng = np.random.Generator(np.random.Philox(1))
    n_visits, n_relapses = rng.poisson(20, n_patients) + 1, rng.poisson(4, n_patients)
    names = pl.Series("patient_id", [f"P{k:07}" for k in range(n_patients)])

    def rows(counts: np.ndarray, earliest: np.ndarray | int = 0) -> tuple[pl.Series, np.ndarray]:
        who = np.repeat(np.arange(n_patients), counts)
        day = rng.integers(0, 2922, len(who)) if np.isscalar(earliest) else rng.integers(earliest[who], 2922)
        return names.gather(who), np.sort(day + who * 4000) - who * 4000

    who, day = rows(n_visits)
    steps = np.cumsum(rng.choice([-1, 0, 0, 0, 1], len(who)))
    visits = pl.DataFrame(
        {"patient_id": who, "visit_day": day, "edss": np.abs((steps + 6) % 24 - 12) / 2.0 + 1.0}
    ).unique(["patient_id", "visit_day"], maintain_order=True)
    # none before the first visit: the peer forgets early ones
    first = visits.group_by("patient_id", maintain_order=True).agg(pl.col("visit_day").first())["visit_day"]
    who, day = rows(n_relapses, first.to_numpy())
    return visits, pl.DataFrame({"patient_id": who, "onset_day": day})


def cpu_seconds(work: Callable[[], object], repeats: int = 3) -> float:
    best = float("inf")
    for _ in range(repeats):
        begin = time.process_time()
        work()
        best = min(best, time.process_time() - begin)
    return best


def peak_mb() -> float:
    status = Path("/proc/self/status")
    if status.exists():  # what a child is said to have used else begins with its parent's memory
        line = next(line for line in status.read_text().splitlines() if line.startswith("VmHWM"))
        return int(line.split()[1]) / 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def size(n_patients: int, folder: str) -> None:
    """Time one size in a process of its own, from Parquet files that are there already."""
    from ahsct.outcomes import disability, disability_rule_from_msprog, disability_search
    from ahsct.outcomes.disability_visits import measured_visits, relapse_arrays

    rule = disability_rule_from_msprog(**ARGUMENTS)
    disability_search.FEW_VISITS = -1
    disability.derive_disability(*registry(3), rule=rule)  # warm-up
    files = [f"{folder}/{name}_{n_patients}.parquet" for name in ("visits", "relapses")]

    def search(measured: Any, over: Any) -> None:
        for block, relapses in measured.blocks(over, disability_search.BLOCK_VISITS):
            disability.search_visits(block, relapses, rule, disability.DIRECTIONS, is_compiled=True)

    def read() -> list[pl.DataFrame]:
        return [pl.read_parquet(file) for file in files]

    def to_kernel() -> None:
        visits, relapses = read()
        measured = measured_visits(visits, rule, function="benchmark")
        over = relapse_arrays(relapses, measured.patients, rule, function="benchmark")
        search(measured, over)

    def to_events() -> disability.Disability:
        visits, relapses = read()
        return disability.derive_disability(visits, relapses, rule=rule)

    begin, wall = time.process_time(), time.perf_counter()
    found = to_events()
    once, wall = time.process_time() - begin, time.perf_counter() - wall
    peak = peak_mb()
    repeats = 5 if n_patients <= 100_000 else 1
    bare, kernel = cpu_seconds(read, repeats), cpu_seconds(to_kernel, repeats)
    visits, relapses = read()
    measured = measured_visits(visits, rule, function="benchmark")
    over = relapse_arrays(relapses, measured.patients, rule, function="benchmark")
    kernel_only = cpu_seconds(lambda: search(measured, over), repeats)
    whole = min(once, cpu_seconds(to_events, repeats)) if repeats > 1 else once
    print(
        f"{n_patients:9} {len(visits):10} {len(found.events):8} {bare:8.3f} {kernel:9.3f} {kernel / bare:7.1f} "
        f"{n_patients / kernel_only:11.0f} {whole:9.3f} {wall:7.2f} {peak:8.0f}"
    )


def unsorted(n_patients: int) -> None:
    """Time what a file out of order costs."""
    from ahsct.outcomes import disability_rule_from_msprog
    from ahsct.outcomes.disability_visits import measured_visits

    rule = disability_rule_from_msprog(**ARGUMENTS)
    visits, _ = registry(n_patients)
    mixed = visits.sample(fraction=1, shuffle=True, seed=1)
    ordered, out_of_order = (
        cpu_seconds(lambda v=v: measured_visits(v, rule, function="benchmark")) for v in (visits, mixed)
    )
    print(
        f"visits of {n_patients} patients out of order: sorted once in {out_of_order - ordered:.2f} s CPU ({ordered:.2f} s "
        "where they are in order)"
    )


def rules_360() -> list[Any]:
    """Return 360 PIRA definitions: confirmation, windows, baseline, moves after relapses, what confirms."""
    from ahsct.definitions import vary
    from ahsct.outcomes import disability_rule_from_msprog

    base = disability_rule_from_msprog(outcome="edss", event="firstPIRA", baseline="roving")
    windows = [((90, 30), (90, 30), "none"), ((90, 30), (0, 0), "none"), ((180, 180), (0, 0), "none"),
               ((0, 30), (30, 30), "preceding_event"), ((0, 0), (0, 0), "all")]  # fmt: skip
    grid = product((84, 168, 365), windows, ("fixed", "roving_up", "roving"), ("none", "next_visit"),
                   ("threshold", "at_or_above_event"), ("every", "confirming_only"))  # fmt: skip
    return [
        vary(base, confirmation_periods_days=[days], pira_around_event_days=event, pira_around_confirmation_days=conf,
             pira_joined=joined, worsening_baseline_scheme=scheme, improvement_baseline_scheme=scheme,
             relapse_rebaseline=relapses, confirmed_by=by, confirming_visits=which)
        for days, (event, conf, joined), scheme, relapses, by, which in grid
    ]  # fmt: skip


def many_rules(n_patients: int) -> None:
    """Time 360 definitions, in two threads."""
    from concurrent.futures import ThreadPoolExecutor

    from ahsct.outcomes import derive_disabilities

    visits, relapses = registry(n_patients)
    rules = rules_360()

    def half(share: list[Any]) -> int:
        return sum(len(found.events) for found in derive_disabilities(visits, relapses, rules=share))

    with ThreadPoolExecutor(2) as pool:
        list(pool.map(half, (rules[:18:2], rules[1:18:2])))
        after_few = peak_mb()
        begin, cpu = time.perf_counter(), time.process_time()
        n_events = sum(pool.map(half, (rules[::2], rules[1::2])))
    wall, cpu = time.perf_counter() - begin, time.process_time() - cpu
    print(
        f"{len(rules)} definitions over {n_patients} patients ({len(visits)} visits), two threads: {wall:.1f} s wall, "
        f"{cpu:.1f} s CPU, {n_events} events; peak {after_few:.0f} MB after 18, {peak_mb():.0f} MB after all"
    )


def beside_the_peer(n_patients: int, folder: str, ours_s: float) -> None:
    """Time the peer on the same visits."""
    if not PEER.exists():
        print("the peer's environment is not built (make test-peers builds it): no comparison")
        return
    command = [str(PEER), str(HERE / "peers" / "msprog.py"), folder, str(n_patients), json.dumps(ARGUMENTS)]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    peer = json.loads(done.stdout.splitlines()[-1])
    print(
        f"pymsprog {peer['version']}, {n_patients} patients: {peer['events']} events in {peer['cpu_s']:.1f} s CPU; ours "
        f"{ours_s:.4f} s CPU: {peer['cpu_s'] / ours_s:.0f} times faster, both from file to table of events"
    )


def ours(n_patients: int, folder: str) -> None:
    """Print events and CPU seconds from Parquet to events table."""
    from ahsct.outcomes import derive_disability, disability_rule_from_msprog, disability_search

    rule = disability_rule_from_msprog(**ARGUMENTS)
    disability_search.FEW_VISITS = -1

    def to_events() -> Any:
        visits, relapses = (
            pl.read_parquet(f"{folder}/{name}_{n_patients}.parquet") for name in ("visits", "relapses")
        )
        return derive_disability(visits, relapses, rule=rule)

    n_events = len(to_events().events)
    print(json.dumps({"cpu_s": cpu_seconds(to_events, 7), "events": n_events}))


def first_call() -> None:
    """Time the first call of a fresh process."""
    from ahsct.outcomes import derive_disability, disability_rule_from_msprog

    rule = disability_rule_from_msprog(**ARGUMENTS)
    visits, relapses = registry(2000)
    begin, cpu = time.perf_counter(), time.process_time()
    derive_disability(visits, relapses, rule=rule)
    print(
        f"first call in a fresh process (loads numba and the cached kernel): {time.perf_counter() - begin:.2f} s wall, "
        f"{time.process_time() - cpu:.2f} s CPU"
    )


def part(*arguments: object, capture: bool = False) -> str:
    """Run one part in a process of its own, so that its memory is its own."""
    sys.stdout.flush()
    command = [sys.executable, __file__, *map(str, arguments)]
    done = subprocess.run(command, check=True, text=True, stdout=subprocess.PIPE if capture else None)
    return done.stdout or ""


def main(sizes: list[int]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        for n in sizes:
            visits, relapses = registry(n)
            visits.write_parquet(f"{folder}/visits_{n}.parquet")
            relapses.write_parquet(f"{folder}/relapses_{n}.parquet")
            if n == sizes[0]:
                visits.write_csv(f"{folder}/visits_{n}.csv")
                relapses.write_csv(f"{folder}/relapses_{n}.csv")
        del visits, relapses
        part("first_call", capture=True)  # compiles, where nothing is cached yet
        part("first_call")
        print(
            f"{'patients':>9} {'visits':>10} {'events':>8} {'read s':>8} {'to kernel':>9} {'x read':>7} "
            f"{'patients/s':>11} {'to events':>9} {'wall s':>7} {'peak MB':>8}"
        )
        for n in sizes:
            part("size", n, folder)
        part("unsorted", 100_000)
        part("many_rules", 33_000)
        own = json.loads(part("ours", sizes[0], folder, capture=True))
        print(f"ours, {sizes[0]} patients: {own['events']} events")
        beside_the_peer(sizes[0], folder, own["cpu_s"])


if __name__ == "__main__":
    parts: dict[str, Callable[..., None]] = {
        "size": lambda n, folder: size(int(n), folder),
        "unsorted": lambda n: unsorted(int(n)),
        "many_rules": lambda n: many_rules(int(n)),
        "ours": lambda n, folder: ours(int(n), folder),
        "first_call": first_call,
    }
    if len(sys.argv) > 1 and sys.argv[1] in parts:
        parts[sys.argv[1]](*sys.argv[2:])
    else:
        main([int(n) for n in sys.argv[1:]] or [5_000, 50_000, 500_000])
