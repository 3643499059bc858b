"""The runs of the commands."""
