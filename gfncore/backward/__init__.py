"""How backward policies are learned."""
