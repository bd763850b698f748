"""Knowledge Neurons: which activations of the feed-forward layers carry a fact, and what changing them does.

In a cloze prompt whose answer is one token, each feed-forward activation at the answer's place gets the integrated
gradient of the answer's probability, with the activations of one layer scaled together from zero. Neurons that score
high in one prompt are *coarse* knowledge neurons; those that do so in most prompts of a fact are *refined* ones.
Setting them to zero suppresses the fact, doubling them amplifies it, and writing embeddings into their value vectors
updates or erases it. For causal models the answer's place is the prompt's last token.
"""

from shared.paper import Paper

PAPER = Paper(
    key="kn",
    title="Knowledge Neurons in Pretrained Transformers",
    authors="Dai, Dong, Hao, Sui, Chang and Wei",
    year=2022,
    text="ACL 2022, pp. 8493-8502; arXiv:2104.08696v2",
    editors={"kn": "papers.kn.editor"},
)
