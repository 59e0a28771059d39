"""What the numbers of a watched training say: small rules over what was recorded, without TensorFlow."""

from dlhw.watch.findings.rules import diagnose as diagnose
