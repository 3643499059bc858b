"""What a posterior says of clades, topologies and single trees."""
