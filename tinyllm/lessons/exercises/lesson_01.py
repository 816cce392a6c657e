# %% [markdown] tags=["en"]
# # Exercises to lesson 1: losses by hand
# Four functions, each a few lines of NumPy. Check yourself with `tinyllm exercise check lesson_01.py`;
# `tinyllm exercise hint 01.1` helps when you are stuck.
# %% [markdown] tags=["zh"]
# # 第 1 课练习：手算损失
# 四个函数，每个只要几行 NumPy。用 `tinyllm exercise check lesson_01.py` 自己检查；
# 卡住了就看提示：`tinyllm exercise hint 01.1`。
# %%
import numpy as np

from tinyllm.lessons.grading import Mistake, check, close, expect, laboratory

# %% [markdown] tags=["en"]
# ## 1.1 The binary cross-entropy
# A question has the answer $y$, 0 or 1; the model says $p$, the probability it gives to the answer 1. Write the loss
#
# $$L(y, p) = -\,[\,y \log p + (1 - y) \log (1 - p)\,]$$
#
# with the natural logarithm. $y$ and $p$ are arrays of one shape (or numbers), $0 < p < 1$; return one loss for each
# element, in the same shape.
# %% [markdown] tags=["zh"]
# ## 1.1 二元交叉熵
# 一个问题的答案是 $y$，取 0 或 1；模型给出 $p$，即它认为答案是 1 的概率。写出损失
#
# $$L(y, p) = -\,[\,y \log p + (1 - y) \log (1 - p)\,]$$
#
# 其中 $\log$ 是自然对数。$y$ 和 $p$ 是形状相同的数组（或两个数），$0 < p < 1$；每个元素返回一个损失，形状不变。


# %% tags=["exercise"]
# exercise 01.1 (3 points): the binary cross-entropy
def binary_cross_entropy(y, p):
    """The loss of every prediction p, shaped as y and p."""
    ### BEGIN SOLUTION
    return -(y * np.log(p) + (1 - y) * np.log(1 - p))
    ### END SOLUTION


# %% tags=["checks"]
@check(
    "01.1",
    points=1,
    catches=[
        Mistake("loses the minus sign, as the article does on line 152", "-(y", "(y", says="found -0.105361"),
        Mistake("keeps log p where y is 0, as on line 166", "np.log(1 - p)", "np.log(p)", says="[1]"),
        Mistake("takes the logarithm to base 2", "-(y", "-1 / np.log(2) * (y"),
    ],
)
def the_articles_three_predictions(student, rng):
    """The article's three predictions have the losses 0.105361, 0.105361 and 0.916291."""
    found = student.binary_cross_entropy(np.array([1.0, 0.0, 0.0]), np.array([0.9, 0.1, 0.6]))
    close(found, -np.log([0.9, 0.9, 0.4]), "binary_cross_entropy([1, 0, 0], [0.9, 0.1, 0.6])")


@check(
    "01.1",
    points=2,
    catches=[
        Mistake("adds all losses up", "-(y * np.log(p) + (1 - y) * np.log(1 - p))", "-np.sum(y * np.log(p))"),
        Mistake("leaves out the answers that are 0", " + (1 - y) * np.log(1 - p)", ""),
    ],
)
def every_element_has_its_loss(student, rng):
    """Any shape: one loss for each element, the logarithm of what the true answer was given."""
    for shape in [(), (5,), (2, 3)]:
        y, p = rng.integers(2, size=shape).astype(float), rng.uniform(0.01, 0.99, size=shape)
        close(student.binary_cross_entropy(y, p), -np.log(np.where(y == 1, p, 1 - p)), f"y and p of shape {shape}")


# %% [markdown] tags=["en", "hint"]
# Two products, one sum, one minus sign in front of it all. Put in $y = 1$: which term is left? NumPy works element by
# element, so the formula can be written as it stands.
# %% [markdown] tags=["zh", "hint"]
# 两个乘积、一个和，最前面一个负号。令 $y = 1$：剩下哪一项？NumPy 逐元素运算，公式可以照抄。


