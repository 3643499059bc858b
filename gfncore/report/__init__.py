"""Parts of the reports: one HTML file each, which opens offline."""
