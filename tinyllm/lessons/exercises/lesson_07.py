# %% [markdown] tags=["en"]
# # Exercises to lesson 7: dense layers
# Count, start well, fold layers into one, and take a gradient through a batch of sequences. Check yourself with
# `tinyllm exercise check lesson_07.py`; `tinyllm exercise hint 07.1` helps when you are stuck.
# %% [markdown] tags=["zh"]
# # 第 7 课练习：全连接层
# 数参数，起好步，把几层叠成一层，再让梯度穿过一批序列。用 `tinyllm exercise check lesson_07.py` 自己检查；
# 卡住了就看提示：`tinyllm exercise hint 07.1`。
# %%
import numpy as np

from tinyllm.lessons.grading import Mistake, check, close, expect, laboratory, same

# %% [markdown] tags=["en"]
# ## 7.1 Count before you build
# A network reads `features` numbers and passes them through dense layers with `units` units, a list such as `[16, 16, 1]`.
# Each layer has a kernel, one weight for every pair (input, unit), and a bias, one number for each unit. Return the number
# of parameters of all layers together, a whole number. With no layers there are none.
# %% [markdown] tags=["zh"]
# ## 7.1 先数再搭
# 网络读入 `features` 个数，依次穿过若干全连接层，各层的单元数是列表 `units`，例如 `[16, 16, 1]`。
# 每层有一个核，每一对（输入, 单元）一个权重；还有一个偏置，每个单元一个数。返回所有层的参数总数，一个整数。
# 一层也没有时，参数是 0 个。


# %% tags=["exercise"]
# exercise 07.1 (3 points): count the parameters
def parameters(features, units):
    """The number of weights and biases of a chain of dense layers."""
    ### BEGIN SOLUTION
    total = 0
    for n in units:
        total += features * n + n
        features = n
    return total
    ### END SOLUTION


# %% tags=["checks"]
@check(
    "07.1",
    points=2,
    catches=[
        Mistake("forgets the biases", " + n\n", "\n"),
        Mistake("lets every layer read the network's input", "features = n", "pass"),
        Mistake("counts one bias for a whole layer", "features * n + n", "features * n + 1"),
    ],
)
def deep_networks(student, rng):
    """A random network of one to five layers has as many parameters as tinyllm says."""
    from tinyllm import Sequential
    from tinyllm.layers import Dense

    for layers in (1, 3, 5):
        features, units = int(rng.integers(2, 9)), [int(n) for n in rng.integers(1, 9, size=layers)]
        model = Sequential([Dense(n) for n in units])
        model.build((None, features))
        same(student.parameters(features, units), model.count_params(), f"parameters({features}, {units})")


@check("07.1", points=1, catches=[Mistake("starts with the features", "total = 0", "total = features")])
def the_moons_and_no_layer_at_all(student, rng):
    """Lesson 7's network, parameters(2, [16, 16, 1]), has 337; parameters(5, []) is 0."""
    same(student.parameters(2, [16, 16, 1]), 337, "parameters(2, [16, 16, 1])")
    same(student.parameters(5, []), 0, "parameters(5, [])")


# %% [markdown] tags=["en", "hint"]
# Go from layer to layer: what is the number of inputs of the next one?
# %% [markdown] tags=["zh", "hint"]
# 一层一层往下走：下一层的输入有几个数？


# %% [markdown] tags=["en"]
# ## 7.2 A good beginning for relu
# A layer $h' = \max(h W, 0)$ should neither swell nor starve what passes through it. Each unit adds up $n$ products, $n$ the
# number of its inputs, and relu throws half of the result away; so the mean square stays as it is if every weight is drawn
# with mean 0 and variance
#
# $$\operatorname{Var}(w) = \frac{2}{n}$$
#
# (He et al. 2015). Draw such a kernel of shape (features, units) from the normal distribution with the NumPy Generator
# `rng`. What is $n$ here?
# %% [markdown] tags=["zh"]
# ## 7.2 给 relu 一个好的起点
# 层 $h' = \max(h W, 0)$ 不该让穿过它的信号膨胀，也不该让它枯竭。每个单元把 $n$ 个乘积相加，$n$ 是输入的个数，而 relu 会丢掉一半的结果；
# 所以，每个权重的均值取 0、方差取
#
# $$\operatorname{Var}(w) = \frac{2}{n}$$
#
# 时，均方值保持不变（何恺明等，2015）。请用 NumPy 的 Generator `rng` 从正态分布抽出这样一个核，形状为 (features, units)。这里的 $n$ 是什么？


# %% tags=["exercise"]
# exercise 07.2 (3 points): a good beginning for relu
def he_normal(features, units, rng):
    """A kernel (features, units) of normal numbers with mean 0 and variance 2 / n, n the inputs of a unit."""
    ### BEGIN SOLUTION
    return rng.normal(0.0, np.sqrt(2 / features), size=(features, units))
    ### END SOLUTION


