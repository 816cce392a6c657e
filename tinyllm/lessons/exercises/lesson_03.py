# %% [markdown] tags=["en"]
# # Exercises to lesson 3: descents
# Four functions of NumPy: momentum, the largest rate, batches, and Adam. Check yourself with
# `tinyllm exercise check lesson_03.py`; `tinyllm exercise hint 03.1` helps when you are stuck.
# %% [markdown] tags=["zh"]
# # 第 3 课练习：下降
# 四个 NumPy 函数：动量、最大的学习率、批次、Adam。用 `tinyllm exercise check lesson_03.py` 自己检查；
# 卡住了就看提示：`tinyllm exercise hint 03.1`。
# %%
import numpy as np

from tinyllm.lessons.grading import Mistake, check, close, expect

# %% [markdown] tags=["en"]
# ## 3.1 A step with momentum
# The weights are $w$, the velocity is $v$, the gradient at $w$ is $g$: arrays of one shape. $\alpha$ (`rate`) is the learning rate, $\mu$ (`mu`) how
# much of the velocity is kept:
#
# $$v \leftarrow \mu v - \alpha g, \qquad w \leftarrow w + v$$
#
# Return the new weights and the new velocity, `(w, v)`. The arrays that come in must not be changed.
# %% [markdown] tags=["zh"]
# ## 3.1 带动量的一步
# 权重是 $w$，速度是 $v$，$w$ 处的梯度是 $g$：三个形状相同的数组。$\alpha$（`rate`）是学习率，$\mu$（`mu`）是速度保留多少：
#
# $$v \leftarrow \mu v - \alpha g, \qquad w \leftarrow w + v$$
#
# 返回新的权重和新的速度 `(w, v)`。传进来的数组不能改动。


# %% tags=["exercise"]
# exercise 03.1 (3 points): a step with momentum
def momentum_step(w, v, g, rate, mu):
    """(new weights, new velocity), shaped as w."""
    ### BEGIN SOLUTION
    new_v = mu * v - rate * g
    return w + new_v, new_v
    ### END SOLUTION


# %% tags=["checks"]
@check("03.1", points=2, catches=[
    Mistake("climbs: plus the gradient", "- rate * g", "+ rate * g"),
    Mistake("forgets what the velocity was", "mu * v - rate * g", "-rate * g"),
    Mistake("moves by the old velocity", "w + new_v,", "w + v,"),
    Mistake("shrinks the gradient too", "mu * v - rate * g", "mu * (v - rate * g)"),
    Mistake("returns velocity and weights the wrong way round", "w + new_v, new_v", "new_v, w + new_v"),
])  # fmt: skip
def one_step_of_any_shape(student, rng):
    """Random weights, velocities and gradients of three shapes."""
    for shape in [(3,), (2, 4), ()]:
        w, v, g = rng.normal(size=(3, *shape))
        rate, mu = float(rng.uniform(0.01, 0.5)), float(rng.uniform(0.2, 0.95))
        v2 = mu * v - rate * g
        found = student.momentum_step(w, v, g, rate, mu)
        expect(isinstance(found, tuple | list) and len(found) == 2, "momentum_step: two values were asked, (w, v)")
        close(found[0], w + v2, f"w after momentum_step, shape {shape}")
        close(found[1], v2, f"v after momentum_step, shape {shape}")


@check("03.1", points=1, catches=[
    Mistake("writes into the velocity", "new_v = mu * v - rate * g", "new_v = v; new_v *= mu; new_v -= rate * g"),
    Mistake("writes into the weights", "return w + new_v, new_v", "w += new_v; return w, new_v"),
])  # fmt: skip
def what_comes_in_is_not_changed(student, rng):
    """After the call, w, v and g are what they were."""
    arrays = rng.normal(size=(3, 4)) + 3
    code = (
        "w, v, g = (row.copy() for row in arrays)\nfound = momentum_step(w, v, g, 0.1, 0.9)\nresult = found, [w, v, g]"
    )
    found, kept = student.run(code, arrays=arrays)
    for name, now, before in zip("wvg", kept, arrays):
        close(now, before, f"{name} after momentum_step(w, v, g, 0.1, 0.9): it must not be changed", rtol=0, atol=0)
    w, v, g = arrays
    close(found, (w + 0.9 * v - 0.1 * g, 0.9 * v - 0.1 * g), "momentum_step(w, v, g, 0.1, 0.9)")


