"""Figure 4: the metrics over the number of edits."""

import pandas as pd

from papers.t_patcher.items.results import METRICS, look_of
from shared.editing.methods import title_of
from shared.measures.intervals import mean_interval
from shared.report.drawing import legend_below
from shared.report.item_command import Drawing, Request, figure_main
from shared.report.plots import PAGE_INCHES, new_figure

EDITORS = ("ft_last", "ft_all", "ft_last_kl", "ft_all_kl", "mend", "ke", "serac", "t_patcher")


def curves(request: Request) -> pd.DataFrame:
    """Return model, editor, edits, metric and its mean over streams.

    Points are checkpoints that every stream has reached, and the streams' ends, at their mean number of edits.
    """
    rows = []
    for model, path in request.files():
        frame = pd.read_csv(path)
        for editor in EDITORS:
            own = frame[frame["editor"] == editor]
            streams, ends = own["fold"].nunique(), own.groupby("fold").tail(1)
            reached = [(edits, points) for edits, points in own.groupby("edits") if points["fold"].nunique() == streams]
            last = [] if ends["edits"].nunique() < 2 else [(ends["edits"].mean(), ends)]
            for edits, points in [*reached, *last]:
                for metric in METRICS:
                    found = mean_interval(points.drop_duplicates("fold")[metric].to_numpy(float))
                    rows.append([model, editor, edits, metric, found.mean, found.low, found.high, found.n])
    return pd.DataFrame(rows, columns=["model", "editor", "edits", "metric", "value", "low", "high", "n"])


def make(request: Request) -> Drawing:
    """Draw one row of panels per model, one panel per metric, one line per editor."""
    frame = curves(request)
    models = list(dict.fromkeys(request.models))
    figure, axes = new_figure(len(models), len(METRICS), width=PAGE_INCHES, height=0.5 + 1.5 * len(models))
    for row, model in zip(axes, models, strict=True):
        for panel, (metric, title) in zip(row, METRICS.items(), strict=True):
            for editor in [name for name in EDITORS if name in set(frame["editor"])]:
                line = frame[(frame["model"] == model) & (frame["editor"] == editor) & (frame["metric"] == metric)]
                look = look_of(editor)
                style = {"color": look.color, "marker": look.marker, "linestyle": look.line, "markersize": 3}
                panel.plot(line["edits"], line["value"], label=title_of(look.title), **style)
            panel.set(title=title, ylim=(-0.04, 1.1), xlabel="edits")
        row[0].set_ylabel(model)
    legend_below(figure, axes[0, 0], 5)
    return Drawing(figure, frame)


if __name__ == "__main__":
    figure_main(make, __doc__)
