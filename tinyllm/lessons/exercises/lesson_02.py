# %% [markdown] tags=["en"]
# # Exercises to lesson 2: one step downhill
# From one neuron's gradient to a loop that learns. Check yourself with `tinyllm exercise check lesson_02.py`;
# `tinyllm exercise hint 02.1` helps when you are stuck.
# %% [markdown] tags=["zh"]
# # 第 2 课练习：下山一步
# 从一个神经元的梯度，到一个会学习的循环。用 `tinyllm exercise check lesson_02.py` 自己检查；
# 卡住了就看提示：`tinyllm exercise hint 02.1`。
# %%
import numpy as np

from tinyllm.lessons.grading import Mistake, check, close, expect, laboratory, same

# %% [markdown] tags=["en"]
# ## 2.1 The gradient of a logistic neuron
# A neuron with the weights $w$ (features,) and the bias $b$, one number, says $p_i = \sigma(x_i \cdot w + b)$ for the row $x_i$ of
# $x$ (rows, features); $\sigma(z) = 1 / (1 + e^{-z})$ is given. Its loss is the binary cross-entropy, summed over the rows:
#
# $$L = -\sum_i [\,y_i \log p_i + (1 - y_i) \log (1 - p_i)\,]$$
#
# Return the two gradients $(\partial L / \partial w,\ \partial L / \partial b)$: the first shaped as $w$, the second a number.
# %% [markdown] tags=["zh"]
# ## 2.1 逻辑神经元的梯度
# 一个神经元有权重 $w$，形状 (features,)，和偏置 $b$，一个数。对 $x$（形状 (rows, features)）的一行 $x_i$，
# 它给出 $p_i = \sigma(x_i \cdot w + b)$；$\sigma(z) = 1 / (1 + e^{-z})$ 已经写好。损失是二元交叉熵，对各行求和：
#
# $$L = -\sum_i [\,y_i \log p_i + (1 - y_i) \log (1 - p_i)\,]$$
#
# 返回两个梯度 $(\partial L / \partial w,\ \partial L / \partial b)$：前一个与 $w$ 同形状，后一个是一个数。


# %% tags=["exercise"]
# exercise 02.1 (4 points): the gradient of a logistic neuron
def sigmoid(z):
    return (1 + np.tanh(z / 2)) / 2


def neuron_gradient(w, b, x, y):
    """(gradient with respect to w, gradient with respect to b) of the summed binary cross-entropy."""
    ### BEGIN SOLUTION
    error = sigmoid(x @ w + b) - y
    return x.T @ error, error.sum()
    ### END SOLUTION


# %% tags=["checks"]
def neuron_loss(w, b, x, y):
    z = x @ w + b
    return np.sum(np.logaddexp(0, z) - y * z)


@check(
    "02.1",
    points=3,
    catches=[
        Mistake(
            "turns the sign, as the article does on line 112",
            "sigmoid(x @ w + b) - y",
            "y - sigmoid(x @ w + b)",
            says="sign",
        ),
        Mistake(
            "takes the mean for the sum",
            "x.T @ error, error.sum()",
            "x.T @ error / len(y), error.mean()",
            says="factor",
        ),
        Mistake("forgets the bias when it predicts", "x @ w + b) - y", "x @ w) - y"),
        Mistake(
            "multiplies by the sigmoid's slope, which has cancelled",
            "+ b) - y",
            "+ b) - y\n    error = error * (error + y) * (1 - error - y)",
        ),
    ],
)
def both_gradients_agree_with_differences(student, rng):
    """Both gradients agree with differences of the loss."""
    x, y = rng.normal(size=(5, 3)), rng.integers(2, size=5).astype(float)

    def gradient(g, w, b):
        found = student.neuron_gradient(w, b, x, y)
        expect(
            isinstance(found, tuple | list) and len(found) == 2,
            "neuron_gradient must return two gradients, (of w, of b)",
        )
        return tuple(g * np.asarray(each) for each in found)

    laboratory(gradient, lambda w, b: neuron_loss(w, b, x, y), rng.normal(size=3), rng.normal())


