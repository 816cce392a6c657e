# %% [markdown] tags=["en"]
# # 5. From scalars to arrays: the derivative table
# Everything this library knows about derivatives stands in one table, a line per function. You read it, take gradients of arrays
# by their shapes alone, see the matrix that a rule never builds, add a rule of your own, and get second derivatives for nothing.
#
# **You need** lesson 4 and matrix products. **It takes** 40 minutes. **To run it:** `pip install -e ".[lessons]"`, then `jupyter lab`.
# %% [markdown] tags=["zh"]
# # 5. 从标量到数组：导数表
# 本库关于导数的全部知识都在一张表里，每个函数一行。本课读这张表；只凭形状就写出数组的梯度；看看规则从不建出来的那个矩阵；
# 自己加一条规则；再不花力气得到二阶导数。
#
# **需要**：第 4 课和矩阵乘法。**用时**：40 分钟。**运行**：先 `pip install -e ".[lessons]"`，再 `jupyter lab`。
# %%
import inspect
from itertools import product

import matplotlib.pyplot as plt
import numpy as np

from tinyllm import Tensor, grad, gradcheck, hessian, jacobian, vjp
from tinyllm.autograd import rules
from tinyllm.autograd.rules import rule
from tinyllm.autograd.tensor import TABLE
from tinyllm.ops import softmax
from tinyllm.visualize import trace

rng = np.random.default_rng(5)

# %% [markdown] tags=["en"]
# ## Read the book
# A rule gives one expression per argument. In it, $g = \partial L / \partial y$ is the gradient of the loss $L$ that has arrived at the result (its shape is $y$'s),
# then come the result `y` and the arguments. What it returns is the gradient for that argument. In lesson 4 a node stored slopes; a line
# of the table says how to use them. Here are some, taken from the file itself, `tinyllm/autograd/rules.py`.
# %% [markdown] tags=["zh"]
# ## 读这本书
# 一条规则对每个参数给一个式子。其中 $g = \partial L / \partial y$ 是损失 $L$ 传到结果处的梯度（形状与 $y$ 相同），后面依次是结果 `y` 和各个参数；
# 返回值就是该参数的梯度。第 4 课的节点里存的是斜率；表里的一行说的是怎样使用斜率。下面几行直接取自文件 `tinyllm/autograd/rules.py`。
# %%
lines = [line for line in inspect.getsource(rules).splitlines() if line.startswith("rule(")]
shown = ["np.add)", "np.multiply)", "np.divide)", "np.exp)", "np.log)", "np.tanh)", "np.sum)", "np.matmul)"]
print(f"{len(lines)} rules, {sum(len(line) for line in lines):,} characters; for example")
for name in shown:
    print(*[line for line in lines if line.startswith("rule(" + name)])

a, b, g = rng.normal(size=(3, 2, 4))  # three arrays of shape (2, 4)
for_a, for_b = TABLE[np.multiply].derivatives  # what rule(np.multiply)(...) has entered
left, right = Tensor(a, requires_grad=True), Tensor(b, requires_grad=True)
(left * right).backward(g)
assert np.array_equal(for_a(g, a * b, a, b), left.grad) and np.array_equal(for_b(g, a * b, a, b), right.grad)

# %% [markdown] tags=["en"]
# ## The matrix that is never built
# For arrays, all slopes together form the **Jacobian** $J$: one row for each number of $y$, one column for each number of $x$, and the
# gradient for $x$ is $g J$, with $g$ and $x$ written as rows. A rule computes this product without $J$. Below: $J$ of four functions (white is 0).
# %% [markdown] tags=["zh"]
# ## 从不建出来的矩阵
# 对数组来说，所有斜率合在一起是**雅可比矩阵** $J$：$y$ 的每个数占一行，$x$ 的每个数占一列，$x$ 的梯度就是 $g J$（把 $g$ 和 $x$ 写成行）。
# 规则不用 $J$ 就算出这个乘积。下图是四个函数的 $J$（白色是 0）。
# %%
bias, W, x, row = rng.normal(size=3), rng.uniform(0.5, 1.5, (3, 2)), rng.normal(size=(4, 3)), rng.normal(size=8)
cases = {
    "np.tanh: each number its own slope": (np.tanh, row),
    "softmax: each depends on all": (softmax, row),
    "x + bias, as a function of the bias": (lambda bias: x + bias, bias),
    "x @ W, as a function of x": (lambda x: x @ W, x),
}
fig, axes = plt.subplots(1, 4, figsize=(12, 3.9), facecolor="white", layout="constrained")
for ax, (name, (f, at)) in zip(axes, cases.items()):
    y, pull = vjp(f, at)
    J = jacobian(f)(at).reshape(y.size, at.size)
    g = rng.normal(size=y.shape)
    assert np.allclose(g.ravel() @ J, pull(g)[0].ravel())
    largest = np.abs(J).max()
    ax.imshow(J, cmap="RdBu", vmin=-largest, vmax=largest)
    ax.set(xlabel="numbers of the input", ylabel="numbers of the result")
    ax.xaxis.get_major_locator().set_params(integer=True)
    ax.set_title(f"{name}\n{y.size} x {at.size}, {np.mean(J != 0):.0%} not zero", fontsize=9)
