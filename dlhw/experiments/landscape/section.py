"""The section of `landscape` in a report."""

from __future__ import annotations

from dlhw.present.section import Section, SectionRun

SECTION = Section(
    "1-2 d",
    "The error surface",
    captions={
        "contour": "Contours of the loss, evenly spaced in its logarithm, with the path of training where there "
        "is one: the ring is its start. A marker has the colour of the true loss there; one whose colour differs "
        "from that around it lies off the plane.",
        "filled": "The same, filled, on one scale for all nets.",
        "surface": "The same as a surface; the page surface.html in the folder of the run turns it.",
        "accuracy": "Accuracy over the same plane.",
        "path": "Loss of the path and of its projection onto the plane; below, the distance between the two.",
        "line": "Loss along the line.",
        "curvature": "|smallest / largest eigenvalue| of the Hessian; where the smallest is negative, dark means "
        "little downward beside upward curvature. White: not converged.",
    },
    pitfalls=(
        "Using one random number per tensor in place of a direction, or directions that are not scaled: nets with "
        "larger weights look flatter.",
        "Drawing the path on the contour as if it lay in the plane: its loss is a different one, which is drawn here "
        "too.",
        "Reading anything into two components that hold most of a path: a random walk of many points has 76 % in two.",
        "Taking filters along PyTorch's first axis; in Keras it is the last.",
    ),
    quick_settings={
        "data": "digits",
        "nets": ("50-9",),
        "epochs": 24,
        "learning_rate": 0.02,
        "grid": 25,
        "subset": 1000,
    },
    runs=(
        SectionRun("Along the path of a net on images"),
        SectionRun(
            "Along the paths of a shallow and a deep net on a function",
            {"of": ("simulate",), "nets": ("shallow", "deep")},
            preset="complete",
        ),
        SectionRun(
            "Around a convolutional net, along two random directions",
            {"of": ("classify",), "plane": "random"},
            preset="complete",
        ),
        SectionRun("Along the two leading eigenvectors of the Hessian", {"plane": "hessian"}, preset="complete"),
    ),
)