@check(
    "02.1", points=1, catches=[Mistake("gives the bias a gradient for each row", "error.sum()", "error", says="[1]")]
)
def a_perfect_prediction_has_no_gradient(student, rng):
    """Where the neuron is right beyond doubt, both gradients are 0; where it is wrong beyond doubt, they are x and 1."""
    x = rng.normal(size=(1, 2)) + np.array([[3.0, 3.0]])
    for y, right in ((1.0, True), (0.0, False)):
        expected = (np.zeros(2), 0.0) if right else (x[0], 1.0)
        found = student.neuron_gradient(np.zeros(2), 50.0, x, np.array([y]))
        close(found, expected, f"w = 0, b = 50, y = {y:.0f}")


# %% [markdown] tags=["en", "hint"]
# The derivative of the loss of one row with respect to $z_i = x_i \cdot w + b$ is short: $p_i - y_i$. What is the
# derivative of $z_i$ with respect to $w$, and with respect to $b$?
# %% [markdown] tags=["zh", "hint"]
# 一行的损失对 $z_i = x_i \cdot w + b$ 的导数很短：$p_i - y_i$。$z_i$ 对 $w$ 的导数是什么？对 $b$ 呢？


# %% [markdown] tags=["en"]
# ## 2.2 One step
# `weights` is a list of arrays of any shapes, `gradients` the list of their gradients, `rate` the learning rate $\alpha$. Return
# the list of new arrays, each
#
# $$\theta - \alpha\, \frac{\partial L}{\partial \theta}$$
#
# The arrays that were handed in must stay as they were: whoever called may still need them.
# %% [markdown] tags=["zh"]
# ## 2.2 走一步
# `weights` 是一列数组，形状任意；`gradients` 是它们的梯度；`rate` 是学习率 $\alpha$。返回一列新的数组，每个都是
#
# $$\theta - \alpha\, \frac{\partial L}{\partial \theta}$$
#
# 传进来的数组不许改动：调用者也许还要用。


# %% tags=["exercise"]
# exercise 02.2 (3 points): one step of gradient descent
def step(weights, gradients, rate):
    """The list of weights after one step; the weights handed in stay as they are."""
    ### BEGIN SOLUTION
    return [w - rate * g for w, g in zip(weights, gradients)]
    ### END SOLUTION


# %% tags=["checks"]
@check(
    "02.2",
    points=2,
    catches=[
        Mistake("goes uphill", "w - rate * g", "w + rate * g"),
        Mistake("forgets the learning rate", "rate * g", "g"),
        Mistake("divides by the length of the gradient", "rate * g", "rate * g / np.sqrt(np.sum(g * g))"),
    ],
)
def every_array_takes_its_step(student, rng):
    """Every array moves against its own gradient, rate times as far."""
    weights = [rng.normal(size=shape) for shape in [(2, 3), (3,), ()]]
    gradients = [rng.normal(size=w.shape) for w in weights]
    rate = float(rng.uniform(0.05, 0.2))
    expected = [w - rate * g for w, g in zip(weights, gradients)]
    close(student.step(weights, gradients, rate), expected, "step(weights, gradients, rate)")


@check(
    "02.2",
    points=1,
    catches=[
        Mistake(
            "changes the weights in place", "[w - rate * g for", "[np.subtract(w, rate * g, out=w) for", says="changed"
        ),
    ],
)
def what_was_handed_in_stays(student, rng):
    """The step is taken, and the arrays that were handed in are as they were."""
    w, g = rng.normal(size=(2, 2)), rng.normal(size=(2, 2))
    new, old, gradient = student.run("new = step([w], [g], 0.1)\nresult = [new[0], w, g]", w=w, g=g)
    close(new, w - 0.1 * g, "step([w], [g], 0.1)[0]")
    expect(np.array_equal(old, w), "after the step w itself must be as it was; found it changed")
    expect(np.array_equal(gradient, g), "after the step g itself must be as it was; found it changed")


