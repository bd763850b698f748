"""Starting Snakemake so that a killed run continues with the same command.

A run that dies leaves two things behind: Snakemake's lock, at which the next run would stop and ask for `--unlock`, and
jobs that go on without it and would write beside the jobs of the next run. Here an operating system lock, which ends
with the processes that hold it, tells a dead run from a living one: only a dead run's lock is removed and its jobs
stopped. Arguments are handed to Snakemake as they are.
"""

import fcntl
import os
import subprocess
import sys
import uuid
from pathlib import Path

import psutil

HELD = Path(".snakemake/launch.lock")
MARK = "EDITING_RUN"


def stop_jobs_of(run: str) -> None:
    """Stop the processes that a dead run left; every job of a run carries the run's mark in its environment."""
    for process in psutil.process_iter():
        try:
            if process.environ().get(MARK) == run:
                sys.stderr.write(f"Stopping process {process.pid}, which a killed run left behind.\n")
                process.kill()
        except psutil.Error:
            # Gone in the meantime, or another user's and so none of ours.
            continue


def main() -> int:
    """Run Snakemake with this process's arguments and return its exit status."""
    HELD.parent.mkdir(exist_ok=True)
    with open(HELD, "a+", encoding="utf-8") as held:
        try:
            fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            sys.stderr.write("Another run is going on in this folder; wait for it, or stop it, and try again.\n")
            return 1
        held.seek(0)
        before, run = held.read().strip(), uuid.uuid4().hex
        if before:
            stop_jobs_of(before)
        held.truncate(0)
        held.write(run)
        held.flush()
        snakemake = [sys.executable, "-m", "snakemake"]
        if any(Path(".snakemake/locks").glob("*")):
            subprocess.run([*snakemake, "--unlock", "--quiet", "all"], check=True)
        # The lock is inherited, so that a run that outlives this process still counts as living.
        status = subprocess.run([*snakemake, *sys.argv[1:]], pass_fds=[held.fileno()], env=os.environ | {MARK: run})
        if status.returncode:
            # Snakemake stops its jobs before it ends, unless it was killed itself.
            stop_jobs_of(run)
        held.truncate(0)
        return status.returncode


if __name__ == "__main__":
    sys.exit(main())
