"""Partitions of the columns of an alignment."""
