"""Modified detailed balance against plain loops, and on spaces where states are objects."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from gfncore.evaluation import exact_distribution, total_variation
from gfncore.exploration import sample_trajectories
from gfncore.objectives.base import make_objective
from gfncore.objectives.modified_detailed_balance import ModifiedDetailedBalance
from gfncore.policies import Backbone, Policy
from gfncore.tempering import TemperatureRange, TemperedEnvironment
from gfncore.training.checkpoint import read_checkpoint, restore_trainer, save_checkpoint
from gfncore.training.replay import Replay
from gfncore.training.settings import TrainingSettings
from gfncore.training.trainer import Trainer
from gfncore.trajectories.batch import ScoredTrajectories
from gfncore.trajectories.scoring import score_backward, score_forward
from gfncore.trajectories.stops import score_forward_and_stops


@pytest.fixture(autouse=True)
def one_thread():
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture
def grid_with(hypergrid):
    """Return a function that makes a 4 x 4 grid which cannot stop at some cells, by default none.

    s_0 is left out by "first", and the cell (1, 1) as well by "second"; "never": no action only
    stops.
    """

    class Objects(hypergrid.Hypergrid):
        def __init__(self, kind=""):
            super().__init__(4, floor=0.05)
            self.kind = kind

        def forward_actions(self, states):
            actions = super().forward_actions(states)
            stop = self.stop_actions(states)
            if stop is None:
                return actions
            keep = (actions.action < self.d) | (stop[actions.state] >= 0)
            return replace(actions, state=actions.state[keep], action=actions.action[keep])

        def stop_actions(self, states):
            if self.kind == "never":
                return None
            total = states.values.sum(axis=1)
            forbidden = (total == 0) & (self.kind in ("first", "second"))
            forbidden |= (states.values == 1).all(axis=1) & (self.kind == "second")
            return np.where(states.finished | forbidden, -1, self.d)

    return Objects


def make(grid, seed=0, hidden=32, random=False, conditioning="none"):
    torch.manual_seed(seed)
    backbone = Backbone(grid.features, relations=2, hidden=hidden)
    policy = Policy(backbone, conditioning=conditioning)
    if random:
        torch.nn.init.normal_(policy.heads[0].last.weight)
    return policy


def scored(grid, policy, n=30):
    drawn = sample_trajectories(grid, policy, n, np.random.default_rng(0), epsilon=0.3)
    log_pf, stop = score_forward_and_stops(grid, policy, drawn, grid.log_reward)
    log_reward = torch.from_numpy(grid.log_reward(drawn.terminals))
    batch = ScoredTrajectories(log_pf, score_backward(grid, None, drawn), log_reward, stop=stop)
    return drawn, batch


@pytest.mark.parametrize("kind", ["", "first"])
def test_loss_is_that_of_the_formula(grid_with, kind):
    grid = grid_with(kind)
    policy = make(grid, random=True)
    drawn, batch = scored(grid, policy)
    torch.testing.assert_close(batch.log_pf, score_forward(grid, policy, drawn))
    log_flow = {}
    for row in range(len(drawn.states)):
        state = drawn.states.take(np.array([row]))
        code = grid.stop_actions(state)
        if code[0] < 0:
            log_flow[row] = torch.tensor(0.7, dtype=torch.float64)
            continue
        actions = grid.forward_actions(state)
        log_p = torch.log_softmax(policy(grid.graph(state)).logits.double(), 0)
        stopped = float(grid.log_reward(grid.step(state, code).states)[0])
        log_flow[row] = stopped - log_p[int(actions.find(np.zeros(1, np.int64), code)[0])]
    terms = []
    for i in range(len(drawn)):
        for t in range(drawn.lengths[i] - 1):
            here, after = (log_flow[int(drawn.state_index[i, t + k])] for k in (0, 1))
            terms.append((here + batch.log_pf[i, t] - after - batch.log_pb[i, t]) ** 2)
    expected = torch.stack(terms).mean()
    objective = ModifiedDetailedBalance(0.7)
    for copies in (1, 2):
        loss = objective(ScoredTrajectories.concat([batch] * copies))
        torch.testing.assert_close(loss, expected, rtol=1e-5, atol=1e-6)
    start = float(log_flow[int(drawn.state_index[0, 0])].detach())
    assert objective.log_partition(batch) == pytest.approx(start, abs=1e-5)
    scale = torch.full((30,), 2.0, dtype=torch.float64)
    torch.testing.assert_close(objective(replace(batch, scale=scale)), objective(batch) / 4.0)


def trainer_of(environment, policy, steps, seed=1, **more):
    settings = TrainingSettings(
        steps, on_policy=64, epsilon=0.1, learning_rate=1e-2, schedule="cosine"
    )
    objective = make_objective("modified_detailed_balance")
    return Trainer(environment, policy, objective, settings, np.random.default_rng(seed), **more)


@pytest.mark.parametrize("kind", ["", "first"])
def test_exact_distribution_is_reached(grid_with, kind):
    grid = grid_with(kind)
    replay = Replay(grid, 100)
    trainer = trainer_of(grid, make(grid), 200, replay=replay)
    seen = []
    trainer.run(seen.append)
    exact = exact_distribution(grid, trainer.policy)
    log_reward = grid.log_reward(exact.terminals)
    log_z = np.logaddexp.reduce(log_reward)
    assert total_variation(exact.probability, np.exp(log_reward - log_z)) < 0.04
    assert seen[-1]["log_z"] == pytest.approx(log_z, abs=0.1)
    assert len(replay) == len(exact.terminals)  # objects on the way are remembered
    parts = [v for k, v in seen[-1].items() if k.startswith("seconds_")]
    assert min(parts) >= 0.0 and seen[-1]["seconds_reward"] > 0.0
    assert sum(parts) == pytest.approx(seen[-1]["seconds"])


def test_every_temperature_is_reached(grid_with):
    grid = grid_with()
    environment = TemperedEnvironment(grid, 1.0)
    trainer = trainer_of(
        environment,
        make(grid, conditioning="both"),
        400,
        temperatures=TemperatureRange(0.5, 2.0).draw,
    )
    seen = []
    trainer.run(seen.append)
    assert seen[-1]["log_z"] is None
    for beta in (0.5, 1.0, 2.0):
        at = environment.at(beta)
        exact = exact_distribution(at, trainer.policy)
        log_reward = at.log_reward(exact.terminals)
        p = np.exp(log_reward - np.logaddexp.reduce(log_reward))
        assert total_variation(exact.probability, p) < 0.06


def test_resumed_run_is_the_uninterrupted_one(grid_with, tmp_path):
    grid = grid_with("first")
    whole, part, resumed = (trainer_of(grid, make(grid, seed=s, hidden=8), 6, s) for s in (0, 0, 3))
    whole.run()
    part.run(lambda metrics: metrics["step"] == 2)
    save_checkpoint(tmp_path, part)
    restore_trainer(read_checkpoint(tmp_path), resumed)
    resumed.run()
    for key, value in whole.policy.state_dict().items():
        assert torch.equal(value, resumed.policy.state_dict()[key]), key
    assert torch.equal(whole.objective.log_z, resumed.objective.log_z)


def test_spaces_whose_states_are_not_objects_are_refused(grid_with):
    grid = grid_with("never")
    with pytest.raises(ValueError, match="every state is an object, and this one has no stop") as e:
        trainer_of(grid, make(grid), 1)
    assert "\n" not in str(e.value)
    grid = grid_with("second")
    trainer = trainer_of(grid, make(grid), 1)
    with pytest.raises(ValueError, match="other than the first cannot be finished as it is"):
        trainer.step()
    grid = grid_with("first")
    environment = TemperedEnvironment(grid, 1.0)
    trainer = trainer_of(environment, make(grid, conditioning="both"), 1)
    with pytest.raises(ValueError, match="flow depends on the temperature"):
        trainer.step()
    drawn, batch = scored(grid, make(grid), 5)
    with pytest.raises(ValueError, match="without stops"):
        ModifiedDetailedBalance()(replace(batch, stop=None))
    valued = replace(drawn, values=np.zeros((*drawn.state_index.shape, 2)))
    with pytest.raises(TypeError, match="these carry values"):
        score_forward_and_stops(grid, make(grid), valued, grid.log_reward)
