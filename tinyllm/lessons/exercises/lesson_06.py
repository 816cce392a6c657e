# %% [markdown] tags=["en"]
# # Exercises to lesson 6: checking gradients
# Build a checker, measure with it, find two bugs with it, and compute how far it sees. Check yourself with
# `tinyllm exercise check lesson_06.py`; `tinyllm exercise hint 06.1` helps when you are stuck.
# %% [markdown] tags=["zh"]
# # 第 6 课练习：检验梯度
# 造一个检验器，用它来量，用它找出两个错，再算算它的眼力有多好。用 `tinyllm exercise check lesson_06.py` 自己检查；
# 卡住了就看提示：`tinyllm exercise hint 06.1`。
# %%
import numpy as np

from tinyllm.lessons.grading import Mistake, check, close, expect, laboratory, same

# %% [markdown] tags=["en"]
# ## 6.1 A gradient without calculus
# $f$ takes an array $x$ and returns one number. Estimate its gradient by central differences: for every element $x_i$
#
# $$\frac{\partial f}{\partial x_i} \approx \frac{f(x + h e_i) - f(x - h e_i)}{2h}$$
#
# where $x + h e_i$ is $x$ with $h$ added to element $i$ alone. Return an array shaped as $x$ (any shape, also that of one
# number). $x$ holds floats; it must be the same afterwards as before.
# %% [markdown] tags=["zh"]
# ## 6.1 不用微积分的梯度
# $f$ 接收数组 $x$，返回一个数。用中心差分估计它的梯度：对每个元素 $x_i$
#
# $$\frac{\partial f}{\partial x_i} \approx \frac{f(x + h e_i) - f(x - h e_i)}{2h}$$
#
# 其中 $x + h e_i$ 表示只把第 $i$ 个元素加上 $h$。返回与 $x$ 形状相同的数组（什么形状都行，也可能只是一个数的形状）。
# $x$ 里是浮点数；调用之后，$x$ 必须和之前一样。


# %% tags=["exercise"]
# exercise 06.1 (4 points): a gradient without calculus
def numeric_gradient(f, x, h=1e-5):
    """The gradient of f at x by central differences with step h; shaped as x."""
    ### BEGIN SOLUTION
    gradient = np.zeros_like(x)
    for i in np.ndindex(x.shape):
        up, down = x.copy(), x.copy()
        up[i] += h
        down[i] -= h
        gradient[i] = (f(up) - f(down)) / (2 * h)
    return gradient
    ### END SOLUTION


# %% tags=["checks"]
CALL = "import numpy as np\ngiven = x.copy()\nresult = numeric_gradient(lambda x: np.sum({}), x{}), x, given"


@check(
    "06.1",
    points=2,
    catches=[
        Mistake("divides by h, not by 2h", "(2 * h)", "h"),
        Mistake("moves every element at once", "up[i] += h", "up += h"),
        Mistake("moves backwards", "f(up) - f(down)", "f(down) - f(up)"),
    ],
)
def the_slopes_of_a_sum_of_sines(student, rng):
    """f(x) = sum(a sin x) has the gradient a cos x, for arrays of any shape."""
    for shape in [(), (4,), (2, 3)]:
        x, a = rng.normal(size=shape), rng.normal(size=shape)
        found, _, _ = student.run(CALL.format("a * np.sin(x)", ""), x=x, a=a)
        close(found, a * np.cos(x), f"f(x) = sum(a sin x), x of shape {shape}", rtol=1e-6, atol=1e-8)


@check(
    "06.1",
    points=1,
    catches=[Mistake("looks forward only", "(f(up) - f(down)) / (2 * h)", "(f(up) - f(x)) / h", says="expected")],
)
def the_difference_is_central(student, rng):
    """For f(x) = sum(x^3) and h = 0.1 a central difference gives 3 x^2 + h^2; a forward one is further off."""
    x = rng.uniform(0.5, 2, size=3)
    found, _, _ = student.run(CALL.format("x**3", ", h=0.1"), x=x)
    close(found, 3 * x**2 + 0.01, "f(x) = sum(x^3), h = 0.1")


