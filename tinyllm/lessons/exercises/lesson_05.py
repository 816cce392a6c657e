# %% [markdown] tags=["en"]
# # Exercises to lesson 5: the derivative table
# Four backward rules in NumPy: the sigmoid, broadcasting, a matrix product, and a softmax with a bug. $g$ is always the gradient of the loss
# with respect to the result, of the result's shape. Check yourself with `tinyllm exercise check lesson_05.py`.
# %% [markdown] tags=["zh"]
# # 第 5 课练习：导数表
# 用 NumPy 写四条反向规则：sigmoid、广播、矩阵乘法，还有一个有错的 softmax。$g$ 总是损失对结果的梯度，形状与结果相同。
# 用 `tinyllm exercise check lesson_05.py` 自己检查。
# %%
import numpy as np

from tinyllm.lessons.grading import Mistake, check, close, expect, laboratory

# %% [markdown] tags=["en"]
# ## 5.1 The sigmoid
# $y = \sigma(x) = 1 / (1 + e^{-x})$, elementwise. Given $g$ and $x$ of one shape, return the gradient with respect to $x$: $g$ times the slope of $\sigma$ at each
# element. At $x = -1000$ and $x = 1000$ the slope is 0 to the last digit; there must be no warning of an overflow.
# %% [markdown] tags=["zh"]
# ## 5.1 sigmoid
# $y = \sigma(x) = 1 / (1 + e^{-x})$，逐元素。给定形状相同的 $g$ 和 $x$，返回对 $x$ 的梯度：每个元素处 $g$ 乘以 $\sigma$ 的斜率。
# 在 $x = -1000$ 和 $x = 1000$ 处，斜率精确到最后一位都是 0；不许出现溢出警告。


# %% tags=["exercise"]
# exercise 05.1 (3 points): the sigmoid
def sigmoid_gradient(g, x):
    """The gradient with respect to x, shaped as x."""
    ### BEGIN SOLUTION
    e = np.exp(-np.abs(x))
    return g * e / (1 + e) ** 2
    ### END SOLUTION


# %% tags=["checks"]
def sigmoid(x):
    """1 / (1 + exp(-x)), for complex x, too: the laboratory takes complex steps."""
    return 1 / (1 + np.exp(-x))


@check("05.1", points=2, catches=[
    Mistake("forgets g, what has come back from the loss", "g * e", "e", says="upstream"),
    Mistake("gives the value for the slope", "g * e / (1 + e) ** 2", "g / (1 + np.exp(-x))"),
    Mistake("forgets the square", "(1 + e) ** 2", "(1 + e)"),
    Mistake("turns the sign", "return g *", "return -g *", says="sign"),
])  # fmt: skip
def the_slope_everywhere(student, rng):
    """The gradient agrees with differences, for numbers of both signs, in arrays of two shapes."""
    laboratory(student.sigmoid_gradient, sigmoid, rng.normal(size=(3, 4)) * 3)
    laboratory(student.sigmoid_gradient, sigmoid, rng.normal(size=5))


@check("05.1", points=1, catches=[
    Mistake("lets the exponential overflow", "e = np.exp(-np.abs(x))", "e = np.exp(-x)", says="RuntimeWarning"),
    Mistake("cuts x off too early", "e = np.exp(-np.abs(x))", "e = np.exp(-np.minimum(np.abs(x), 20))"),
])  # fmt: skip
def large_numbers_do_no_harm(student, rng):
    """At 1000 and -1000 the gradient is 0, at 30 it is still right, and nothing warns."""
    g = rng.normal(size=4) + 3
    expected = g * np.exp([-np.inf, -30.0, -30.0, -np.inf])
    found = student.sigmoid_gradient(g, np.array([-1000.0, -30.0, 30.0, 1000.0]))
    close(found, expected, "sigmoid_gradient(g, [-1000, -30, 30, 1000])", rtol=1e-6, atol=0)


# %% [markdown] tags=["en", "hint"]
# With $e = e^{-x}$ the slope is $e / (1 + e)^2$. It is the same at $x$ and at $-x$: so one may put $|x|$ in the place of $x$, and $e$ never exceeds 1.
# %% [markdown] tags=["zh", "hint"]
# 令 $e = e^{-x}$，斜率就是 $e / (1 + e)^2$。它在 $x$ 和 $-x$ 处相同，所以可以用 $|x|$ 代替 $x$，这样 $e$ 不会超过 1。


