"""What made a result: settings, versions, commit, device, seconds and peak memory, as one JSON record."""

import argparse
import json
import logging
import os
import platform
import resource
import subprocess
import sys
import time
from collections.abc import Mapping
from importlib import metadata
from pathlib import Path
from typing import Any

import torch

from shared import runtime
from shared.errors import DataError, reported
from shared.provenance import REPOSITORY
from shared.records import read_jsonl, write_json

logger = logging.getLogger(__name__)

PACKAGES = ["torch", "transformers", "tokenizers", "safetensors", "numpy", "pandas", "scikit-learn", "snakemake"]


def run_record(settings: Mapping[str, Any], *, started: float | None = None, device: str = "cpu") -> dict[str, Any]:
    """Return a record of this process and machine.

    Args:
        settings: everything that was chosen for the run.
        started: `time.monotonic()` at the start, or None where the seconds are counted elsewhere.
        device: the torch device that was used.
    """
    cuda = torch.device(device).type == "cuda" and torch.cuda.is_available()
    record: dict[str, Any] = {
        "settings": dict(settings),
        "commit": git_commit(),
        "python": platform.python_version(),
        "versions": versions(),
        "machine": {"system": platform.system(), "processor": platform.machine(), "cores": os.cpu_count()},
        "device": torch.cuda.get_device_name(device) if cuda else "cpu",
        "threads": torch.get_num_threads(),
        "peak_resident_bytes": peak_resident_bytes(),
        "peak_device_bytes": torch.cuda.max_memory_allocated(device) if cuda else 0,
    }
    if started is not None:
        record["seconds"] = round(time.monotonic() - started, 3)
    return record


def versions() -> dict[str, str]:
    """Return the versions of the packages whose change could change a number."""
    return {name: metadata.version(name) for name in PACKAGES}


def git_commit(root: str | Path = REPOSITORY) -> str | None:
    """Return the checkout's commit, "+changes" added where files outside figures/ differ, or None without git."""

    def git(*words: str) -> str:
        return subprocess.run(
            ["git", "-C", str(root), *words], capture_output=True, text=True, check=True
        ).stdout.strip()

    # A run writes its figures beside those that the commit holds.
    ours = ["--", ".", ":(exclude)figures"]
    try:
        commit = git("rev-parse", "HEAD")
        return commit + ("+changes" if git("status", "--porcelain", "--untracked-files=no", *ours) else "")
    except (OSError, subprocess.CalledProcessError):
        return None


def peak_resident_bytes() -> int:
    """Return the greatest resident memory that this process has had."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    # Linux counts in KiB, macOS in bytes.
    return peak if sys.platform == "darwin" else peak * 1024


def job_costs(folder: str | Path) -> dict[str, Any]:
    """Return seconds and peak memory of a run's jobs from the workflow's benchmark files, by rule and in all.

    A job that was made again counts once, with its last benchmark.
    """
    rules: dict[str, dict[str, float]] = {}
    for file in sorted(Path(folder).rglob("*.jsonl")):
        rule = file.relative_to(folder).with_suffix("").as_posix()
        try:
            last = list(read_jsonl(file))[-1]
            seconds, peak = float(last["s"]), last.get("max_rss")
        except (IndexError, KeyError) as error:
            raise DataError(f"{file}: not a benchmark of the workflow; delete it and run again") from error
        rules[rule] = {"seconds": round(seconds, 2), "peak_mib": peak if isinstance(peak, float | int) else 0}
    return {
        "jobs": len(rules),
        "job_seconds": round(sum(cost["seconds"] for cost in rules.values()), 1),
        "peak_job_mib": max((cost["peak_mib"] for cost in rules.values()), default=0),
        "by_job": rules,
    }


@reported(logger)
def main(arguments: list[str] | None = None) -> None:
    """Run the command line: write the record of a finished workflow run."""
    parser = argparse.ArgumentParser(prog="python -m shared.report.run_record", description=__doc__)
    parser.add_argument("--settings", type=json.loads, required=True, help="the run's settings as JSON")
    parser.add_argument("--benchmarks", type=Path, required=True, help="folder of the workflow's benchmark files")
    parser.add_argument("--out", type=Path, required=True)
    chosen = parser.parse_args(arguments)
    runtime.start()
    device = chosen.settings.get("run", {}).get("device", "cpu")
    record = run_record(chosen.settings, device=device) | job_costs(chosen.benchmarks)
    for own in ("peak_resident_bytes", "peak_device_bytes", "threads"):
        # Those of this process, which computed nothing.
        del record[own]
    write_json(chosen.out, record)
    logger.info("%d jobs, %.0f job seconds", record["jobs"], record["job_seconds"])


if __name__ == "__main__":
    main()
