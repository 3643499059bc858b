"""Ways of learning a backward policy, each beside its plain formula, and in training."""

# pyright: reportOptionalMemberAccess=false, reportArgumentType=false
# (a table or a network that a test made is there)

import copy
import math

import numpy as np
import pytest
import torch

from gfncore.backward.base import BackwardExperience
from gfncore.backward.maximum_entropy import LAMBDA, trajectory_balance_of_counts
from gfncore.backward.observed import ObservedTrajectories, undoing_codes
from gfncore.backward.registry import (
    BACKWARD_POLICIES,
    check_use,
    find_backward_policy,
    make_backward_policy,
)
from gfncore.backward.trajectory_counts import count_trajectories
from gfncore.environment import Environment
from gfncore.exploration import sample_trajectories
from gfncore.exploration.moves import backward_log_probabilities
from gfncore.objectives.base import make_objective
from gfncore.program.citations import ENGINE_REFERENCES
from gfncore.spaces import Bags, BitSequences, Hypergrid
from gfncore.tempering import TemperedEnvironment
from gfncore.training.checkpoint import read_checkpoint, restore_trainer, save_checkpoint
from gfncore.training.settings import TrainingSettings
from gfncore.training.trainer import Trainer

LEARNED = [name for name, entry in BACKWARD_POLICIES.items() if entry.place]
OWN_LOSS = [name for name in LEARNED if name != "learned"]
SPACES = [Hypergrid(4), Bags(4, 3), BitSequences(4, 2)]


def random_network(space, flow=True, seed=1):
    torch.manual_seed(seed)
    network = space.make_policy(8, flow=flow, backward=True)
    for head in [*network.heads, *([network.flow] if flow else [])]:
        torch.nn.init.normal_(head.last.weight)
    return network


def drawn_from(space, n, seed=0):
    torch.manual_seed(seed)
    return sample_trajectories(space, space.make_policy(8), n, np.random.default_rng(seed))


@torch.no_grad()
def plain_trajectories(space, network, drawn):
    """For each trajectory, log P_B of its steps and the flow head of the states after them."""
    table, found = drawn.backward, []
    for classes in table.class_index:
        steps = []
        for row in classes[classes >= 0]:
            state = table.states.take([table.actions.state_of_class[row]])
            actions = space.backward_actions(state)
            code = table.actions.action[table.actions.first_of_class[row]]
            output = network(space.backward_graph(state))
            log_p = torch.log_softmax(output.logits.double(), 0)[list(actions.action).index(code)]
            log_n = 0.0 if output.log_flow is None else float(output.log_flow[0])
            steps.append((float(log_p), log_n))
        found.append(steps)
    return found


@pytest.mark.parametrize("space", SPACES)
def test_the_loss_of_trajectory_likelihood_is_the_mean_over_own_draws(space):
    network, drawn, other = random_network(space), drawn_from(space, 6), drawn_from(space, 3, 1)
    plain = [
        -sum(log_p for log_p, _ in steps) for steps in plain_trajectories(space, network, drawn)
    ]
    experience = BackwardExperience([drawn, other], [drawn])
    training = find_backward_policy("trajectory_likelihood").load()()
    loss = training.loss(space, network, experience, np.random.default_rng(0))
    assert float(loss.detach()) == pytest.approx(sum(plain) / 6, rel=1e-6)
    none = BackwardExperience([other], [])
    assert training.loss(space, network, none, np.random.default_rng(0)) is None


@pytest.mark.parametrize("space", SPACES)
def test_the_loss_of_maximum_entropy_is_the_balance_of_all_parts(space):
    network, drawn, other = random_network(space), drawn_from(space, 4), drawn_from(space, 2, 1)
    plain = []
    for steps in [
        *plain_trajectories(space, network, drawn),
        *plain_trajectories(space, network, other),
    ]:
        total, weights = 0.0, 0.0
        for i in range(len(steps)):
            for j in range(i + 1, len(steps) + 1):
                begin = 0.0 if i == 0 else steps[i - 1][1]
                residual = steps[j - 1][1] - begin + sum(log_p for log_p, _ in steps[i:j])
                total = total + LAMBDA ** (j - i) * residual**2
                weights += LAMBDA ** (j - i)
        plain.append(total / weights)
    training = find_backward_policy("maximum_entropy").load()()
    experience = BackwardExperience([drawn, other], [drawn])
    loss = training.loss(space, network, experience, np.random.default_rng(0))
    assert float(loss.detach()) == pytest.approx(sum(plain) / 6, rel=1e-5)


