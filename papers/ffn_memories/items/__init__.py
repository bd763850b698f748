"""One script and one caption per table or figure, named by the papers' numbering: `a…` of 2021, `b…` of 2022."""
