"""Parts of the answer of ``phylogfn sample``."""
