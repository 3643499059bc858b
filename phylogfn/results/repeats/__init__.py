"""Repeated runs: how far they agree, and their combined posterior."""
