"""Feed-forward layers as memories: what their keys respond to, what their values say, and how layers put them together.

Each row k of the first map is a key, each row v of the second its value, and a layer writes the sum of its values times
the keys' responses (Geva et al. 2021). Projected to the vocabulary, values promote concepts, and the model's prediction
is built by such promotions from layer to layer (Geva et al. 2022). One folder for both papers: items called `a…` are of
the first, `b…` of the second.
"""

from shared.paper import Paper

PAPER = Paper(
    key="ffn_memories",
    title="Transformer Feed-Forward Layers Are Key-Value Memories",
    authors="Geva, Schuster, Berant and Levy",
    year=2021,
    text="EMNLP 2021, arXiv:2012.14913v2; with Geva, Caciularu, Wang and Goldberg (2022), arXiv:2203.14680v3",
)
