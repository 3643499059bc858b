"""One policy for many temperatures: the wrapped environment, the network, and what is learned."""

# pyright: reportArgumentType=false, reportAttributeAccessIssue=false, reportCallIssue=false
# pyright: reportOptionalCall=false, reportOptionalMemberAccess=false

import math
from dataclasses import replace

import numpy as np
import pytest
import torch

from gfncore.environment import Actions, Environment, Stepped
from gfncore.evaluation import check_contract, chi_squared, exact_distribution, total_variation
from gfncore.exploration import backward_trajectories, sample_trajectories
from gfncore.graph_batch import GraphBatch
from gfncore.objectives.base import make_objective
from gfncore.policies import Backbone, LogitScale, Policy
from gfncore.tempering import TemperatureRange, TemperedEnvironment
from gfncore.training.checkpoint import read_checkpoint, restore_trainer, save_checkpoint
from gfncore.training.replay import Replay
from gfncore.training.settings import TrainingSettings
from gfncore.training.trainer import Trainer
from gfncore.trajectories.scoring import score_forward


@pytest.fixture(autouse=True)
def one_thread():
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def make(grid, conditioning, seed=0, hidden=32, random=False, **settings):
    torch.manual_seed(seed)
    policy = Policy(
        Backbone(grid.features, relations=2, hidden=hidden), conditioning=conditioning, **settings
    )
    if random:  # all last layers start at zero
        parts = [*policy.heads, policy.logit_scale, policy.condition_embedding]
        for part in parts:
            if part is not None:
                torch.nn.init.normal_(part.last.weight)
    return policy


@pytest.mark.parametrize("duplicates", [False, True])
def test_wrapped_environments_keep_the_contract(hypergrid, duplicates):
    grid = hypergrid.Hypergrid(4, duplicates=duplicates)
    assert check_contract(TemperedEnvironment(grid, [0.5, 1.0, 3.0]), starts=3) == 3 * 16
    grid = hypergrid.SymmetricHypergrid(4, duplicates=duplicates)
    assert check_contract(TemperedEnvironment(grid, [0.5, 3.0]), starts=2) == 2 * 10
    with pytest.raises(AssertionError, match="not distinct"):
        check_contract(TemperedEnvironment(grid, [2.0, 2.0]), starts=2)


def test_what_the_environment_inside_offers_is_offered(hypergrid):
    class Everything(hypergrid.SymmetricHypergrid):
        has_objectives = True

        def log_scale(self, states):
            return 0.25 * states.values.sum(axis=1)

        def objectives(self, states):
            return states.values.astype(float)

    plain = TemperedEnvironment(_OneChoice(hypergrid), [1.0, 2.0])
    states = plain.initial(2)
    assert plain.is_tree and plain.is_conditioned and not plain.inner.is_conditioned
    assert not plain.has_objectives and not plain.log_scale(states).any()
    assert np.array_equal(plain.labels(states), plain.keys(states))
    with pytest.raises(TypeError, match="needs an environment with backward_graph"):
        plain.backward_graph(states)
    with pytest.raises(TypeError, match="the environment has none"):
        plain.objectives(states)
    outer = TemperedEnvironment(Everything(3), [1.0, 2.0])
    assert outer.has_objectives and not outer.is_tree
    assert outer.at(3.0).inverse_temperatures.tolist() == [3.0]
    inner, states = outer.inner, outer.initial(4)
    states = outer.step(states, np.array([0, 1, 1, 2])).states
    assert np.array_equal(outer.log_scale(states), inner.log_scale(states.inner))
    assert np.array_equal(outer.objectives(states), inner.objectives(states.inner))
    # three are in the first cell beside the corner up to the order of coordinates, two as arrays,
    # and one of them at another temperature
    labels, keys = outer.labels(states), outer.keys(states)
    assert len({tuple(k) for k in labels.tolist()}) == 4
    assert len({tuple(k) for k in keys.tolist()}) == 3
    assert np.array_equal(keys[0], keys[2])
    back = outer.backward_graph(states)
    assert back.condition.tolist() == outer.graph(states).condition.tolist()


def test_actions_that_carry_values_are_refused(hypergrid):
    class Valued(hypergrid.Hypergrid):
        carries_values = True

    with pytest.raises(TypeError, match="these carry values"):
        TemperedEnvironment(Valued(3), 1.0)


