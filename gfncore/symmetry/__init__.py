"""Canonical forms, automorphisms and orbits of small labelled graphs."""
