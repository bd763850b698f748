"""CaliNet: calibrate what a language model got wrong, many facts at once.

First the false facts are found: a fact counts as known if its object is more probable after its own relation than after
other relations of the same subject (contrastive knowledge assessment). Then a few slots, neurons beside those of one
feed-forward layer, are trained on statements of the true facts while all of the model's own weights stay as they are.
"""

from shared.paper import Paper

PAPER = Paper(
    key="calinet",
    title="Calibrating Factual Knowledge in Pretrained Language Models",
    authors="Dong, Dai, Song, Xu, Sui and Li",
    year=2022,
    text="Findings of EMNLP 2022; arXiv:2210.03329",
    editors={"calinet": "papers.calinet.editor"},
)
