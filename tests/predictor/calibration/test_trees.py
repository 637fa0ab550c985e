"""Trees as plain arrays predict what scikit-learn's own trees predict."""

from __future__ import annotations

from base64 import b64encode
from typing import Any

import msgspec
import numpy as np
import pytest
from numpy.typing import NDArray
from sklearn.ensemble import GradientBoostingRegressor
from sklearn.tree import DecisionTreeRegressor

from calibrate.fit.kernels import boosted, export, launch_patterns
from predictor.calibration.schema import Trees
from predictor.calibration.trees import Forest

Array = NDArray[np.float64]


@pytest.fixture(scope="module")
def data() -> tuple[Array, Array, Array]:
    """(x, y, unseen x)"""
    rng = np.random.default_rng(0)
    x = rng.uniform(-20, 40, (400, 6))
    y = np.sin(x[:, 0] / 5) + 0.1 * x[:, 1] + (x[:, 2] > 3) + rng.normal(0, 0.05, 400)
    return x, y, rng.uniform(-30, 50, (500, 6))


def forest_of(model: Any, x: Array) -> Forest:
    initial = float(np.ravel(model.init_.predict(x[:1]))[0])
    return export([t.tree_ for t in model.estimators_[:, 0]], initial, model.learning_rate)


@pytest.mark.parametrize("loss", ["squared_error", "huber"])
def test_a_boosted_forest_predicts_what_scikit_learn_predicts(data: tuple[Array, Array, Array], loss: str) -> None:
    x, y, unseen = data
    model = GradientBoostingRegressor(n_estimators=60, max_depth=4, loss=loss, subsample=0.7, random_state=0).fit(x, y)
    np.testing.assert_allclose(forest_of(model, x).predict(unseen), model.predict(unseen), rtol=0, atol=1e-6)


def test_a_single_tree_predicts_what_scikit_learn_predicts(data: tuple[Array, Array, Array]) -> None:
    x, y, unseen = data
    model = DecisionTreeRegressor(max_depth=8, random_state=0).fit(x, y)
    np.testing.assert_allclose(export([model.tree_], 0.0, 1.0).predict(unseen), model.predict(unseen), atol=1e-6)


def test_values_on_a_threshold_go_the_same_way_as_in_scikit_learn() -> None:
    """Integers as features: every threshold lies between two of them, and single precision decides."""
    x = np.arange(64, dtype=float).repeat(4)[:, None] / 3
    y = np.floor(x[:, 0])
    model = DecisionTreeRegressor(random_state=0).fit(x, y)
    forest = export([model.tree_], 0.0, 1.0)
    thresholds = model.tree_.threshold[model.tree_.feature >= 0][:, None]
    np.testing.assert_allclose(forest.predict(thresholds), model.predict(thresholds), atol=1e-6)


def test_trees_vote_and_of_two_numbers_with_as_many_votes_the_smaller_wins() -> None:
    """Trees of one threshold each, at 0, 1 and 2, and one of a leaf alone."""
    forest = Forest(
        0.0,
        np.array([3, 3, 1, 3]),
        np.array([0, -1, -1, 0, -1, -1, -1, 0, -1, -1]),
        np.array([0.0, 2, 1, 1, 2, 1, 0, 2, 0, 1]),
    )
    #           2 2 0 0, 1 2 0 0, 1 1 0 0, 1 1 0 1
    assert forest.vote(np.array([[-1.0], [0.5], [1.5], [3.0]])).tolist() == [0, 0, 0, 1]
    assert Forest.constant(0.0).vote(np.zeros((300, 2))).tolist() == [0] * 300


def test_one_of_its_kind_does_not_decide_how_its_neighbours_are_launched() -> None:
    """Of 300 calls that are launched as one kernel two, side by side, are two: only right at them may it be two."""
    x = np.linspace(0.0, 1.0, 300)[:, None]
    launches = np.ones(300)
    launches[[150, 151]] = 2
    trees, patterns = launch_patterns(x, launches, np.ones(300))
    between = np.linspace(0.0, 1.0, 2999)[:, None]
    assert patterns == [(1, 0), (2, 0)]
    assert trees.vote(between).sum() < 40  # 20 lie between two neighbours of these


def test_what_calibrate_fits_describes_its_samples(data: tuple[Array, Array, Array]) -> None:
    x, y, _ = data
    residual = np.abs(boosted(x, y).predict(x) - y)
    assert residual.mean() < 0.2 * np.abs(y - y.mean()).mean()


