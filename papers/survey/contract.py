"""What the parts of this room hand to each other: names, columns and units of its files.

- `<results>/survey/records/{form}.jsonl`: the cases, one per line, fields of `papers.survey.records.SurveyRecord`.
  Of a form, `{form}_pool.jsonl` holds further records about other subjects, which methods may learn from, and
  `{form}_others.jsonl` those that large batches edit beside the cases, without being asked about them.
- `<results>/survey/metrics/{model}.csv`: columns `METRIC_COLUMNS`; accuracies and agreements in percent, everything
  else in natural units. A method or protocol that was not run has no line.
- `<results>/survey/costs/{model}.csv`: columns `COST_COLUMNS`.
- `<results>/survey/sequences/{model}.csv`: columns `SEQUENCE_COLUMNS`, one line per edit of a sequence.

A record holds `case_id`, `subject`, `relation_id`, `prompt` (with `{}`), `question`, `target_new`, `target_true`,
`paraphrase_prompts`, `paraphrase_questions`, `neighborhood_prompts` and `neighborhood_questions` (their true object is
`target_true`), `locality` and `probes`. `locality` is a list, `probes` a mapping of family to list, of
`{prompt, question, answer}`; the probes of `other_task` have `wrong` as well, the second choice. Decoders are asked
prompts, encoder-decoders questions. In the form `zsre` the prompts are questions themselves. Locality is asked of
`locality` where a record has any, and of the neighborhood where it has none.

Protocols are `single`, `batch:<n>`, and `sequence:<T>:<when>` for the first T edits of a sequence, asked `immediate`
(each right after it is made), at a `checkpoint` (all after the T-th edit) or `final` (all after the sequence's last).

Rules: `Snakefile` makes these files for decoders and includes `rules/questions.smk`, which makes them for
encoder-decoders, and `items.smk`, which makes tables and figures and names them in `TABLES` and `FIGURES`.
"""

FORMS = ("counterfact", "zsre")

# Probes beside rewrite, paraphrase and locality. Portability should follow from an edit, locality should not.
PORTABILITY = ("alias", "inverse", "one_hop")
LOCALITY = ("other_attribute", "distracting", "other_task")
FAMILIES = (*PORTABILITY, *LOCALITY)

SCORERS = ("survey", "wild", "rome", "plus")
# Metrics of the scorers `survey` and `wild`.
METRICS = (
    "reliability",
    "generalization",
    "locality",
    *(f"portability_{family}" for family in PORTABILITY),
    *(f"locality_{family}" for family in LOCALITY),
)
# ROME's scores and magnitudes, and CounterFact+'s (`plus`), whose bounds are a hierarchical bootstrap's.
ROME_METRICS = ("ES", "EM", "PS", "PM", "NS", "NM", "S")
PLUS_METRICS = ("NS", "NM", "NKL", "NS+", "NM+", "NKL+")

METRIC_COLUMNS = ("form", "editor", "protocol", "scorer", "metric", "n", "mean", "low", "high")
COST_COLUMNS = (
    *("form", "editor", "protocol", "seconds_per_edit", "peak_mib"),
    *("training_seconds", "training_peak_mib"),
)
# Relative size of the change so far, of this edit's, bits of entropy of a text generated after it, 1 where the edit is
# found disabling.
SEQUENCE_COLUMNS = ("form", "editor", "edits", "norm_growth", "update_norm", "entropy", "disabled")

# Decoders' methods in the order of the tables; `random` is ROME's change with random directions of the same norms.
METHODS = (
    *("none", "prompt", "random", "ft", "ft_l", "kn", "ke", "mend", "rome", "memit"),
    *("t_patcher", "calinet", "ike", "serac"),
)

IMMEDIATE, CHECKPOINT, FINAL = "immediate", "checkpoint", "final"


def sequence_protocol(edits: int, when: str) -> str:
    """Return the name of the protocol that asks the first `edits` edits of a sequence."""
    return f"sequence:{edits}:{when}"


def batch_protocol(n: int) -> str:
    """Return the name of the protocol that makes `n` edits together."""
    return f"batch:{n}"