# %% [markdown] tags=["en", "hint"]
# `zip(weights, gradients)` gives one array and its gradient at a time. `w - rate * g` makes a new array; `w -= rate * g`
# changes the old one.
# %% [markdown] tags=["zh", "hint"]
# `zip(weights, gradients)` 每次给出一个数组和它的梯度。`w - rate * g` 会得到新数组，`w -= rate * g` 则改了旧的。


# %% [markdown] tags=["en"]
# ## 2.3 Predict: how many weights has a network?
# The article's network "1-2-1" has one input, two hidden neurons, one output, and, it says, ten weights. `sizes` lists the
# layers, here `[1, 2, 1]`. Every neuron is joined to all values of the layer before it by a weight each, and has, if
# `biases` is true, one bias. The inputs are no neurons. Return the number of weights and biases together.
# %% [markdown] tags=["zh"]
# ## 2.3 先猜后算：一个网络有几个权重？
# 文章的“1-2-1”网络有一个输入、两个隐藏神经元、一个输出；它说有十个权重。`sizes` 列出各层，这里是 `[1, 2, 1]`。
# 每个神经元和前一层的每个值之间各有一个权重；`biases` 为真时，每个神经元还有一个偏置。输入不是神经元。
# 返回权重和偏置的总个数。


# %% tags=["exercise"]
# exercise 02.3 (3 points): count the weights of a network
def count_weights(sizes, biases):
    """The number of weights, and of biases if there are any, of a network of fully connected layers."""
    ### BEGIN SOLUTION
    return sum(a * b + (b if biases else 0) for a, b in zip(sizes, sizes[1:]))
    ### END SOLUTION


# %% tags=["checks"]
@check(
    "02.3",
    points=2,
    catches=[
        Mistake("forgets the biases", "a * b + (b if biases else 0)", "a * b"),
        Mistake(
            "gives the inputs biases, too",
            "zip(sizes, sizes[1:]))",
            "zip(sizes, sizes[1:])) + (sizes[0] if biases else 0)",
        ),
        Mistake("gives each layer one bias", "(b if biases", "(1 if biases"),
        Mistake("always counts biases", "(b if biases else 0)", "b"),
    ],
)
def networks_of_three_layers(student, rng):
    """Networks of three layers, with biases and without: "1-2-1" has 7 or 4."""
    cases = [([1, 2, 1], True, 7), ([1, 2, 1], False, 4), ([4, 2, 1], True, 13)]
    i, h, o = (int(n) for n in rng.integers(2, 50, size=3))
    for sizes, biases, expected in [
        *cases,
        ([i, h, o], True, i * h + h + h * o + o),
        ([i, h, o], False, i * h + h * o),
    ]:
        same(student.count_weights(sizes, biases), expected, f"count_weights({sizes}, {biases})")


@check("02.3", points=1, catches=[Mistake("takes two steps at most", "sizes[1:]))", "sizes[1:3]))")])
def any_number_of_layers(student, rng):
    """Any number of layers."""
    for layers in (2, 5):
        sizes = [int(n) for n in rng.integers(1, 20, size=layers)]
        expected = sum((a + 1) * b for a, b in zip(sizes, sizes[1:]))
        same(student.count_weights(sizes, True), expected, f"count_weights({sizes}, True)")


# %% [markdown] tags=["en", "hint"]
# Between a layer of $a$ values and one of $b$ neurons there are $a \cdot b$ weights. Draw 1-2-1 and count the lines.
# %% [markdown] tags=["zh", "hint"]
# 一层 $a$ 个值、下一层 $b$ 个神经元，中间有 $a \cdot b$ 个权重。把 1-2-1 画出来，数数有几条线。


