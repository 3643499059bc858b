"""The run of ``phylogfn sample``."""
