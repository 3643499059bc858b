"""Trajectories through an environment, and their probabilities."""