# %% [markdown] tags=["en"]
# ## 1.2 The cross-entropy of classes, without overflow
# A row of `logits` $z$ has one number for each class; the model's probabilities are $p_k = e^{z_k} / \sum_j e^{z_j}$. With
# the true class $c$ of the row, its loss is
#
# $$-\log p_c = \log \sum_j e^{z_j} - z_c$$
#
# `logits` has the shape (rows, classes), `labels` the true class of each row, (rows,). Return the mean over the rows, a
# number. $e^{1000}$ is too large for a float, so subtract something first that does not change the result.
# %% [markdown] tags=["zh"]
# ## 1.2 多类交叉熵，不许溢出
# `logits` 的一行 $z$ 给每个类别一个数；模型的概率是 $p_k = e^{z_k} / \sum_j e^{z_j}$。设这一行的真实类别是 $c$，损失是
#
# $$-\log p_c = \log \sum_j e^{z_j} - z_c$$
#
# `logits` 的形状是 (rows, classes)，`labels` 是每行的真实类别，形状 (rows,)。返回对各行的均值，一个数。
# $e^{1000}$ 超出了浮点数的范围，所以要先减去点什么，又不能改变结果。


# %% tags=["exercise"]
# exercise 01.2 (4 points): the cross-entropy of classes
def cross_entropy(logits, labels):
    """The mean of -log softmax(logits)[label] over the rows: one number."""
    ### BEGIN SOLUTION
    z = logits - logits.max(axis=1, keepdims=True)
    log_total = np.log(np.exp(z).sum(axis=1))
    return np.mean(log_total - z[np.arange(len(labels)), labels])
    ### END SOLUTION


# %% tags=["checks"]
@check(
    "01.2",
    points=2,
    catches=[
        Mistake("sums over the rows instead of the classes", ".sum(axis=1)", ".sum(axis=0)"),
        Mistake("adds the losses up instead of their mean", "np.mean(", "np.sum("),
        Mistake("takes the largest logit for the label's", "labels])", "z.argmax(axis=1)])"),
        Mistake("forgets the logarithm of the sum", "log_total - z[", "-z["),
    ],
)
def the_mean_over_the_rows(student, rng):
    """Random logits: the mean over the rows of minus the logarithm of the true class's probability."""
    for rows, classes in [(4, 4), (1, 3), (6, 2)]:
        logits, labels = rng.normal(size=(rows, classes)), rng.integers(classes, size=rows)
        p = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
        expected = -np.mean(np.log(p[np.arange(rows), labels]))
        close(student.cross_entropy(logits, labels), expected, f"logits of shape ({rows}, {classes})")


@check(
    "01.2",
    points=2,
    catches=[
        Mistake(
            "does not subtract the largest logit", " - logits.max(axis=1, keepdims=True)", "", says="RuntimeWarning"
        ),
        Mistake("subtracts the largest logit of all rows", "logits.max(axis=1, keepdims=True)", "logits.max()"),
    ],
)
def large_logits_do_no_harm(student, rng):
    """Rows around 1000 and -1000 give the same loss as rows around 0, without a warning."""
    logits, labels = rng.normal(size=(4, 3)), rng.integers(3, size=4)
    expected = -np.mean([row[k] - np.log(np.exp(row).sum()) for row, k in zip(logits, labels)])
    moved = logits + np.array([[1000.0], [-1000.0], [0.0], [500.0]])
    close(student.cross_entropy(moved, labels), expected, "rows around 1000, -1000, 0 and 500")


