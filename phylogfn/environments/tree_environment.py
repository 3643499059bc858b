"""The environments that build topologies without branch lengths."""

from __future__ import annotations

from phylogfn.environments.insertion import InsertionEnvironment
from phylogfn.environments.merging import MergingEnvironment

__all__ = ["TreeEnvironment"]

TreeEnvironment = InsertionEnvironment | MergingEnvironment
