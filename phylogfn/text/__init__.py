"""Characters to tokens: text files, quoting, NEXUS, taxon names."""
