"""Candidate topologies collected before training."""
