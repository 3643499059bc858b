"""The run of ``phylogfn parsimony``."""