# %% [markdown] tags=["en", "hint"]
# Softmax does not change when the same number is subtracted from a whole row. With the row's largest logit, the largest
# exponential is $e^0 = 1$. `logits.max(axis=1, keepdims=True)` has the shape (rows, 1).
# %% [markdown] tags=["zh", "hint"]
# 整行减去同一个数，softmax 不变。减去这一行最大的 logit，最大的指数就是 $e^0 = 1$。
# `logits.max(axis=1, keepdims=True)` 的形状是 (rows, 1)。
# %% [markdown] tags=["en", "hint"]
# `z[np.arange(len(labels)), labels]` picks one logit from each row.
# %% [markdown] tags=["zh", "hint"]
# `z[np.arange(len(labels)), labels]` 从每行取出一个 logit。


# %% [markdown] tags=["en"]
# ## 1.3 The mean squared error, and its gradient
# The mean squared error of predictions $p$ for the answers $y$, over all $n$ elements, is
#
# $$L = \frac1n \sum_i (p_i - y_i)^2$$
#
# (the article divides by 2 and forgets the $n$). `mse` is given. Write its gradient with respect to $p$: an array
# shaped as $p$. $g$ is the gradient of some further computation with respect to $L$, one number; by the chain rule it
# multiplies everything. The laboratory, `tinyllm.gradcheck`, compares your gradient with differences.
# %% [markdown] tags=["zh"]
# ## 1.3 均方误差和它的梯度
# 预测 $p$ 对答案 $y$ 的均方误差，对全部 $n$ 个元素取平均：
#
# $$L = \frac1n \sum_i (p_i - y_i)^2$$
#
# （文章除以了 2，又忘了 $n$。）`mse` 已经给出。请写出它对 $p$ 的梯度：形状与 $p$ 相同的数组。
# $g$ 是后续计算对 $L$ 的梯度，一个数；按链式法则，它要乘进每一项。实验室 `tinyllm.gradcheck` 会拿你的梯度和差分对照。


# %% tags=["exercise"]
# exercise 01.3 (4 points): the gradient of the mean squared error
def mse(p, y):
    """The mean squared error: one number."""
    return np.mean((p - y) ** 2)


def mse_gradient(g, p, y):
    """The gradient with respect to p of a loss whose gradient with respect to mse(p, y) is g; shaped as p."""
    ### BEGIN SOLUTION
    return g * 2 * (p - y) / p.size
    ### END SOLUTION


# %% tags=["checks"]
@check(
    "01.3",
    points=3,
    catches=[
        Mistake("forgets g, the gradient from above", "g * 2", "2", says="upstream"),
        Mistake(
            "takes the half sum for the mean, as the article does", "2 * (p - y) / p.size", "(p - y)", says="factor"
        ),
        Mistake("turns the sign", "(p - y) /", "(y - p) /", says="sign"),
        Mistake("divides by the rows only", "p.size", "len(p)", says="factor"),
    ],
)
def the_gradient_agrees_with_differences(student, rng):
    """The gradient agrees with differences of the loss."""
    p, y = rng.normal(size=(3, 4)), rng.normal(size=(3, 4))
    laboratory(lambda g, p: student.mse_gradient(g, p, y), lambda p: np.mean((p - y) ** 2), p)


@check("01.3", points=1, catches=[Mistake("adds the elements up", "g * 2 * (p - y)", "g * 2 * np.sum(p - y)")])
def one_step_against_it_lowers_the_loss(student, rng):
    """The gradient has the shape of p, and a small step against it lowers the loss."""
    p, y = rng.normal(size=(2, 3)), rng.normal(size=(2, 3))
    gradient = student.mse_gradient(1.0, p, y)
    expect(
        np.shape(gradient) == p.shape,
        f"mse_gradient(1, p, y): expected the shape {p.shape}; found {np.shape(gradient)}",
    )
    before, after = np.mean((p - y) ** 2), np.mean((p - 0.1 * gradient - y) ** 2)
    expect(after < before, f"after p - 0.1 * gradient the loss must be less than {before:.4f}; found {after:.4f}")


