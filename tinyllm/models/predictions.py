"""What a classifier's predict() returns, and why one cannot draw words from it."""

import numpy as np

__all__ = ["Predictions"]

ADVICE = (
    "p=predictions[i][j]: this is one number, the probability that the text is positive, not a distribution over "
    "words: a classifier with one output cannot choose the next word. Train a language model instead: "
    "tinyllm.models.LanguageModel (lesson 11 shows both)"
)


class Predictions(np.ndarray):
    """The probabilities (n, 1) of a model with one sigmoid output: an ordinary array, except for one thing.

    An element taken as a probability vector, as in np.random.choice(words, p=predictions[i][j]), raises a TypeError
    that says what is wrong.

    >>> predictions = np.array([[0.9]]).view(Predictions)
    >>> len(predictions), round(predictions[0][0], 1)
    (1, 0.9)
    >>> np.random.default_rng(0).choice(["a", "b"], p=predictions[0][0])  # doctest: +ELLIPSIS
    Traceback (most recent call last):
    TypeError: p=predictions[i][j]: this is one number, the probability that the text is positive, ...
    """

    def __getitem__(self, index):
        item = super().__getitem__(index)
        return item if isinstance(item, np.ndarray) else np.asarray(item).view(Predictions)

    def __len__(self):
        if self.ndim == 0:
            raise TypeError(ADVICE)
        return super().__len__()

    def __array_wrap__(self, array, context=None, return_scalar=False):
        plain = np.asarray(array)
        return plain[()] if return_scalar else plain

    def __round__(self, digits=None):
        return round(self.item(), digits)

    def __hash__(self):  # type: ignore[override]  # as the number it stands for
        return hash(self.item())

    def __repr__(self):
        return repr(np.asarray(self))

    def __str__(self):
        return str(np.asarray(self))
