"""Image data sets and one-dimensional functions, as NumPy arrays. No TensorFlow."""

from dlhw.datasets.info import DATASETS, DatasetInfo, check_examples, dataset_info
from dlhw.datasets.loading import Data, check, checksum, data_folder, load, status, verify
from dlhw.datasets.subsets import EVALUATED, fixed_sample, held_out, shuffle_labels, stratified

__all__ = [
    "DATASETS",
    "EVALUATED",
    "Data",
    "DatasetInfo",
    "check",
    "check_examples",
    "checksum",
    "data_folder",
    "dataset_info",
    "fixed_sample",
    "held_out",
    "load",
    "shuffle_labels",
    "status",
    "stratified",
    "verify",
]
