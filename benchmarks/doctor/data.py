"""Small data sets, always split in the same way: inputs standardized, or scaled to 0..1 for images."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
from sklearn import datasets
from sklearn.model_selection import train_test_split

Array = np.ndarray


@dataclass(frozen=True)
class Split:
    x: Array
    y: Array
    x_val: Array
    y_val: Array

    @property
    def probe(self) -> tuple[Array, Array]:
        return self.x_val, self.y_val

    @property
    def validation(self) -> dict[str, Any]:
        return {"validation_data": (self.x_val, self.y_val)}


def split(x: Any, y: Any, scale: bool = True, share: float = 0.25, classes: bool = True) -> Split:
    """Return a shuffled split; `scale` standardizes inputs by the training half."""
    target = np.asarray(y, "int32" if classes else "float32")
    parts = train_test_split(np.asarray(x, "float32"), target, test_size=share, random_state=0)
    x_train, x_val, y_train, y_val = parts
    if scale:
        mean, std = x_train.mean(axis=0), x_train.std(axis=0) + 1e-7
        x_train, x_val = (x_train - mean) / std, (x_val - mean) / std
    return Split(x_train, y_train, x_val, y_val)


def one_hot(data: Split, classes: int) -> Split:
    eye = np.eye(classes, dtype="float32")
    return Split(data.x, eye[data.y], data.x_val, eye[data.y_val])


@cache
def digits(scale: bool = True) -> Split:
    """1797 digits of 8x8, as vectors of 64; 0..1, or 0..255 without `scale`."""
    bunch = datasets.load_digits()
    return split(bunch.data / 16 * (1 if scale else 255), bunch.target, scale=False)


@cache
def images(scale: bool = True) -> Split:
    flat = digits(scale)
    return Split(flat.x.reshape(-1, 8, 8, 1), flat.y, flat.x_val.reshape(-1, 8, 8, 1), flat.y_val)


@cache
def iris(scale: bool = True) -> Split:
    return split(*datasets.load_iris(return_X_y=True), scale=scale)


@cache
def wine(scale: bool = True) -> Split:
    return split(*datasets.load_wine(return_X_y=True), scale=scale)


@cache
def breast_cancer(scale: bool = True) -> Split:
    return split(*datasets.load_breast_cancer(return_X_y=True), scale=scale)


@cache
def diabetes(scale_targets: bool = True) -> Split:
    """Ten columns and a target of 25 to 346, which is standardized unless `scale_targets` is False."""
    x, y = datasets.load_diabetes(return_X_y=True)
    return split(x, (y - y.mean()) / y.std() if scale_targets else y, classes=False)


@cache
def houses(scale: bool = True, scale_targets: bool = True) -> Split:
    """Eight columns as of house prices: income, age, rooms, ... in their units, and a price in dollars."""
    rng = np.random.default_rng(0)
    n = 1200
    income, age = rng.gamma(4, 1.0, n), rng.uniform(1, 52, n)
    rooms, people = rng.normal(5.4, 1.2, n), rng.gamma(3, 500, n)
    south, west = rng.uniform(32, 42, n), rng.uniform(-124, -114, n)
    occupancy, bedrooms = rng.gamma(9, 0.33, n), rng.normal(1.1, 0.2, n)
    distance = np.hypot(south - 36, west + 120)
    value = 4e4 * income + 6e4 * np.exp(-distance) + 8e3 * rooms - 2e4 * np.log(occupancy) + 3e2 * age
    value = np.clip(value + rng.normal(0, 1.5e4, n), 3e4, 5e5)
    x = np.stack([income, age, rooms, bedrooms, people, occupancy, south, west], axis=1)
    return split(x, (value - value.mean()) / value.std() if scale_targets else value, scale=scale, classes=False)


@cache
def blobs(classes: int = 3, features: int = 8, spread: float = 2.5) -> Split:
    x, y = datasets.make_blobs(900, features, centers=classes, cluster_std=spread, random_state=3)
    return split(x, y)


@cache
def circles() -> Split:
    return split(*datasets.make_circles(800, noise=0.08, factor=0.5, random_state=0))


@cache
def moons() -> Split:
    return split(*datasets.make_moons(800, noise=0.15, random_state=0))


@cache
def xor(copies: int = 100, noise: float = 0.15) -> Split:
    """The four corners of a square, many times with noise; the class is whether the signs differ."""
    rng = np.random.default_rng(0)
    corners = np.tile([[0, 0], [0, 1], [1, 0], [1, 1]], (copies, 1))
    return split(corners + rng.normal(0, noise, corners.shape), corners[:, 0] ^ corners[:, 1], scale=False)


@cache
def table(classes: int = 2, features: int = 20, informative: int = 8) -> Split:
    x, y = datasets.make_classification(
        1000, features, n_informative=informative, n_classes=classes, class_sep=1.5, random_state=0
    )
    return split(x, y)


@cache
def curve(name: str = "sinc", n: int = 600) -> Split:
    """One input in -1..1 and a function of it: sinc, sign, sine or square."""
    x = np.random.default_rng(0).uniform(-1, 1, (n, 1))
    functions = {
        "sinc": lambda t: np.sinc(3 * t),
        "sign": lambda t: np.sign(np.sin(4 * t)),
        "sine": lambda t: np.sin(3 * t),
        "square": lambda t: t**2,
    }
    return split(x, functions[name](x), scale=False, classes=False)


@cache
def waves(n: int = 700, length: int = 24) -> Split:
    """Sequences of a sine (class 0), a square wave (1) or a saw tooth (2) of random phase and frequency, with noise."""
    rng = np.random.default_rng(0)
    y = rng.integers(0, 3, n)
    phase = rng.uniform(0, 1, (n, 1)) + rng.uniform(1.5, 2.5, (n, 1)) * np.linspace(0, 1, length)
    sine = np.sin(2 * np.pi * phase)
    x = np.choose(y[:, None], [sine, np.sign(sine), 2 * (phase % 1) - 1]) + rng.normal(0, 0.1, (n, length))
    return split(x[..., None], y, scale=False)


@cache
def forecast(n: int = 700, length: int = 20) -> Split:
    """Twenty values of a sine with noise; the target is the next one."""
    rng = np.random.default_rng(0)
    phase = rng.uniform(0, 2 * np.pi, (n, 1)) + rng.uniform(0.2, 0.5, (n, 1)) * np.arange(length + 1)
    series = np.sin(phase) + rng.normal(0, 0.05, phase.shape)
    return split(series[:, :-1, None], series[:, -1:], scale=False, classes=False)


@cache
def texts(n: int = 900, words: int = 200, length: int = 20) -> Split:
    """Sequences of word numbers; half of the words are likelier in texts of class 1."""
    rng = np.random.default_rng(0)
    y = rng.integers(0, 2, n)
    tilt = np.where(np.arange(words) % 2 == 0, 3.0, 1.0)
    shares = np.stack([tilt, tilt[::-1]]) / tilt.sum()
    x = np.stack([rng.choice(words, length, p=shares[label]) for label in y])
    data = split(x, y, scale=False)
    return Split(data.x.astype("int32"), data.y, data.x_val.astype("int32"), data.y_val)