# %% [markdown] tags=["en", "hint"]
# Two lines. Make the new velocity first; it is the new one that moves the weights. `v *= mu` would change the caller's array,
# `mu * v` makes another.
# %% [markdown] tags=["zh", "hint"]
# 两行就够。先算出新的速度，推动权重的是新速度。`v *= mu` 会改动调用者的数组，`mu * v` 则另造一个。


# %% [markdown] tags=["en"]
# ## 3.2 The largest learning rate
# For inputs $X$ ($n$, features) the loss $\frac{1}{2n} \sum_i (x_i w - y_i)^2$ is a valley; its Hessian is $X^\top X / n$. Along a direction of
# steepness $\lambda$ one step of plain descent multiplies the distance to the bottom by $1 - \alpha \lambda$. Return the largest rate $\alpha$ for which
# no distance grows, whatever the direction.
# %% [markdown] tags=["zh"]
# ## 3.2 最大的学习率
# 对输入 $X$（$n$, 特征数），损失 $\frac{1}{2n} \sum_i (x_i w - y_i)^2$ 是一个山谷，它的海森矩阵是 $X^\top X / n$。沿陡度为 $\lambda$ 的方向，
# 普通下降的一步把到谷底的距离乘以 $1 - \alpha \lambda$。返回最大的学习率 $\alpha$，使得无论哪个方向，距离都不会变大。


# %% tags=["exercise"]
# exercise 03.2 (3 points): the largest learning rate
def largest_rate(X):
    """The largest rate at which gradient descent does not move away from the bottom: a number."""
    ### BEGIN SOLUTION
    steepness = np.linalg.eigvalsh(X.T @ X / len(X))
    return 2 / steepness.max()
    ### END SOLUTION


# %% tags=["checks"]
def distances(X: np.ndarray, rate: float, rng: np.random.Generator) -> np.ndarray:
    """How far from the bottom gradient descent is, at each of 200 steps; y is 0, so the bottom is at w = 0."""
    w = rng.normal(size=X.shape[1])
    found = [np.linalg.norm(w)]
    for _ in range(200):
        w = w - rate * X.T @ (X @ w) / len(X)
        found.append(np.linalg.norm(w))
    return np.array(found)


@check("03.2", points=2, catches=[
    Mistake("forgets to divide by n", "X.T @ X / len(X)", "X.T @ X"),
    Mistake("takes the rate that goes to the bottom in one step", "2 / steepness", "1 / steepness"),
    Mistake("asks the flattest direction", "steepness.max()", "steepness.min()"),
    Mistake("adds the steepnesses up", "steepness.max()", "steepness.sum()"),
    Mistake("divides by the number of features", "len(X)", "X.shape[1]"),
])  # fmt: skip
def two_over_the_steepest(student, rng):
    """Random inputs, their columns of different size."""
    for n, features in [(20, 2), (7, 3), (30, 1)]:
        X = rng.normal(size=(n, features)) * rng.uniform(0.5, 5, size=features)
        expected = 2 * n / np.linalg.svd(X, compute_uv=False).max() ** 2
        close(student.largest_rate(X), expected, f"largest_rate(X) with X of shape ({n}, {features})")


@check("03.2", points=1, catches=[
    Mistake("reads the steepness from the diagonal", "np.linalg.eigvalsh(X.T @ X / len(X))",
            "np.diag(X.T @ X / len(X))", says="moves away"),
])  # fmt: skip
def descent_agrees(student, rng):
    """At 0.99 times your rate descent comes down, at 1.01 times it moves away; the columns of X are correlated."""
    X = rng.normal(size=(40, 3)) + 2 * rng.normal(size=(40, 1))
    rate = student.largest_rate(X)
    expect(isinstance(rate, float) and 0 < rate < np.inf, f"largest_rate: a positive number; found {rate!r:.60}")
    below, above = (distances(X, share * rate, rng) for share in (0.99, 1.01))
    expect(below[-1] < below[0], f"rate {0.99 * rate:.4g}: descent moves away, from {below[0]:.3g} to {below[-1]:.3g}")
    expect(above[-1] > above[100], f"rate {1.01 * rate:.4g}: descent still comes down, to {above[-1]:.3g}")


