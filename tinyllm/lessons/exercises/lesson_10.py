# %% [markdown] tags=["en"]
# # Exercises to lesson 10: the LSTM cell
# Predict shapes and counts, write one step, put a stranger's gates in order, and take one step back through time. Check yourself with
# `tinyllm exercise check lesson_10.py`; `tinyllm exercise hint 10.1` helps when you are stuck.
#
# The step everywhere below: $x$ (batch, features); states $h$, $c$ (batch, $H$); kernel $K$ (features, $4H$), recurrent kernel $R$ ($H$, $4H$),
# bias $b$ ($4H$,); $\sigma(z) = 1 / (1 + e^{-z})$. The four gates stand side by side in the $4H$ columns, in Keras's order $i, f, g, o$:
#
# $$[z_i, z_f, z_g, z_o] = x K + h R + b, \quad i = \sigma(z_i), \quad f = \sigma(z_f), \quad g = \tanh(z_g), \quad o = \sigma(z_o)$$
# $$c' = f\,c + i\,g, \qquad h' = o \tanh(c')$$
# %% [markdown] tags=["zh"]
# # 第 10 课练习：LSTM 单元
# 预测形状和参数个数，写出一步，把别人家的门排好次序，再沿时间往回走一步。用 `tinyllm exercise check lesson_10.py` 自己检查；
# 卡住了就看提示：`tinyllm exercise hint 10.1`。
#
# 下面各题的“一步”都是：$x$ (batch, features)；状态 $h$、$c$ (batch, $H$)；核 $K$ (features, $4H$)，循环核 $R$ ($H$, $4H$)，
# 偏置 $b$ ($4H$,)；$\sigma(z) = 1 / (1 + e^{-z})$。四个门在 $4H$ 列里并排，按 Keras 的次序 $i, f, g, o$：
#
# $$[z_i, z_f, z_g, z_o] = x K + h R + b, \quad i = \sigma(z_i), \quad f = \sigma(z_f), \quad g = \tanh(z_g), \quad o = \sigma(z_o)$$
# $$c' = f\,c + i\,g, \qquad h' = o \tanh(c')$$
# %%
import numpy as np

from tinyllm.lessons.grading import Mistake, check, close, expect, laboratory, same


def sigmoid(z):
    """1 / (1 + e^-z), without overflow."""
    return (1 + np.tanh(z / 2)) / 2


# %% [markdown] tags=["en"]
# ## 10.1 Shapes and counts before you run anything
# An LSTM layer with `units` units reads sequences of the shape (batch, time, features). Return a pair: the shape of its output, a tuple, and
# the number of its parameters. With `return_sequences=True` it gives $h$ at every step, otherwise at the last one only.
# %% [markdown] tags=["zh"]
# ## 10.1 运行之前，先说出形状和个数
# 一个有 `units` 个单元的 LSTM 层，读入形状为 (batch, time, features) 的序列。返回一对：输出的形状（元组），和参数的个数。
# 设了 `return_sequences=True` 时，它给出每一步的 $h$，否则只给最后一步的。


# %% tags=["exercise"]
# exercise 10.1 (3 points): predict shapes and counts
def lstm_facts(batch, time, features, units, return_sequences=False):
    """(the output's shape, the number of parameters) of an LSTM layer."""
    ### BEGIN SOLUTION
    shape = (batch, time, units) if return_sequences else (batch, units)
    return shape, 4 * (features * units + units * units + units)
    ### END SOLUTION


# %% tags=["checks"]
def facts_by_tinyllm(batch, time, features, units, return_sequences):
    from tinyllm.layers import LSTM

    layer = LSTM(units, return_sequences=return_sequences)
    shape = layer(np.zeros((batch, time, features))).shape
    return shape, layer.count_params()


