"""Starting Snakemake so that a killed run continues with the same command.

A run that dies leaves Snakemake's lock behind, and the next one would stop and ask for `--unlock`. Here an operating
system lock, which ends with the process that holds it, tells a dead run from a living one: only a dead run's lock is
removed. Arguments are handed to Snakemake as they are.
"""

import fcntl
import os
import subprocess
import sys
from pathlib import Path

HELD = Path(".snakemake/launch.lock")


def main() -> int:
    """Run Snakemake with this process's arguments and return its exit status."""
    HELD.parent.mkdir(exist_ok=True)
    with open(HELD, "a", encoding="utf-8") as held:
        try:
            fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            sys.stderr.write("Another run is going on in this folder; wait for it, or stop it, and try again.\n")
            return 1
        snakemake = [sys.executable, "-m", "snakemake"]
        if any(Path(".snakemake/locks").glob("*")):
            subprocess.run([*snakemake, "--unlock", "--quiet", "all"], check=True)
        # The lock is inherited, so that a run that outlives this process still counts as living.
        return subprocess.run([*snakemake, *sys.argv[1:]], pass_fds=[held.fileno()], env=os.environ).returncode


if __name__ == "__main__":
    sys.exit(main())