# %% [markdown] tags=["en", "hint"]
# Only the term with $p_i$ depends on $p_i$. What is the derivative of $(p_i - y_i)^2$? And where does $1/n$ go?
# `p.size` is the number of elements.
# %% [markdown] tags=["zh", "hint"]
# 只有含 $p_i$ 的那一项依赖 $p_i$。$(p_i - y_i)^2$ 的导数是什么？$1/n$ 又该放在哪里？`p.size` 是元素的个数。


# %% [markdown] tags=["en"]
# ## 1.4 Find the bug: which way does the loss fall?
# The derivative of the binary cross-entropy of 1.1 with respect to $p$ is wanted. `broken_slope` has one wrong sign: for
# some answers it sends $p$ the wrong way. Find out which: a difference, $[L(y, p+h) - L(y, p-h)]\,/\,2h$ with a small $h$,
# needs no algebra. Then write `slope` as it should be. Arrays of one shape in, the same shape out.
# %% [markdown] tags=["zh"]
# ## 1.4 找错：损失往哪边降？
# 要的是 1.1 的二元交叉熵对 $p$ 的导数。`broken_slope` 有一个符号写错了：对某些答案，它会把 $p$ 推向错的方向。
# 找出是哪些：取很小的 $h$，差分 $[L(y, p+h) - L(y, p-h)]\,/\,2h$ 不用推导就能告诉你。再写出正确的 `slope`。
# 输入是形状相同的数组，输出形状不变。


# %% tags=["exercise"]
# exercise 01.4 (3 points): find the bug in a sign
def broken_slope(y, p):
    """Meant to be the derivative of -[y log p + (1 - y) log(1 - p)] with respect to p."""
    return -y / p - (1 - y) / (1 - p)


def slope(y, p):
    """That derivative, for every element."""
    ### BEGIN SOLUTION
    return -y / p + (1 - y) / (1 - p)
    ### END SOLUTION


# %% tags=["checks"]
@check(
    "01.4",
    points=2,
    catches=[
        Mistake("leaves it as it was", "-y / p + (1 - y)", "-y / p - (1 - y)", says="a difference"),
        Mistake("turns both signs", "-y / p + (1 - y)", "y / p - (1 - y)"),
        Mistake("mends the first term, which was right", "-y / p + (1 - y)", "y / p + (1 - y)"),
    ],
)
def the_slope_agrees_with_a_difference(student, rng):
    """For answers 0 and 1, the slope is what a difference of the loss gives."""

    def loss(y, p):
        return -np.log(np.where(y == 1, p, 1 - p))

    for y in (0.0, 1.0):
        p, h = float(rng.uniform(0.2, 0.8)), 1e-5
        difference = (loss(y, p + h) - loss(y, p - h)) / (2 * h)
        close(student.slope(y, p), difference, f"slope({y:.0f}, {p:.4f}), against a difference", rtol=1e-5)


@check(
    "01.4",
    points=1,
    catches=[Mistake("goes by the first answer only", "-y / p + (1 - y) / (1 - p)", "-np.ravel(y)[0] / p + 0 * y")],
)
def many_answers_at_once(student, rng):
    """Arrays of many answers: below 0 where the answer is 1, above 0 where it is 0."""
    y, p = np.tile([0.0, 1.0], (2, 2)), rng.uniform(0.05, 0.95, size=(2, 4))
    close(student.slope(y, p), np.where(y == 1, -1 / p, 1 / (1 - p)), "slope of a (2, 4) array")


# %% [markdown] tags=["en", "hint"]
# With $y = 0$ the loss is $-\log(1 - p)$. It grows with $p$, so its slope must be above 0. What does `broken_slope` say?
# %% [markdown] tags=["zh", "hint"]
# $y = 0$ 时损失是 $-\log(1 - p)$，随 $p$ 增大而增大，斜率应当大于 0。`broken_slope` 给出的是什么？