@pytest.mark.parametrize("space", SPACES)
def test_exact_numbers_of_trajectories_balance(space):
    counts, drawn = count_trajectories(space), drawn_from(space, 8)
    table = drawn.backward
    later = table.states
    log_pb, log_n = counts.log_probabilities(later), counts.log_n_of(later)
    sums = np.bincount(table.actions.state_of_class, np.exp(log_pb), minlength=len(later))
    np.testing.assert_allclose(sums, 1.0)
    taken = table.class_index
    steps = torch.from_numpy(np.where(taken >= 0, log_pb[taken], 0.0))
    place = table.actions.state_of_class[taken]
    numbers = torch.from_numpy(np.where(taken >= 0, log_n[place], 0.0))
    lengths = torch.from_numpy((taken >= 0).sum(axis=1))
    assert trajectory_balance_of_counts(steps, numbers, lengths).abs().max() < 1e-12
    assert trajectory_balance_of_counts(steps, numbers + 0.5, lengths).min() > 1e-3


def paths_to(space: Environment, state, known):
    """The number of trajectories to a state, by recursion over its parents."""
    key = space.keys(state).tobytes()
    if key not in known:
        actions = space.backward_actions(state)
        parents = [space.backstep(state, np.array([code])).states for code in actions.action]
        known[key] = sum(paths_to(space, parent, known) for parent in parents) or 1
    return known[key]


@pytest.mark.parametrize("space", SPACES)
def test_trajectories_are_counted_as_by_recursion(space):
    counts, known = count_trajectories(space), {}
    for row in range(len(counts.states)):
        expected = paths_to(space, counts.states.take([row]), known)
        assert counts.log_n[row] == pytest.approx(math.log(expected))
    assert len(known) == len(counts.states)


def test_bags_have_multinomial_numbers_of_trajectories():
    counts = count_trajectories(Bags(5, 3))
    for values, log_n in zip(counts.states.values, counts.log_n, strict=True):
        several = math.factorial(values.sum()) / math.prod(map(math.factorial, values))
        assert log_n == pytest.approx(math.log(several))


def contents(space, table):
    """Multiset of the trajectories of a backward table: state keys and codes of their steps."""
    rows = []
    for classes in table.class_index:
        taken = classes[classes >= 0]
        keys = space.keys(table.states.take(table.actions.state_of_class[taken]))
        codes = table.actions.action[table.actions.first_of_class[taken]]
        rows.append((keys.tobytes(), codes.tobytes()))
    return rows


@pytest.mark.parametrize("space", SPACES)
def test_observed_trajectories_are_those_that_were_drawn(space):
    first, second = drawn_from(space, 5), drawn_from(space, 7, 1)
    kept = ObservedTrajectories(10)
    for drawn in (first, second):
        kept.add(drawn.terminals, undoing_codes(drawn))
    assert len(kept) == 10  # the two oldest are gone
    expected = contents(space, first.backward)[2:] + contents(space, second.backward)
    found = contents(space, kept.draw(space, 500, np.random.default_rng(2)))
    assert set(found) == set(expected)
    again = ObservedTrajectories(10)
    again.load_arrays(space, kept.arrays())
    assert contents(space, again.draw(space, 9, np.random.default_rng(3))) == contents(
        space, kept.draw(space, 9, np.random.default_rng(3))
    )


def test_observed_trajectories_that_do_not_fit_are_refused():
    space, kept = SPACES[0], ObservedTrajectories()
    drawn = drawn_from(space, 5)
    kept.add(drawn.terminals, undoing_codes(drawn))
    stored = kept.arrays()
    with pytest.raises(ValueError, match="codes"):
        kept.load_arrays(space, stored | {"codes": stored["codes"].astype(float)})
    with pytest.raises(ValueError, match="equally long"):
        kept.load_arrays(space, stored | {"codes": stored["codes"][1:]})
    with pytest.raises(KeyError):
        kept.load_arrays(space, {name: stored[name] for name in stored if name != "codes"})
    kept.load_arrays(space, {})
    assert len(kept) == 0 and kept.arrays() == {}


