"""ROME: locating and editing factual associations in GPT (Meng et al., NeurIPS 2022, arXiv:2202.05262v5).

A fact is stored, the paper argues, where a middle layer's MLP maps the last token of its subject to a value. ROME finds
the key of the subject there (`key`), searches the value that makes the model state another object (`value`), and writes
the pair into the MLP's down projection by a rank-one change that disturbs ordinary text least (`update`, `editor`).
"""

from shared.paper import Paper

PAPER = Paper(
    key="rome",
    title="Locating and Editing Factual Associations in GPT",
    authors="Meng, Bau, Andonian and Belinkov",
    year=2022,
    text="arXiv:2202.05262v5",
    editors={
        "rome": "papers.rome.editor",
        "ft": "papers.rome.baselines",
        "ft_l": "papers.rome.baselines",
        "attn_edit": "papers.rome.baselines",
    },
)
