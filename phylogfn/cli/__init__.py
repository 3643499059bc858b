"""The command line of phylogfn: one file a subcommand."""
