"""Section 3 of the article: networks, training, optimisers."""

from itertools import pairwise
from typing import Any

import numpy as np

from tinyllm.autograd import Tensor
from tinyllm.layers import Dense
from tinyllm.lessons.claims.entry import Claim
from tinyllm.lessons.readings import READINGS
from tinyllm.models import GPT, Sequential
from tinyllm.optimizers import GD, Adam

__all__ = ["CLAIMS", "along_the_gradient"]


def backward_updates() -> list[bool]:
    """Do the weights change in backward()? And in the optimiser's step after it?"""
    weight = Tensor([0.5, -0.5], requires_grad=True)
    seen = [weight.data.copy()]
    np.sum(np.square(weight)).backward()
    seen.append(weight.data.copy())
    GD(0.1).apply_gradients([(weight.grad, weight)])
    seen.append(weight.data)
    return [bool(np.any(after != before)) for before, after in pairwise(seen)]


def along_the_gradient() -> bool:
    """Does a step along the gradient lower the loss, in any of the five readings of the article's own example?"""
    return any((step := reading.compute()).turned < step.before for reading in READINGS.values())


def ends_too_high() -> list[bool]:
    """Does descent from 21 places end above the lowest point: with two valleys, with one?"""
    places = np.linspace(-2, 2, 21)

    def stuck(f: Any) -> bool:
        x = Tensor(places, requires_grad=True)
        for _ in range(150):
            x.grad = None
            np.sum(f(x)).backward()
            GD(0.02).apply_gradients([(x.grad, x)])
        return bool(np.any(f(x.data) > np.min(f(places)) + 0.01))

    return [stuck(lambda x: (x * x - 1) ** 2 + 0.3 * x), stuck(lambda x: x * x)]


def updates_per_epoch(batch_size: int) -> int:
    """How often fit() changes the weights in one pass through three samples."""
    model = Sequential([Dense(1)])
    model.compile("sgd", "mse")
    model.fit(np.ones((3, 2)), np.ones(3), epochs=1, batch_size=batch_size, verbose=0)
    return int(model.optimizer.iterations)


def adam_adapts() -> list[bool]:
    """Is Adam's step made of the steps of plain descent? Does its rate adapt to each weight?"""
    steps = []
    for optimizer in (GD(0.1), Adam(0.1)):
        weight = Tensor([0.0, 0.0], requires_grad=True)
        optimizer.apply_gradients([(np.array([1.0, 1000.0]), weight)])
        steps.append(weight.data)
    plain, adam = (step[1] / step[0] for step in steps)  # the second gradient is a thousand times the first
    return [bool(np.isclose(adam, plain)), bool(np.isclose(adam, 1))]


def looks_at_other_words() -> list[bool]:
    """Does changing the first token change what is said about the last: with layers of neurons alone, with a GPT?"""
    ids = np.array([[0, 1, 2], [1, 1, 2]])
    neurons = Sequential([Dense(4, activation="tanh"), Dense(3)])  # on every token alike
    outputs = neurons(np.eye(3)[ids]), GPT(vocab_size=3, context=3, depth=2, heads=1, width=4)(ids)
    return [bool(np.any(out.data[0, -1] != out.data[1, -1])) for out in outputs]


# fmt: off
CLAIMS = (
    Claim("S3-01", 76, ("back-propagation changes the weights, and then a step changes them; do they",
                        "反向传播更新权重，随后的一步再更新权重；是否如此"), "", "imprecise", "",
          "Back-propagation only finds the gradients; the one change is the optimiser's step.",
          "反向传播只求梯度；真正改变权重的只有优化器那一步。", backward_updates),
    Claim("S3-02", 83, ("moving along the gradient makes the loss smaller", "沿梯度方向走，损失变小"), "", "wrong", "",
          "The gradient points uphill; descent goes against it, as line 174 itself does.",
          "梯度指向上坡；要下降就得反着走，第 174 行的公式正是这样写的。", along_the_gradient),
    Claim("S3-03", 83, ("gradient descent gets stuck in a local minimum: with two valleys, with one",
                        "梯度下降会陷入局部最小值：有两个谷时、只有一个谷时"), "", "imprecise", "",
          "Only where the loss has several valleys; in large networks flat and ill-scaled places cost more time.",
          "只有损失有多个谷时才会；大网络里更费时间的是平坦处和各方向尺度不一。", ends_too_high),
    Claim("S3-04", 84, ("SGD updates with a part of the samples: updates in a pass through 3, taking 1 or 3 at a time",
                        "SGD 每次更新只用一部分样本：3 个样本过一遍，每次 1 个或 3 个，各更新几次"), "", "right", "",
          "One sample an update makes three updates of a pass, all three together make one.",
          "每次一个样本，一遍更新三次；三个一起用，只更新一次。",
          lambda: [updates_per_epoch(1), updates_per_epoch(3)], lambda: [3 // 1, 3 // 3]),
    Claim("S3-05", 85, ("Adam joins gradient descent and SGD; it adapts the learning rate",
                        "Adam 结合梯度下降与 SGD；它会调整学习率"), "", "imprecise", "",
          "It joins momentum with a step size of its own for each weight; the adapting is right.",
          "它结合的是动量与每个权重各自的步长；“调整学习率”说得对。", adam_adapts),
    Claim("S3-06", 65, ("a language model is input, hidden and output layers of neurons; does a word see the others: "
                        "with those alone, in a GPT",
                        "语言模型就是输入、隐藏、输出三种神经元层；词能看到别的词吗：只有这些层时、在 GPT 里"),
          "", "imprecise", "",
          "True of any network; a language model needs attention or recurrence as well, so that words see others.",
          "任何网络都是如此；语言模型还需要注意力或循环结构，让词看到别的词。", looks_at_other_words),
)
# fmt: on
