"""One way of building trees a file: all that a run of ``phylogfn sample`` asks of it."""