fig.suptitle("Every Jacobian has a pattern: a rule uses it, and never builds the matrix")
plt.show()
n = 512
print(f"a dense layer with a batch of {n} and {n} units: x has {n * n:,} numbers, J would have {n**4:,}")

# %% [markdown] tags=["en"]
# ## Broadcasting's gradient is a sum
# In $y = x + b$, with $x$ (4, 3) and $b$ (3), each number of $b$ is used four times: in the picture its column holds four ones. By lesson 4 what arrives
# is added up: $\bar b_j = \sum_i g_{ij}$. So the rule of `np.add` says only `g`, and the walk sums over the axes that broadcasting had widened. Leave
# the sum out, or take a mean, and `gradcheck` says so.
# %% [markdown] tags=["zh"]
# ## 广播的梯度是求和
# $y = x + b$，其中 $x$ 是 (4, 3)，$b$ 是 (3)：$b$ 的每个数用了四次，图中它那一列有四个 1。按第 4 课，传来的各份要加起来：
# $\bar b_j = \sum_i g_{ij}$。所以 `np.add` 的规则只写 `g`，由回传过程沿广播撑开的轴求和。漏掉求和，或者误取平均，`gradcheck` 都会指出来。
# %%
leaf = Tensor(bias, requires_grad=True)
print(next(trace(x + leaf, upstream=np.ones((4, 3)), names={"bias": leaf})))
for shape in [(4, 3), (3,), (4, 1), (1, 3), ()]:
    leaf = Tensor(rng.normal(size=shape), requires_grad=True)
    (x + leaf).backward(np.ones((4, 3)))
    print(
        f"{shape!s:7} in (4, 3): each number is used {12 // leaf.size:2} times, each gradient is {np.ravel(leaf.grad)[0]:4}"
    )
for wrong in (lambda g, b: g, lambda g, b: g.mean(axis=0)):
    print(gradcheck(lambda b: x + b, bias, gradient=wrong).diagnosis)


# %% [markdown] tags=["en"]
# ## A matrix product, by shapes
# $y = a\, b$ with $a$ $(n, k)$ and $b$ $(k, m)$. The gradient for $a$ must have $a$'s shape, and be a product of $g$ $(n, m)$ and $b$. How many ways are there to multiply
# these two, turned or not, that give $(n, k)$? Let the computer try all, for both arguments:
#
# $$\bar a = g\, b^\top, \qquad \bar b = a^\top g$$
# %% [markdown] tags=["zh"]
# ## 只凭形状求矩阵乘法的梯度
# $y = a\, b$，$a$ 是 $(n, k)$，$b$ 是 $(k, m)$。$a$ 的梯度必须和 $a$ 同形，而且是 $g$ $(n, m)$ 与 $b$ 的乘积。把这两个矩阵转置或不转置、前后调换，
# 有几种乘法能得到 $(n, k)$？让计算机对两个参数都试一遍：
#
# $$\bar a = g\, b^\top, \qquad \bar b = a^\top g$$
# %%
def ways(wanted, **factors):
    """The products of the two factors, turned or not, in either order, that have the wanted shape."""
    turned = [(name + end, m.T if end else m) for name, m in factors.items() for end in ("", ".T")]
    pairs = [(p, q) for p, q in product(turned, turned) if p[0][0] != q[0][0] and p[1].shape[1] == q[1].shape[0]]
    return {f"{p} @ {q}": P @ Q for (p, P), (q, Q) in pairs if (P @ Q).shape == wanted}


for n, k, m in [(2, 3, 4), (3, 3, 3)]:
    a, b, g = rng.normal(size=(n, k)), rng.normal(size=(k, m)), rng.normal(size=(n, m))
    da, db = vjp(np.matmul, a, b)[1](g)
    for name, true, found in [("a", da, ways(a.shape, g=g, b=b)), ("b", db, ways(b.shape, g=g, a=a))]:
        right = [text for text, d in found.items() if np.allclose(d, true)]
        assert len(right) == 1
        print(f"a {a.shape}, b {b.shape}: of 8 products {len(found)} have the shape of {name}; right: {right[0]}")

