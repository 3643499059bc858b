"""Results of runs, and their output files."""
