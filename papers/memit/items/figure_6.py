"""Figure 6: facts of one relation edited at once, for every relation with enough of them."""

import pandas as pd

from papers.memit.items.results import COLORS, PERCENT
from shared.report.drawing import legend_below
from shared.report.editing_results import read_csv
from shared.report.item_command import Drawing, Request, figure_main
from shared.report.plots import PAGE_INCHES, look_of, new_figure

METHODS = ["ft_w", "mend", "memit"]
COLUMNS = ["block", "editor", "metric", "value", "low", "high", "n"]


def make(request: Request) -> Drawing:
    """Draw (a) the Score of each relation as bars and (b) specificity against generalisation."""
    ((model, path),) = request.files()
    frame = read_csv(path, COLUMNS).rename(columns={"block": "relation"})
    # Blocks of several relations belong to Figure 7.
    frame = frame[~frame["relation"].str.contains("+", regex=False)]
    methods = [method for method in METHODS if method in set(frame["editor"])]
    scores = frame[frame["metric"] == "score"].pivot(index="relation", columns="editor", values="value")
    order = scores["memit"].sort_values(ascending=False, kind="stable").index
    figure, (row,) = new_figure(1, 2, width=PAGE_INCHES, height=2.8, width_ratios=[3, 2])
    _bars(row[0], frame[frame["metric"] == "score"], list(order), methods)
    _scatter(row[1], frame, methods)
    legend_below(figure, row[0], len(methods))
    ahead = [
        {"relation": relation, "editor": f"memit - {method}", "metric": "score", "value": line["memit"] - line[method]}
        for relation, line in scores.iterrows()
        for method in methods
        if method != "memit"
    ]
    data = pd.concat([frame, pd.DataFrame(ahead)], ignore_index=True)
    data.insert(0, "model", model)
    return Drawing(figure, data)


def _bars(panel, frame: pd.DataFrame, order: list[str], methods: list[str]) -> None:
    width = 0.8 / len(methods)
    for place, method in enumerate(methods):
        bars = frame[frame["editor"] == method].set_index("relation").reindex(order)
        x = [position + (place - (len(methods) - 1) / 2) * width for position in range(len(order))]
        look = look_of(method)
        panel.bar(x, bars["value"], width, color=look.color, label=look.title)
        spread = [bars["value"] - bars["low"], bars["high"] - bars["value"]]
        panel.errorbar(x, bars["value"], spread, fmt="none", ecolor=COLORS["score"], elinewidth=0.6, capsize=1)
    panel.set_xticks(range(len(order)), order, rotation=90 if len(order) > 8 else 0)
    panel.set(ylabel=f"score S ({PERCENT})", title="(a) score by relation")


def _scatter(panel, frame: pd.DataFrame, methods: list[str]) -> None:
    wide = frame.pivot(index=["relation", "editor"], columns="metric", values="value").reset_index()
    for method in methods:
        own, look = wide[wide["editor"] == method], look_of(method)
        panel.scatter(own["neighborhood_score"], own["paraphrase_score"], s=14, color=look.color, marker=look.marker)
        for line in own.itertuples():
            place = (line.neighborhood_score, line.paraphrase_score)
            panel.annotate(line.relation, place, xytext=(2, 2), textcoords="offset points", fontsize=5)
    panel.set(
        xlabel="specificity, NS (percent)", ylabel="generalisation, PS (percent)", title="(b) trade-off by relation"
    )


if __name__ == "__main__":
    figure_main(make, __doc__)
