"""Run the numeric tests under several instruction sets and thread counts, and print a table.

``python -m benchmarks.instruction_sets [pytest arguments]``. Each row is one process, so that the libraries read the
variables when they load. A set that the processor lacks falls back to the best one it has; the table says which kernels
PyTorch used.
"""

import os
import re
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).parents[1]
NUMERIC = ("tests/metrics", "tests/noise", "tests/cams", "tests/engine", "tests/study/stats", "tests/drawing")

COLUMNS = ("ATEN_CPU_CAPABILITY", "ONEDNN_MAX_CPU_ISA", "OPENBLAS_CORETYPE", "threads")
#: Every pair of values of two columns occurs in at least one row, except some pairs with an OpenBLAS kernel.
ROWS = (
    ("default", "SSE41", "Prescott", "1"),
    ("default", "AVX2", "Haswell", "2"),
    ("default", "DEFAULT", "SkylakeX", "1"),
    ("avx2", "SSE41", "Haswell", "2"),
    ("avx2", "AVX2", "Prescott", "1"),
    ("avx2", "DEFAULT", "Haswell", "2"),
    ("avx512", "SSE41", "SkylakeX", "2"),
    ("avx512", "AVX2", "SkylakeX", "1"),
    ("avx512", "DEFAULT", "Prescott", "2"),
)
OUTCOMES = ("passed", "failed")
USED = "import torch; print(torch.backends.cpu.get_cpu_capability())"


def environment(row: tuple[str, ...]) -> dict[str, str]:
    """Return the variables of a row's process."""
    *kernels, threads = row
    found = {**os.environ, **dict(zip(COLUMNS, kernels, strict=False))}
    found |= dict.fromkeys(("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"), threads)
    # OpenBLAS stops the process if it is asked for kernels that the processor lacks.
    if found["OPENBLAS_CORETYPE"] == "SkylakeX" and not has_avx512():
        del found["OPENBLAS_CORETYPE"]
    return found


def has_avx512() -> bool:
    """Return whether this processor has AVX-512; True if that cannot be read."""
    try:
        return "avx512f" in Path("/proc/cpuinfo").read_text("utf-8")
    except OSError:
        return True


def main() -> int:
    """Run every row; return 1 if a test failed in one."""
    arguments = sys.argv[1:] or [*NUMERIC, "-n", "2"]
    print(f"| {' | '.join(COLUMNS)} | PyTorch used | passed | failed | seconds |\n|{'---|' * 8}", flush=True)
    failures = 0
    for row in ROWS:
        variables = environment(row)
        used = subprocess.run([sys.executable, "-c", USED], env=variables, capture_output=True, text=True, check=True)
        begun = time.monotonic()
        command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", *arguments]
        done = subprocess.run(command, cwd=ROOT, env=variables, capture_output=True, text=True, check=False)
        passed, failed = (sum(map(int, re.findall(rf"(\d+) {word}", done.stdout[-400:]))) for word in OUTCOMES)
        failures += failed + (done.returncode != 0 and not failed)
        values = list(row)
        if "OPENBLAS_CORETYPE" not in variables:
            values[2] = "(the best)"
        cells = [*values, used.stdout.strip(), passed, failed, round(time.monotonic() - begun)]
        print(f"| {' | '.join(map(str, cells))} |", flush=True)
        if done.returncode:
            print(done.stdout[-6000:], file=sys.stderr, flush=True)
    return min(failures, 1)


if __name__ == "__main__":
    sys.exit(main())
