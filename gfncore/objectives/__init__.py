"""Training objectives, one a file: what each learns from scored trajectories."""
