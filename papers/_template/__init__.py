"""Copy this folder to start a paper: say here, in one paragraph, what the method does and how.

The template itself describes the records of CounterFact, so that every part of a paper's folder has something to do.
"""

from shared.paper import Paper

PAPER = Paper(
    key="_template",
    title="Locating and Editing Factual Associations in GPT",
    authors="Meng, Bau, Andonian and Belinkov",
    year=2022,
    text="arXiv:2202.05262v5",
)
