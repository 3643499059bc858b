"""The report on a library: one HTML file that opens offline."""