def test_states_take_the_temperatures_in_turn(hypergrid):
    class WithEnergy(hypergrid.Hypergrid):
        def energy(self, states):
            return states.values.sum(axis=1) + 1.0

    grid = WithEnergy(4)
    outer = TemperedEnvironment(grid, [0.5, 2.0])
    states = outer.initial(5)
    assert states.inverse_temperature.tolist() == [0.5, 2.0, 0.5, 2.0, 0.5]
    np.testing.assert_allclose(outer.condition(states), np.log([0.5, 2.0, 0.5, 2.0, 0.5]))
    assert outer.energy(states).tolist() == [0.5, 2.0, 0.5, 2.0, 0.5]
    assert TemperedEnvironment(hypergrid.Hypergrid(4), 1.0).energy(states) is None
    objects = exact_distribution(grid).terminals.take(np.arange(3))
    given = outer.with_temperature(objects, [1.0, 2.0, 3.0])
    np.testing.assert_allclose(outer.log_reward(given), [1, 2, 3] * grid.log_reward(objects))
    assert outer.with_temperature(objects, 4.0).inverse_temperature.tolist() == [4.0] * 3
    assert np.array_equal(outer.without_temperature(given).values, objects.values)
    both = given.concat([given, states])
    assert len(both) == 8
    assert both.take(np.array([1, 4])).inverse_temperature.tolist() == [2.0, 2.0]
    for wrong in (0.0, -1.0, math.inf, [1.0, math.nan], []):
        with pytest.raises(ValueError, match="inverse temperature"):
            TemperedEnvironment(grid, wrong)
    with pytest.raises(ValueError, match="positive and in this order"):
        TemperatureRange(2.0, 1.0)
    with pytest.raises(ValueError, match="at least 1"):
        TemperatureRange(1.0, 2.0, 0)


def test_corrections_of_counts_are_not_tempered(hypergrid):
    """Objects x + y of a grid: as many states as pairs; their sum is R^beta at every beta."""

    class Sums(hypergrid.Hypergrid):
        def merit(self, states):
            return 1.0 + states.values.sum(axis=1)  # log R of a sum

        def log_count_correction(self, states):
            total = states.values.sum(axis=1)
            return -np.log(np.minimum(total, 4 - total) + 1)  # pairs of 0, 1, 2 with this sum

        def log_reward(self, states):
            return self.merit(states) + self.log_count_correction(states)

    grid = Sums(3)
    ends = exact_distribution(grid).terminals
    total = ends.values.sum(axis=1)
    for beta in (0.25, 1.0, 3.0):
        at = TemperedEnvironment(grid, beta)
        states = at.with_temperature(ends)
        log_reward = at.log_reward(states)
        weight = np.bincount(total, np.exp(log_reward))
        np.testing.assert_allclose(weight, np.exp(beta * (1.0 + np.arange(5))))
        np.testing.assert_allclose(at.temper(states, grid.log_reward(ends)), log_reward)
    assert np.array_equal(grid.temper(ends, log_reward), log_reward)
    assert not hypergrid.Hypergrid(3).log_count_correction(ends).any()


def test_range_has_one_temperature_in_each_part():
    drawn = TemperatureRange(0.25, 4.0, 4).draw(np.random.default_rng(0))
    assert np.floor(np.log2(drawn)).tolist() == [-2, -1, 0, 1]
    assert TemperatureRange(3.0, 3.0, 2).draw(np.random.default_rng(0)) == pytest.approx([3, 3])


@pytest.mark.parametrize("conditioning", ["input", "scaling", "both"])
def test_untrained_conditional_policy_is_the_plain_one(hypergrid, conditioning):
    grid = hypergrid.Hypergrid(4)
    outer = TemperedEnvironment(grid, [0.2, 1.0, 5.0])
    plain, conditioned = make(grid, "none"), make(grid, conditioning)
    for policy in (plain, conditioned):
        torch.manual_seed(3)
        torch.nn.init.normal_(policy.heads[0].last.weight)
    states = outer.initial(6)
    with torch.no_grad():
        expected = plain(grid.graph(states.inner)).logits
        torch.testing.assert_close(conditioned(outer.graph(states)).logits, expected)
    assert expected.abs().max() > 0.1


