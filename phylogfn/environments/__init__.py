"""Environments of the tree program: how a topology is built step by step."""
