"""What a model answers: probabilities of targets, generated texts, filled masks, verdicts."""
