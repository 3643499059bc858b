"""Scoring of batches of molecules in worker processes and clusters."""
