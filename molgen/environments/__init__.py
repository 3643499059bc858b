"""How molecules are built, step by step."""
