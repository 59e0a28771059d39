"""Rules on numbers of parameters, with Keras's `count_params` as the oracle.

Would miss: counts of other inputs where inputs are not given; wrong counts that are rounded to hundreds.
"""

from __future__ import annotations

import keras
import pytest

from dlhw.checks.widths import count, widths_of
from tests.checks import mlp

NETS = ("10-5", "100-50", "400-9", "750-405")


def keras_count(widths, inputs, outputs):
    layers = [keras.layers.Dense(w) for w in (*widths, outputs)]
    return keras.Sequential([keras.Input((inputs,)), *layers])


def counts(nets=NETS, inputs=784, outputs=10):
    return [keras_count(widths_of(net), inputs, outputs).count_params() for net in nets]


@pytest.mark.parametrize(("inputs", "outputs"), [(784, 10), (1, 1), (64, 10)])
def test_counts_are_those_of_keras(inputs, outputs):
    right = counts(NETS, inputs, outputs)
    assert right == [count((inputs, *widths_of(net), outputs)) for net in NETS]
    facts = {"inputs": inputs, "outputs": outputs}
    assert mlp.codes("parameters", parameters=right, net=NETS, **facts) == set()
    assert mlp.codes("parameters", parameters=right, net=NETS) == set()  # some numbers of inputs and outputs fit


def test_one_weight_more_is_named_also_where_inputs_are_not_given():
    wrong = counts()
    wrong[1] += 1
    assert mlp.codes("parameters", parameters=wrong, net=NETS, inputs=784, outputs=10) == {"counts-off"}
    assert mlp.codes("parameters", parameters=wrong, net=NETS) == {"counts-off"}
    assert mlp.lacking("parameters", "counts-off", parameters=wrong[1:2], net=NETS[1:2]) is not None


def kernels(model, biases):
    return sum(w.numpy().size for w in model.weights if w.ndim == 2 or biases)


@pytest.mark.parametrize(
    ("words", "slip"),
    [
        ("without the biases", lambda m: kernels(m, False)),
        ("without the last one", lambda m: m.count_params() - m.layers[-1].count_params()),
        ("without the first one", lambda m: m.count_params() - m.layers[0].count_params()),
        ("one bias a layer", lambda m: kernels(m, False) + len(m.layers)),
        ("units and not", lambda m: sum(layer.units for layer in m.layers)),
    ],
)
def test_the_slip_is_named(words, slip):
    wrong = [slip(keras_count(widths_of(net), 784, 10)) for net in NETS]
    text = mlp.reason("parameters", "counts-off", parameters=wrong, net=NETS, inputs=784, outputs=10)
    assert words in text


def test_counts_for_other_inputs_are_called_so():
    wrong = counts(inputs=3072)
    assert "3072 inputs" in mlp.reason("parameters", "counts-off", parameters=wrong, net=NETS, inputs=784, outputs=10)


def test_rounded_counts_chains_written_out_and_other_nets_are_not_marked():
    rounded = [100 * round(n / 100) for n in counts()]
    facts = {"inputs": 784, "outputs": 10}
    assert mlp.codes("parameters", parameters=rounded, net=NETS, **facts) == set()
    chains = [f"784-{net}-10" for net in NETS]
    assert mlp.codes("parameters", parameters=counts(), net=chains, **facts) == set()
    assert (
        mlp.codes("parameters", parameters=counts(), net=[f"[{net.replace('-', ', ')}]" for net in NETS], **facts)
        == set()
    )
    assert mlp.lacking("parameters", "counts-off", parameters=[10, 20], net=["deep", "20c5-p2-50"], **facts)
    assert mlp.lacking("parameters", "counts-off", parameters=[10, 20], **facts)


def test_equal_nets_are_right_and_unequal_ones_named():
    nets = ("5-10-10-10-10-10-5", "10-18-15-4", "190")
    right = counts(nets, 1, 1)
    assert right == [571, 572, 571]
    assert mlp.codes("equal-parameters", parameters=right, net=nets) == set()
    even = ("20-20", "20-20-20", "400")
    assert mlp.codes("equal-parameters", parameters=counts(even, 1, 1), net=even) == {"counts-not-equal"}


def test_unequal_counts_from_both_sides():
    """Counts may be 1 % from their middle."""
    assert mlp.codes("equal-parameters", parameters=[9905, 10095]) == set()
    assert mlp.codes("equal-parameters", parameters=[9895, 10105]) == {"counts-not-equal"}
    assert mlp.codes("equal-parameters", parameters=[49, 53]) == set()  # small nets
    assert mlp.lacking("equal-parameters", "counts-not-equal", parameters=[571])


def test_wrong_counts_of_equal_nets_are_wrong_and_not_unequal():
    nets = ("10-18-15-4", "190")
    wrong = [kernels(keras_count(widths_of(net), 1, 1), False) for net in nets]
    assert mlp.codes("equal-parameters", parameters=wrong, net=nets, inputs=1, outputs=1) == {"counts-off"}
