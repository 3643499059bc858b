"""Spaces small enough to enumerate: the exact distributions of samplers, and the truth."""
