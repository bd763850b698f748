"""Figure 6: variance explained by the layer, and what tracing adds (also Figures 12 and 13)."""

import numpy as np

from papers.localization.items.chosen import EDITORS, main_rows, read_regressions, select
from papers.localization.problems import PROBLEMS
from shared.editing.methods import title_of
from shared.report.drawing import legend_below
from shared.report.item_command import Drawing, Request, figure_main
from shared.report.plots import new_figure

LAYER_COLOR, ADDED_COLOR = "#56B4E9", "#D55E00"


def make(request: Request) -> Drawing:
    """Draw a panel per problem: bars of the layer's R², with the increment by tracing and its interval on top."""
    ((model, path),) = request.files()
    where = main_rows(request.settings, window=request.settings.get("shown", "window"), score="rewrite")
    where |= {"problem": request.settings["problems"]} if "problems" in request.settings else {}
    frame = select(read_regressions(path), where)
    problems = [problem for problem in PROBLEMS if (frame["problem"] == problem).any()]
    editors = [editor for editor in EDITORS if (frame["editor"] == editor).any()]
    figure, axes = new_figure(1, len(problems), height=2.3, sharey=True)
    for panel, problem in zip(axes[0], problems, strict=True):
        rows = frame[frame["problem"] == problem].set_index("editor").reindex(editors)
        x = np.arange(len(editors))
        panel.bar(x, rows["r2_layer"], color=LAYER_COLOR, width=0.7, label="layer")
        panel.bar(
            x, rows["difference"], bottom=rows["r2_layer"], color=ADDED_COLOR, width=0.7, label="added by tracing"
        )
        spread = np.abs(np.array([rows["difference"] - rows["low"], rows["high"] - rows["difference"]]))
        panel.errorbar(x, rows["r2_both"], spread, fmt="none", ecolor="#333333", elinewidth=0.7, capsize=1.5)
        for place, row in enumerate(rows.itertuples()):
            text = f"+{100 * row.difference:.1f}"
            panel.annotate(
                text, (place, row.r2_layer + row.high), (0, 2), textcoords="offset points", ha="center", size=6
            )
        panel.set_xticks(x, [title_of(editor) for editor in editors], rotation=60)
        panel.set_title(PROBLEMS[problem].title)
        panel.set_ylim(0, 1.08)
    axes[0, 0].set_ylabel("R² of the rewrite score")
    legend_below(figure, axes[0, 0], 2)
    return Drawing(figure, frame.assign(model=model))


if __name__ == "__main__":
    figure_main(make, __doc__)
