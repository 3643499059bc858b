"""The components that a scoring function is made of, one family per file."""
