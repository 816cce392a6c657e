"""Section 4 of the article, first half: losses and their gradients."""

from collections.abc import Callable
from typing import Any

import numpy as np

from tinyllm.autograd import Tensor
from tinyllm.lessons.claims.entry import Claim
from tinyllm.lessons.readings import READINGS, X, Y
from tinyllm.losses import BinaryCrossentropy, HalfSumSquaredError, MeanSquaredError, categorical_crossentropy
from tinyllm.ops import sigmoid

__all__ = ["CLAIMS", "cross_entropy"]

CASES = ((1.0, 0.9), (0.0, 0.1), (0.0, 0.6))  # the article's: (y, p)
THETA = 0.5  # our choice, to have a place where a gradient can be taken
LABELS, CERTAIN = np.array([0.0, 0.0]), np.array([0.999, 0.999])  # two samples, both taken for 1 and wrong
log = np.log


def cross_entropy(y: float, p: float) -> float:
    """The library's binary cross-entropy of one prediction."""
    return float(BinaryCrossentropy()([[y]], [[p]]))


def by_hand(y: Any, p: Any) -> Any:
    return -(y * log(p) + (1 - y) * log(1 - p))


def slope(f: Callable[[float], Any], at: float, h: float = 1e-5) -> float:
    """The derivative, from two values of f: no algebra in it that could be wrong."""
    return float((f(at + h) - f(at - h)) / (2 * h))


def probabilities(theta: Any) -> Any:
    return sigmoid(theta * X)


def over_classes() -> float:
    """The cross-entropy of the two wrong predictions, the sum running over the classes of each."""
    one_hot, p = (np.stack([1 - a, a], axis=1) for a in (LABELS, CERTAIN))
    return float(np.sum(categorical_crossentropy(one_hot, p)))


def formula_fits() -> list[bool]:
    """Is sum (p - y) x the gradient: of a single neuron, of a hidden weight?"""
    theta = Tensor(THETA, requires_grad=True)
    BinaryCrossentropy(reduction="sum")(Y[:, None], probabilities(theta)[:, None]).backward()
    single = np.isclose(theta.grad, np.sum((probabilities(THETA) - Y) * X))
    network = READINGS["D"]  # one hidden layer; the loss is a mean over 4 samples
    p = network.predict(Tensor(network.start), network.x).data
    hidden = np.isclose(4 * network.loss_and_gradient(network.start)[1][0], np.sum((p - network.y) * network.x))
    return [bool(single), bool(hidden)]


def descends() -> bool:
    """Does a step against the gradient lower the loss in all five readings of the example?"""
    return all((step := reading.compute()).descent < step.before for reading in READINGS.values())


# fmt: off
CLAIMS = (
    Claim("S4-01", 104, "-sum_i y_i log p_i, i = samples", "", "imprecise", "",
          "The sum must run over the classes of one sample; over samples with labels 0 or 1, every 0 costs nothing.",
          "求和应遍历一个样本的各个类别；若遍历标签为 0/1 的样本，标签为 0 的一项永远是零。",
          over_classes, lambda: np.sum(LABELS * -log(CERTAIN))),
    Claim("S4-02", 112, "d(cross-entropy)/dtheta = sum_i (y_i - p_i) x_i", "", "wrong", "",
          "The sign is the other way round: sum_i (p_i - y_i) x_i.",
          "符号反了：应为 sum_i (p_i - y_i) x_i。",
          lambda: slope(lambda t: np.sum(by_hand(Y, probabilities(t))), THETA),
          lambda: np.sum((Y - probabilities(THETA)) * X)),
    Claim("S4-03", 115, ("theta = the parameters of the model: of one layer, of a hidden layer",
                         "theta = 模型参数：单层时、有隐藏层时"), "", "imprecise", "",
          "True for one layer only; the weights of a hidden layer need the chain rule.",
          "只对单层模型成立；隐藏层的权重还要用链式法则。", formula_fits),
    Claim("S4-04", 122, "MSE = 1/2 sum_i (y_i - p_i)^2", "", "wrong", "",
          "That is half of a sum; the mean squared error divides the sum by n.",
          "这是“和的一半”；均方误差是把平方和除以 n。",
          lambda: float(MeanSquaredError()(Y[:, None], THETA * X[:, None])),
          lambda: float(HalfSumSquaredError()(Y[:, None], THETA * X[:, None]))),
    Claim("S4-05", 130, "d(1/2 sum (y - p)^2)/dtheta = sum_i (y_i - p_i) x_i", "", "wrong", "",
          "The sign is the other way round: sum_i (p_i - y_i) x_i, for a linear output.",
          "符号反了：线性输出时应为 sum_i (p_i - y_i) x_i。",
          lambda: slope(lambda t: np.sum((Y - t * X) ** 2) / 2, THETA), lambda: np.sum((Y - THETA * X) * X)),
    Claim("S4-06", 138, "-[y log p + (1 - y) log(1 - p)]", "", "right", "",
          "This is the binary cross-entropy, with the natural logarithm.", "这正是二元交叉熵，log 为自然对数。",
          lambda: [cross_entropy(y, p) for y, p in CASES], lambda: [by_hand(y, p) for y, p in CASES]),
    Claim("S4-07", 144, "y = 1, p = 0.9: -[1 log 0.9 + (1 - 1) log(1 - 0.9)]", "", "right", "0.105361",
          "The numbers are put in correctly.", "数字代入正确。",
          lambda: cross_entropy(1, 0.9), lambda: -(1 * log(0.9) + (1 - 1) * log(1 - 0.9))),
    Claim("S4-08", 148, "= -[log 0.9]", "", "right", "0.105361",
          "The other term is multiplied by 0.", "另一项乘的是 0。",
          lambda: cross_entropy(1, 0.9), lambda: -log(0.9)),
    Claim("S4-09", 152, "-[log 0.9]", "-0.105", "wrong", "0.105361",
          "log 0.9 is -0.105; the minus sign in front of it makes the loss positive.",
          "log 0.9 才是 -0.105；前面还有负号，所以损失是正的。", lambda: cross_entropy(1, 0.9)),
    Claim("S4-10", 158, "y = 0, p = 0.1: -[0 log 0.1 + (1 - 0) log(1 - 0.1)]", "", "right", "0.105361",
          "The numbers are put in correctly.", "数字代入正确。",
          lambda: cross_entropy(0, 0.1), lambda: -(0 * log(0.1) + (1 - 0) * log(1 - 0.1))),
    Claim("S4-11", 162, "= -[log 0.1]", "", "wrong", "0.105361",
          "The term that stays is log(1 - 0.1) = log 0.9.", "留下来的是 log(1 - 0.1)，也就是 log 0.9。",
          lambda: cross_entropy(0, 0.1), lambda: -log(0.1)),
    Claim("S4-12", 166, "y = 0, p = 0.1", "2.302", "wrong", "0.105361",
          "2.303 is the loss of y = 0, p = 0.9; here the model is nearly right and the loss is small.",
          "2.303 是 y = 0、p = 0.9 时的损失；这里模型几乎答对，损失很小。", lambda: cross_entropy(0, 0.1)),
    Claim("S4-13", 174, "theta - alpha dLoss/dtheta", "", "right", "",
          "Against the gradient, a small step at a time: that is gradient descent.",
          "逆着梯度走一小步，正是梯度下降。", descends),
)
# fmt: on
