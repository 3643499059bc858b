"""The joint posterior of parameters and branch lengths of a topology, and draws from it."""