@check(
    "06.1",
    points=1,
    catches=[Mistake("moves x itself", "up, down = x.copy(), x.copy()", "up, down = x, x.copy()", says="x afterwards")],
)
def x_is_left_as_it_was(student, rng):
    """x has not changed, and its gradient is an array of floats of its shape."""
    x = rng.normal(size=(3, 2))
    found, after, before = student.run(CALL.format("x * x", ""), x=x)
    same(after, before, "x afterwards")
    close(found, 2 * x, "f(x) = sum(x^2)", atol=1e-8)


# %% [markdown] tags=["en", "hint"]
# `for i in np.ndindex(x.shape)` runs through all places of an array of any shape; `x[i]` is the element there. Make copies
# of $x$ and change one element in each.
# %% [markdown] tags=["zh", "hint"]
# `for i in np.ndindex(x.shape)` 走遍任意形状数组的每个位置，`x[i]` 就是那里的元素。复制 $x$，在每份副本里只改一个元素。


# %% [markdown] tags=["en"]
# ## 6.2 How wrong is it?
# Two arrays of one shape: `analytic`, a gradient by formula, and `numeric`, the same by differences. Return the **worst**
# relative error, one number:
#
# $$\max_i \frac{|a_i - n_i|}{\max(|a_i|, |n_i|)}$$
#
# Where both are 0 they agree: the error there is 0, and no warning may be raised.
# %% [markdown] tags=["zh"]
# ## 6.2 错了多少？
# 两个形状相同的数组：`analytic` 是用公式求的梯度，`numeric` 是用差分求的。返回**最大**的相对误差，一个数：
#
# $$\max_i \frac{|a_i - n_i|}{\max(|a_i|, |n_i|)}$$
#
# 两者都是 0 的地方算相符：误差为 0，而且不许出现警告。


# %% tags=["exercise"]
# exercise 06.2 (3 points): the worst relative error
def relative_error(analytic, numeric):
    """The largest of |a - n| / max(|a|, |n|) over all elements; 0 where both are 0."""
    ### BEGIN SOLUTION
    size = np.maximum(np.abs(analytic), np.abs(numeric))
    return np.max(np.abs(analytic - numeric) / np.where(size > 0, size, 1.0))
    ### END SOLUTION


# %% tags=["checks"]
def expected_error(a, n):
    return max(abs(x - y) / max(abs(x), abs(y)) for x, y in zip(a.ravel(), n.ravel()))


@check(
    "06.2",
    points=2,
    catches=[
        Mistake("takes the absolute error", " / np.where(size > 0, size, 1.0)", ""),
        Mistake("takes the mean, which hides one bad element", "np.max(np.abs", "np.mean(np.abs"),
        Mistake("forgets that a difference may be negative", "np.abs(analytic - numeric)", "(analytic - numeric)"),
        Mistake(
            "divides by the analytic one only", "np.maximum(np.abs(analytic), np.abs(numeric))", "np.abs(analytic)"
        ),
    ],
)
def the_worst_element_decides(student, rng):
    """One bad element among good ones, on either side, decides; gradients of 1e-9 are judged like those of 1."""
    for scale in (1.0, 1e-9):
        for factor in (0.5, 3.0):
            n = scale * rng.uniform(1, 2, size=(3, 4)) * rng.choice([-1, 1], size=(3, 4))
            a = n * (1 + 1e-8 * rng.normal(size=n.shape))
            a[1, 2] = factor * n[1, 2]
            close(
                student.relative_error(a, n),
                expected_error(a, n),
                f"one element {factor} times as large, of size {scale:g}",
            )


@check(
    "06.2",
    points=1,
    catches=[Mistake("divides 0 by 0", "np.where(size > 0, size, 1.0)", "size", says="RuntimeWarning")],
)
def two_zeros_agree(student, rng):
    """Where both are 0 the error is 0, without a warning; where one is, it is 1."""
    n = np.append(rng.normal(size=3), 0.0)
    close(student.relative_error(n, n), 0.0, "two equal gradients, with a 0 in both")
    close(student.relative_error(np.where(n == n[0], 0.0, n), n), 1.0, "a 0 where a slope belongs")


# %% [markdown] tags=["en", "hint"]
# `np.where(size > 0, size, 1.0)` replaces the sizes that are 0 by 1 before the division: 0 / 1 is 0.
# %% [markdown] tags=["zh", "hint"]
# `np.where(size > 0, size, 1.0)` 在做除法之前把为 0 的分母换成 1：0 / 1 就是 0。


