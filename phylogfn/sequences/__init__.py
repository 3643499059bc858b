"""Sequences that a posterior implies: simulated alignments, ancestral states."""
