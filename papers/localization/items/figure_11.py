"""Figure 11: where causal tracing peaks, by window."""

import pandas as pd

from papers.localization.items.peaks import draw_peaks, peaks_of
from shared.report.editing_results import read_csv
from shared.report.item_command import Drawing, Request, figure_main
from shared.report.plots import new_figure


def make(request: Request) -> Drawing:
    """Draw a histogram of peak layers per window."""
    (model, _), _ = request.files()
    peaks, effects = request.inputs
    layers = range(int(read_csv(effects, ["layer"])["layer"].max()) + 1)
    windows = sorted(read_csv(peaks, ["window"])["window"].unique().tolist())
    figure, axes = new_figure(1, len(windows), height=1.9, sharey=True)
    frames = []
    for panel, window in zip(axes[0], windows, strict=True):
        counts = peaks_of(peaks, window, layers)
        draw_peaks(panel, counts, request.settings, title=f"window of {window}", marked=False)
        frames.append(counts.assign(window=window))
    for panel in axes[0, 1:]:
        panel.set_ylabel("")
    return Drawing(figure, pd.concat(frames).assign(model=model))


if __name__ == "__main__":
    figure_main(make, __doc__)
