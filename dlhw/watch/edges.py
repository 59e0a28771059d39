"""stub"""


def edge(optimizer):
    return float("nan")