def check_facts(student, rng, part, what):
    for return_sequences in (False, True):
        sizes = tuple(int(n) for n in rng.permutation(np.arange(2, 9))[:4])
        case = f"lstm_facts{(*sizes, return_sequences)}"
        found = student.lstm_facts(*sizes, return_sequences=return_sequences)
        expect(
            isinstance(found, tuple | list) and len(found) == 2,
            f"{case}: a pair, shape and count, is asked; found {found!r:.60}",
        )
        same(found[part], facts_by_tinyllm(*sizes, return_sequences)[part], f"{case}, {what}")


@check(
    "10.1",
    points=1,
    catches=[
        Mistake(
            "keeps the time axis always",
            "(batch, time, units) if return_sequences else (batch, units)",
            "(batch, time, units)",
        ),
        Mistake("lets the four gates out", "else (batch, units)", "else (batch, 4 * units)"),
        Mistake("gives back as many features as came in", "(batch, time, units) if", "(batch, time, features) if"),
    ],
)
def the_shape(student, rng):
    """The output's shape, for both values of return_sequences."""
    check_facts(student, rng, 0, "the shape")


@check(
    "10.1",
    points=2,
    catches=[
        Mistake("counts one gate of four", "4 * (features", "1 * (features"),
        Mistake("forgets the recurrent kernel", " + units * units", ""),
        Mistake("forgets the biases", " + units)", ")"),
        Mistake("lets the parameters grow with time", "4 * (features", "time * 4 * (features"),
    ],
)
def the_count(student, rng):
    """The number of parameters; for the article's LSTM(100) on 50 features it is 60,400."""
    check_facts(student, rng, 1, "the count")
    found = student.lstm_facts(3, 5, 50, 100)
    same(found[1], 60_400, "lstm_facts(3, 5, 50, 100), the count")


# %% [markdown] tags=["en", "hint"]
# Each gate has a piece of $K$, a piece of $R$ and a piece of $b$, all of the same width. Which of the sizes are in none of them?
# %% [markdown] tags=["zh", "hint"]
# 每个门都有一块 $K$、一块 $R$ 和一块 $b$，宽度相同。哪几个尺寸在里面根本不出现？


# %% [markdown] tags=["en"]
# ## 10.2 One step
# Write the step from the top of this file: from $x$, $h$, $c$ and the weights to the pair $(h', c')$. `sigmoid` is given.
# %% [markdown] tags=["zh"]
# ## 10.2 一步
# 写出本文件开头的那一步：由 $x$、$h$、$c$ 和权重得到一对 $(h', c')$。`sigmoid` 已经给出。


# %% tags=["exercise"]
# exercise 10.2 (4 points): one step of an LSTM
def step(x, h, c, K, R, b):
    """The pair (h', c') after one step; gates in the order i, f, g, o."""
    ### BEGIN SOLUTION
    zi, zf, zg, zo = np.split(x @ K + h @ R + b, 4, axis=-1)
    c = sigmoid(zf) * c + sigmoid(zi) * np.tanh(zg)
    return sigmoid(zo) * np.tanh(c), c
    ### END SOLUTION


# %% tags=["checks"]
def random_step(rng, batch, features, units):
    shapes = (batch, features), (batch, units), (batch, units), (features, 4 * units), (units, 4 * units), (4 * units,)
    return [rng.normal(size=shape) for shape in shapes]


def expected_step(x, h, c, K, R, b):
    from tinyllm.autograd.kernels import lstm_step

    return lstm_step(x @ K + b, h, c, R)


@check(
    "10.2",
    points=3,
    catches=[
        Mistake("takes the gates in ONNX's order", "zi, zf, zg, zo", "zi, zo, zf, zg"),
        Mistake("shows the cell without its tanh", "sigmoid(zo) * np.tanh(c), c", "sigmoid(zo) * c, c"),
        Mistake("lets the proposal through a sigmoid", "np.tanh(zg)", "sigmoid(zg)"),
        Mistake("forgets the state", " + h @ R", ""),
        Mistake("splits the batch instead of the gates", "axis=-1", "axis=0"),
    ],
)
def one_step_is_tinyllms(student, rng):
    """h' and c' are what tinyllm's own step gives, for random states and weights."""
    for batch, features, units in [(4, 3, 2), (8, 1, 5)]:
        given = random_step(rng, batch, features, units)
        close(
            student.step(*given), expected_step(*given), f"step with batch {batch}, {features} features, {units} units"
        )


