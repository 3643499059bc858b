"""Alignments in NEXUS files, and the commands that change them."""
