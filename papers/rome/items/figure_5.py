"""Figure 5: ROME at every layer and at four tokens of the prompt."""

from shared.report.item_command import Drawing, Request, figure_main
from shared.report.sweeps import draw_sweep, frame_of

METRICS = ["efficacy_magnitude", "paraphrase_magnitude", "neighborhood_magnitude", "score"]
TOKENS = {
    "subject_first": ("first subject token", ("#56B4E9", "v", ":")),
    "subject_last": ("last subject token", ("#D55E00", "o", "-")),
    "subject_first_after_last": ("first token after the subject", ("#CC79A7", "D", "--")),
    "last": ("last token", ("#009E73", "^", "-.")),
}


def make(request: Request) -> Drawing:
    """Draw efficacy, generalisation, specificity and Score by edited layer, one line per edited token."""
    frame = frame_of(request, [*METRICS, "other_facts_kept"])
    frame["token"] = frame["fact_token"].map({key: title for key, (title, _) in TOKENS.items()})
    looks = dict(TOKENS.values())
    return draw_sweep(
        request, frame, METRICS, rows=2, x="layer", series="token", looks=looks, legend_columns=5, height=4.2
    )


if __name__ == "__main__":
    figure_main(make, __doc__)
