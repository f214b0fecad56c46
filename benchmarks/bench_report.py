"""A record of the bench in words."""

from __future__ import annotations

from typing import Any


def report(record: dict[str, Any]) -> str:
    """A record as text: ratios first, milliseconds beside them, then the machine and the versions."""
    seconds, forward = record["seconds"], record["seconds"]["forward"]
    page = {name: ratio for name, ratio in record["ratios"].items() if name in seconds}
    core = {name: ratio for name, ratio in record["ratios"].items() if name not in page}
    rows = [("", "× forward pass", "ms")]
    rows += [(name, f"{ratio:.1f}", f"{seconds[name] * 1000:.1f}") for name, ratio in page.items()]
    rows += [
        (name, "", f"{value * 1000:.1f}") for name, value in seconds.items() if name not in (*page, "forward")
    ]
    rows += [("forward (one picture)", "1", f"{forward * 1000:.1f}")]
    wide = max(len(name) for name, _, _ in rows)
    lines = [record["model"]]
    lines += [
        f"{name:<{wide}}  {'-' if ratio is None else f'{ratio:.4g}':>14}" for name, ratio in core.items()
    ]
    lines += [f"{name:<{wide}}  {ratio:>14}  {ms:>10}" for name, ratio, ms in rows]
    lines.append(
        f"paper's six methods: {record['pairs_per_second']:.1f} pairs a second; "
        f"time grows with the number of pictures to the power {record['exponent']:.2f}"
    )
    if record["peak_bytes"]:
        lines.append(
            f"peak memory of the run, pytorch-grad-cam included: {record['peak_bytes'] / 2**20:.0f} MiB"
        )
    if "sweep_pairs_per_second" in record:
        lines.append(f"sweep: {record['sweep_pairs_per_second']:.1f} pairs a second")
    for name in ("repeats", "machine", "versions"):
        lines.append(f"{name}: " + ", ".join(f"{key} {value}" for key, value in record[name].items()))
    return "\n".join(lines)
