"""One script and one caption per table or figure, named by the paper's numbering."""
