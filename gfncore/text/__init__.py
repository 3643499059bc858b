"""Numbers, names and bytes read from the text that users write."""
