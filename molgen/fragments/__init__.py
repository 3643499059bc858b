"""Fragments: reading, cutting, and covering molecules with them."""
