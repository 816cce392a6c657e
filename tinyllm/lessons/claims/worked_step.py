"""Section 4 of the article, second half: one step of gradient descent by hand, on a network that does not fit."""

from fractions import Fraction

import numpy as np

from tinyllm.lessons.claims.algorithms import along_the_gradient
from tinyllm.lessons.claims.entry import Claim, tried
from tinyllm.lessons.claims.losses import cross_entropy
from tinyllm.lessons.readings import AFTER, PRINTED, READINGS, THETA, X, Y

__all__ = ["CLAIMS", "INPUTS", "LABELS", "printed_sum", "updated", "weights"]

# The labels and the inputs of the eleven printed sums (lines 210 to 290), one row a weight.
LABELS = ("0000", *["0101"] * 10)
INPUTS = ("1234", "2134", "3243", "4312", "1423", "2314", "3243", "4321", "1432", "2341", "3214")
P = Fraction(6, 10)  # exact: nobody can blame rounding
log = np.log


def weights(inputs: int, hidden: int, biases: bool) -> int:
    """How many weights a network inputs-hidden-1 has."""
    return inputs * hidden + hidden * biases + hidden + biases


def printed_sum(i: int) -> float:
    """What the terms (y - 0.6) x that are printed for weight i add up to."""
    return float(sum((int(y) - P) * int(x) for y, x in zip(LABELS[i], INPUTS[i])))


def literal() -> float:
    """Line 206 with the article's own inputs and labels."""
    return float(sum((int(y) - P) * int(x) for y, x in zip(Y, X)))


def updated(i: int) -> float:
    """Weight i (0.1, 0.2, ...) minus 0.1 times the derivative that is printed for it."""
    return float(Fraction(i + 1, 10) - Fraction(1, 10) * Fraction(PRINTED[i]))


def from_the_terms() -> list[float]:
    """The eleven weights after the step, had the printed terms been added up rightly."""
    return [float(Fraction(i + 1, 10) - Fraction(printed_sum(i)).limit_denominator(1000) / 10) for i in range(11)]


def _derivative(i: int, line: int, truth: str, why: str, why_zh: str) -> Claim:
    says = f"dLoss/dtheta_{i}"
    return Claim(f"S4-{24 + i}", line, says, PRINTED[i], "wrong", truth, why, why_zh, lambda: printed_sum(i))


def _update(i: int, line: int) -> Claim:
    says, shown = f"theta_{i} = {THETA[i]:.1f} - 0.1 ({PRINTED[i]})", f"{AFTER[i]:g}"
    return Claim(f"S4-{38 + i}", line, says, shown, "right given a wrong input", "", *STEP, lambda: updated(i))


SUM = ("The printed terms add up to another number.", "照印出的各项相加，得不到这个数。")
TWIN = (
    "theta_2 and theta_6 have the same printed terms, and they add up to -2.2.",
    "theta_2 与 theta_6 式子相同，和是 -2.2。",
)
STEP = ("The subtraction is done right, but the gradient that goes in is wrong.", "减法没错，错的是代进去的梯度。")