# %% [markdown] tags=["en"]
# ## 5.2 Broadcasting backwards
# An array of shape `shape` was broadcast to the shape of $g$: used again along every axis that it did not have, and along every axis where its length was 1. Return the
# gradient for it, of shape `shape`: $g$ summed over all these axes.
# %% [markdown] tags=["zh"]
# ## 5.2 广播的反向
# 一个形状为 `shape` 的数组被广播成了 $g$ 的形状：它没有的轴、它长度为 1 的轴，都重复使用了它。返回它的梯度，形状为 `shape`：
# 把 $g$ 沿所有这些轴求和。


# %% tags=["exercise"]
# exercise 05.2 (4 points): broadcasting backwards
def unbroadcast(g, shape):
    """g, summed to the shape, which broadcasts to g's shape."""
    ### BEGIN SOLUTION
    g = g.sum(axis=tuple(range(g.ndim - len(shape))))
    ones = tuple(axis for axis, length in enumerate(shape) if length == 1)
    return g.sum(axis=ones, keepdims=True)
    ### END SOLUTION


# %% tags=["checks"]
def widened(student, rng: np.random.Generator, shape: tuple, wide: tuple) -> None:
    """The student's sum against differences of what broadcasting does."""
    case = f"unbroadcast(g of shape {wide}, {shape})"
    g = rng.normal(size=wide)
    found = student.unbroadcast(g, shape)
    expect(np.shape(found) == shape, f"{case}: expected the shape {shape}; found {np.shape(found)}")
    jacobian = np.stack([np.broadcast_to(e.reshape(shape), wide).ravel() for e in np.eye(int(np.prod(shape)))])
    close(found, (jacobian @ g.ravel()).reshape(shape), case)


@check("05.2", points=2, catches=[
    Mistake("takes a mean, as if each use counted less", "g = g.sum(", "g = g.mean("),
    Mistake("sums from the wrong end", "range(g.ndim - len(shape))", "range(len(shape), g.ndim)"),
    Mistake("takes the first row for all", "g = g.sum(axis=tuple(range(g.ndim - len(shape))))",
            "g = g[(0,) * (g.ndim - len(shape))]"),
])  # fmt: skip
def axes_it_did_not_have(student, rng):
    """A bias in a batch, in a batch of sequences, and a number in a matrix."""
    for shape, wide in [((3,), (4, 3)), ((3,), (2, 3, 3)), ((), (2, 3)), ((2, 3), (2, 3))]:
        widened(student, rng, shape, wide)


@check("05.2", points=2, catches=[
    Mistake("drops the axes of length 1", "axis=ones, keepdims=True", "axis=ones", says="expected the shape"),
    Mistake("forgets the axes of length 1", "return g.sum(axis=ones, keepdims=True)",
            "return np.broadcast_to(g.mean(axis=ones, keepdims=True), shape)"),
    Mistake("sums along the other axes", "if length == 1", "if length != 1"),
])  # fmt: skip
def axes_of_length_one(student, rng):
    """A column in a matrix, a mask in a stack, and both kinds of axes together."""
    for shape, wide in [
        ((4, 1), (4, 3)),
        ((1, 3), (4, 3)),
        ((2, 1, 3), (2, 4, 3)),
        ((1, 3, 1), (5, 2, 3, 4)),
        ((1,), (2, 3)),
    ]:
        widened(student, rng, shape, wide)


# %% [markdown] tags=["en", "hint"]
# Two sums. NumPy lines shapes up at the right: `g` has `g.ndim - len(shape)` axes too many in front; sum over them first. Then sum over the axes where `shape` has a
# 1, with `keepdims=True`. A sum over `axis=()` changes nothing.
# %% [markdown] tags=["zh", "hint"]
# 求和两次。NumPy 的形状靠右对齐：`g` 前面多出 `g.ndim - len(shape)` 个轴，先沿它们求和；再沿 `shape` 中为 1 的轴求和，并用
# `keepdims=True`。沿 `axis=()` 求和等于什么也不做。