@pytest.mark.parametrize("space", SPACES)
def test_the_pessimistic_loss_is_that_of_kept_trajectories(space):
    network, old, drawn = random_network(space), drawn_from(space, 4), drawn_from(space, 6, 1)
    training = find_backward_policy("pessimistic").load()()
    for one in (old, drawn):
        training.keep(training.new_records(space, BackwardExperience([one], [one])))
    assert len(training.observed) == 10
    experience = BackwardExperience([drawn, old], [drawn])
    loss = training.loss(space, network, experience, np.random.default_rng(5))
    plain = [
        -sum(log_p for log_p, _ in steps)
        for one in (old, drawn)
        for steps in plain_trajectories(space, network, one)
    ]
    rows = np.random.default_rng(5).integers(10, size=6)
    assert float(loss.detach()) == pytest.approx(np.mean([plain[row] for row in rows]), rel=1e-6)
    none = BackwardExperience([old], [])
    assert training.loss(space, network, none, np.random.default_rng(0)) is None


def make_trainer(space, name, steps=8, seed=0, objective="trajectory_balance", **more):
    torch.manual_seed(seed)
    policy = space.make_policy(8)
    network, training = make_backward_policy(
        name, lambda flow: space.make_policy(8, flow=flow, backward=True)
    )
    settings = TrainingSettings(steps, on_policy=8, epsilon=0.1, learning_rate=1e-2, **more)
    return Trainer(
        space,
        policy,
        make_objective(objective),
        settings,
        np.random.default_rng(seed),
        backward_policy=network,
        backward_training=training,
    )


@pytest.mark.parametrize("name", OWN_LOSS)
def test_steps_of_both_policies_alternate(name):
    """As by two optimisers in turn, the second of which takes the new P_B as fixed."""
    space = Hypergrid(4)
    trainer = make_trainer(space, name)
    policy, network = copy.deepcopy(trainer.policy), copy.deepcopy(trainer.backward_policy)
    training, generator = copy.deepcopy(trainer.backward_training), np.random.default_rng(0)
    log_z = torch.zeros((), dtype=torch.float64, requires_grad=True)
    backward = torch.optim.Adam(network.parameters(), 1e-2)
    forward = torch.optim.Adam(
        [{"params": list(policy.parameters()), "lr": 1e-2}, {"params": [log_z], "lr": 0.1}]
    )
    for _ in range(3):
        metrics = trainer.step()
        drawn = sample_trajectories(space, policy, 8, generator, 0.1)
        experience = BackwardExperience([drawn], [drawn])
        if (records := training.new_records(space, experience)) is not None:
            training.keep(records)
        loss = training.loss(space, network, experience, generator)
        assert metrics["backward_loss"] == pytest.approx(float(loss.detach()), rel=1e-5)
        backward.zero_grad()
        loss.backward()
        backward.step()
        log_pb = [
            sum(log_p for log_p, _ in steps) for steps in plain_trajectories(space, network, drawn)
        ]
        log_pf = torch.stack(
            [
                torch.stack(
                    [
                        torch.log_softmax(policy(space.graph(state)).logits.double(), 0)[
                            list(space.forward_actions(state).action).index(code)
                        ]
                        for state, code in forward_steps(drawn, row)
                    ]
                ).sum()
                for row in range(8)
            ]
        )
        log_reward = torch.from_numpy(space.log_reward(drawn.terminals))
        residual = log_z + log_pf - torch.tensor(log_pb, dtype=torch.float64) - log_reward
        forward.zero_grad()
        residual.square().mean().backward()
        forward.step()
    for ours, plain in ((trainer.policy, policy), (trainer.backward_policy, network)):
        for a, b in zip(ours.parameters(), plain.parameters(), strict=True):
            torch.testing.assert_close(a, b, rtol=1e-3, atol=1e-5)


