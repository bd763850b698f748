"""Does Localization Inform Editing? (Hase et al., NeurIPS 2023, arXiv:2301.04213).

Causal tracing says which layers carry a fact. The paper edits facts at a grid of layers, for five kinds of change
(`problems`) and four editors, and regresses the success of the edits (`scores`) on the layer and on the tracing effect
at that layer (`regression`): the layer decides, and tracing adds next to nothing.
"""

from shared.paper import Paper

PAPER = Paper(
    key="localization",
    title="Does Localization Inform Editing? Surprising Differences in Causality-Based Localization vs. Knowledge "
    "Editing in Language Models",
    authors="Hase, Bansal, Kim and Ghandeharioun",
    year=2023,
    text="arXiv:2301.04213",
)
