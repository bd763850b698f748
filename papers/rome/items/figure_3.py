"""Figure 3: the average effect of a state at the last subject token, with MLPs or attention severed."""

from papers.rome.items.average import SEVERED, UNIT, effects_of
from shared.errors import ConfigError
from shared.report.drawing import legend_below, severed_bars
from shared.report.item_command import Drawing, Request, figure_main
from shared.report.plots import PAGE_INCHES, new_figure


def make(request: Request) -> Drawing:
    """Draw the three curves as bars by layer."""
    ((model, path),) = request.files()
    frame = effects_of(model, path)
    frame = frame[frame["kind"] == SEVERED].rename(columns={"category": "condition"})
    if frame.empty:
        raise ConfigError(f"{path}: no severed curves; trace with `severed: true`")
    figure, axes = new_figure(width=0.75 * PAGE_INCHES, height=2.4)
    severed_bars(axes[0, 0], frame, title="", unit=UNIT)
    legend_below(figure, axes[0, 0], 3)
    return Drawing(figure, frame)


if __name__ == "__main__":
    figure_main(make, __doc__)
