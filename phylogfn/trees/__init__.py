"""Array trees, the files they are read from, and sets of them."""
