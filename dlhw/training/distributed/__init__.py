"""Trainings on several devices and machines. `cluster` needs no TensorFlow."""
