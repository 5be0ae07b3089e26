"""Measure one call: CPU seconds, memory, and the numbers it gives. Plain Python, for every environment."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Sequence
from pathlib import Path

LONG_S, BLOCK_S, BLOCKS = 5.0, 0.5, 3


def measure(work: Callable[[], Sequence[float]]) -> None:
    """Run once for the memory, then for the time, and print one line of JSON.

    Time is the best of three blocks of half a second or more (clocks of CPU time may tick every hundredth), or of the
    first run where that took over 5 s. Memory is the process's highest use less that before the call, in MB, where the
    system tells it (/proc).
    """
    before, start = _status("VmRSS"), time.process_time()
    found = work()
    seconds, peak = time.process_time() - start, _status("VmHWM")
    if seconds < LONG_S:
        calls = int(BLOCK_S / max(seconds, 0.001)) + 1
        blocks = []
        for _ in range(BLOCKS):
            start = time.process_time()
            for _ in range(calls):
                work()
            blocks.append((time.process_time() - start) / calls)
        seconds = min(blocks)
    print(json.dumps({"cpu_s": seconds, "peak_mb": peak - before, "found": [float(x) for x in found]}))


def _status(name: str) -> float:
    try:
        text = Path("/proc/self/status").read_text()
    except OSError:
        return float("nan")
    return int(text.split(f"{name}:")[1].split()[0]) / 1024