# %% [markdown] tags=["en", "hint"]
# $|1 - \alpha \lambda| \le 1$ means $\alpha \le 2 / \lambda$: so the steepest direction decides. The steepnesses are the eigenvalues of the
# Hessian; `np.linalg.eigvalsh` finds those of a symmetric matrix.
# %% [markdown] tags=["zh", "hint"]
# $|1 - \alpha \lambda| \le 1$ 就是 $\alpha \le 2 / \lambda$，所以由最陡的方向决定。各方向的陡度是海森矩阵的特征值；
# `np.linalg.eigvalsh` 求对称矩阵的特征值。


# %% [markdown] tags=["en"]
# ## 3.3 Find the bugs: batches
# `broken_batches` ought to part the numbers 0 to `samples - 1` into batches for one pass: in a random order from `rng`, `size` to a batch, each number
# exactly once, the last batch smaller if it does not come out even. It has two bugs. Write `batches`, which has none, and returns a list of arrays.
# %% [markdown] tags=["zh"]
# ## 3.3 找错：批次
# `broken_batches` 本该把 0 到 `samples - 1` 的编号分成一轮的批次：顺序由 `rng` 随机决定，每批 `size` 个，每个编号恰好出现一次，
# 除不尽时最后一批小一些。它有两个错。请写出没有错的 `batches`，返回数组的列表。


