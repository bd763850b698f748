"""Figure 7: facts of two relations edited together, against each relation alone."""

import pandas as pd

from shared.report.drawing import legend_below
from shared.report.editing_results import read_csv
from shared.report.item_command import Drawing, Request, figure_main
from shared.report.plots import PAGE_INCHES, draw_line, new_figure

METHOD = "memit"
COLUMNS = ["block", "editor", "metric", "value", "low", "high", "n"]
LOOKS = {
    "first": ("#56B4E9", "v", "--"),
    "second": ("#E69F00", "^", "--"),
    "average of both": ("#999999", "x", ":"),
    "mixed": ("#0072B2", "h", "-"),
}


def series_of(frame: pd.DataFrame, pair: str) -> pd.DataFrame:
    """Return the scores of a pair: each relation alone, their average, the mixed set, and how far that is from it."""
    first, second = pair.split("+")
    chosen = frame.set_index("block")
    lines = [
        {"series": name, **chosen.loc[block, ["value", "low", "high", "n"]].to_dict()}
        for name, block in (("first", first), ("second", second), ("mixed", pair))
    ]
    average = (lines[0]["value"] + lines[1]["value"]) / 2
    lines.append({"series": "average of both", "value": average})
    lines.append({"series": "distance", "value": abs(lines[2]["value"] - average)})
    return pd.DataFrame(lines).assign(pair=pair)


def make(request: Request) -> Drawing:
    """Draw one panel per pair of relations: Score over the number of facts."""
    parts = []
    for (model, path), size in zip(request.files(), request.settings["sizes"], strict=True):
        frame = read_csv(path, COLUMNS)
        frame = frame[(frame["metric"] == "score") & (frame["editor"] == METHOD)]
        pairs = [block for block in frame["block"] if "+" in block]
        parts += [series_of(frame, pair).assign(model=model, edits=size) for pair in pairs]
    data = pd.concat(parts, ignore_index=True)
    pairs = list(dict.fromkeys(data["pair"]))
    figure, (row,) = new_figure(1, len(pairs), width=PAGE_INCHES, height=2.5, sharey=True)
    for panel, pair in zip(row, pairs, strict=True):
        names = dict(zip(("first", "second"), pair.split("+"), strict=True))
        for series, (color, marker, style) in LOOKS.items():
            line = data[(data["pair"] == pair) & (data["series"] == series)].sort_values("edits")
            look = {"label": f"{series} alone" if series in names else series, "color": color}
            bounds = (line["low"], line["high"]) if series in (*names, "mixed") else (None, None)
            draw_line(panel, series, line["edits"], line["value"], *bounds, marker=marker, linestyle=style, **look)
        panel.set(title=f"{names['first']} and {names['second']}", xlabel="facts edited at once")
    row[0].set_ylabel("score S (percent)")
    legend_below(figure, row[0], len(LOOKS))
    return Drawing(figure, data[["model", "pair", "series", "edits", "value", "low", "high", "n"]])


if __name__ == "__main__":
    figure_main(make, __doc__)