# %% [markdown] tags=["en"]
# ## 5.3 A matrix product, and a stack of them
# $y = a\, b$ with $a$ ($n$, $k$), $b$ ($k$, $m$), $g$ ($n$, $m$). Return the gradients `(for a, for b)`. Then the case of a layer that reads sequences: $a$ is a stack
# (batch, time, $k$), so $g$ is (batch, time, $m$), while all its rows use the **same** $b$ ($k$, $m$). Your function must serve both.
# %% [markdown] tags=["zh"]
# ## 5.3 矩阵乘法，以及成叠的矩阵乘法
# $y = a\, b$，其中 $a$ 是 ($n$, $k$)，$b$ 是 ($k$, $m$)，$g$ 是 ($n$, $m$)。返回两个梯度 `(对 a, 对 b)`。再考虑读序列的层：$a$ 是一叠矩阵
# (batch, time, $k$)，于是 $g$ 是 (batch, time, $m$)，而所有的行用的是**同一个** $b$ ($k$, $m$)。你的函数要两种都能用。


# %% tags=["exercise"]
# exercise 05.3 (4 points): a matrix product
def matmul_gradient(g, a, b):
    """(gradient for a, gradient for b), shaped as a and b; a has two axes or three, b has two."""
    ### BEGIN SOLUTION
    rows, upstream = a.reshape(-1, a.shape[-1]), g.reshape(-1, g.shape[-1])
    return g @ b.T, rows.T @ upstream
    ### END SOLUTION


# %% tags=["checks"]
def matmul(a, b):
    return a @ b


@check("05.3", points=2, catches=[
    Mistake("forgets to turn b", "g @ b.T", "g @ b", says="transposed"),
    Mistake("multiplies in the wrong order", "rows.T @ upstream", "(upstream.T @ rows).T[::-1]"),
    Mistake("gives the gradients in the wrong order", "g @ b.T, rows.T @ upstream", "rows.T @ upstream, g @ b.T"),
    Mistake("forgets to turn a", "rows.T @ upstream",
            "rows @ upstream if len(rows) == rows.shape[1] else rows.T @ upstream"),
])  # fmt: skip
def two_matrices(student, rng):
    """Square matrices and others: both gradients agree with differences."""
    for n, k, m in [(3, 3, 3), (4, 2, 3), (1, 3, 2)]:
        laboratory(student.matmul_gradient, matmul, rng.normal(size=(n, k)), rng.normal(size=(k, m)))


@check("05.3", points=2, catches=[
    Mistake("makes one gradient of b for each matrix of the stack", "rows.T @ upstream",
            "np.swapaxes(a, -1, -2) @ g"),
    Mistake("takes the mean over the stack", "rows.T @ upstream",
            "rows.T @ upstream / (len(a) if a.ndim > 2 else 1)"),
    Mistake("looks at the first matrix of the stack only", "rows.T @ upstream",
            "(a[0].T @ g[0] if a.ndim > 2 else a.T @ g)"),
    Mistake("turns the whole stack round", "g @ b.T, rows.T", "(g.T @ b.T if a.ndim > 2 else g @ b.T), rows.T",
            says="matmul_gradient"),
])  # fmt: skip
def a_stack_of_matrices(student, rng):
    """(batch, time, k) times (k, m): the gradient of b collects from every row of the stack."""
    for batch, time in [(2, 3), (3, 1), (1, 4)]:
        laboratory(student.matmul_gradient, matmul, rng.normal(size=(batch, time, 2)), rng.normal(size=(2, 3)))


# %% [markdown] tags=["en", "hint"]
# The shapes decide: what product of $g$ and $b$ has $a$'s shape? For the stack, think of it as one tall matrix: `a.reshape(-1, a.shape[-1])` has batch x time
# rows. `g @ b.T` works on a stack as it is.
# %% [markdown] tags=["zh", "hint"]
# 由形状决定：$g$ 与 $b$ 的哪种乘积和 $a$ 同形？对成叠的情形，把它看成一个高高的矩阵：`a.reshape(-1, a.shape[-1])` 有 batch × time 行。
# `g @ b.T` 对一叠矩阵可以直接用。