@check(
    "10.2",
    points=1,
    catches=[
        Mistake("adds the new to the old cell and forgets nothing", "sigmoid(zf) * c + sigmoid", "c + sigmoid"),
        Mistake("overwrites the cell", "sigmoid(zf) * c + sigmoid", "sigmoid"),
    ],
)
def an_open_forget_gate_keeps_and_a_shut_one_forgets(student, rng):
    """With f = 1 and i = 0 the cell stays, with f = 0 and i = 0 nothing is left of it."""
    x, h, c, K, R, _ = random_step(rng, 3, 2, 2)
    for forget, left in [(500.0, c), (-500.0, 0 * c)]:
        b = np.repeat([-500.0, forget, 0.0, 500.0], 2)
        close(
            student.step(x, h, c, K, R, b), (np.tanh(left), left), f"i shut, o open, the forget gate's bias {forget:g}"
        )


# %% [markdown] tags=["en", "hint"]
# `np.split(z, 4, axis=-1)` cuts the columns into four equal pieces.
# %% [markdown] tags=["zh", "hint"]
# `np.split(z, 4, axis=-1)` 把列切成相等的四块。


# %% [markdown] tags=["en"]
# ## 10.3 Find the bug: a stranger's gates
# ONNX, a file format for models, keeps the four gates in the order $i, o, f, g$; Keras and tinyllm want $i, f, g, o$. A weight has the
# shape (..., $4H$): four blocks of $H$ columns. `broken_to_keras` moves the blocks the wrong way; its weights load without an error, and the
# model talks nonsense. Write `to_keras`. It works for the kernel, the recurrent kernel and the bias alike.
# %% [markdown] tags=["zh"]
# ## 10.3 找错：别人家的门
# ONNX 是一种模型文件格式，它的四个门按 $i, o, f, g$ 排；Keras 和 tinyllm 要的是 $i, f, g, o$。一个权重的形状是 (..., $4H$)：四块，每块 $H$ 列。
# `broken_to_keras` 把块挪反了：权重能载入，不报错，模型却胡言乱语。请写出 `to_keras`，对核、循环核、偏置都管用。


# %% tags=["exercise"]
# exercise 10.3 (3 points): find the bug in the order of gates
def broken_to_keras(weight):
    """Meant to turn gates in the order i, o, f, g into i, f, g, o."""
    first, second, third, fourth = np.split(weight, 4, axis=-1)
    return np.concatenate([first, fourth, second, third], axis=-1)


def to_keras(weight):
    """The weight with its four blocks of columns in the order i, f, g, o; they come as i, o, f, g."""
    ### BEGIN SOLUTION
    i, o, f, g = np.split(weight, 4, axis=-1)
    return np.concatenate([i, f, g, o], axis=-1)
    ### END SOLUTION


# %% tags=["checks"]
def onnx_order(weight):
    i, f, g, o = np.split(weight, 4, axis=-1)
    return np.concatenate([i, o, f, g], axis=-1)


@check(
    "10.3",
    points=2,
    catches=[
        Mistake("moves the blocks the wrong way", "[i, f, g, o]", "[i, g, o, f]"),
        Mistake("exchanges only two of them", "[i, f, g, o]", "[i, f, o, g]"),
        Mistake("leaves them as they are", "[i, f, g, o]", "[i, o, f, g]"),
    ],
)
def the_model_says_the_same_again(student, rng):
    """A step with the weights that were put in order gives what it gave in Keras's order."""
    x, h, c, *weights = random_step(rng, 4, 3, 2)
    ordered = [np.asarray(student.to_keras(onnx_order(weight))) for weight in weights]
    for name, found, weight in zip("KRb", ordered, weights):
        expect(found.shape == weight.shape, f"to_keras({name}): expected the shape {weight.shape}; found {found.shape}")
    close(expected_step(x, h, c, *ordered), expected_step(x, h, c, *weights), "a step with the weights of to_keras")


