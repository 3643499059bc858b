"""How a sampler of trees is trained."""
