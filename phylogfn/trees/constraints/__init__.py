"""Hard constraints on topologies: splits that every tree has."""