@check(
    "10.3",
    points=1,
    catches=[
        Mistake(
            "takes every fourth column for a gate",
            "np.split(weight, 4, axis=-1)\n    return np.concatenate([i, f",
            "(weight[..., k::4] for k in range(4))\n    return np.concatenate([i, f",
        )
    ],
)
def every_block_is_in_its_place(student, rng):
    """Every number is where it belongs, also with a single unit, and in an array of three axes."""
    for shape in [(4,), (3, 8), (2, 3, 12)]:
        weight = rng.normal(size=shape)
        close(student.to_keras(onnx_order(weight)), weight, f"to_keras of a weight of shape {shape}")


# %% [markdown] tags=["en", "hint"]
# Give the four blocks the names that they have in the file, then say their names in the order that you want.
# %% [markdown] tags=["zh", "hint"]
# 先按文件里的次序给四块起好名字，再按想要的次序把名字念出来。


# %% [markdown] tags=["en"]
# ## 10.4 One step back through time
# Write the way back through one step. Given are $\bar h'$ and $\bar c'$, the gradients of the loss with respect to $h'$ and $c'$, and the step's own
# inputs. The cell first collects what it said through $h'$, then each gate takes its share:
#
# $$d = \bar c' + \bar h'\, o\,(1 - \tanh^2 c')$$
# $$\bar z_i = d\, g\, i (1-i), \quad \bar z_f = d\, c\, f (1-f), \quad \bar z_g = d\, i\,(1-g^2), \quad \bar z_o = \bar h' \tanh(c')\, o (1-o)$$
#
# Return the six gradients with respect to $x$, $h$, $c$, $K$, $R$ and $b$, in this order and each of its argument's shape.
# `forward` gives the step's gates and $c'$.
# %% [markdown] tags=["zh"]
# ## 10.4 沿时间往回走一步
# 写出一步的反向。已知 $\bar h'$ 和 $\bar c'$，即损失对 $h'$ 和 $c'$ 的梯度，以及这一步自己的输入。细胞先收回它经由 $h'$ 说出去的那一份，
# 然后每个门领走自己的一份：
#
# $$d = \bar c' + \bar h'\, o\,(1 - \tanh^2 c')$$
# $$\bar z_i = d\, g\, i (1-i), \quad \bar z_f = d\, c\, f (1-f), \quad \bar z_g = d\, i\,(1-g^2), \quad \bar z_o = \bar h' \tanh(c')\, o (1-o)$$
#
# 返回对 $x$、$h$、$c$、$K$、$R$、$b$ 的六个梯度，按此次序，形状各与其参数相同。`forward` 给出这一步的各个门和 $c'$。


# %% tags=["exercise"]
# exercise 10.4 (6 points): one step back through time
def forward(x, h, c, K, R, b):
    """The gates i, f, g, o of a step and its new cell c'."""
    zi, zf, zg, zo = np.split(x @ K + h @ R + b, 4, axis=-1)
    i, f, g, o = sigmoid(zi), sigmoid(zf), np.tanh(zg), sigmoid(zo)
    return i, f, g, o, f * c + i * g


def step_gradient(dh, dc, x, h, c, K, R, b):
    """The gradients with respect to x, h, c, K, R and b; dh and dc are those with respect to h' and c'."""
    ### BEGIN SOLUTION
    i, f, g, o, new = forward(x, h, c, K, R, b)
    d = dc + dh * o * (1 - np.tanh(new) ** 2)
    shares = d * g * i * (1 - i), d * c * f * (1 - f), d * i * (1 - g**2), dh * np.tanh(new) * o * (1 - o)
    dz = np.concatenate(shares, axis=-1)
    return dz @ K.T, dz @ R.T, d * f, x.T @ dz, h.T @ dz, dz.sum(axis=0)
    ### END SOLUTION


