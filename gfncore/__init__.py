"""A GFlowNet engine: environments, objectives, a graph-network policy, training and evaluation."""