# fmt: off
CLAIMS = (
    Claim("S4-14", 179, ("a 1-2-1 network has this many weights", "1-2-1 网络的权重个数"), "10", "wrong", "7",
          "1-2-1 has 7 weights with biases and 4 without; 10 belong to 4-2-1 without or 1-3-1 with biases.",
          "1-2-1 带偏置有 7 个权重，不带有 4 个；10 个对应不带偏置的 4-2-1 或带偏置的 1-3-1。",
          lambda: weights(1, 2, True)),
    Claim("S4-15", 179, ("x = [1, 2, 3, 4], y = [0, 1, 0, 1]: number of samples",
                         "x = [1, 2, 3, 4]，y = [0, 1, 0, 1]：样本数"), "4", "right", "4",
          "With one input neuron these are four samples of one number.", "输入层只有一个神经元，这就是四个单数样本。",
          lambda: len(X.reshape(-1, 1))),
    Claim("S4-16", 181, ("numbers in the first sample x_1", "第一个样本 x_1 含几个数"), "4", "wrong", "1",
          "One input neuron takes one number: the first sample is x_1 = 1.",
          "一个输入神经元只接收一个数：第一个样本是 x_1 = 1。", lambda: X.reshape(-1, 1)[0].size),
    Claim("S4-17", 179, ("the ten numbers theta_0 are the weights of that network", "十个数 theta_0 就是该网络的权重"),
          "", "wrong", "",
          "They do not fit it, and theta_0 names both the vector and, from line 300 on, its first number.",
          "个数对不上；而且 theta_0 既指整个向量，第 300 行起又指其中第一个数。",
          lambda: THETA.size in (weights(1, 2, True), weights(1, 2, False))),
    Claim("S4-18", 184, "y = 0: -[0 log p + 1 log(1 - p)]", "", "right", "",
          "The numbers are put in correctly.", "数字代入正确。",
          lambda: cross_entropy(0, 0.6), lambda: -(0 * log(0.6) + 1 * log(1 - 0.6))),
    Claim("S4-19", 189, ("the prediction for the first sample", "第一个样本的预测"), "0.6", "imprecise", "",
          "It is assumed, not computed; the network as stated, without biases, gives 0.593.",
          "这是假设的，不是算出来的；题面所说的网络（不带偏置）给出 0.593。",
          lambda: READINGS["D"].compute().predictions[0]),
    Claim("S4-20", 192, "y = 0, p = 0.6: -[log 0.4]", "", "right", "0.916291",
          "The term that stays is log(1 - 0.6).", "留下来的正是 log(1 - 0.6)。",
          lambda: cross_entropy(0, 0.6), lambda: -log(0.4)),
    Claim("S4-21", 200, "-[log 0.4]", "0.916", "right", "0.916291",
          "0.916291 to three places.", "0.916291 取三位小数。", lambda: cross_entropy(0, 0.6)),
    Claim("S4-22", 206, "dLoss/dtheta_0 = sum_i (y_i - p_i) x_i", "", "wrong", "",
          "The sign is turned, the hidden layer is left out, and every weight would have the same derivative.",
          "符号反了，漏掉了隐藏层，而且照此每个权重的导数都一样。",
          lambda: READINGS["D"].loss_and_gradient(THETA[:4])[1][0], literal),
    Claim("S4-23", 210, ("labels in the first sum", "第一个和式里的标签"), "0, 0, 0, 0", "wrong", "0, 1, 0, 1",
          "The labels are given as 0, 1, 0, 1.", "题中给出的标签是 0、1、0、1。", lambda: Y.astype(int)),
    _derivative(0, 214, "-6", "The printed terms add up to -6; -2.4 is the last of them alone.",
                "印出的各项之和是 -6；-2.4 只是最后一项。"),
    _derivative(1, 222, "-1", *SUM),
    _derivative(2, 230, "-2.2", *TWIN),
    _derivative(3, 238, "-1", *SUM),
    _derivative(4, 246, "1", *SUM),
    _derivative(5, 254, "1", *SUM),
    _derivative(6, 262, "-2.2", *TWIN),
    _derivative(7, 270, "-2", *SUM),
    _derivative(8, 278, "0", *SUM),
    _derivative(9, 286, "-2", *SUM),
    _derivative(10, 294, "0", "The terms add up to 0, and ten weights end at theta_9.",
                "各项之和是 0；何况十个权重到 theta_9 为止。"),
    Claim("S4-35", 290, ("number of partial derivatives", "偏导数的个数"), "11", "wrong", "10",
          "Ten weights have ten partial derivatives.", "十个权重只有十个偏导数。", lambda: THETA.size),
    Claim("S4-36", 214, ("the eleven results", "十一个结果"), ", ".join(PRINTED), "wrong",
          "-6, -1, -2.2, -1, 1, 1, -2.2, -2, 0, -2, 0",
          "They rise in even steps of 0.4 but at both ends; none equals its own expression.",
          "除首尾外每次恰好加 0.4；没有一个等于它自己的式子。", lambda: [printed_sum(i) for i in range(11)]),
    Claim("S4-37", 210, ("order of the inputs in the sum for theta_1", "theta_1 的和式里输入的顺序"), "2, 1, 3, 4",
          "wrong", "1, 2, 3, 4",
          "The samples do not change places when another weight is looked at.", "换一个权重求导，样本不会跟着换位置。",
          lambda: X.astype(int)),
    _update(0, 312), _update(1, 328), _update(2, 344), _update(3, 360), _update(4, 376), _update(5, 388),
    _update(6, 404), _update(7, 420), _update(8, 436), _update(9, 452),
    Claim("S4-48", 468, "theta_10 = 1.1 - 0.1 (2.4)", "0.86", "wrong", "",
          "There is no eleventh weight; its start of 1.1 appears from nowhere.",
          "没有第十一个权重；1.1 这个初值是凭空来的。", lambda: tried(lambda: THETA[10])),
    Claim("S4-49", 474, ("the weights after the step", "更新后的权重"), ", ".join(f"{w:g}" for w in AFTER), "wrong", "",
          "The printed terms, rightly added, lead elsewhere; and no reading of the network has this step.",
          "印出的各项若加对，得到的是别的数；而且没有一种解读的网络会走出这一步。", from_the_terms),
    Claim("S4-50", 477, ("these steps make the model better", "照以上步骤，模型得到优化"), "", "wrong", "",
          "With the printed sign, one step makes the loss larger.", "按印出的符号走一步，损失反而变大。",
          along_the_gradient),
)
# fmt: on
