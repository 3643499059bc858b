"""Densities of positive numbers carried by actions, such as branch lengths.

An action on a pair of nodes carries a number for each of the two, or only for the first. The
density of a number x is with respect to Lebesgue measure on x, so the sums of the log-probability
of the action and the log-density of its numbers are those of a GFlowNet on a hybrid space (Lahlou
et al. 2023, A theory of continuous generative flow networks, ICML, arXiv:2301.12594). Two shapes:

lognormal: a mixture of log-normals, log x ~ sum_k pi_k N(m + s (o_k + u_k), s w_k e^(v_k)); bins: a
histogram with bins of equal width in log x and constant density within each bin; a further
    bin extends down to 0, and an exponential tail extends upwards.

m and s, the location and scale of log x, are given by the environment. pi, u, v, and the terms
added to the logits of the bins are computed by a network from the two nodes, further features, and
the deviation of the previous number from its location. Its last layer starts at zero: an untrained
head follows only m and s, with bins as for the gamma distribution whose logarithm has this mean and
about this standard deviation. A share `WIDE` of every density is a broad log-normal (or its bins),
so that no relevant number is left without density.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import nn

from gfncore.graph_batch import GraphBatch

__all__ = ["SHAPES", "ValueHead", "ValueSpec"]

SHAPES = ("lognormal", "bins")
WIDTH = 96  # of the network's layers
WIDE = 1e-3
WIDE_SPREAD, WIDE_EXTRA = 3.0, 0.5  # its spread: so many times s, and so much more
# of the components at the start: shares, places and widths in units of s; a posterior of a log
# length leans to the left
SHARES = (0.25, 0.5, 0.25)
PLACES = (-0.9, 0.0, 0.7)
WIDTHS = (1.0, 0.8, 0.7)
MOST_CHANGE = 3.0  # of a log width
KNOTS, KNOT_STEP = 17, 0.75  # of the terms added to logits of bins, over (log x - m) / s
FURTHEST = 8.0  # spreads: how far from its place a number may look to the next
LEAST_MASS = 1e-6  # of a bin, before the network's correction
SMALLEST = 1e-30  # number that is drawn


@dataclass(frozen=True)
class ValueSpec:
    """Shape of the densities (one of `SHAPES`) and their inputs.

    Attributes
    ----------
    shape : str
    features : int
        F, the number of features of a number; the first two are m and log s.
    bins : int
        Between `low` and `high`.
    low, high : float
    """

    shape: str
    features: int
    bins: int = 128
    low: float = 1e-5
    high: float = 2.0

    def __post_init__(self) -> None:
        if self.shape not in SHAPES:
            raise ValueError(f"the shape of a density is {self.shape!r}, not one of {SHAPES}")
        if self.features < 2:
            raise ValueError("a number has at least two features, its place and its spread")
        if self.bins < 1 or not 0.0 < self.low < self.high:
            raise ValueError(f"{self.bins} bins from {self.low:g} to {self.high:g} are none")


class _LogNormals(nn.Module):
    """Mixture of log-normals; the last component is the broad one."""

    shares: torch.Tensor
    places: torch.Tensor
    widths: torch.Tensor

    def __init__(self, spec: ValueSpec) -> None:
        super().__init__()
        self.outputs = 3 * len(SHARES)
        for name, values in (("shares", SHARES), ("places", PLACES), ("widths", WIDTHS)):
            self.register_buffer(name, torch.tensor(values, dtype=torch.float64))

    def _components(
        self, out: torch.Tensor, place: torch.Tensor, spread: torch.Tensor, temperature: float
    ) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """Log shares, means and standard deviations of log x; (Q, K + 1) each."""
        logits, moved, widened = out.double().chunk(3, dim=1)
        log_share = torch.log_softmax(logits + self.shares.log(), dim=1) + math.log1p(-WIDE)
        wide_share = torch.full_like(log_share[:, :1], math.log(WIDE))
        mean = place[:, None] + spread[:, None] * (self.places + moved)
        width = spread[:, None] * self.widths * widened.clamp(-MOST_CHANGE, MOST_CHANGE).exp()
        wide = WIDE_SPREAD * spread[:, None] + WIDE_EXTRA
        return (
            torch.cat([log_share, wide_share], dim=1),
            torch.cat([mean, place[:, None]], dim=1),
            torch.cat([width, wide], dim=1) * math.sqrt(temperature),
        )

    def log_density(
        self,
        out: torch.Tensor,
        place: torch.Tensor,
        spread: torch.Tensor,
        value: torch.Tensor,
        temperature: float,
    ) -> torch.Tensor:
        """Log density of the values, float64 (Q,)."""
        log_share, mean, width = self._components(out, place, spread, temperature)
        y = value.log()
        z = (y[:, None] - mean) / width
        terms = log_share - 0.5 * z * z - width.log() - 0.5 * math.log(2.0 * math.pi)
        return torch.logsumexp(terms, dim=1) - y

    def draw(
        self,
        out: torch.Tensor,
        place: torch.Tensor,
        spread: torch.Tensor,
        noise: torch.Tensor,
        temperature: float,
    ) -> torch.Tensor:
        """Draw values (Q,), float64, by inversion of the uniform numbers ``noise`` (Q, 2)."""
        log_share, mean, width = self._components(out, place, spread, temperature)
        cumulative = log_share.exp().cumsum(dim=1)
        chosen = (cumulative < noise[:, :1] * cumulative[:, -1:]).sum(dim=1, keepdim=True)
        z = torch.special.ndtri(noise[:, 1].clamp(1e-15, 1.0 - 1e-15))
        y = mean.gather(1, chosen)[:, 0] + width.gather(1, chosen)[:, 0] * z
        return y.exp()


class _Bins(nn.Module):
    """Histogram; cell 0 is below the first edge, the last cell above the last edge."""

    edges: torch.Tensor
    log_edges: torch.Tensor
    centres: torch.Tensor
    log_width: torch.Tensor

    def __init__(self, spec: ValueSpec) -> None:
        super().__init__()
        self.outputs = KNOTS
        ends = (math.log(spec.low), math.log(spec.high))
        log_edges = torch.linspace(*ends, spec.bins + 1, dtype=torch.float64)
        edges = log_edges.exp()
        centres = 0.5 * (log_edges[1:] + log_edges[:-1])
        self.register_buffer("edges", edges)
        self.register_buffer("log_edges", log_edges)
        # a constant density up to the first edge has its median of log x at half of it
        outer = torch.tensor([math.log(2.0)], dtype=torch.float64)
        self.register_buffer(
            "centres", torch.cat([log_edges[:1] - outer, centres, log_edges[-1:] + outer])
        )
        widths = torch.cat([edges[:1], edges.diff(), edges[-1:]])  # the tail's mean is the edge
        self.register_buffer("log_width", widths.log())

    def _log_gamma(self, place: torch.Tensor, spread: torch.Tensor) -> torch.Tensor:
        """Log masses of the cells under a gamma distribution, (Q, M + 2): densities at centres."""
        step = self.log_edges[1] - self.log_edges[0]
        variance = spread.square() + step.square() / 12.0  # a bin is as wide as its own noise
        # of the logarithm of a gamma of shape a: trigamma(a), which is about 1 / a + 1 / (2 a^2)
        a = (1.0 + (1.0 + 2.0 * variance).sqrt()) / (2.0 * variance)
        mode = place + a.log() - torch.special.digamma(a)
        u = torch.cat([self.log_edges[:1], self.centres[1:-1], self.log_edges[-1:]])
        u = u - mode[:, None]
        logits = a[:, None] * (u - u.exp()) + step.log()
        # below the first edge the density of log x falls as x^a
        logits = torch.cat([logits[:, :1] - (a[:, None] * step).log(), logits[:, 1:]], dim=1)
        return torch.log_softmax(logits, dim=1)

    def _log_normal(self, place: torch.Tensor, spread: torch.Tensor) -> torch.Tensor:
        """Log masses of the cells under a broad N(place, spread) of log x, (Q, M + 2)."""
        z = (self.centres[1:-1] - place[:, None]) / spread[:, None]
        step = self.log_edges[1] - self.log_edges[0]
        inner = -0.5 * z.square() + (step / spread[:, None]).log() - 0.5 * math.log(2.0 * math.pi)
        ends = (
            torch.stack([place - self.log_edges[0], self.log_edges[-1] - place], dim=1)
            / -spread[:, None]
        )
        outer = torch.special.log_ndtr(ends)
        return torch.log_softmax(torch.cat([outer[:, :1], inner, outer[:, 1:]], dim=1), dim=1)

    def _log_masses(
        self, out: torch.Tensor, place: torch.Tensor, spread: torch.Tensor, temperature: float
    ) -> torch.Tensor:
        """Log masses of the cells, (Q, M + 2)."""
        z = (self.centres - place[:, None]) / spread[:, None]
        at = (z / KNOT_STEP + 0.5 * (KNOTS - 1)).clamp(0.0, KNOTS - 1 - 1e-6)
        left = at.long()
        share = at - left
        out = out.double()
        added = out.gather(1, left) * (1.0 - share) + out.gather(1, left + 1) * share
        gamma = self._log_gamma(place, spread)
        logits = torch.logaddexp(gamma, torch.full_like(gamma, math.log(LEAST_MASS))) + added
        log_mass = torch.log_softmax(logits / temperature, dim=1)
        log_wide = self._log_normal(place, WIDE_SPREAD * spread + WIDE_EXTRA)
        return torch.logaddexp(log_mass + math.log1p(-WIDE), log_wide + math.log(WIDE))

    def log_density(
        self,
        out: torch.Tensor,
        place: torch.Tensor,
        spread: torch.Tensor,
        value: torch.Tensor,
        temperature: float,
    ) -> torch.Tensor:
        """Log density of the values, float64 (Q,)."""
        log_mass = self._log_masses(out, place, spread, temperature)
        cell = torch.searchsorted(self.edges, value, right=True)
        log_density = log_mass.gather(1, cell[:, None])[:, 0] - self.log_width[cell]
        beyond = (value - self.edges[-1]) / self.edges[-1]
        return log_density - beyond.clamp(min=0.0)

    def draw(
        self,
        out: torch.Tensor,
        place: torch.Tensor,
        spread: torch.Tensor,
        noise: torch.Tensor,
        temperature: float,
    ) -> torch.Tensor:
        """Draw values (Q,), float64, by inversion of the uniform numbers ``noise`` (Q, 2)."""
        log_mass = self._log_masses(out, place, spread, temperature)
        cumulative = log_mass.exp().cumsum(dim=1)
        cell = (cumulative < noise[:, :1] * cumulative[:, -1:]).sum(dim=1)
        start = torch.cat([torch.zeros_like(self.edges[:1]), self.edges])[cell]
        last = cell == len(self.edges)
        within = torch.where(last, -torch.log1p(-noise[:, 1]), noise[:, 1])
        value = start + within * self.log_width[cell].exp()
        # rounding must not carry a number into the next cell
        end = torch.cat([self.edges, torch.full_like(self.edges[:1], math.inf)])[cell]
        return torch.minimum(value, torch.nextafter(end, start))


class ValueHead(nn.Module):
    """Densities of the values of actions, as described in the module docstring.

    Parameters
    ----------
    spec : ValueSpec
    hidden : int
        Width of the embeddings of nodes.
    """

    def __init__(self, spec: ValueSpec, hidden: int) -> None:
        super().__init__()
        self.shape = _LogNormals(spec) if spec.shape == "lognormal" else _Bins(spec)
        self.first = nn.Linear(2 * hidden + spec.features + 2, WIDTH)
        self.second = nn.Linear(WIDTH, WIDTH)
        self.last = nn.Linear(WIDTH, self.shape.outputs)
        nn.init.zeros_(self.last.weight)
        nn.init.zeros_(self.last.bias)

    def forward(
        self, nodes: torch.Tensor, graph: GraphBatch, temperature: float = 1.0
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Score the values of the batch's queries, or draw them.

        Parameters
        ----------
        nodes : Tensor, shape (N, H)
        graph : GraphBatch
            With `pairs` and `queries`.
        temperature : float
            Above 1 the densities are broader.

        Returns
        -------
        values : Tensor, shape (Q, 2), float64
            As given, or as drawn; 0 where there is none.
        log_density : Tensor, shape (Q,), float64
        """
        asked = graph.queries
        if asked is None or graph.pairs is None:
            raise ValueError("the policy has densities of values, but no pair was asked about")
        pair = graph.pairs[:, graph.action_index[asked.action]]
        own = [nodes.index_select(0, pair[0]), nodes.index_select(0, pair[1])]
        before = own[0].new_zeros(len(own[0]), 2)  # the number before, and whether there is one
        values, total = [], before.new_zeros(len(before), dtype=torch.float64)
        for j in range(2):
            features, present = asked.features[:, j], asked.present[:, j]
            read = torch.cat([own[j], own[1 - j], features, before], dim=1)
            out = self.last(torch.relu(self.second(torch.relu(self.first(read)))))
            place, spread = features[:, 0].double(), features[:, 1].double().exp()
            if asked.values is not None:
                value = torch.where(present, asked.values[:, j], place.exp())
            else:
                assert asked.noise is not None
                noise = asked.noise[:, j]
                value = self.shape.draw(out, place, spread, noise, temperature)
                value = value.clamp(min=SMALLEST)
            log_density = self.shape.log_density(out, place, spread, value, temperature)
            total = total + torch.where(present, log_density, 0.0)
            values.append(torch.where(present, value, 0.0))
            z = ((value.log() - place) / spread).clamp(-FURTHEST, FURTHEST)
            before = torch.stack([z, torch.ones_like(z)], dim=1).to(nodes.dtype)
        return torch.stack(values, dim=1), total
