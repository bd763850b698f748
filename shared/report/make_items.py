"""Several items of one paper in one process: `python -m shared.report.make_items --help`.

    python -m shared.report.make_items --package papers.kn.items --settings '{}' --reported papers/kn/reported.csv \\
        --items '{"table_2": {"models": ["world-masked"], "inputs": ["neurons.json"]}}' --folder figures/kn

For items made from the same records, where starting a program takes longer than drawing. Each is what its own script
makes; the files stand in the folder under the item's name.
"""

import argparse
import importlib
import json
import logging
from collections.abc import Sequence
from pathlib import Path

from shared import runtime
from shared.errors import ConfigError, reported
from shared.report.item_command import Request, write_item

log = logging.getLogger(__name__)


@reported(log)
def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line.

    Raises:
        ConfigError: the package has no script of an item's name.
    """
    parser = argparse.ArgumentParser(prog="python -m shared.report.make_items", description=__doc__.split(":")[0])
    parser.add_argument("--package", required=True, help="the items' package, such as papers.kn.items")
    parser.add_argument("--items", type=json.loads, required=True, help="JSON object: item → {models, inputs}")
    parser.add_argument("--settings", type=json.loads, default={}, help="the items' settings, as a JSON object")
    parser.add_argument("--reported", type=Path, required=True, help="the paper's numbers, reported.csv")
    parser.add_argument("--folder", type=Path, required=True, help="where the files go")
    options = parser.parse_args(arguments)
    runtime.start_logging()
    for name, own in options.items.items():
        if importlib.util.find_spec(f"{options.package}.{name}") is None:
            raise ConfigError(f"{options.package} has no script {name}.py")
        made = importlib.import_module(f"{options.package}.{name}")
        files = [Path(path) for path in own["inputs"]]
        write_item(made.make(Request(own["models"], files, options.settings, options.reported)), options.folder, name)
        log.info("%s written to %s", name, options.folder)


if __name__ == "__main__":
    main()