# %% tags=["checks"]
def both_states(x, h, c, K, R, b):
    return np.concatenate(expected_step(x, h, c, K, R, b), axis=-1)


def gradient_of_both(student):
    return lambda g, *given: student.step_gradient(*np.split(g, 2, axis=-1), *given)


@check(
    "10.4",
    points=4,
    catches=[
        Mistake("forgets what the cell said through h'", "dc + dh * o * (1 - np.tanh(new) ** 2)", "dc"),
        Mistake("forgets the gradient that comes from the cell", "d = dc + dh", "d = dh"),
        Mistake("lets the forget gate see the new cell", "d * c * f", "d * new * f"),
        Mistake("gives the proposal a sigmoid's slope", "(1 - g**2)", "g * (1 - g)"),
        Mistake(
            "puts the shares of i and f in each other's place",
            "d * g * i * (1 - i), d * c * f * (1 - f)",
            "d * c * f * (1 - f), d * g * i * (1 - i)",
            says="gate block",
        ),
        Mistake(
            "averages the bias over the batch", "dz.sum(axis=0)", "dz.mean(axis=0)", says="mean instead of the sum"
        ),
        Mistake("uses x where the state belongs", "h.T @ dz", "x.T @ dz", says="shape"),
    ],
)
def the_six_gradients_agree_with_differences(student, rng):
    """All six gradients agree with differences of h' and c'."""
    laboratory(gradient_of_both(student), both_states, *random_step(rng, 4, 3, 2))


@check(
    "10.4",
    points=2,
    catches=[
        Mistake("lets the cell's gradient pass as it is", "dz @ R.T, d * f,", "dz @ R.T, d,"),
        Mistake("sends the cell's gradient through i", "d * f,", "d * i,"),
        Mistake("sends only what came from the cell", "d * f,", "dc * f,"),
    ],
)
def the_cells_own_road(student, rng):
    """With the gates i and o shut and f half open, a gradient at c' arrives at c multiplied by f, and nowhere else."""
    x, h, c, K, R, _ = random_step(rng, 3, 2, 2)
    K, R, b = 0 * K, 0 * R, np.repeat([-500.0, 0.0, 0.0, -500.0], 2)
    dc, dh = rng.normal(size=(2, 3, 2))
    found = student.step_gradient(dh, dc, x, h, c, K, R, b)
    expect(
        isinstance(found, tuple | list) and len(found) == 6,
        f"step_gradient: six gradients are asked; found {found!r:.60}",
    )
    close(found[2], 0.5 * dc, "the gradient of c, i and o shut, f = 1/2")
    close((found[0], found[1]), (0 * x, 0 * h), "the gradients of x and h, K = R = 0")
    opened = np.repeat([-500.0, 0.0, 0.0, 500.0], 2)
    found = student.step_gradient(dh, dc, x, h, c, K, R, opened)
    close(found[2], 0.5 * (dc + dh * (1 - np.tanh(0.5 * c) ** 2)), "the gradient of c, i shut, o open, f = 1/2")


# %% [markdown] tags=["en", "hint"]
# Put the four shares side by side, `np.concatenate(..., axis=-1)`, into $\bar z$ (batch, $4H$), in the order $i, f, g, o$. From there on it is a dense
# layer: $\bar x = \bar z K^\top$, $\bar K = x^\top \bar z$.
# %% [markdown] tags=["zh", "hint"]
# 把四份并排放好，`np.concatenate(..., axis=-1)`，得到 $\bar z$ (batch, $4H$)，次序是 $i, f, g, o$。接下来就是一个全连接层：
# $\bar x = \bar z K^\top$，$\bar K = x^\top \bar z$。
# %% [markdown] tags=["en", "hint"]
# $h$ and $R$ play the same parts as $x$ and $K$. The old cell $c$ is met in one place only: $c' = f c + i g$.
# %% [markdown] tags=["zh", "hint"]
# $h$ 和 $R$ 的角色与 $x$ 和 $K$ 一样。旧细胞 $c$ 只在一处出现：$c' = f c + i g$。
