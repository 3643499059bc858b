"""The likelihood of a tree, and of a topology with its branch lengths integrated out."""