def test_scaling_multiplies_all_of_the_logit():
    """Head and bias, by the factor of the action's state; input changes what the backbone reads."""
    graph = GraphBatch(
        node_features=torch.ones(3, 2),
        node_graph=torch.tensor([0, 0, 1]),
        graph_type=torch.tensor([0, 0]),
        edge_index=torch.tensor([[0], [1]]),
        edge_type=torch.tensor([0]),
        action_state=torch.tensor([0, 0, 1]),
        action_index=torch.tensor([0, 1, 2]),
        action_bias=torch.tensor([1.0, -2.0, 3.0]),
        condition=torch.tensor([-0.7, 1.1]),
    )
    torch.manual_seed(0)
    policy = Policy(Backbone(2, hidden=8), conditioning="scaling")
    torch.nn.init.normal_(policy.heads[0].last.weight)
    with torch.no_grad():
        before = policy(graph).logits
        torch.nn.init.normal_(policy.logit_scale.last.weight)
        policy.logit_scale.power.fill_(0.8)
        factor = policy.logit_scale(graph.condition)
        torch.testing.assert_close(policy(graph).logits, before * factor[graph.action_state])
        assert bool((factor > 0).all()) and abs(float(factor[0]) - 1.0) > 0.05
    scale = LogitScale()
    assert scale(torch.tensor([-5.0, 0.0, 5.0])).tolist() == [1.0, 1.0, 1.0]
    torch.manual_seed(0)
    policy = Policy(Backbone(2, hidden=8), conditioning="input")
    torch.nn.init.normal_(policy.condition_embedding.last.weight)
    shift = policy.condition_embedding(graph.condition)
    with torch.no_grad():
        inputs = policy.backbone.inputs(graph.node_features) + policy.backbone.types.weight[0]
        torch.testing.assert_close(
            policy.backbone(graph, shift)[2],  # no edges lead there
            _plain_rounds(policy.backbone, torch.relu(inputs[2] + shift[1])),
        )


def _plain_rounds(backbone, h):
    for own, norm in zip(backbone.own, backbone.norms, strict=True):
        h = h + torch.relu(norm(own(h)))
    return h


def test_a_condition_is_never_ignored(hypergrid):
    grid = hypergrid.Hypergrid(3)
    outer = TemperedEnvironment(grid, 2.0)
    with pytest.raises(ValueError, match="conditioning='none'"):
        make(grid, "none")(outer.graph(outer.initial(2)))
    with pytest.raises(ValueError, match="wrap the environment"):
        make(grid, "both")(grid.graph(grid.initial(2)))
    with pytest.raises(ValueError, match="must be one of none, input, scaling, both"):
        make(grid, "film")
    with pytest.raises(ValueError, match="use 'both'"):
        make(grid, "scaling", flow=True)
    shared = replace(outer.graph(outer.initial(2)), condition=torch.zeros(5))
    with pytest.raises(ValueError, match="5 states share 2 graphs"):
        make(grid, "input")(shared)


@pytest.mark.parametrize("conditioning", ["input", "scaling"])
def test_remembered_embeddings_know_their_temperature(hypergrid, conditioning):
    """Graphs with keys, met again at another temperature, are not taken from the last batch."""
    grid = hypergrid.Hypergrid(4)
    policy = make(grid, conditioning, random=True)
    states = grid.initial(3)
    keys = torch.from_numpy(np.arange(6).reshape(3, 2))

    def graph(condition):
        return replace(grid.graph(states), condition=torch.tensor(condition))

    with torch.no_grad():
        for condition in ([0.1, 0.2, 0.3], [0.3, 0.2, 0.1], [0.2, 0.2, 0.2]):
            policy.new_batch()
            expected = policy(graph(condition)).logits
            found = policy(replace(graph(condition), graph_keys=keys)).logits
            torch.testing.assert_close(found, expected)
        policy.new_batch()  # the embedding has changed, the backbone has not
        if policy.condition_embedding is not None:
            policy.condition_embedding.last.weight.add_(1.0)
        policy.new_batch()
        expected = policy(graph(condition)).logits
        torch.testing.assert_close(
            policy(replace(graph(condition), graph_keys=keys)).logits, expected
        )


def test_draws_of_many_temperatures_are_those_of_each(hypergrid):
    grid = hypergrid.SymmetricHypergrid(3)
    policy = make(grid, "both", hidden=8, random=True)
    betas = [0.3, 1.0, 4.0]
    outer = TemperedEnvironment(grid, betas)
    drawn = sample_trajectories(outer, policy, 30_000, np.random.default_rng(0))
    assert drawn.terminals.inverse_temperature[:4].tolist() == [0.3, 1.0, 4.0, 0.3]
    p = []
    for i, beta in enumerate(betas):
        exact = exact_distribution(outer.at(beta), policy)
        own = drawn.terminals.take(np.arange(i, 30_000, 3))
        counts = np.bincount(exact.rows(outer.keys(own)), minlength=6)
        assert chi_squared(counts, exact.probability).p_value > 1e-3
        p.append(exact.probability)
    assert total_variation(p[0], p[2]) > 0.05
    with torch.no_grad():
        log_pf = score_forward(outer, policy, drawn)
    np.testing.assert_allclose(log_pf.sum(1), drawn.log_pf, rtol=1e-4, atol=1e-5)


