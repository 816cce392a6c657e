"""The network that the article steps downhill, in the five ways it can be read.

Lines 179 to 474 take one step by hand on a network "1-2-1" with ten weights. No such network exists: 1-2-1 has seven
weights with biases and four without. So each way to make the example fit is tried:

    A  no hidden layer, 4 weights; a constant is added so that p = 0.6, as line 189 assumes
    B  4-2-1 without biases, all 10 weights
    C  1-2-1 with biases, the first 7 weights
    D  1-2-1 without biases, the first 4 weights: the network as stated
    E  1-3-1 with biases, all 10 weights

In A and B, x = [1, 2, 3, 4] is one sample with the label 0; in C, D and E it is four samples with the labels 0, 1, 0,
1. Every neuron has a sigmoid, the loss is the mean binary cross-entropy, the learning rate is 0.1.
"""

from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from tinyllm.autograd import Tensor
from tinyllm.losses import BinaryCrossentropy
from tinyllm.ops import sigmoid

__all__ = ["AFTER", "ALPHA", "PRINTED", "READINGS", "THETA", "TURNED", "Reading", "Step", "X", "Y", "as_table"]

X, Y = np.array([1.0, 2.0, 3.0, 4.0]), np.array([0.0, 1.0, 0.0, 1.0])  # line 179
THETA = np.arange(1, 11) / 10  # line 179; the article goes on to an eleventh, 1.1
ALPHA = 0.1  # line 297
PRINTED = ("-2.4", "-1.6", "-1.2", "-0.8", "-0.4", "0", "0.4", "0.8", "1.2", "1.6", "2.4")  # its eleven derivatives
AFTER = (0.34, 0.36, 0.42, 0.48, 0.54, 0.6, 0.66, 0.72, 0.78, 0.84, 0.86)  # line 474: the weights that it ends with
TURNED = -1  # the sign of line 112


@dataclass(frozen=True)
class Step:
    """What one step does to a reading: its prediction(s), and four losses."""

    predictions: np.ndarray
    before: float
    descent: float  # after theta - 0.1 gradient
    turned: float  # after theta + 0.1 gradient, which is what follows from line 112
    article: float  # with the weights that the article ends with


@dataclass(frozen=True)
class Reading:
    """A network that the example may mean: predict(theta, x), its samples x (rows, inputs), labels y (rows, 1)."""

    name: str
    says: tuple[str, str]
    size: int  # the number of its weights; they are the first of THETA
    predict: Callable[[Any, Any], Any]
    x: np.ndarray
    y: np.ndarray

    @property
    def start(self) -> np.ndarray:
        return THETA[: self.size]

    def loss_and_gradient(self, theta: Any) -> tuple[float, np.ndarray]:
        """The mean cross-entropy at theta (size,), and its gradient (size,)."""
        leaf = Tensor(theta, requires_grad=True)
        loss = BinaryCrossentropy()(self.y, self.predict(leaf, self.x))
        loss.backward()
        return float(loss), leaf.grad

    def step(self, theta: Any, sign: int = 1, rate: float = ALPHA) -> np.ndarray:
        """theta - sign rate gradient.

        >>> READINGS["A"].step([0.1, 0.2, 0.3, 0.4]).round(12)
        array([0.04, 0.08, 0.12, 0.16])
        """
        return theta - sign * rate * self.loss_and_gradient(theta)[1]

    def as_json(self) -> dict[str, Any]:
        """Its name, network, number of weights, and what compute() finds, as JSON has it."""
        step = asdict(self.compute())
        step["predictions"] = step["predictions"].tolist()
        return {"reading": self.name, "network": self.says[0], "weights": self.size, **step}

    def compute(self) -> Step:
        """The prediction and the four losses, in float64.

        >>> f"{READINGS['A'].compute().turned:.6f}"
        '2.310005'
        """
        ends = self.start, self.step(self.start), self.step(self.start, TURNED), np.array(AFTER[: self.size])
        losses = (self.loss_and_gradient(theta)[0] for theta in ends)
        return Step(np.ravel(self.predict(Tensor(self.start), self.x).data), *losses)


def _neuron(theta: Any, x: Any) -> Any:
    return sigmoid(x @ theta.reshape(4, 1) + CONSTANT)


def _network(hidden: int, biases: bool) -> Callable[[Any, Any], Any]:
    def predict(theta: Any, x: Any) -> Any:
        n = x.shape[1] * hidden  # theta holds, in this order: kernel 1, bias 1, kernel 2, bias 2
        m = n + hidden * biases
        z = x @ theta[:n].reshape(-1, hidden)
        h = sigmoid(z + theta[n:m] if biases else z)
        z = h @ theta[m : m + hidden].reshape(hidden, 1)
        return sigmoid(z + theta[-1] if biases else z)

    return predict


CONSTANT = np.log(0.6 / 0.4) - np.sum(THETA[:4] * X)  # makes A predict 0.6
_ONE, _FOUR = (X.reshape(1, 4), Y[:1].reshape(1, 1)), (X.reshape(4, 1), Y.reshape(4, 1))

READINGS: dict[str, Reading] = {
    reading.name: reading
    for reading in (
        Reading("A", ("one neuron, p = 0.6 as assumed", "一个神经元，p = 0.6（按其假设）"), 4, _neuron, *_ONE),
        Reading("B", ("4-2-1 without biases", "4-2-1，无偏置"), 10, _network(2, False), *_ONE),
        Reading("C", ("1-2-1 with biases", "1-2-1，有偏置"), 7, _network(2, True), *_FOUR),
        Reading("D", ("1-2-1 without biases, as stated", "1-2-1，无偏置（题面所说）"), 4, _network(2, False), *_FOUR),
        Reading("E", ("1-3-1 with biases", "1-3-1，有偏置"), 10, _network(3, True), *_FOUR),
    )
}

HEADINGS = {
    "en": ("", "network", "weights", "prediction", "loss", "descent", "sign turned", "article's weights"),
    "zh": ("", "网络", "权重数", "预测", "损失", "下降一步", "符号反了", "文章的权重"),
}


def as_table(language: str = "en") -> list[tuple[str, ...]]:
    """The five readings as rows of text, the headings first.

    >>> as_table()[1]
    ('A', 'one neuron, p = 0.6 as assumed', '4', '0.6000', '0.916291', '0.221501', '2.310005', '1.821872')
    """
    rows: list[tuple[str, ...]] = [HEADINGS[language]]
    for reading in READINGS.values():
        step = reading.compute()
        predictions = ", ".join(f"{p:.4f}" for p in step.predictions)
        losses = (f"{loss:.6f}" for loss in (step.before, step.descent, step.turned, step.article))
        says = reading.says[language == "zh"]
        rows.append((reading.name, says, str(reading.size), predictions, *losses))
    return rows