# %% tags=["checks"]
@check(
    "07.2",
    points=2,
    catches=[
        Mistake("gives the variance where the standard deviation belongs", "np.sqrt(2 / features)", "2 / features"),
        Mistake("forgets that relu halves", "2 / features", "1 / features"),
        Mistake("counts the outputs", "2 / features", "2 / units"),
        Mistake("turns the shape around", "size=(features, units)", "size=(units, features)", says="shape"),
    ],
)
def the_spread_is_right(student, rng):
    """The shape is (features, units), the mean near 0, the standard deviation near sqrt(2 / n)."""
    for features, units in [(50, 400), (400, 50)]:
        found = student.he_normal(features, units, rng)
        case = f"he_normal({features}, {units}, rng)"
        expect(
            np.shape(found) == (features, units),
            f"{case}: expected the shape ({features}, {units}); found {np.shape(found)}",
        )
        wanted = np.sqrt(2 / features)
        close(np.std(found), wanted, f"{case}, standard deviation (within 5 %)", rtol=0.05)
        close(np.mean(found) / wanted, 0.0, f"{case}, mean in standard deviations (within 0.05)", atol=0.05)


@check(
    "07.2",
    points=1,
    catches=[
        Mistake("draws from a generator of its own", "rng.normal(", "np.random.default_rng(0).normal(", says="rng")
    ],
)
def the_numbers_come_from_rng(student, rng):
    """Equal generators give equal kernels, other generators others."""
    seed = int(rng.integers(1, 2**31))
    one, two, other = (student.he_normal(30, 20, np.random.default_rng(s)) for s in (seed, seed, seed + 1))
    expect(np.shape(one) == (30, 20), f"he_normal(30, 20, rng): expected the shape (30, 20); found {np.shape(one)}")
    expect(
        bool(np.array_equal(one, two)), "two equal generators rng must give the same kernel; found two different ones"
    )
    expect(not np.array_equal(one, other), "two different generators rng must give different kernels; found the same")


# %% [markdown] tags=["en", "hint"]
# `rng.normal(mean, deviation, size=shape)` wants the standard deviation, the square root of the variance.
# %% [markdown] tags=["zh", "hint"]
# `rng.normal(mean, deviation, size=shape)` 要的是标准差，即方差的平方根。


# %% [markdown] tags=["en"]
# ## 7.3 Layers without a bend are one layer
# Layers without activations: the first computes $h_1 = x W_1 + b_1$, the next $h_2 = h_1 W_2 + b_2$, and so on. Given the list
# `layers` of pairs $(W_\ell, b_\ell)$, the first layer first, return the one pair $(W, b)$ with
#
# $$x W + b = h_{\text{last}} \quad \text{for every } x$$
#
# There is at least one layer. $W_\ell$ has the shape (inputs, units), $b_\ell$ (units,).
# %% [markdown] tags=["zh"]
# ## 7.3 不弯一下，几层就是一层
# 没有激活函数的几层：第一层算 $h_1 = x W_1 + b_1$，下一层算 $h_2 = h_1 W_2 + b_2$，依此类推。给出列表 `layers`，其中是各层的
# $(W_\ell, b_\ell)$，第一层在最前。返回唯一的一对 $(W, b)$，使
#
# $$x W + b = h_{\text{last}} \quad \text{对每个 } x$$
#
# 至少有一层。$W_\ell$ 的形状是 (inputs, units)，$b_\ell$ 的形状是 (units,)。


# %% tags=["exercise"]
# exercise 07.3 (4 points): fold linear layers into one
def fold(layers):
    """The pair (W, b) of the one layer that does what all the layers do, one after another."""
    ### BEGIN SOLUTION
    W, b = layers[0]
    for kernel, bias in layers[1:]:
        W, b = W @ kernel, b @ kernel + bias
    return W, b
    ### END SOLUTION


# %% tags=["checks"]
def random_layers(rng, sizes):
    from itertools import pairwise

    return [(rng.normal(size=(a, b)), rng.normal(size=b)) for a, b in pairwise(sizes)]


def through(layers, x):
    for W, b in layers:
        x = x @ W + b
    return x


@check(
    "07.3",
    points=3,
    catches=[
        Mistake("adds the biases up as they are", "b @ kernel + bias", "b + bias"),
        Mistake("keeps only the last bias", "b @ kernel + bias", "bias"),
        Mistake("multiplies in the wrong order", "W @ kernel, b", "kernel @ W, b"),
        Mistake("leaves the last layer out", "layers[1:]", "layers[1:-1]"),
    ],
)
def many_layers_are_one(student, rng):
    """The folded layer gives what the layers give one after another, for random inputs."""
    for sizes in [(3, 3, 3), (2, 5, 4, 1), (4, 3, 3, 2, 2)]:
        layers, x = random_layers(rng, sizes), rng.normal(size=(6, sizes[0]))
        found = student.fold(layers)
        expect(
            isinstance(found, tuple | list) and len(found) == 2,
            f"sizes {sizes}: the pair (W, b) is asked; found {found!r:.60}",
        )
        W, b = (np.asarray(each) for each in found)
        shapes = (sizes[0], sizes[-1]), (sizes[-1],)
        expect(
            (W.shape, b.shape) == shapes,
            f"sizes {sizes}: W and b must have the shapes {shapes}; found {W.shape, b.shape}",
        )
        close(x @ W + b, through(layers, x), f"sizes {sizes}, x W + b")


