"""Evidence of topologies with their branch lengths and parameters, by importance draws."""