# %% [markdown] tags=["en"]
# ## 6.3 Find the bugs: two in three lines
# A layer scales every feature by a weight of its own, shifts it, and bends it:
#
# $$y = \tanh(x \odot s + b), \qquad x \text{ (batch, features)}, \quad s, b \text{ (features,)}$$
#
# ($\odot$ multiplies elementwise, each row of $x$ by $s$.) `broken_gradient` has two mistakes. Find them with the
# laboratory, `tinyllm.gradcheck(layer, x, s, b, gradient=broken_gradient)`, and write `layer_gradient`: it takes $g$, the
# gradient with respect to $y$, then $x$, $s$, $b$, and returns the three gradients with respect to $x$, $s$ and $b$.
# %% [markdown] tags=["zh"]
# ## 6.3 找错：三行里有两处
# 一个层给每个特征乘上各自的权重，平移，再“弯”一下：
#
# $$y = \tanh(x \odot s + b), \qquad x \text{（批, 特征）}, \quad s, b \text{（特征,）}$$
#
# （$\odot$ 是逐元素相乘，$x$ 的每一行都乘 $s$。）`broken_gradient` 有两处错误。用实验室
# `tinyllm.gradcheck(layer, x, s, b, gradient=broken_gradient)` 把它们找出来，再写出 `layer_gradient`：它接收对 $y$ 的梯度 $g$，
# 然后是 $x$、$s$、$b$，返回对 $x$、$s$、$b$ 的三个梯度。


# %% tags=["exercise"]
# exercise 06.3 (4 points): find two bugs with the laboratory
def layer(x, s, b):
    """tanh(x * s + b)."""
    return np.tanh(x * s + b)


def broken_gradient(g, x, s, b):
    """Meant to be the gradients with respect to x, s and b; two things are wrong."""
    d = g * (1 - x**2)
    return d * s, (d * x).sum(axis=0), d.mean(axis=0)


def layer_gradient(g, x, s, b):
    """The gradients with respect to x, s and b, each of the shape of its argument."""
    ### BEGIN SOLUTION
    d = g * (1 - layer(x, s, b) ** 2)
    return d * s, (d * x).sum(axis=0), d.sum(axis=0)
    ### END SOLUTION


# %% tags=["checks"]
@check(
    "06.3",
    points=3,
    catches=[
        Mistake("differentiates tanh at the wrong place", "(1 - layer(x, s, b) ** 2)", "(1 - x**2)"),
        Mistake(
            "averages over the batch",
            "(d * x).sum(axis=0), d.sum(axis=0)",
            "(d * x).sum(axis=0), d.mean(axis=0)",
            says="mean instead of the sum",
        ),
        Mistake("forgets g", "g * (1 - layer", "(1 - layer", says="upstream"),
        Mistake("forgets tanh", " * (1 - layer(x, s, b) ** 2)", ""),
    ],
)
def the_gradients_agree_with_differences(student, rng):
    """All three gradients agree with differences."""
    x, s, b = rng.normal(size=(5, 3)), rng.normal(size=3), rng.normal(size=3)
    laboratory(student.layer_gradient, layer, x, s, b)


@check(
    "06.3",
    points=1,
    catches=[Mistake("keeps the batch as an axis", "d.sum(axis=0)", "d.sum(axis=0, keepdims=True)", says="shape")],
)
def each_gradient_has_the_shape_of_its_argument(student, rng):
    """Each gradient has its argument's shape, also for a batch of one."""
    for batch in (1, 4):
        x, s, b = rng.normal(size=(batch, 2)), rng.normal(size=2), rng.normal(size=2)
        found = student.layer_gradient(rng.normal(size=x.shape), x, s, b)
        expect(
            isinstance(found, tuple | list) and len(found) == 3,
            f"layer_gradient: three gradients are asked; found {found!r:.60}",
        )
        shapes = [np.shape(each) for each in found]
        expect(
            shapes == [x.shape, (2,), (2,)],
            f"batch {batch}: the shape of each argument is asked, {x.shape}, (2,), (2,); found {shapes}",
        )