@check(
    "07.3",
    points=1,
    catches=[Mistake("begins with nothing", "W, b = layers[0]", "W, b = layers[0][0], 0 * layers[0][1]")],
)
def one_layer_is_itself(student, rng):
    """A single layer comes back as it was."""
    layers = random_layers(rng, (3, 2))
    close(student.fold(layers), layers[0], "fold of one layer")


# %% [markdown] tags=["en", "hint"]
# Two layers: $(x W_1 + b_1) W_2 + b_2$. Multiply it out. What stands before $x$'s product, and what is left over?
# %% [markdown] tags=["zh", "hint"]
# 两层：$(x W_1 + b_1) W_2 + b_2$。展开看看：和 $x$ 相乘的是什么，剩下的又是什么？


# %% [markdown] tags=["en"]
# ## 7.4 Back through a layer, for a batch of sequences
# The layer $y = \max(x W + b, 0)$ reads $x$ of shape (batch, time, features): every time step of every sample goes through the
# same $W$ (features, units) and $b$ (units,). Write the three gradients with respect to $x$, $W$ and $b$, each of the shape of
# its argument, from $g$, the gradient with respect to $y$ (batch, time, units). Where a unit gives 0, nothing flows back.
# %% [markdown] tags=["zh"]
# ## 7.4 反向穿过一层：一批序列
# 层 $y = \max(x W + b, 0)$ 读入形状为 (batch, time, features) 的 $x$：每个样本的每个时间步都经过同一个 $W$ (features, units) 和
# $b$ (units,)。$g$ 是对 $y$ 的梯度，形状 (batch, time, units)。由它写出对 $x$、$W$、$b$ 的三个梯度，形状各与其参数相同。
# 单元输出为 0 的地方，什么也不往回流。


# %% tags=["exercise"]
# exercise 07.4 (5 points): back through a layer
def dense(x, W, b):
    """relu(x W + b)."""
    return np.maximum(x @ W + b, 0)


def dense_gradient(g, x, W, b):
    """The gradients with respect to x, W and b."""
    ### BEGIN SOLUTION
    d = g * (x @ W + b > 0)
    flat_x, flat_d = x.reshape(-1, x.shape[-1]), d.reshape(-1, d.shape[-1])
    return d @ W.T, flat_x.T @ flat_d, flat_d.sum(axis=0)
    ### END SOLUTION


# %% tags=["checks"]
@check(
    "07.4",
    points=4,
    catches=[
        Mistake("lets everything through relu", " * (x @ W + b > 0)", ""),
        Mistake("looks at the input instead of the output for relu's mask", "x @ W + b > 0", "x @ W > 0"),
        Mistake("forgets g", "g * (x", "1.0 * (x"),
        Mistake(
            "averages the bias over the batch",
            "flat_d.sum(axis=0)",
            "flat_d.mean(axis=0)",
            says="mean instead of the sum",
        ),
        Mistake("sums the bias over the batch only", "flat_d.sum(axis=0)", "d.sum(axis=0)", says="shape"),
        Mistake("takes the kernel from the first sample", "flat_x.T @ flat_d", "x[0].T @ d[0]"),
    ],
)
def the_gradients_agree_with_differences(student, rng):
    """All three gradients agree with differences, batch and time being summed over."""
    x, W, b = rng.normal(size=(3, 4, 2)), rng.normal(size=(2, 3)), rng.normal(size=3)
    laboratory(student.dense_gradient, dense, x, W, b)


@check(
    "07.4",
    points=1,
    catches=[Mistake("lets half through where the unit is dead", "(x @ W + b > 0)", "np.where(x @ W + b > 0, 1, 0.5)")],
)
def a_dead_layer_lets_nothing_back(student, rng):
    """With a bias of -100 every unit gives 0, and every gradient is 0 and of its argument's shape."""
    x, W, b = rng.normal(size=(2, 3, 4)), rng.normal(size=(4, 2)), np.full(2, -100.0)
    zeros = tuple(np.zeros(each.shape) for each in (x, W, b))
    close(student.dense_gradient(rng.normal(size=(2, 3, 2)), x, W, b), zeros, "b = -100")


# %% [markdown] tags=["en", "hint"]
# Read the shapes. $\bar W$ must be (features, units): put batch and time into one axis, `x.reshape(-1, x.shape[-1])`, and it is
# the $x^\top d$ of lesson 7.
# %% [markdown] tags=["zh", "hint"]
# 看着形状写。$\bar W$ 必须是 (features, units)：把批和时间并成一根轴，`x.reshape(-1, x.shape[-1])`，就是第 7 课的 $x^\top d$。
