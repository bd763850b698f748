"""Requests of items in tests: tables as the files that an item is made from."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from shared.report.item_command import Request


def request_from(folder: Path, frames: Sequence[pd.DataFrame], settings: Mapping[str, Any], reported: Path) -> Request:
    """Write the tables into a folder and return the request of an item made from them, all of one model."""
    paths = [folder / f"{number}.csv" for number in range(len(frames))]
    for frame, path in zip(frames, paths, strict=True):
        frame.to_csv(path, index=False)
    return Request(["ours"] * len(paths), paths, settings, reported)