# %% [markdown] tags=["en"]
# ## 2.4 Find the bug: a step that is not one step
# `broken_descend` is meant to take `steps` steps of gradient descent with the neuron of 2.1 and to return $(w, b)$. It learns,
# so nobody notices; but its first step is not $-\alpha$ times the gradient at the place where it stood. Find out why, and write
# `descend`. Hint number one: compare its first step for $b$ with your own of 2.1 and 2.2.
# %% [markdown] tags=["zh"]
# ## 2.4 找错：这一步不是一步
# `broken_descend` 本该用 2.1 的神经元走 `steps` 步梯度下降，返回 $(w, b)$。它能学，所以没人发现；
# 但它的第一步并不是所在位置梯度的 $-\alpha$ 倍。找出原因，写出 `descend`。第一个提示：
# 拿它走第一步后的 $b$，和你用 2.1、2.2 算出来的比一比。


# %% tags=["exercise"]
# exercise 02.4 (4 points): find the bug in a descent
def sigmoid(z):
    return (1 + np.tanh(z / 2)) / 2


def broken_descend(w, b, x, y, rate, steps):
    for _ in range(steps):
        w = w - rate * x.T @ (sigmoid(x @ w + b) - y)
        b = b - rate * np.sum(sigmoid(x @ w + b) - y)
    return w, b


def descend(w, b, x, y, rate, steps):
    """(w, b) after that many steps, each against the gradient at the place where it begins."""
    ### BEGIN SOLUTION
    for _ in range(steps):
        error = sigmoid(x @ w + b) - y
        w = w - rate * x.T @ error
        b = b - rate * np.sum(error)
    return w, b
    ### END SOLUTION


# %% tags=["checks"]
def descended(w, b, x, y, rate, steps):
    """What is expected, written in another way: weights and bias in one vector."""
    theta, with_ones = np.append(w, b), np.column_stack([x, np.ones(len(x))])
    for _ in range(steps):
        theta = theta - rate * with_ones.T @ (1 / (1 + np.exp(-with_ones @ theta)) - y)
    return theta[:-1], theta[-1]


def drawn(rng):
    x = rng.normal(size=(6, 2))
    return rng.normal(size=2), float(rng.normal()), x, (x[:, 0] > 0).astype(float)


@check(
    "02.4",
    points=2,
    catches=[
        Mistake("leaves it as it was", "rate * np.sum(error)", "rate * np.sum(sigmoid(x @ w + b) - y)", says="[1]"),
        Mistake(
            "moves b first, then w with the new b",
            "w = w - rate * x.T @ error\n        b = b - rate * np.sum(error)",
            "b = b - rate * np.sum(error)\n        w = w - rate * x.T @ (sigmoid(x @ w + b) - y)",
            says="[0]",
        ),
        Mistake("goes uphill", "error = sigmoid(x @ w + b) - y", "error = y - sigmoid(x @ w + b)"),
    ],
)
def one_step_is_the_gradient(student, rng):
    """One step: w and b both move against the gradient at the place where they were."""
    given = drawn(rng)
    close(student.descend(*given, 0.1, 1), descended(*given, 0.1, 1), "(w, b) after 1 step")


@check(
    "02.4",
    points=2,
    catches=[
        Mistake(
            "takes the first gradient for all steps",
            "for _ in range(steps):\n        error = sigmoid(x @ w + b) - y\n",
            "error = sigmoid(x @ w + b) - y\n    for _ in range(steps):\n",
        )
    ],
)
def many_steps(student, rng):
    """Many steps: each begins where the last one ended; no step at all changes nothing."""
    given = drawn(rng)
    for steps in (0, 25):
        close(student.descend(*given, 0.1, steps), descended(*given, 0.1, steps), f"(w, b) after {steps} steps")


# %% [markdown] tags=["en", "hint"]
# Read the two lines of the loop in order. Which `w` does the second one use?
# %% [markdown] tags=["zh", "hint"]
# 按顺序读循环里的两行。第二行用的是哪个 `w`？
