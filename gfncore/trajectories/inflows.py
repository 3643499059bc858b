"""The flows into the states of trajectories, over all of their parents."""

from __future__ import annotations

import numpy as np
import torch

from gfncore.environment import Environment
from gfncore.keys import unique_keys
from gfncore.policies import Policy
from gfncore.trajectories.batch import StateFlows, Trajectories, gather_padded
from gfncore.trajectories.scoring import state_log_probabilities_and_flows

__all__ = ["score_inflow"]


def score_inflow(
    environment: Environment,
    policy: Policy,
    trajectories: Trajectories,
    log_pf: torch.Tensor,
    flow: StateFlows,
) -> torch.Tensor:
    """Return the log of the flow into the state that each step leads to, with gradient.

    log sum over parents s of exp(flow head of s + log P_F(s'|s)); every distinct parent is embedded
    once, whether or not a trajectory passes through it. Actions have to be counted by class.

    Parameters
    ----------
    environment : Environment
    policy : Policy
        Made with ``flow=True``.
    trajectories : Trajectories
    log_pf : Tensor, shape(n, T), dtype=float64
    flow : StateFlows
        These two of the trajectories' own steps: where every state has one parent, they suffice.

    Returns
    -------
    Tensor, shape(n, T), dtype=float64
        Zero at padding.
    """
    table = trajectories.backward
    if table is None:
        return flow.log_flow + log_pf
    first = table.actions.first_of_class
    child = table.actions.state[first]
    parents, redo, _ = environment.backstep(table.states.take(child), table.actions.action[first])
    rows, parent = unique_keys(environment.labels(parents))
    distinct = parents.take(rows)
    actions = environment.forward_actions(distinct)
    log_p, log_flow = state_log_probabilities_and_flows(environment, policy, distinct, actions)
    edge = actions.class_of_action[actions.find(parent, redo)]
    device = log_p.device
    log_edge = log_p.index_select(0, torch.from_numpy(edge).to(device)) + log_flow.index_select(
        0, torch.from_numpy(parent).to(device)
    )
    total = _log_sums(log_edge, torch.from_numpy(child).to(device), len(table.states))
    place = np.where(table.class_index >= 0, child[table.class_index], -1)
    return gather_padded(total, place)


def _log_sums(values: torch.Tensor, segment: torch.Tensor, n: int) -> torch.Tensor:
    """Return log sum exp within n segments, none of them empty; float64 (n,)."""
    with torch.no_grad():
        top = values.new_full((n,), -torch.inf).scatter_reduce(0, segment, values, "amax")
    sums = values.new_zeros(n).index_add(0, segment, (values - top[segment]).exp())
    return sums.log() + top
