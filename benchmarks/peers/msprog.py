"""Time pymsprog from CSV files to its table of events; runs in the peers' environment, called by disability.py."""

from __future__ import annotations

import json
import sys
import time

import pandas as pd
import pymsprog


def main(folder: str, n_patients: str, arguments: str) -> None:
    begin = time.process_time()
    visits, relapses = (pd.read_csv(f"{folder}/{name}_{n_patients}.csv") for name in ("visits", "relapses"))
    _, results = pymsprog.MSprog(
        visits, "patient_id", "edss", "visit_day", relapse=relapses, rsubj_col="patient_id", rdate_col="onset_day",
        date_format="day", include_dates=True, include_value=True, verbose=0, **json.loads(arguments),
    )  # fmt: skip
    seconds = time.process_time() - begin
    events = int((results["nevent"] > 0).sum())
    print(json.dumps({"version": pymsprog.__version__, "cpu_s": seconds, "events": events}))


if __name__ == "__main__":
    main(*sys.argv[1:])
