"""How an item is shown in the workflow's report."""

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class Item:
    """What one table or figure is made from; `workflow/items.smk` makes a rule of it.

    Attributes:
        files: the records that it shows, as the workflow names them.
        models: the model of each file, in the same order.
        settings: of the item's script, as JSON.
        script: the module of `items/` that makes it, where that is not its own name's.
        quoted: numbers that its caption quotes, by name, such as `n` for cases.
    """

    files: Sequence[str]
    models: Sequence[str]
    settings: str = "{}"
    script: str = ""
    quoted: Mapping[str, Any] = field(default_factory=dict)

    @classmethod
    def of(cls, made: Sequence[tuple[str, str]], script: str = "", settings: str = "{}", **quoted: Any) -> "Item":
        """Return an item from pairs of model and file."""
        return cls([path for _, path in made], [model for model, _ in made], settings, script, quoted)


@dataclass(frozen=True)
class ItemGroup:
    """Items that one process makes; `workflow/item_groups.smk` makes a rule of them.

    Attributes:
        files: the rule's inputs, by name.
        made_from: item → its models, and the names of the inputs that hold their files.
        settings: of all items, as JSON.
    """

    files: Mapping[str, str | Sequence[str]]
    made_from: Mapping[str, tuple[Sequence[str], Sequence[str]]]
    settings: str

    def sources(self) -> Callable[[Any, Any], str]:
        """Return a function of wildcards and inputs: what each item is made from, as JSON."""
        return item_sources(self.made_from)


def report_item(category: str, item: str, *, room: str = "", **labels: str) -> dict[str, object]:
    """Return the keywords of Snakemake's `report()` for one table or figure of a paper.

    The caption is `items/<item>.rst` in the paper's folder, the subcategory Tables or Figures.

    Args:
        category: the paper's name in the report's menu.
        item: the item's name, such as `table_4` or `figure_2`.
        room: the paper's folder as seen from the file with the rule, with a slash; empty beside it.
        labels: further labels; one that takes two values becomes a switch in the report.
    """
    kind, _, number = item.partition("_")
    shown = {"item": f"{kind.capitalize()} {number.replace('_', ' ')}"} | labels
    return {
        "caption": f"{room}items/{item}.rst",
        "category": category,
        "subcategory": "Tables" if kind == "table" else "Figures",
        "labels": shown,
    }


def item_files(
    report: Callable[..., str], folder: str, category: str, items: Iterable[str], room: str = ""
) -> dict[str, str]:
    """Return the files of several items, by name, as a rule's outputs: pages and figures are marked for the report.

    Args:
        report: Snakemake's function of that name.
        folder: where the items go, such as `<figures>/kn`.
        category: the paper's name in the report's menu.
        items: names such as `table_4` or `figure_2`.
        room: as in `report_item`.
    """
    files = {}
    for item in items:
        shown, *others = ("html", "md", "csv") if item.startswith("table") else ("svg", "png", "csv")
        files[f"{item}_{shown}"] = report(f"{folder}/{item}.{shown}", **report_item(category, item, room=room))
        files |= {f"{item}_{ending}": f"{folder}/{item}.{ending}" for ending in others}
    return files


def item_sources(sources: Mapping[str, tuple[Sequence[str], Sequence[str]]]) -> Callable[[Any, Any], str]:
    """Return a function of wildcards and inputs: what `shared.report.make_items` makes each item from, as JSON.

    Args:
        sources: item → its models, and the names of the rule's inputs that hold their files, in this order; where an
            input has files of more models, the first ones are taken.
    """

    def listed(wildcards: Any, input: Any) -> str:  # noqa: A002 (Snakemake's name)
        found = {}
        for item, (models, names) in sources.items():
            held = [[input[name]] if isinstance(input[name], str) else list(input[name]) for name in names]
            files = [str(file) for group in held for file in group]
            found[item] = {"models": list(models), "inputs": files[: len(models)]}
        return json.dumps(found)

    return listed
