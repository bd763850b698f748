"""Figure 3: in which layers knowledge neurons lie."""

from papers.kn.analysis import layers, read_sets
from papers.kn.items.wording import SETS
from shared.records import read_json
from shared.report.item_command import Drawing, Request, figure_main
from shared.report.plots import COLUMN_INCHES, new_figure


def make(request: Request) -> Drawing:
    """Draw the share of neurons by layer as bars symmetric around zero, as the paper does."""
    ((model, path),) = request.files()
    frame = layers(read_sets(path, "ig"), read_json(path)["shape"][0])
    figure, axes = new_figure(width=COLUMN_INCHES, height=2.2)
    panel = axes[0, 0]
    panel.bar(frame["layer"], frame["value"], 0.8, bottom=-frame["value"] / 2, color=SETS["ig"][1])
    for line in frame.itertuples():
        panel.text(line.layer, line.value / 2 + 1, f"{line.value:.0f}", ha="center", fontsize=6)
    reach = frame["value"].max() / 2 + 6
    panel.set(xlabel="layer", ylabel="share of knowledge neurons, %", ylim=(-reach, reach))
    panel.set_yticks([])
    panel.set_xticks(frame["layer"])
    return Drawing(figure, frame.assign(model=model))


if __name__ == "__main__":
    figure_main(make, __doc__)
