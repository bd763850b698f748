"""One script and one caption per table or figure, named by what it shows."""