# %% tags=["exercise"]
# exercise 03.3 (3 points): find the bugs in the batches
def broken_batches(samples, size, rng):
    """Wrong in two places."""
    found = []
    for _ in range(samples // size):
        found.append(rng.integers(samples, size=size))
    return found


def batches(samples, size, rng):
    """A list of arrays of whole numbers: each of 0 to samples - 1 once, in random order, `size` to an array."""
    ### BEGIN SOLUTION
    order = rng.permutation(samples)
    return [order[start : start + size] for start in range(0, samples, size)]
    ### END SOLUTION


# %% tags=["checks"]
def checked_batches(student, samples: int, size: int, rng: np.random.Generator) -> list[np.ndarray]:
    """The student's batches; Lost unless they are a list of arrays of whole numbers."""
    found, case = student.batches(samples, size, rng), f"batches({samples}, {size}, rng)"
    expect(isinstance(found, list), f"{case}: a list of arrays; found {type(found).__name__}")
    whole = [isinstance(each, np.ndarray) and each.ndim == 1 and each.dtype.kind in "iu" for each in found]
    expect(all(whole), f"{case}: every batch must be an array of whole numbers, of one axis")
    return found


@check("03.3", points=2, catches=[
    Mistake("draws with repeats, as the broken one does", "rng.permutation(samples)",
            "rng.integers(samples, size=samples)", says="must occur once"),
    Mistake("loses the rest, as the broken one does", "range(0, samples, size)",
            "range(0, samples - size + 1, size)"),
    Mistake("fills the last batch up with numbers from the front", "order[start : start + size]",
            "np.take(order, range(start, start + size), mode='wrap')"),
    Mistake("takes size for the number of batches", "for start in range(0, samples, size)",
            "for size in [-(-samples // size)] for start in range(0, samples, size)"),
])  # fmt: skip
def every_sample_once(student, rng):
    """Each number once; all batches of the size asked but, perhaps, the last."""
    for samples, size in [(10, 3), (12, 4), (5, 8), (7, 1)]:
        found, case = checked_batches(student, samples, size, rng), f"batches({samples}, {size}, rng)"
        wanted = [min(size, samples - start) for start in range(0, samples, size)]
        counts = np.bincount(np.concatenate([*found, []]).astype(int), minlength=samples)
        expect(len(counts) == samples, f"{case}: numbers 0 to {samples - 1}; found {len(counts) - 1}")
        expect(bool(np.all(counts == 1)), f"{case}: each number must occur once; found {counts.tolist()} times")
        expect(
            [len(each) for each in found] == wanted, f"{case}: sizes {wanted}; found {[len(each) for each in found]}"
        )


@check("03.3", points=1, catches=[
    Mistake("does not shuffle", "rng.permutation(samples)", "np.arange(samples)", says="the same order"),
    Mistake("makes a generator of its own, always the same", "rng.permutation(samples)",
            "np.random.default_rng(0).permutation(samples)", says="the same order"),
    Mistake("shuffles the batches and leaves each in order", "return [order[start : start + size]",
            "return [np.sort(order[start : start + size])", says="sorted"),
])  # fmt: skip
def another_order_from_another_generator(student, rng):
    """Two generators give two orders, and no batch is sorted; one generator, copied, gives the same order twice."""
    first, second = rng.spawn(2)
    one, again, other = (
        np.concatenate(checked_batches(student, 50, 20, generator)) for generator in (first, first, second)
    )  # the student's function has a copy of the generator, so that `first` is as new the second time
    expect(not np.array_equal(one, other), "batches(50, 20, rng): two different generators give the same order")
    expect(np.array_equal(one, again), "batches(50, 20, rng): equal generators must give equal batches")
    expect(
        not np.all(np.diff(one[:20]) > 0), "batches(50, 20, rng): the first batch is sorted; its order must be random"
    )


# %% [markdown] tags=["en", "hint"]
# `rng.integers` may draw a number twice and another never; `samples // size` forgets the remainder. `rng.permutation(samples)` is every
# number once, in random order; then cut it: `order[start : start + size]`, with start 0, size, 2 size, ...
# %% [markdown] tags=["zh", "hint"]
# `rng.integers` 可能把一个编号抽两次，另一个一次也抽不到；`samples // size` 忘了余数。`rng.permutation(samples)` 给出随机排列，
# 每个编号一次；然后切开：`order[start : start + size]`，start 取 0、size、2 size……


# %% [markdown] tags=["en"]
# ## 3.4 A step of Adam
# $m$ and $s$ are the running means of the gradient $g$ and of its square, of $w$'s shape, 0 before the first step; $t$ counts the steps from 1:
#
# $$m \leftarrow \beta_1 m + (1 - \beta_1)\, g, \qquad s \leftarrow \beta_2 s + (1 - \beta_2)\, g^2$$
# $$w \leftarrow w - \alpha\, \frac{\sqrt{1 - \beta_2^t}}{1 - \beta_1^t}\, \frac{m}{\sqrt{s} + \varepsilon}$$
#
# with $\alpha$ = `rate`, $\beta_1 = 0.9$, $\beta_2 = 0.999$, $\varepsilon = 10^{-7}$. Return `(w, m, s)`, all new; what comes in stays as it is.
# %% [markdown] tags=["zh"]
# ## 3.4 Adam 的一步
# $m$ 和 $s$ 分别是梯度 $g$ 与其平方的滑动平均，形状同 $w$，第一步之前是 0；$t$ 从 1 开始数步：
#
# $$m \leftarrow \beta_1 m + (1 - \beta_1)\, g, \qquad s \leftarrow \beta_2 s + (1 - \beta_2)\, g^2$$
# $$w \leftarrow w - \alpha\, \frac{\sqrt{1 - \beta_2^t}}{1 - \beta_1^t}\, \frac{m}{\sqrt{s} + \varepsilon}$$
#
# 其中 $\alpha$ = `rate`，$\beta_1 = 0.9$，$\beta_2 = 0.999$，$\varepsilon = 10^{-7}$。返回 `(w, m, s)`，都是新的；传进来的保持原样。


# %% tags=["exercise"]
# exercise 03.4 (5 points): a step of Adam
def adam_step(w, m, s, g, t, rate):
    """(new weights, new m, new s) after step number t, each shaped as w."""
    ### BEGIN SOLUTION
    m = 0.9 * m + (1 - 0.9) * g
    s = 0.999 * s + (1 - 0.999) * g**2
    correction = np.sqrt(1 - 0.999**t) / (1 - 0.9**t)
    return w - rate * correction * m / (np.sqrt(s) + 1e-7), m, s
    ### END SOLUTION


# %% tags=["checks"]
@check("03.4", points=1, catches=[
    Mistake("has no bias correction", "rate * correction * m", "rate * m", says="0.05"),
    Mistake("adds instead of subtracting", "return w - rate", "return w + rate"),
    Mistake("forgets the root of the correction", "np.sqrt(1 - 0.999**t)", "(1 - 0.999**t)"),
])  # fmt: skip
def the_first_step_is_as_long_as_the_rate(student, rng):
    """From m = s = 0, at t = 1: every weight moves by the rate, against its gradient, steep or flat."""
    g = rng.choice([-1.0, 1.0], size=5) * np.array([1e3, 10.0, 1.0, 0.5, 0.1])
    w = rng.normal(size=5)
    found = student.adam_step(w, np.zeros(5), np.zeros(5), g, 1, 0.05)
    expect(isinstance(found, tuple | list) and len(found) == 3, "adam_step: three arrays were asked, (w, m, s)")
    close(found[0], w - 0.05 * np.sign(g), "the weights after the first step with rate 0.05", rtol=0, atol=1e-5)


@check("03.4", points=4, catches=[
    Mistake("counts the steps for only one of the two", "(1 - 0.9**t)", "(1 - 0.9)"),
    Mistake("averages g where its square belongs", "* g**2", "* np.abs(g)"),
    Mistake("takes the mean squared for the mean of squares", "(1 - 0.999) * g**2", "(1 - 0.999) * m**2"),
    Mistake("puts epsilon under the root", "np.sqrt(s) + 1e-7", "np.sqrt(s + 1e-7)"),
    Mistake("puts g in the place of m", "correction * m /", "correction * g /"),
    Mistake("keeps no memory of the squares", "0.999 * s + (1 - 0.999) * g**2", "g**2"),
    Mistake("writes into m", "m = 0.9 * m + (1 - 0.9) * g", "m *= 0.9; m += (1 - 0.9) * g", says="m before"),
])  # fmt: skip
def six_steps_as_the_librarys_adam(student, rng):
    """Six steps with random gradients, some of them tiny: the weights, m and s of the library's Adam."""
    from tinyllm import Tensor
    from tinyllm.optimizers import Adam

    weight, scale = Tensor(rng.normal(size=(2, 3)), requires_grad=True), np.array([1.0, 1e-3, 1e-6])
    optimizer, before = Adam(0.1), [weight.data.copy(), np.zeros((2, 3)), np.zeros((2, 3))]
    means = [np.zeros((2, 3)), np.zeros((2, 3))]
    code = "w, m, s = (each.copy() for each in before)\nresult = list(adam_step(w, m, s, g, t, 0.1)), [w, m, s]"
    for t in range(1, 7):
        g = rng.normal(size=(2, 3)) * scale
        optimizer.apply_gradients([(g.copy(), weight)])
        means = [0.9 * means[0] + 0.1 * g, 0.999 * means[1] + 0.001 * g**2]
        found, kept = student.run(code, before=before, g=g, t=t)
        for name, a, b in zip("wms", kept, before):
            close(a, b, f"{name} before step {t}: it must not be changed", rtol=0, atol=0)
        expect(len(found) == 3, "adam_step: three arrays were asked, (w, m, s)")
        for name, a, b in zip("wms", found, [weight.data, *means]):
            close(a, b, f"{name} after step {t}", rtol=1e-6, atol=1e-16)
        before = [weight.data.copy(), *means]


# %% [markdown] tags=["en", "hint"]
# Four lines: m, s, the correction, and the result. In the last line stand the new m and the new s. `0.9**t` needs the number of the
# step: at $t = 1$ the correction is $\sqrt{0.001} / 0.1$. Write `m = 0.9 * m + ...`, not `m *= 0.9`.
# %% [markdown] tags=["zh", "hint"]
# 四行：m、s、修正因子、结果。最后一行用的是新的 m 和新的 s。`0.9**t` 要用到步数：$t = 1$ 时修正因子是 $\sqrt{0.001} / 0.1$。
# 写 `m = 0.9 * m + ...`，不要写 `m *= 0.9`。
