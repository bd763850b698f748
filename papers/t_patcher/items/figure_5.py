"""Figure 5: every patch on every mended example and on test examples."""

import pandas as pd

from papers.t_patcher.items.results import look_of
from shared.report.drawing import integer_ticks
from shared.report.item_command import Drawing, Request, figure_main
from shared.report.plots import PAGE_INCHES, new_figure

EDITORS = ("t_patcher", "first_only", "no_memory")
HUE = "Purples"


def make(request: Request) -> Drawing:
    """Draw one heat map per ablation, of the first file's model: mended examples above, test examples below."""
    model, path = request.files()[0]
    frame = pd.read_csv(path)
    chosen = frame[frame["editor"].isin(EDITORS)]
    names = [editor for editor in EDITORS if (chosen["editor"] == editor).any()]
    figure, axes = new_figure(2, max(1, len(names)), width=PAGE_INCHES, height=4.2, sharex=True)
    own = chosen[chosen["own"] & (chosen["editor"] == names[0])] if names else chosen
    top = own["activation"].median() if len(own) else 1.0  # the full method's patches on their own examples
    for column, editor in enumerate(names):
        for panel, (of, words) in zip(axes[:, column], (("edit", "mended"), ("test", "test")), strict=True):
            part = chosen[(chosen["editor"] == editor) & (chosen["of"] == of)]
            values = part.pivot(index="example", columns="patch", values="activation").to_numpy(float)
            image = panel.imshow(values, aspect="auto", cmap=HUE, vmin=0, vmax=top, interpolation="nearest")
            panel.set(ylabel=f"{words} example" if column == 0 else "", xlabel="patch" if of == "test" else "")
            integer_ticks(panel.xaxis, values.shape[1])
            integer_ticks(panel.yaxis, values.shape[0])
        axes[0, column].set_title(look_of(editor).title)
    figure.colorbar(image, ax=axes.ravel().tolist(), label="activation", fraction=0.04, pad=0.02)
    return Drawing(figure, chosen.assign(model=model))


if __name__ == "__main__":
    figure_main(make, __doc__)
