"""In-context knowledge editing (IKE): a fact is changed by what stands before the prompt; no weight is touched.

The context holds demonstrations of facts that other records change: copy (the fact is repeated), update (it is asked
for in other words) and retain (another subject keeps its own object). They are retrieved from a pool of records by the
similarity of the fact to be edited, the nearest last. After them the new fact is stated and the prompt asked.
"""

from shared.paper import Paper

PAPER = Paper(
    key="ike",
    title="Can We Edit Factual Knowledge by In-Context Learning?",
    authors="Zheng, Li, Dong, Fan, Wu, Xu and Chang",
    year=2023,
    text="EMNLP 2023, pages 4862-4876, arXiv:2305.12740",
    editors={"ike": "papers.ike.editor", "prompt": "papers.ike.editor"},
)
