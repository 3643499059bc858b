"""Scores of molecules: components, transforms, aggregation and execution."""

from molgen.scoring.listing import describe_rewards
from molgen.scoring.scores import Scoring
from molgen.scoring.table import ScoreTable

__all__ = ["ScoreTable", "Scoring", "describe_rewards"]
