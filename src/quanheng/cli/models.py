"""placeholder"""


def train() -> None:
    """Train.

    Example:
      quanheng train
    """


def evaluate() -> None:
    """Evaluate.

    Example:
      quanheng evaluate
    """
