"""Time and memory of every reader, each in a process of its own, beside the library that it stands on."""

import subprocess
import sys
import tempfile
from pathlib import Path

from reader_shapes import N, Shape, shapes

_START = "import sys, time\n{imports}\nwall, cpu = time.perf_counter(), time.process_time()\n"
_END = """
wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
# the high-water mark of this process alone; getrusage hands on that of its parent
peak = next(line for line in open("/proc/self/status") if line.startswith("VmHWM"))
print(wall, cpu, int(peak.split()[1]) / 1024)
"""
_OURS = ("from ahsct import read_study", "read_study(sys.argv[1], kind=sys.argv[2])")


def measured(imports: str, work: str, arguments: list[str], runs: int = 3) -> tuple[float, float, float]:
    """Run code in processes of its own; return wall and CPU seconds of the work and the peak memory in MB, the least of each."""
    code = _START.format(imports=imports) + work + _END
    found = []
    for _ in range(runs):
        done = subprocess.run([sys.executable, "-c", code, *arguments], capture_output=True, text=True)
        if done.returncode:
            raise RuntimeError(done.stderr)
        found.append([float(word) for word in done.stdout.split()[-3:]])
    wall, cpu, peak = (min(column) for column in zip(*found, strict=True))
    return wall, cpu, peak


def line(shape: Shape) -> str:
    """Return a row of the table: our reader, the library alone, and how many times as long ours takes."""
    arguments = [shape.place, shape.kind]
    imports, work = shape.bare or ("", "")  # loaded beforehand in both, so that neither is timed with it
    wall, cpu, peak = measured(f"{imports}\n{_OURS[0]}", _OURS[1], arguments)
    text = f"| {shape.label} | {wall:.2f} | {cpu:.2f} | {peak:.0f} |"
    if shape.bare is None:
        return f"{text} | | | |"
    bare_wall, bare_cpu, bare_peak = measured(imports, work, arguments)
    return f"{text} {shape.library} {bare_wall:.2f} | {bare_cpu:.2f} | {bare_peak:.0f} | {wall / bare_wall:.2f} ({cpu / bare_cpu:.2f}) |"


def main() -> None:
    """Print the table as Markdown: the least of three runs of each."""
    print(f"{N:,} visits of {N // 20:,} patients; seconds and MB")
    print("| source | wall | CPU | memory | library alone: wall | CPU | memory | ratio of wall (CPU) |")
    print("|---|---|---|---|---|---|---|---|")
    with tempfile.TemporaryDirectory() as name:
        for shape in shapes(Path(name)):
            print(shape.label if shape.place == "" else line(shape), flush=True)


if __name__ == "__main__":
    main()
