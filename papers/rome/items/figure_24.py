"""Figure 24: how the metrics of single cases are distributed, for AttnEdit and for ROME."""

from shared.report.editing_results import MAGNITUDES, METRIC_TITLES, SCORES, read_cases
from shared.report.item_command import Drawing, Request, figure_main
from shared.report.plots import PAGE_INCHES, look_of, new_figure

EDITORS = ["none", "attn_edit", "rome"]


def make(request: Request) -> Drawing:
    """Draw one panel per metric with one box per editor."""
    ((model, path),) = request.files()
    metrics = [*SCORES, *MAGNITUDES]
    cases = read_cases(path)
    cases = cases[cases["editor"].isin(EDITORS)]
    long = cases.melt(["editor", "case_id"], metrics, "metric", "value").dropna()
    long["value"] *= 100
    long.insert(0, "model", model)
    figure, axes = new_figure(2, 3, width=PAGE_INCHES, height=3.6)
    for panel, metric in zip(axes.flat, metrics, strict=True):
        values = [long[(long["metric"] == metric) & (long["editor"] == editor)]["value"] for editor in EDITORS]
        looks = [look_of(editor) for editor in EDITORS]
        boxes = panel.boxplot(
            values,
            tick_labels=[look.title for look in looks],
            widths=0.6,
            patch_artist=True,
            showmeans=True,
            medianprops={"color": "#333333"},
            meanprops={"marker": "D", "markerfacecolor": "white", "markeredgecolor": "#333333", "markersize": 4},
            flierprops={"marker": ".", "markersize": 2, "alpha": 0.5},
        )
        for box, look in zip(boxes["boxes"], looks, strict=True):
            box.set(facecolor=look.color, alpha=0.6)
        panel.set_title(METRIC_TITLES[metric])
    for row in axes:
        row[0].set_ylabel("percent")
    return Drawing(figure, long.sort_values(["metric", "editor", "case_id"]))


if __name__ == "__main__":
    figure_main(make, __doc__)
