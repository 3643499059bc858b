"""Training objectives, each in its own file: losses of scored trajectories."""
