"""How an item is shown in the workflow's report."""


def report_item(category: str, item: str, **labels: str) -> dict[str, object]:
    """Return the keywords of Snakemake's `report()` for one table or figure of a paper.

    The caption is `items/<item>.rst` beside the paper's Snakefile, the subcategory Tables or Figures.

    Args:
        category: the paper's name in the report's menu.
        item: the item's name, such as `table_4` or `figure_2`.
        labels: further labels; one that takes two values becomes a switch in the report.
    """
    kind, _, number = item.partition("_")
    shown = {"item": f"{kind.capitalize()} {number.replace('_', ' ')}"} | labels
    return {
        "caption": f"items/{item}.rst",
        "category": category,
        "subcategory": "Tables" if kind == "table" else "Figures",
        "labels": shown,
    }
