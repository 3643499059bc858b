"""The parsimony criterion: scores, search, and the table of trees found."""
