"""SERAC: memory-based model editing at scale (Mitchell et al., ICML 2022, arXiv:2206.06520).

Edits are kept in a memory, as text, and the base model is never touched. A scope classifier compares an input with
every edit of the memory; if the likeliest one covers it, a small counterfactual model answers from the edit and the
input, else the base model answers. Classifier and counterfactual model are trained apart from each other and from the
base model.
"""

from shared.paper import Paper

PAPER = Paper(
    key="serac",
    title="Memory-Based Model Editing at Scale",
    authors="Mitchell, Lin, Bosselut, Manning and Finn",
    year=2022,
    text="arXiv:2206.06520",
    editors={"serac": "papers.serac.editor"},
)