def forward_steps(drawn, row):
    """States and codes of the steps of a trajectory."""
    actions = drawn.actions
    for state, taken in zip(drawn.state_index[row], drawn.class_index[row], strict=True):
        if state >= 0:
            yield drawn.states.take([state]), actions.action[actions.first_of_class[taken]]


@pytest.mark.parametrize("name", LEARNED)
def test_a_resumed_run_is_the_uninterrupted_one(name, tmp_path):
    space = Bags(4, 3)
    whole, part, resumed = (make_trainer(space, name, seed=i) for i in (0, 0, 5))
    whole.run()
    part.run(lambda metrics: metrics["step"] == 4)
    save_checkpoint(tmp_path, part)
    restore_trainer(read_checkpoint(tmp_path), resumed)
    resumed.run()
    for module in ("policy", "backward_policy"):
        for a, b in zip(
            getattr(whole, module).parameters(), getattr(resumed, module).parameters(), strict=True
        ):
            assert torch.equal(a, b)
    stored = whole.backward_training.arrays()
    assert stored.keys() == resumed.backward_training.arrays().keys()
    for key, value in resumed.backward_training.arrays().items():
        assert np.array_equal(value, stored[key])


@pytest.mark.parametrize("name", OWN_LOSS)
def test_backward_policies_learn_where_states_have_temperatures(name):
    inner = Hypergrid(3)
    tempered = TemperedEnvironment(inner, np.array([0.5, 1.0]))
    torch.manual_seed(0)
    from gfncore.policies import Backbone, HeadSpec, Policy

    def network(columns, flow=False):
        backbone = Backbone(inner.features, hidden=8)
        return Policy(backbone, [HeadSpec("node", columns)], flow=flow, conditioning="input")

    backward, training = make_backward_policy(
        name, lambda flow: network(inner.n_backward_actions, flow)
    )
    trainer = Trainer(
        tempered,
        network(inner.n_actions),
        make_objective("trajectory_balance", conditional=True),
        TrainingSettings(3, on_policy=8, learning_rate=1e-2),
        np.random.default_rng(0),
        backward_policy=backward,
        backward_training=training,
    )
    before = [p.detach().clone() for p in backward.parameters()]
    losses = []
    trainer.run(lambda metrics: losses.append(metrics["backward_loss"]))
    assert len(losses) == 3 and np.isfinite(losses).all()
    assert any(not torch.equal(a, b) for a, b in zip(before, backward.parameters(), strict=True))


def test_what_does_not_fit_is_refused():
    space = Hypergrid(3)
    training = find_backward_policy("maximum_entropy").load()()
    arguments = (
        space,
        space.make_policy(8),
        make_objective("trajectory_balance"),
        TrainingSettings(3),
        np.random.default_rng(0),
    )
    with pytest.raises(ValueError, match="MaximumEntropy needs a network"):
        Trainer(*arguments, backward_training=training)
    network = space.make_policy(8, backward=True)
    with pytest.raises(ValueError, match="MaximumEntropy needs a flow head"):
        Trainer(*arguments, backward_policy=network, backward_training=training)
    with pytest.raises(ValueError, match="'best' is unknown; choose one of uniform, learned"):
        find_backward_policy("best")
    with pytest.raises(ValueError, match="flow_matching has no use for a backward policy"):
        check_use("pessimistic", "flow_matching")
    check_use("uniform", "flow_matching")


def test_every_backward_policy_has_a_description_and_references():
    for entry in BACKWARD_POLICIES.values():
        assert entry.description and not entry.description.endswith(".")
        assert set(entry.citations) <= set(ENGINE_REFERENCES)
    assert make_backward_policy("uniform", SPACES[0].make_policy) == (None, None)


@pytest.mark.parametrize("name", LEARNED)
def test_fresh_backward_policies_are_uniform(name):
    space = Bags(3, 3)
    network, _ = make_backward_policy(
        name, lambda flow: space.make_policy(8, flow=flow, backward=True)
    )
    states = space.step(space.initial(2), np.array([0, 1])).states
    states = space.step(states, np.array([1, 1])).states
    actions = space.backward_actions(states)
    uniform = backward_log_probabilities(space, None, states, actions)
    found = backward_log_probabilities(space, network, states, actions)
    np.testing.assert_allclose(found, uniform, atol=1e-6)
