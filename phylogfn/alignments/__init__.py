"""Alignment files, and the site patterns and characters made from them."""
