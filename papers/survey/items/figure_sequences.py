"""Reliability, generalization and locality along sequences of edits, asked at three moments."""

import pandas as pd
from matplotlib.lines import Line2D

from papers.survey.contract import CHECKPOINT, FINAL, IMMEDIATE
from papers.survey.items.panels import editors_in, heading, rows_of
from papers.survey.items.results import ACCURACIES, SURVEY, in_protocol, metrics_of
from shared.report.item_command import Drawing, Request, figure_main
from shared.report.plots import PAGE_INCHES, draw_line, look_of, new_figure

COLUMNS = ["model", "form", "editor", "edits", "moment", "metric", "value", "low", "high", "n"]
# Moment → its title and line style; only the first has bands.
MOMENTS = {
    CHECKPOINT: ("all edits so far", "-"),
    IMMEDIATE: ("each right after it is made", ":"),
    FINAL: ("the first edits, after the sequence's end", "--"),
}


def frame_of(request: Request) -> pd.DataFrame:
    """Return model, form, editor, edits made one after another, moment, metric and value with its interval."""
    rows = in_protocol(metrics_of(request))
    chosen = rows["metric"].isin(list(ACCURACIES)) & (rows["scorer"] == SURVEY) & (rows["kind"] == "sequence")
    return rows[chosen].rename(columns={"mean": "value"})[COLUMNS].reset_index(drop=True)


def make(request: Request) -> Drawing:
    """Draw one panel per form and metric; one colour per method, one line style per moment."""
    frame = frame_of(request)
    rows = rows_of(frame)
    figure, axes = new_figure(len(rows), len(ACCURACIES), width=PAGE_INCHES, height=0.9 + 1.8 * len(rows), sharey=True)
    editors, sizes = editors_in(frame), sorted(frame["edits"].unique())
    for line, (model, form) in zip(axes, rows, strict=True):
        own = frame[(frame["model"] == model) & (frame["form"] == form)]
        for panel, (metric, title) in zip(line, ACCURACIES.items(), strict=True):
            _lines(panel, own[own["metric"] == metric], editors)
            panel.set(title=f"{title}\n{heading(model, form)}", ylim=(-3, 105))
            if sizes:
                panel.set_xscale("log")
                panel.set_xticks(sizes, [str(size) for size in sizes])
                panel.minorticks_off()
        line[0].set_ylabel("percent")
    for panel in axes[-1]:
        panel.set_xlabel("edits one after another")
    handles = [Line2D([], [], color=look_of(name).color, marker=look_of(name).marker) for name in editors]
    handles += [Line2D([], [], color="#333333", linestyle=style) for _, style in MOMENTS.values()]
    labels = [look_of(name).title for name in editors] + [title for title, _ in MOMENTS.values()]
    figure.legend(handles, labels, loc="outside lower center", ncols=4)
    return Drawing(figure, frame)


def _lines(panel, frame: pd.DataFrame, editors: list[str]) -> None:
    for editor in editors:
        for moment, (_, style) in MOMENTS.items():
            line = frame[(frame["editor"] == editor) & (frame["moment"] == moment)].sort_values("edits")
            main = moment == CHECKPOINT
            bounds = (line["low"], line["high"]) if main else (None, None)
            look = {"linestyle": style} | ({} if main else {"marker": "", "linewidth": 0.9})
            draw_line(panel, editor, line["edits"], line["value"], *bounds, **look)


if __name__ == "__main__":
    figure_main(make, __doc__)
