"""From a model's answers to numbers with intervals."""
