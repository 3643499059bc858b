"""From draws to the evidence and the posterior."""