def test_backward_draws_keep_their_temperature(hypergrid):
    grid = hypergrid.Hypergrid(4)
    outer = TemperedEnvironment(grid, [0.5, 2.0])
    objects = outer.with_temperature(exact_distribution(grid).terminals)
    drawn = backward_trajectories(
        outer, objects, np.random.default_rng(0), make(grid, "both", random=True)
    )
    start = drawn.states.take(drawn.state_index[:, 0])
    assert np.array_equal(start.inverse_temperature, objects.inverse_temperature)
    assert not start.inner.values.any()
    assert drawn.lengths.tolist() == (objects.inner.values.sum(1) + 1).tolist()


BETAS = (0.5, 0.7, 1.0, 1.4, 2.0)


def errors(environment, policy):
    """Total variation to the tempered distribution at each of `BETAS`, and log Z there."""
    found = []
    for beta in BETAS:
        at = environment.at(beta)
        exact = exact_distribution(at, policy)
        log_reward = at.log_reward(exact.terminals)
        log_z = np.logaddexp.reduce(log_reward)
        found.append((total_variation(exact.probability, np.exp(log_reward - log_z)), log_z))
    return np.array(found).T


def trained(grid, objective, conditioning, steps=120, **settings):
    environment = TemperedEnvironment(grid, 1.0)
    trainer = Trainer(
        environment,
        make(grid, conditioning),
        make_objective(objective, conditional=True),
        TrainingSettings(
            steps, on_policy=64, epsilon=0.1, learning_rate=1e-2, schedule="cosine", **settings
        ),
        np.random.default_rng(1),
        replay=Replay(grid) if settings.get("replay") else None,
        temperatures=TemperatureRange(0.5, 2.0).draw,
    )
    trainer.run()
    return environment, trainer


@pytest.mark.parametrize(
    ("objective", "conditioning", "replay"),
    [
        ("trajectory_balance", "input", 0),
        ("trajectory_balance", "both", 16),
        ("log_variance", "input", 0),
    ],
)
def test_one_policy_learns_a_range_of_temperatures(hypergrid, objective, conditioning, replay):
    environment, trainer = trained(hypergrid.Hypergrid(4), objective, conditioning, replay=replay)
    distance, log_z = errors(environment, trainer.policy)
    assert distance.max() < 0.06
    if objective == "trajectory_balance":
        condition = torch.log(torch.tensor(BETAS, dtype=torch.float64))
        learned = trainer.objective.log_z_at(condition).detach().numpy()
        np.testing.assert_allclose(learned, log_z, atol=0.15)
    if replay:
        assert type(trainer.replay.states) is type(environment.inner.initial(0))
        known = environment.inner.log_reward(trainer.replay.states)
        assert np.array_equal(trainer.replay.log_reward, known)


class _OneChoice(Environment):
    """Reached in one step: there P(x) = softmax(beta log R), which scaling can be exactly."""

    is_tree = True

    def __init__(self, hypergrid):
        self.grid = hypergrid.Hypergrid(6, 1)
        self.features = self.grid.features
        self.states = hypergrid.GridStates
        self.merit = np.linspace(-2.0, 2.0, 6) ** 2 / 2.0

    def initial(self, n):
        return self.states(np.zeros((n, 1), np.int64), np.zeros(n, bool))

    def is_terminal(self, states):
        return states.finished

    def forward_actions(self, states):
        return Actions(*np.nonzero(np.repeat(~states.finished[:, None], 6, axis=1)))

    def step(self, states, action):
        after = self.states(action[:, None], np.ones(len(states), bool))
        return Stepped(after, np.zeros(len(states), np.int64))

    def backward_actions(self, states):
        rows = np.flatnonzero(states.finished)
        return Actions(rows, np.zeros_like(rows))

    def backstep(self, states, action):
        return Stepped(self.initial(len(states)), states.values[:, 0])

    def graph(self, states):
        """A node for each choice, which tells its number."""
        n = len(states)
        actions = self.forward_actions(states)
        node = actions.state * 6 + actions.action
        return GraphBatch(
            node_features=torch.eye(6, self.features).repeat(n, 1),
            node_graph=torch.arange(n).repeat_interleave(6),
            graph_type=torch.zeros(n, dtype=torch.int64),
            edge_index=torch.zeros((2, 0), dtype=torch.int64),
            edge_type=torch.zeros(0, dtype=torch.int64),
            action_state=torch.from_numpy(actions.state),
            action_index=torch.from_numpy(node),
        )

    def log_reward(self, states):
        return self.merit[states.values[:, 0]]

    def keys(self, states):
        return np.stack([states.values[:, 0], states.finished], axis=1).astype(np.uint64)


