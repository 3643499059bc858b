"""The trainer and its parts: replay, optimisers, averaging, checkpoints."""
