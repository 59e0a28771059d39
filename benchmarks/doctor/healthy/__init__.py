"""Healthy trainings: what competent people write, with the small nuisances of real programs that are no faults.

Every one reaches a score on held-out data, stated where it is defined, that no rule of a finding knows.
"""

from benchmarks.doctor.healthy import images, practice, regressions, sequences, tables
from benchmarks.doctor.healthy.register import HEALTHY

__all__ = ["HEALTHY", "images", "practice", "regressions", "sequences", "tables"]
