"""Figure 8: average indirect effects by token category and layer, as lines."""

from papers.memit.items.tracing import SEVERED, UNIT, effects_of
from shared.report.drawing import KINDS, legend_below, token_lines
from shared.report.item_command import Drawing, Request, figure_main
from shared.report.plots import PAGE_INCHES, new_figure

CATEGORIES = {
    "first_subject": "first subject token",
    "middle_subject": "middle subject tokens",
    "last_subject": "last subject token",
    "first_subsequent": "first subsequent token",
    "further": "further tokens",
    "last": "last token",
}


def make(request: Request) -> Drawing:
    """Draw the effects of restoring states, MLP windows and attention windows with their 95 % bands."""
    ((model, path),) = request.files()
    frame = effects_of(model, path)
    frame = frame[frame["kind"] != SEVERED]
    figure, (row,) = new_figure(1, 3, width=PAGE_INCHES, height=2.5, sharey=True)
    for panel, (kind, (_, name)) in zip(row, KINDS.items(), strict=True):
        chosen = frame[frame["kind"] == kind].assign(category=lambda lines: lines["category"].map(CATEGORIES))
        token_lines(panel, chosen, title=name, unit=UNIT if kind == "state" else "")
    legend_below(figure, row[0], 3)
    return Drawing(figure, frame)


if __name__ == "__main__":
    figure_main(make, __doc__)