# %% [markdown] tags=["en"]
# ## 5.4 Find the bug: softmax
# Each row of $x$ (rows, classes) gives probabilities $y_k = e^{x_k} / \sum_j e^{x_j}$. `broken_softmax_gradient` treats the softmax as if each probability depended on its own $x_k$
# alone. But when one rises, the others fall: $\partial y_j / \partial x_k = y_j (\delta_{jk} - y_k)$, with $\delta_{jk} = 1$ where $j = k$ and 0 elsewhere. Write `softmax_gradient`, which is right, without
# building that matrix, and safe for logits of 1000.
# %% [markdown] tags=["zh"]
# ## 5.4 找错：softmax
# $x$ (rows, classes) 的每一行给出概率 $y_k = e^{x_k} / \sum_j e^{x_j}$。`broken_softmax_gradient` 把 softmax 当成每个概率只依赖自己的 $x_k$。
# 其实一个升高，别的就降低：$\partial y_j / \partial x_k = y_j (\delta_{jk} - y_k)$，其中 $j = k$ 时 $\delta_{jk} = 1$，否则为 0。
# 请写出正确的 `softmax_gradient`，不要建出那个矩阵，并且 logit 大到 1000 也不出错。


# %% tags=["exercise"]
# exercise 05.4 (4 points): find the bug in the softmax
def broken_softmax_gradient(g, x):
    """Wrong: as if y were a function of x element by element."""
    y = np.exp(x) / np.exp(x).sum(axis=1, keepdims=True)
    return g * y * (1 - y)


def softmax_gradient(g, x):
    """The gradient with respect to x, shaped as x."""
    ### BEGIN SOLUTION
    e = np.exp(x - x.max(axis=1, keepdims=True))
    y = e / e.sum(axis=1, keepdims=True)
    return y * (g - (g * y).sum(axis=1, keepdims=True))
    ### END SOLUTION


# %% tags=["checks"]
def softmax(x):
    """Probabilities of each row, for complex x, too."""
    e = np.exp(x)
    return e / e.sum(axis=1, keepdims=True)


@check("05.4", points=3, catches=[
    Mistake("looks at the diagonal only, as the broken one does", "y * (g - (g * y).sum(axis=1, keepdims=True))",
            "g * y * (1 - y)", says="cross terms"),
    Mistake("sums over the rows", "(g * y).sum(axis=1, keepdims=True)", "(g * y).sum(axis=0, keepdims=True)"),
    Mistake("forgets the y in front", "return y * (g", "return (g"),
    Mistake("sums g alone", "(g * y).sum(axis=1", "g.sum(axis=1"),
])  # fmt: skip
def every_class_moves_every_other(student, rng):
    """The gradient agrees with differences for random logits and a random g."""
    for shape in [(3, 4), (1, 3), (3, 3)]:
        laboratory(student.softmax_gradient, softmax, rng.normal(size=shape))


@check("05.4", points=1, catches=[
    Mistake("lets the exponential overflow", "np.exp(x - x.max(axis=1, keepdims=True))", "np.exp(x)",
            says="RuntimeWarning"),
    Mistake("subtracts the largest of all rows", "x.max(axis=1, keepdims=True)", "x.max()"),
])  # fmt: skip
def large_logits_do_no_harm(student, rng):
    """Rows around 1000 and -1000 have the gradient of rows around 0, without a warning."""
    x, g = rng.normal(size=(3, 4)), rng.normal(size=(3, 4))
    y = softmax(x)
    expected = y * (g - (g * y).sum(axis=1, keepdims=True))
    close(
        student.softmax_gradient(g, x + np.array([[1000.0], [-1000.0], [0.0]])), expected, "rows around 1000, -1000, 0"
    )


# %% [markdown] tags=["en", "hint"]
# Write the sum out: $\sum_j g_j\, y_j (\delta_{jk} - y_k) = y_k\, (g_k - \sum_j g_j y_j)$. The sum over $j$ is one number for each row. For large logits subtract each row's
# largest first: the probabilities stay the same.
# %% [markdown] tags=["zh", "hint"]
# 把和式写出来：$\sum_j g_j\, y_j (\delta_{jk} - y_k) = y_k\, (g_k - \sum_j g_j y_j)$。对 $j$ 的和，每行是一个数。logit 很大时，
# 先减去每行的最大值：概率不变。