def test_scaling_is_exact_where_the_choice_is_one(hypergrid):
    inner = _OneChoice(hypergrid)
    environment, trainer = trained(inner, "trajectory_balance", "scaling", steps=250)
    assert check_contract(environment) == 6
    distance, _ = errors(environment, trainer.policy)
    assert distance.max() < 0.03
    scale = trainer.policy.logit_scale(torch.log(torch.tensor(BETAS))).detach().numpy()
    np.testing.assert_allclose(scale / scale[2], BETAS, rtol=0.1)  # f(beta) = beta f(1)
    # and beyond what was trained
    at = environment.at(3.0)
    exact = exact_distribution(at, trainer.policy)
    p = np.exp(at.log_reward(exact.terminals))
    assert total_variation(exact.probability, p / p.sum()) < 0.05


def test_scaling_alone_is_better_than_one_policy_for_all(hypergrid):
    grid = hypergrid.Hypergrid(4)
    environment, trainer = trained(grid, "log_variance", "scaling")
    with torch.no_grad():
        learned = errors(environment, trainer.policy)[0]
        policy = trainer.policy
        policy.logit_scale.last.weight.zero_()
        policy.logit_scale.last.bias.zero_()
        policy.logit_scale.power.zero_()
        unscaled = errors(environment, policy)[0]
    assert learned.mean() < 0.9 * unscaled.mean()


@pytest.mark.parametrize("objective", ["trajectory_balance", "log_variance"])
def test_resumed_conditional_run_is_the_uninterrupted_one(hypergrid, tmp_path, objective):
    grid = hypergrid.Hypergrid(4)

    def fresh(seed):
        return Trainer(
            TemperedEnvironment(grid, 1.0),
            make(grid, "both", seed=seed, hidden=8),
            make_objective(objective, 0.5, conditional=True),
            TrainingSettings(8, on_policy=16, replay=8),
            np.random.default_rng(seed),
            backward_policy=make(grid, "input", seed=seed + 1, hidden=8),
            replay=Replay(grid, capacity=10),
            temperatures=TemperatureRange(0.5, 2.0).draw,
        )

    whole, part, resumed = fresh(0), fresh(0), fresh(5)
    whole.run()
    part.run(lambda metrics: metrics["step"] == 3)
    save_checkpoint(tmp_path, part)
    restore_trainer(read_checkpoint(tmp_path), resumed)
    resumed.run()
    for module in ("policy", "backward_policy", "objective"):
        for key, value in getattr(whole, module).state_dict().items():
            assert torch.equal(value, getattr(resumed, module).state_dict()[key]), key
    assert np.array_equal(whole.replay.log_reward, resumed.replay.log_reward)


def test_trainer_refuses_what_does_not_fit(hypergrid):
    grid = hypergrid.Hypergrid(3)
    outer = TemperedEnvironment(grid, [1.0, 2.0])
    settings, rng = TrainingSettings(1, on_policy=4), np.random.default_rng(0)

    def trainer(environment, objective, **more):
        name, conditional = objective
        policy = make(grid, "both" if environment is outer else "none")
        made = make_objective(name, conditional=conditional)
        return Trainer(environment, policy, made, settings, rng, **more)

    with pytest.raises(ValueError, match="make it of `inner`"):
        trainer(outer, ("log_variance", True), replay=Replay(outer))
    with pytest.raises(ValueError, match="environment has none"):
        trainer(grid, ("log_variance", False), temperatures=TemperatureRange(1.0, 2.0).draw)
    with pytest.raises(
        ValueError, match="temperatures, but trajectory balance .* conditional=False"
    ):
        trainer(outer, ("trajectory_balance", False)).step()
    with pytest.raises(ValueError, match="no temperatures, but trajectory balance"):
        trainer(grid, ("trajectory_balance", True)).step()
