import numpy as np
import pandas as pd

from shared.editing.methods import METHODS, title_of
from shared.report.plots import draw_line, look_of, new_figure, save_figure


def draw(folder):
    x = np.arange(4)
    figure, axes = new_figure(1, 2)
    draw_line(axes[0, 0], "rome", x, x * 0.1, x * 0.1 - 0.1, x * 0.1 + 0.1)
    axes[0, 1].imshow(np.outer(x, x), cmap="Purples")
    axes[0, 0].set(xlabel="layer", ylabel="score")
    paths = {kind: folder / f"figure_1.{kind}" for kind in ("svg", "png", "csv")}
    save_figure(figure, pd.DataFrame({"layer": x, "score": x * 0.1}), **paths)
    return {kind: path.read_bytes() for kind, path in paths.items()}


def test_the_same_numbers_give_the_same_bytes(tmp_path):
    first, second = draw(tmp_path / "a"), draw(tmp_path / "b")
    assert first == second
    assert b"ROME" not in first["png"]
    assert b"layer" in first["svg"]


def test_no_two_methods_look_alike():
    looks = [(look.color, look.marker, look.line) for look in METHODS.values()]
    assert len(set(looks)) == len(looks)
    assert look_of("unheard_of").title == title_of("unheard_of") == "unheard_of"
    assert title_of("-") == ""
    assert (title_of("mend_25"), title_of("ft_5"), title_of("of_25")) == ("MEND-25", "FT-5", "of_25")
