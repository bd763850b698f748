"""Figure 4: edit scores against tracing effects, a panel per layer (also Figures 14 to 22)."""

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from scipy import stats

from papers.localization.effects import ZEROED
from papers.localization.items.chosen import EFFECT_TITLES, FRACTION, SCORE_TITLES, label, select
from shared.report.editing_results import read_csv
from shared.report.item_command import Drawing, Request, figure_main
from shared.report.plots import COLUMN_INCHES, PAGE_INCHES, new_figure

PANELS_PER_ROW = 4


def points_of(request: Request) -> pd.DataFrame:
    """Return the shown edits: case_id, layer, effect and score of one problem and editor."""
    settings = request.settings
    scores, effects = request.inputs
    score = "rewrite_magnitude" if settings["score"] == "magnitude" else f"{settings['score']}_score"
    window = settings.get("traced", str(settings["window"]))
    own = select(read_csv(scores, ["case_id", "layer", score]), {k: settings[k] for k in ("problem", "editor")})
    traced = select(read_csv(effects, ["case_id", "layer", "window"]).astype({"window": str}), {"window": window})
    traced = traced[["case_id", "layer", settings["effect"]]].rename(columns={settings["effect"]: "effect"})
    points = own[["case_id", "layer", score]].rename(columns={score: "score"}).merge(traced, on=["case_id", "layer"])
    if settings["layers"] is not None:
        points = select(points, {"layer": settings["layers"]})
    return points.dropna().reset_index(drop=True)


def fitted_line(points: pd.DataFrame, at: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray] | None:
    """Return the least-squares line with its 95 % band for the mean; None where the effect does not vary."""
    x, y = points["effect"].to_numpy(float), points["score"].to_numpy(float)
    spread = ((x - x.mean()) ** 2).sum()
    if len(x) < 3 or not spread > 0:
        return None
    slope = ((x - x.mean()) * (y - y.mean())).sum() / spread
    line = y.mean() + slope * (at - x.mean())
    residual = ((y - y.mean() - slope * (x - x.mean())) ** 2).sum() / (len(x) - 2)
    half = stats.t.ppf(0.975, len(x) - 2) * np.sqrt(residual * (1 / len(x) + (at - x.mean()) ** 2 / spread))
    return line, line - half, line + half


def draw_panel(axes: Axes, points: pd.DataFrame, *, diagonal: bool, title: str) -> float:
    """Draw one layer's points with their line; return their correlation."""
    x, y = points["effect"].to_numpy(float), points["score"].to_numpy(float)
    axes.scatter(x, y, s=7, alpha=0.25, color="#0072B2", linewidths=0)
    at = np.linspace(x.min(), x.max(), 50)
    if diagonal:
        axes.plot([0, 1], [0, 1], color="#D55E00", linestyle="--", linewidth=0.8)
    if (line := fitted_line(points, at)) is not None:
        axes.plot(at, line[0], color="#E69F00", linewidth=1.2)
        axes.fill_between(at, line[1], line[2], color="#E69F00", alpha=0.25, linewidth=0)
    rho = float(np.corrcoef(x, y)[0, 1]) if np.ptp(x) > 0 and np.ptp(y) > 0 else float("nan")
    axes.set_title(f"{title}, ρ = {rho:.2f}".replace("-", "−") if rho == rho else title)
    return rho


def make(request: Request) -> Drawing:
    """Draw every edit of the chosen layers as a point."""
    settings = request.settings
    points = points_of(request)
    layers = sorted(points["layer"].unique())
    columns = min(PANELS_PER_ROW, len(layers))
    rows = -(-len(layers) // columns)
    width = COLUMN_INCHES if len(layers) == 1 else PAGE_INCHES
    figure, axes = new_figure(rows, columns, width=width, height=0.5 + 1.75 * rows, sharex=True, sharey=True)
    effect = ZEROED if settings.get("traced") == ZEROED else settings["effect"]
    diagonal = effect in (FRACTION, "last_subject_fraction", ZEROED) and settings["score"] != "magnitude"
    for panel, layer in zip(axes.flat, layers, strict=False):
        own = points["layer"] == layer
        points.loc[own, "rho"] = draw_panel(panel, points[own], diagonal=diagonal, title=f"layer {layer}")
    for panel in axes.flat[len(layers) :]:
        panel.set_visible(False)
    for row in axes:
        row[0].set_ylabel(SCORE_TITLES[settings["score"]])
    figure.supxlabel(EFFECT_TITLES[effect], fontsize="medium")
    figure.suptitle(label(settings["problem"], settings["editor"]), fontsize="medium")
    known = {name: settings[name] for name in ("problem", "editor")}
    kinds = {"score_kind": settings["score"], "effect_kind": effect}
    return Drawing(figure, points.assign(model=request.models[0], **known, **kinds))


if __name__ == "__main__":
    figure_main(make, __doc__)
