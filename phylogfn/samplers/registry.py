"""The samplers by the settings that choose them."""

from __future__ import annotations

from phylogfn.samplers.base import TreeSampler
from phylogfn.samplers.insertion import InsertionSampler
from phylogfn.samplers.merging import MergingSampler
from phylogfn.samplers.merging_lengths import MergingLengthsSampler
from phylogfn.settings import SampleSettings

__all__ = ["SAMPLERS", "make_sampler"]

# by --environment, and whether trees are built with their branch lengths
SAMPLERS: dict[tuple[str, bool], type[TreeSampler]] = {
    ("insertion", False): InsertionSampler,
    ("merging", False): MergingSampler,
    ("merging", True): MergingLengthsSampler,
}


def make_sampler(settings: SampleSettings) -> TreeSampler:
    """Return the sampler for the settings.

    Raises
    ------
    UserError
        The construction method does not support the settings.
    """
    environment, with_lengths = settings.environment, settings.branch_lengths != "collapsed"
    # samplers that do not support lengths raise an error
    sampler = SAMPLERS.get((environment, with_lengths), SAMPLERS[environment, False])
    return sampler(settings)
