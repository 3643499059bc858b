"""Scores of molecules: components, transforms, how they are combined, and what runs them."""

from molgen.scoring.listing import describe_rewards
from molgen.scoring.scores import Scoring
from molgen.scoring.table import ScoreTable

__all__ = ["ScoreTable", "Scoring", "describe_rewards"]