# %% [markdown] tags=["en", "hint"]
# The laboratory tells of one mistake at a time: mend it, and ask again. $\tanh'(z) = 1 - \tanh^2(z)$: which $z$ is it here?
# %% [markdown] tags=["zh", "hint"]
# 实验室一次说出一处错：改好再问。$\tanh'(z) = 1 - \tanh^2(z)$：这里的 $z$ 是哪一个？
# %% [markdown] tags=["en", "hint"]
# All rows of a batch share $b$, so their gradients add up. They are not averaged: the loss decides about a mean, not the layer.
# %% [markdown] tags=["zh", "hint"]
# 一批里所有的行共用 $b$，所以梯度要相加，而不是取平均：要不要取平均由损失决定，不归这一层管。


# %% [markdown] tags=["en"]
# ## 6.4 The best step
# A difference formula of order $p$ has two errors. Its own falls with the step, $C h^p$; the rounding of $f$ grows,
# $\varepsilon / h$. Find the step $h$ at which their sum
#
# $$E(h) = C h^p + \frac{\varepsilon}{h}$$
#
# is smallest, by setting its derivative to 0. Return the pair $(h, E(h))$. All three arguments are positive.
# For central differences, $p = 2$; put in $C = 1/6$ and $\varepsilon = 2 \times 10^{-16}$ and compare with the picture of lesson 6.
# %% [markdown] tags=["zh"]
# ## 6.4 最好的步长
# $p$ 阶差分公式有两种误差：公式本身的误差 $C h^p$ 随步长变小，$f$ 的舍入误差 $\varepsilon / h$ 却变大。求使两者之和
#
# $$E(h) = C h^p + \frac{\varepsilon}{h}$$
#
# 最小的步长 $h$：令导数为 0。返回一对数 $(h, E(h))$。三个参数都是正数。
# 中心差分 $p = 2$；代入 $C = 1/6$、$\varepsilon = 2 \times 10^{-16}$，和第 6 课的图对照一下。


# %% tags=["exercise"]
# exercise 06.4 (3 points): the best step, and what it reaches
def best_step(p, C, eps):
    """The pair (h, E): the step at which E(h) = C h^p + eps / h is smallest, and that E."""
    ### BEGIN SOLUTION
    h = (eps / (p * C)) ** (1 / (p + 1))
    return h, C * h**p + eps / h
    ### END SOLUTION


# %% tags=["checks"]
@check(
    "06.4",
    points=2,
    catches=[
        Mistake("forgets the p of the derivative", "eps / (p * C)", "eps / C"),
        Mistake("takes the p-th root", "1 / (p + 1)", "1 / p"),
        Mistake("turns the fraction over", "eps / (p * C)", "p * C / eps"),
        Mistake("returns half of the error", "C * h**p + eps / h", "C * h**p"),
    ],
)
def no_step_is_better(student, rng):
    """E is E(h), and no step of a fine grid around h does better."""
    for p in (1, 2, 4):
        C, eps = rng.uniform(0.1, 10), 10.0 ** rng.uniform(-17, -6)
        case = f"best_step({p}, {C:.3g}, {eps:.3g})"
        found = student.best_step(p, C, eps)
        expect(
            isinstance(found, tuple | list) and len(found) == 2,
            f"{case}: the pair (h, E) is asked; found {found!r:.60}",
        )
        h, error = found
        grid = (eps / C) ** (1 / (p + 1)) * np.logspace(-2, 2, 4001)
        errors = C * grid**p + eps / grid
        best = grid[errors.argmin()]
        close(h, best, f"{case}, the step h", rtol=3e-3)
        close(error, errors.min(), f"{case}, E(h)", rtol=1e-4)


@check(
    "06.4",
    points=1,
    catches=[Mistake("rounds the exponent", "1 / (p + 1)", "round(1 / (p + 1), 4)")],
)
def exact_to_the_last_digits(student, rng):
    """p = 2, C = 1/2, eps = 1e-15: the step is 1e-5 and E is 1.5e-10, to nine digits."""
    close(student.best_step(2, 0.5, 1e-15), (1e-5, 1.5e-10), "best_step(2, 0.5, 1e-15)", rtol=1e-9, atol=0)


# %% [markdown] tags=["en", "hint"]
# $E'(h) = p\,C h^{p-1} - \varepsilon / h^2$. Multiply $E'(h) = 0$ by $h^2$ and solve for $h^{p+1}$.
# %% [markdown] tags=["zh", "hint"]
# $E'(h) = p\,C h^{p-1} - \varepsilon / h^2$。把 $E'(h) = 0$ 两边乘 $h^2$，解出 $h^{p+1}$。
