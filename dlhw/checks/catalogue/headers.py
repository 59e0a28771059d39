"""Headers that people give to loss and accuracy; compared without case, spaces and punctuation."""

from __future__ import annotations

from dlhw.checks.items import Column

_TRAIN = ("train", "training", "tr")
_TEST = ("test", "testing", "val", "validation", "te", "eval")
_ACCURACY = ("accuracy", "acc", "sparse_categorical_accuracy", "categorical_accuracy", "binary_accuracy")


def _pairs(sets: tuple[str, ...], quantities: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(f"{a} {b}" for s in sets for q in quantities for a, b in ((s, q), (q, s)))


TRAIN_LOSS = Column(
    "train_loss",
    "loss on the training set",
    ("loss", "train mse", *_pairs(_TRAIN, ("loss", "cost", "error", "cross entropy"))),
)
TEST_LOSS = Column(
    "test_loss", "loss on the test set", ("test mse", *_pairs(_TEST, ("loss", "cost", "error", "cross entropy")))
)
TRAIN_ACCURACY = Column(
    "train_accuracy",
    "accuracy on the training set",
    (*_ACCURACY, *_pairs(_TRAIN, _ACCURACY)),
    fraction=True,
)
TEST_ACCURACY = Column("test_accuracy", "accuracy on the test set", _pairs(_TEST, _ACCURACY), fraction=True)
LOSSES = (TRAIN_LOSS, TEST_LOSS)
CURVES = (*LOSSES, TRAIN_ACCURACY, TEST_ACCURACY)
EPOCH = Column("epoch", "number of the epoch", ("epochs", "ep", "iteration", "iter", "step"), required=True)