# %% [markdown] tags=["en"]
# With three different sizes the shape leaves one way only, the right one. With equal sizes all eight fit and seven are wrong: so test your
# gradients with sizes that differ. (NumPy's `@` also takes vectors and stacks of matrices: hence the helpers in the table's line.)
#
# ## A rule of your own
# `np.sinc` is $\sin(\pi x) / (\pi x)$. It is not in the table, and a Tensor says so instead of dropping the gradient. By the quotient rule its
# slope is $(\cos(\pi x) - y) / x$. We enter that line, first with a common mistake.
# %% [markdown] tags=["zh"]
# 三个尺寸互不相同时，形状只留下一种乘法，就是对的那种。尺寸相等时八种都合形状，七种是错的：所以检验梯度要用互不相同的尺寸。
# （NumPy 的 `@` 还接受向量和成叠的矩阵，所以表里那一行用了几个小函数。）
#
# ## 自己写一条规则
# `np.sinc` 就是 $\sin(\pi x) / (\pi x)$。表里没有它；遇到 Tensor，它会明说，而不是悄悄丢掉梯度。由商的求导法则，斜率是
# $(\cos(\pi x) - y) / x$。我们把这一行加进去，先故意犯一个常见的错。
# %%
points = rng.normal(size=(2, 3))
try:
    np.sinc(Tensor(points, requires_grad=True))
except TypeError as error:
    print("before: ", error)

rule(np.sinc)(lambda g, y, x: (np.cos(np.pi * x) - y) / x)
print("mistake:", gradcheck(np.sinc, points).diagnosis)
rule(np.sinc)(lambda g, y, x: g * (np.cos(np.pi * x) - y) / x)
print("rule:   ", gradcheck(np.sinc, points, order=2))


# %% [markdown] tags=["en"]
# ## Second derivatives for free
# Look at `order=2`: the second derivative is right too, and nobody wrote one. A rule is ordinary NumPy, $g\,(1 - y^2)$ for tanh. Run on arrays it is fast and
# leaves no trace. Run on Tensors it is recorded like any other computation, so the same line can be differentiated again, and again.
# %% [markdown] tags=["zh"]
# ## 白送的二阶导数
# 注意 `order=2`：二阶导数也对，却没有人写过它。规则就是普通的 NumPy，tanh 的规则是 $g\,(1 - y^2)$。用数组来算，它很快，不留痕迹；
# 用 Tensor 来算，它就像别的计算一样被记录下来，于是同一行代码可以再求导，再求导。
# %%
def derivative(f, times):
    """Each number depends on its own x alone, so the sum mixes nothing."""
    return grad(lambda x: np.sum(derivative(f, times - 1)(x))) if times else f


along = np.linspace(-3, 3, 301)
fig, axes = plt.subplots(1, 2, figsize=(10, 4.2), facecolor="white", layout="constrained")
for ax, f in zip(axes, (np.tanh, np.sinc)):
    at = along + 0.005  # not at 0, where sinc's rule divides by 0
    for times, colour in enumerate(["black", "#2b6cb0", "#b7791f", "#d9485f"]):
        ax.plot(
            at, derivative(f, times)(at), color=colour, label=f"derivative {times}" if times else f"np.{f.__name__}"
        )
    ax.set(title=f"One line for np.{f.__name__}, and every derivative", xlabel="x")
    ax.legend(fontsize=9)
plt.show()
y = np.tanh(along)
assert np.allclose(derivative(np.tanh, 2)(along), -2 * y * (1 - y * y))
curved = hessian(lambda v: np.tanh(v[0] * v[1]))(np.array([0.5, 2.0]))
print("Hessian of tanh(u v) at (0.5, 2):", curved.round(4).tolist(), "  symmetric:", np.allclose(curved, curved.T))

# %% [markdown] tags=["en"]
# ## Try next
# 1. `gradcheck(np.sinc, np.zeros(1))` fails: 0 / 0. Repair the rule with `np.where`. Why is `order=2` still wrong there? (The true curvature is $-\pi^2/3$.)
# 2. Which of the eight ways would have been right for $y = a^\top b$? Guess by shapes, then ask `vjp`.
# 3. Enter a wrong rule on purpose, `rule(np.exp)(lambda g, y, x: g * x)`, and run lesson 1's cells. Who notices? (Restart afterwards.)
# %% [markdown] tags=["zh"]
# ## 接着试试
# 1. `gradcheck(np.sinc, np.zeros(1))` 会失败：0 / 0。用 `np.where` 修好规则。为什么 `order=2` 在那里还是错？（真正的曲率是 $-\pi^2/3$。）
# 2. 对 $y = a^\top b$，八种乘法里哪种才对？先凭形状猜，再问 `vjp`。
# 3. 故意写一条错的规则 `rule(np.exp)(lambda g, y, x: g * x)`，再运行第 1 课的单元，谁会发现？（之后请重启内核。）
