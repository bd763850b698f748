"""How a program meets the machine: threads, device and numeric modes, set once at its start."""

import logging
import sys

from shared.errors import MissingDeviceError


def start_logging(level: int = logging.INFO) -> None:
    """Set logging only: for programs that read and write records and need no torch, whose import takes a second."""
    logging.basicConfig(stream=sys.stderr, level=level, format="%(asctime)s %(name)s %(levelname)s %(message)s")
    for noisy in ("transformers", "matplotlib", "urllib3"):
        logging.getLogger(noisy).setLevel(logging.WARNING)


def start(threads: int = 1, device: str = "cpu", level: int = logging.INFO) -> "torch.device":
    """Set logging, the number of threads and exact float32 matrix products, and return the device.

    Many one-thread jobs side by side beat one many-threaded job on small models, and two jobs that each take all cores
    slow each other down tenfold; so a program uses exactly the threads its rule was given.

    Raises:
        MissingDeviceError: if `device` asks for an accelerator that is not there.
    """
    import torch

    start_logging(level)
    torch.set_num_threads(threads)
    torch.backends.cuda.matmul.allow_tf32 = False
    torch.backends.cudnn.allow_tf32 = False
    wanted = torch.device(device)
    if wanted.type == "cuda" and not torch.cuda.is_available():
        raise MissingDeviceError(
            f"device {device!r} asked for, but torch {torch.__version__} sees no CUDA device: "
            "set `run.device: cpu` in the config or run on a machine with a GPU"
        )
    return wanted
