"""Seconds and memory of edits: measurements of this run's machine."""

import ctypes
import ctypes.util
import gc
from collections.abc import Callable, Sequence
from time import perf_counter

import torch

from shared.data.requests import EditRequest
from shared.editing.editors import Editor
from shared.model.memory import peak_memory
from shared.model.models import LM

MIB = 2**20


def measured(lm: LM, work: Callable[[], object]) -> tuple[object, float, float]:
    """Return what some work returns, its seconds, and the MiB that it takes above what is held before it.

    On a CPU memory is the growth of the process, after what earlier work has freed was handed back; on a GPU that of
    torch's allocator.
    """
    cuda = lm.device.type == "cuda"
    hand_back()
    if cuda:
        torch.cuda.reset_peak_memory_stats(lm.device)
        held = torch.cuda.memory_allocated(lm.device)
    with peak_memory() as growth:
        began = perf_counter()
        result = work()
        if cuda:
            torch.cuda.synchronize(lm.device)
        seconds = perf_counter() - began
    peak = (torch.cuda.max_memory_allocated(lm.device) - held) / MIB if cuda else growth[0]
    return result, seconds, peak


def hand_back() -> None:
    """Give freed memory back to the system, where the C library knows how."""
    gc.collect()
    name = ctypes.util.find_library("c")
    trim = getattr(ctypes.CDLL(name), "malloc_trim", None) if name else None
    if trim is not None:
        trim(0)


def time_single(lm: LM, editor: Editor, requests: Sequence[EditRequest]) -> tuple[float, float]:
    """Return mean seconds and largest MiB of editing each request alone; the first is edited once before, uncounted."""
    editor.edit(lm, requests[:1])
    found = [measured(lm, lambda one=request: editor.edit(lm, [one]))[1:] for request in requests]
    return sum(seconds for seconds, _ in found) / len(found), max(peak for _, peak in found)
