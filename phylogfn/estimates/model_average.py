"""Several models averaged by their evidences.

All models have the same prior probability. With the closed form R_i of topology i at one of them
and r_im = p(Y | i, m) / R_i, the evidence of model m is Z_m = sum_i m_i r_im, and of all models
together the mean of Z_m; so their corrections are averaged topology by topology, and draws are
taken from each model by its posterior probability Z_m / sum Z.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.special import logsumexp

from gfncore.evaluation import systematic_resample
from phylogfn.estimates.lengths.samples import CorrectedShares, Corrections, LengthSamples

__all__ = ["AveragedModels", "average_models"]

NOTICEABLE = 0.02  # posterior probability from which the tail of a model's weights counts


@dataclass(frozen=True)
class AveragedModels:
    """Draws of several models together.

    Attributes
    ----------
    samples : LengthSamples
        ``thetas`` are padded with NaN to the largest number of parameters.
    models : ndarray, shape (S,), int64
        Index of the model of each draw.
    probabilities : ndarray, shape (M,)
        Posterior probabilities of the models.
    """

    samples: LengthSamples
    models: np.ndarray
    probabilities: np.ndarray


def average_models(
    parts: Sequence[LengthSamples], n_samples: int, rng: np.random.Generator
) -> AveragedModels:
    """Average models, whose draws were all made relative to the same closed forms.

    Parameters
    ----------
    parts : sequence of LengthSamples
        Of each model; each has ``n_samples`` draws.
    n_samples : int
        S, the number of draws of the result.
    rng : numpy.random.Generator
    """
    n = len(parts)
    log_z = np.array([part.log_correction for part in parts])
    probabilities = np.exp(log_z - logsumexp(log_z))
    log_ratios = np.stack([part.corrections.log_ratios for part in parts])
    total = np.asarray(logsumexp(log_ratios, axis=0))
    shares = np.exp(log_ratios - total)
    variances = np.stack([part.corrections.variances for part in parts])
    drawn_for = np.stack([part.corrections.drawn_for for part in parts])
    errors = np.array([part.standard_error for part in parts])
    models = systematic_resample(probabilities, n_samples, rng)
    counts = np.bincount(models, minlength=n)
    chosen = [np.arange(count) for count in counts]
    order = rng.permutation(n_samples)
    width = max(part.thetas.shape[1] for part in parts)

    def joined(name: str) -> np.ndarray:
        rows = []
        for part, own in zip(parts, chosen, strict=True):
            values = getattr(part, name)[own]
            if name == "thetas":
                padding = ((0, 0), (0, width - values.shape[1]))
                values = np.pad(values, padding, constant_values=np.nan)
            rows.append(values)
        return np.concatenate(rows)[order]

    ess = np.array([part.ess for part in parts])
    tails = [
        part.pareto_k
        for part, p in zip(parts, probabilities, strict=True)
        if p > NOTICEABLE and not np.isnan(part.pareto_k)
    ]
    counted = [part for part, p in zip(parts, probabilities, strict=True) if p > NOTICEABLE]
    hardest = max(counted, key=lambda part: (part.rungs, part.method == "joint"))
    samples = LengthSamples(
        rows=joined("rows"),
        lengths=joined("lengths"),
        log_likelihoods=joined("log_likelihoods"),
        thetas=joined("thetas"),
        log_correction=float(np.asarray(logsumexp(log_z))) - float(np.log(n)),
        standard_error=float(np.sqrt(((probabilities * errors) ** 2).sum())),
        corrections=Corrections(
            total - np.log(n),
            (shares**2 * variances).sum(axis=0),
            probabilities @ drawn_for > 0.5,
        ),
        shares=CorrectedShares(
            probabilities @ np.stack([part.shares.values for part in parts]),
            probabilities**2 @ np.stack([part.shares.variances for part in parts]),
        ),
        ess=float(1.0 / (probabilities**2 / ess).sum()),
        pareto_k=max(tails, default=np.nan),
        n_draws=sum(part.n_draws for part in parts),
        wanted_draws=sum(part.wanted_draws for part in parts),
        method=hardest.method,
        rungs=hardest.rungs,
    )
    return AveragedModels(samples, np.repeat(np.arange(n), counts)[order], probabilities)
