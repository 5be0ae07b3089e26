"""Run pymsprog 1.0.7 on the cases of `msprog_cases`; in the peer's environment.

Run: .venv-peers/bin/python tests/peers/run_msprog.py OUT FIRST_SEED N_CASES N_PATIENTS
"""

from __future__ import annotations

import contextlib
import copy
import gzip
import io
import json
import sys
import warnings
from pathlib import Path
from typing import Any

# what this environment has is imported where it is used: the other one reads this file too
NAMES = ("event_type", "CDW_type", "date", "value", "bl_date", "bl_value", "sust_days", "sust_last")


def events_of(patients: list[dict[str, Any]], given: dict[str, Any]) -> dict[str, list[dict[str, Any]]]:
    """Return each patient's events as plain values."""
    import pandas as pd
    from msprog_cases import call_arguments
    from pymsprog import MSprog

    visits = pd.DataFrame(
        [[p["id"], *row] for p in patients for row in p["visits"]],
        columns=["id", "date", "score", "other", "validconf"],
    )
    relapses = pd.DataFrame(
        [[p["id"], day] for p in patients for day in p["relapses"]], columns=["id", "date"]
    )
    call = copy.deepcopy(call_arguments(given))
    with contextlib.redirect_stdout(io.StringIO()), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        _, results = MSprog(
            visits, "id", "score", "date", relapse=relapses, validconf_col="validconf", date_format="day",
            include_dates=True, include_value=True, verbose=0, **call,
        )  # fmt: skip
    found: dict[str, list[dict[str, Any]]] = {p["id"]: [] for p in patients}
    wanted = [c for c in results.columns if c in NAMES or c.startswith(("conf", "PIRA_conf"))]
    for row in results[results["nevent"] > 0].to_dict("records"):
        plain = {name: row[name] for name in wanted if not pd.isna(row[name])}
        found[row["id"]].append({k: v if isinstance(v, str) else float(v) for k, v in plain.items()})
    return found


def run(made: dict[str, Any]) -> dict[str, Any]:
    """Run one case; where the peer stops, patient by patient: None marks those on whom it stops."""
    from msprog_cases import digest

    patients, given = made["patients"], made["arguments"]
    try:
        found: dict[str, Any] = dict(events_of(patients, given))
    except Exception:
        found = {}
        for one in patients:
            try:
                found |= events_of([one], given)
            except Exception:
                found[one["id"]] = None
    return {"seed": made["seed"], "n_patients": len(patients), "digest": digest(made), "found": found}


def main() -> None:
    """Write one line of JSON per case."""
    from msprog_cases import case

    out, (first, n_cases, n_patients) = Path(sys.argv[1]), map(int, sys.argv[2:5])
    lines = [
        json.dumps(run(case(seed, n_patients)), separators=(",", ":"))
        for seed in range(first, first + n_cases)
    ]
    out.write_bytes(gzip.compress(("\n".join(lines) + "\n").encode(), mtime=0))


if __name__ == "__main__":
    main()
