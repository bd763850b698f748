"""MEND: fast model editing at scale (Mitchell et al., ICLR 2022, arXiv:2110.11309v2).

The gradient of an edit's loss with respect to a linear map's weight is a sum of outer products of the map's inputs u
and the gradients δ of its outputs. Small networks, one per shape of weight and shared by all layers of that shape, are
trained to turn normalised pairs (u, δ) into better ones, such that one step along the changed gradient writes the
edit, reaches its paraphrases, and leaves other answers alone. Once trained, an edit costs one backward pass.
"""

from shared.paper import Paper

PAPER = Paper(
    key="mend",
    title="Fast Model Editing at Scale",
    authors="Mitchell, Lin, Bosselut, Finn and Manning",
    year=2022,
    text="arXiv:2110.11309v2",
    editors={"mend": "papers.mend.editor"},
)
