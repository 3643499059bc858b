"""Molecular graphs, and the files of molecules."""
