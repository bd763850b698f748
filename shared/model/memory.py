"""How much memory a piece of work takes."""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

PAGE_BYTES = 4096


@contextmanager
def peak_memory() -> Iterator[list[float]]:
    """Yield a list that afterwards holds the growth of this process's resident memory, in MiB, sampled every 2 ms."""
    statm = Path("/proc/self/statm")

    def resident() -> int:
        return int(statm.read_text().split()[1]) * PAGE_BYTES

    if not statm.exists():
        growth = [float("nan")]
        yield growth
        return
    before, growth, running = resident(), [0.0], threading.Event()
    running.set()

    def watch() -> None:
        while running.is_set():
            growth[0] = max(growth[0], (resident() - before) / 2**20)
            time.sleep(0.002)

    watcher = threading.Thread(target=watch, daemon=True)
    watcher.start()
    try:
        yield growth
    finally:
        running.clear()
        watcher.join()