def test_too_few_samples_give_their_mean() -> None:
    forest = boosted(np.arange(6.0)[:, None], np.array([1.0, 3.0] * 3))
    np.testing.assert_array_equal(forest.predict(np.array([[0.0], [100.0]])), [2.0, 2.0])


def test_a_few_samples_tell_a_step() -> None:
    forest = boosted(np.arange(16.0)[:, None], np.repeat([1.0, 3.0], 8))
    np.testing.assert_allclose(forest.predict(np.array([[1.0], [14.0]])), [1.0, 3.0], atol=0.1)


def test_a_step_in_launch_counts_is_found(data: tuple[Array, Array, Array]) -> None:
    x, _, unseen = data
    forest, patterns = launch_patterns(x, np.where(x[:, 2] > 3, 2.0, 1.0), np.ones(len(x)))
    clear = np.abs(unseen[:, 2] - 3) > 1
    number = forest.vote(unseen)[clear]
    launches = np.array(patterns)[number].sum(axis=1)
    np.testing.assert_array_equal(launches, np.where(unseen[clear, 2] > 3, 2.0, 1.0))


def test_a_forest_survives_its_form_in_a_file(data: tuple[Array, Array, Array]) -> None:
    x, y, unseen = data
    forest = boosted(x, y)
    again = Forest.from_record(msgspec.json.decode(msgspec.json.encode(forest.to_record()), type=Trees))
    np.testing.assert_allclose(again.predict(unseen), forest.predict(unseen), atol=1e-3)  # of a logarithm
    assert again.to_record() == forest.to_record()


def packed(dtype: str, *values: float) -> str:
    return b64encode(np.array(values, dtype=dtype).tobytes()).decode()


TREE: dict[str, Any] = {
    "initial": 1.0,
    "sizes": [3],
    "feature": packed("<i1", 0, -1, -1),
    "number": packed("<f4", 0.5, -1.0, 2.0),
}


def read(tree: dict[str, Any]) -> Forest:
    return Forest.from_record(msgspec.convert(tree, Trees))


def test_a_forest_of_features_that_are_not_there_is_refused() -> None:
    forest = read({**TREE, "feature": packed("<i1", 3, -1, -1)})
    with pytest.raises(ValueError, match="compare more than 2 features"):
        forest.predict(np.zeros((1, 2)))


def test_a_tree_by_hand() -> None:
    """Up to 0.5 the left leaf, above it the right one, and the initial value added."""
    np.testing.assert_array_equal(read(TREE).predict(np.array([[0.5], [0.6]])), [0.0, 3.0])


@pytest.mark.parametrize("name", list(TREE))
def test_a_tree_without_one_of_its_arrays_is_refused(name: str) -> None:
    with pytest.raises(msgspec.ValidationError, match=name):
        read({key: value for key, value in TREE.items() if key != name})


@pytest.mark.parametrize(
    "broken",
    [
        {"number": packed("<f4", 0.5, -1.0)},
        {"feature": packed("<i1", 0, 0, -1)},
        {"feature": packed("<i1", -1, 0, -1)},
        {"sizes": [1, 2]},
        {"sizes": [4]},
        {"feature": "not base64"},
        {"number": TREE["number"][:-5]},
    ],
    ids=[
        *("shorter", "a leaf too few", "a root that is a leaf", "trees of the wrong size", "past the end"),
        *("features damaged", "numbers cut"),
    ],
)
def test_a_broken_tree_is_refused(broken: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"."):
        read({**TREE, **broken})


def test_leaves_may_stand_among_the_thresholds() -> None:
    """As files had them before, in single precision."""
    apart = {**TREE, "number": packed("<f4", 0.5), "leaf": packed("<f2", -1.0, 2.0)}
    both = [Forest.from_record(msgspec.convert(tree, Trees)) for tree in (TREE, apart)]
    x = np.array([[0.0], [1.0]])
    np.testing.assert_array_equal(both[0].predict(x), [0.0, 3.0])
    np.testing.assert_array_equal(both[1].predict(x), [0.0, 3.0])


@pytest.mark.parametrize(
    ("leaf", "message"), [((-1.0,), "expected 4 bytes"), ((-1.0, 2.0, 3.0), "expected 4"), ((np.inf, 1.0), "finite")]
)
def test_leaves_that_are_apart_are_checked(leaf: tuple[float, ...], message: str) -> None:
    tree = {**TREE, "number": packed("<f4", 0.5), "leaf": packed("<f2", *leaf)}
    with pytest.raises((ValueError, msgspec.ValidationError), match=message):
        Forest.from_record(msgspec.convert(tree, Trees))
