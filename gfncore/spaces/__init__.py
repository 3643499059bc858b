"""Small environments on which methods are proved: their distributions can be summed exactly."""

from gfncore.spaces.bags import Bags
from gfncore.spaces.bit_sequences import BitSequences
from gfncore.spaces.hypergrid import Hypergrid
from gfncore.spaces.vectors import VectorSpace, VectorStates

__all__ = ["Bags", "BitSequences", "Hypergrid", "VectorSpace", "VectorStates"]
