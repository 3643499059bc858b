"""The command line of molgen: one file a subcommand."""
