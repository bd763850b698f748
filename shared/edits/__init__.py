"""Changes to a model, apart from how they were found: applied and undone bit for bit, one per row, on disk."""
