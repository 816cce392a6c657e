# %% [markdown] tags=["en"]
# # 7. Dense layers and the deep network
# The article draws a deep network as layers of neurons joined by arrows. Here the drawing becomes two lines of NumPy. You build one layer,
# see what a second one adds, take its gradient by hand, and find out why twenty of them learn nothing if their first weights are badly chosen.
#
# **You need** lesson 1; lesson 6 helps. **It takes** 35 minutes. **To run it:** `pip install -e ".[lessons]"`, then `jupyter lab`.
# %% [markdown] tags=["zh"]
# # 7. 全连接层与深层网络
# 文章把深层网络画成一层层用箭头相连的神经元。这一课把图变成两行 NumPy。你先搭一个层，看第二层多了什么，亲手求它的梯度，
# 再弄清楚：二十层叠起来，如果初始权重没选好，为什么什么也学不会。
#
# **需要**：第 1 课；学过第 6 课更好。**用时**：35 分钟。**运行**：先 `pip install -e ".[lessons]"`，再 `jupyter lab`。
# %%
import matplotlib.pyplot as plt
import numpy as np

from tinyllm import Sequential, Tensor
from tinyllm.initializers import RandomNormal
from tinyllm.layers import LSTM, Dense, Embedding
from tinyllm.lessons import claim
from tinyllm.optimizers import Adam

BLUE, RED, GREEN, PURPLE = "#0072B2", "#D55E00", "#009E73", "#AA4499"
rng = np.random.default_rng(7)

# %% [markdown] tags=["en"]
# ## One layer is one line
# A dense layer reads $x$ of shape (batch, features) and gives $y$ of shape (batch, units). Every unit sees every feature:
#
# $$y = \varphi(x W + b)$$
#
# $W$, the **kernel** (features, units), holds one weight for each arrow of the drawing; $b$, the **bias** (units,), one number for each unit,
# and is added to every row; $\varphi$, the **activation**, bends each number by itself: tanh, relu, sigmoid. So there are
# $\text{features} \times \text{units} + \text{units}$ parameters. `Dense` makes its weights when it first sees a shape.
# %% [markdown] tags=["zh"]
# ## 一个层就是一行
# 全连接层读入形状为（批, 特征）的 $x$，给出形状为（批, 单元）的 $y$。每个单元都看得到每个特征：
#
# $$y = \varphi(x W + b)$$
#
# $W$ 叫**核**，形状（特征, 单元），图里的每支箭头对应其中一个权重；$b$ 叫**偏置**，形状（单元,），每个单元一个数，加到每一行上；
# $\varphi$ 叫**激活函数**，逐个地把数“弯”一下：tanh、relu、sigmoid。所以参数共有 $\text{特征} \times \text{单元} + \text{单元}$ 个。
# `Dense` 第一次见到输入的形状时才造出权重。
# %%
x = rng.normal(size=(4, 3))
layer = Dense(2, activation="tanh", dtype="float64", seed=7)
y = layer(x)
W, b = layer.get_weights()
print("x", x.shape, " W", W.shape, " b", b.shape, " y", y.shape, "  parameters:", layer.count_params(), "= 3 x 2 + 2")
print("apart from tanh(x W + b) by", np.abs(y.data - np.tanh(x @ W + b)).max())
print(
    "a batch of sentences, (batch, time, features):", layer(rng.normal(size=(4, 5, 3))).shape, ": each step by itself"
)
# %% [markdown] tags=["en"]
# The article's classifier ends in a dense layer with one unit, which reads the 100 numbers of its LSTM:
# %% [markdown] tags=["zh"]
# 文章的分类器以一个单元的全连接层收尾，它读的是 LSTM 给出的 100 个数：
# %%
article = Sequential([Embedding(4, 50, input_length=5), LSTM(100), Dense(1, activation="sigmoid")])
claim("S5-11", computed=article.layers[-1].count_params())
# %% [markdown] tags=["en"]
# ## The way back
# Let $g = \partial L / \partial y$, shaped like $y$. Back through tanh, elementwise; then the batch is summed over, since all rows share $W$ and $b$:
#
# $$d = g\,(1 - y^2), \qquad \bar W = x^\top d, \qquad \bar b = \sum_{\text{batch}} d, \qquad \bar x = d\, W^\top$$
#
# Read the shapes and you cannot get it wrong: $\bar W$ must be (features, units), and of $x$ (batch, features) and $d$ (batch, units)
# only $x^\top d$ makes that.
# %% [markdown] tags=["zh"]
# ## 反向
# 设 $g = \partial L / \partial y$，形状同 $y$。先逐元素穿过 tanh；然后对整批求和，因为所有的行共用 $W$ 和 $b$：
#
# $$d = g\,(1 - y^2), \qquad \bar W = x^\top d, \qquad \bar b = \sum_{\text{批}} d, \qquad \bar x = d\, W^\top$$
#
# 看着形状写就不会错：$\bar W$ 必须是（特征, 单元），而由 $x$（批, 特征）和 $d$（批, 单元）能凑出它的，只有 $x^\top d$。
# %%
g = rng.normal(size=(4, 2))
leaf = Tensor(x, requires_grad=True)
np.sum(layer(leaf) * g).backward()
d = g * (1 - y.data**2)
pairs = [("W", x.T @ d, layer.kernel.grad), ("b", d.sum(axis=0), layer.bias.grad), ("x", d @ W.T, leaf.grad)]
for name, by_hand, by_engine in pairs:
    print(f"{name} {by_hand.shape!s:7} by hand and by engine are apart by {np.abs(by_hand - by_engine).max():.1e}")


# %% [markdown] tags=["en"]
# ## What a second layer adds
# Two half-moons of points, one for each label. A layer of one sigmoid unit can only draw a straight line between them. Put layers of 16 units
# before it, once with tanh and once without any activation, and train all three alike. Guess: which can draw a curve?
# %% [markdown] tags=["zh"]
# ## 第二层多了什么
# 两弯“月牙”形的点，各属一个标签。单独一个 sigmoid 单元只能在中间画一条直线。在它前面加两层 16 个单元的层，一次用 tanh，一次不用激活函数，
# 三个网络用同样的办法训练。先猜：哪个画得出曲线？
# %%
def moons(n):
    angle, label = rng.uniform(0, np.pi, n), np.arange(n) % 2
    upper, lower = [np.cos(angle), np.sin(angle)], [1 - np.cos(angle), 0.5 - np.sin(angle)]
    return np.where(label, lower, upper).T + rng.normal(scale=0.15, size=(n, 2)), label


def train(hidden, epochs, rate):
    model = Sequential([*hidden, Dense(1, activation="sigmoid")], seed=0)
    model.compile(Adam(rate), "binary_crossentropy", metrics=["accuracy"])
    return model, model.fit(points, labels, epochs=epochs, batch_size=32, verbose=0).history["loss"]


points, labels = moons(400)
held_out, held_out_labels = moons(400)
networks = {"no hidden layer": [], "16 + 16, no activation": [None] * 2, "16 + 16, tanh": ["tanh"] * 2}
models = {name: train([Dense(16, activation=a) for a in hidden], 60, 0.02)[0] for name, hidden in networks.items()}
accuracy = {name: model.evaluate(held_out, held_out_labels, verbose=0)[1] for name, model in models.items()}

across, up = np.meshgrid(np.linspace(-1.7, 2.7, 120), np.linspace(-1.2, 1.7, 90))
grid = np.stack([across.ravel(), up.ravel()], axis=1)
fig, axes = plt.subplots(1, 3, figsize=(11, 3.4), facecolor="white", layout="constrained", sharey=True)
for ax, (name, model) in zip(axes, models.items()):
    ax.contourf(across, up, model.predict(grid).reshape(across.shape), levels=20, cmap="RdBu_r", vmin=-0.3, vmax=1.3)
    ax.scatter(*held_out.T, c=np.where(held_out_labels, RED, BLUE), s=6)
    ax.set(title=f"{name}: {accuracy[name]:.1%} right", xlabel="first feature")
axes[0].set(ylabel="second feature")
plt.show()
# %% [markdown] tags=["en"]
# Without an activation the second network, too, draws a straight line, though it has 337 parameters against 3. The reason is one line of
# algebra: $(x W_1 + b_1) W_2 + b_2 = x\,(W_1 W_2) + (b_1 W_2 + b_2)$. Two layers without a bend between them **are** one layer.
# %% [markdown] tags=["zh"]
# 没有激活函数，第二个网络画的也是直线，尽管它有 337 个参数，而第一个只有 3 个。道理是一行代数：
# $(x W_1 + b_1) W_2 + b_2 = x\,(W_1 W_2) + (b_1 W_2 + b_2)$。两层之间不弯一下，两层**就是**一层。
# %%
print({name: model.count_params() for name, model in models.items()})
W1, b1, W2, b2, W3, b3 = models["16 + 16, no activation"].get_weights()
one = 1 / (1 + np.exp(-(grid @ (W1 @ W2 @ W3) + (b1 @ W2 + b2) @ W3 + b3)))
gap = np.abs(one - models["16 + 16, no activation"].predict(grid)).max()
print(f"three layers and their product as one: apart by {gap:.0e} (float32)")
assert gap < 1e-5 and accuracy["16 + 16, tanh"] > 0.97 > 0.92 > accuracy["16 + 16, no activation"]


# %% [markdown] tags=["en"]
# ## How twenty layers must begin
# Weights begin at random. How large? Each unit adds up $n$ products, $n$ the number of its inputs. If the weights have mean 0 and standard
# deviation $s$, then near 0, where tanh is nearly the identity, a layer multiplies the spread of its input by $s\sqrt{n}$:
#
# $$\operatorname{std}(h_\ell) \approx (s \sqrt{n})^{\ell}\, \operatorname{std}(h_0)$$
#
# After $\ell$ layers that is a power: it dies out or hits the ceiling of tanh, unless $s\sqrt{n} \approx 1$. Glorot and Bengio (2010) chose $s$
# so, and `Dense` begins that way. The gradient comes back through the same weights. Guess the three pairs of curves for $n = 128$.
# %% [markdown] tags=["zh"]
# ## 二十层该怎样起步
# 权重从随机数开始。该多大？每个单元把 $n$ 个乘积加起来，$n$ 是输入的个数。设权重均值为 0、标准差为 $s$；在 0 附近 tanh 几乎就是恒等函数，
# 于是每过一层，输入的散布就乘上 $s\sqrt{n}$：
#
# $$\operatorname{std}(h_\ell) \approx (s \sqrt{n})^{\ell}\, \operatorname{std}(h_0)$$
#
# $\ell$ 层之后就成了幂：除非 $s\sqrt{n} \approx 1$，不是消失，就是撞上 tanh 的天花板。Glorot 和 Bengio（2010）正是这样选的 $s$，`Dense` 默认
# 也这样开始。梯度也要沿同样的权重传回来。取 $n = 128$，先猜猜三对曲线的样子。
# %%
N, DEPTH = 128, 20
inputs, wish = rng.normal(size=(256, N)), rng.normal(size=(256, N))
starts = {"s = 0.02": RandomNormal(stddev=0.02), "Glorot": "glorot_normal", "s = 0.3": RandomNormal(stddev=0.3)}
fig, (left, right) = plt.subplots(1, 2, figsize=(10, 4.2), facecolor="white", layout="constrained")
spread, size = {}, {}
for (name, start), colour in zip(starts.items(), [BLUE, GREEN, RED]):
    layers = [Dense(N, "tanh", kernel_initializer=start, dtype="float64", seed=i) for i in range(DEPTH)]
    h = [Tensor(inputs)]
    for layer in layers:
        h.append(layer(h[-1]))
    np.sum(h[-1] * wish).backward()
    spread[name] = np.array([np.std(each.data) for each in h])
    size[name] = np.array([np.sqrt(np.mean(layer.kernel.grad**2)) for layer in layers])
    left.semilogy(
        spread[name], ".-", color=colour, label=f"{name}: s sqrt(n) = {layers[0].kernel.data.std() * N**0.5:.2f}"
    )
    right.semilogy(range(1, DEPTH + 1), size[name], ".-", color=colour, label=name)
left.semilogy((0.02 * N**0.5) ** np.arange(DEPTH + 1), ":", color="black", label="the formula for s = 0.02")
left.set(title=f"Forward: s = 0.02 leaves {spread['s = 0.02'][-1]:.0e} of the signal", ylabel="std of a layer's output")
right.set(title=f"Backward: s = 0.3, the first is {size['s = 0.3'][0] / size['s = 0.3'][-1]:.0f} times the last")
right.set(ylabel="size of the gradient of W")
for ax in (left, right):
    ax.set(xlabel="layer", xticks=range(0, DEPTH + 1, 5))
    ax.legend()
plt.show()
# %% [markdown] tags=["en"]
# For s = 0.02 the formula is right to the last layer. Too small, and neither signal nor gradient is left; too large, and every unit sits at
# $\pm 1$ while the gradient grows on its way back. Now the moons again, with twenty layers of 32, from four beginnings. The fourth is all zeros:
# then all units of a layer are equal, get equal gradients, and stay equal. **That is what randomness is for: to make them differ.**
# %% [markdown] tags=["zh"]
# s = 0.02 时，公式一直说中到最后一层。太小，信号和梯度都剩不下；太大，所有单元都贴在 $\pm 1$ 上，梯度却越往回传越大。现在再学一次月牙，
# 二十层，每层 32 个单元，四种起点。第四种全是零：一层里的单元彼此相同，得到的梯度也相同，于是永远相同。**随机就是为了让它们不一样。**
# %%
beginnings = {
    "s = 0.02": RandomNormal(stddev=0.02),
    "Glorot": "glorot_normal",
    "s = 1": RandomNormal(stddev=1.0),
    "zeros": "zeros",
}
curves = {
    name: train([Dense(32, "tanh", kernel_initializer=start) for _ in range(DEPTH)], 25, 0.001)[1]
    for name, start in beginnings.items()
}
fig, ax = plt.subplots(figsize=(7.5, 4.2), facecolor="white", layout="constrained")
for (name, curve), colour, dash in zip(curves.items(), [BLUE, GREEN, RED, PURPLE], ["-", "-", "-", "--"]):
    ax.plot(range(1, 26), curve, dash, color=colour, label=f"{name}: ends at {curve[-1]:.3f}")
ax.axhline(np.log(2), color="black", linewidth=0.8, linestyle=":", label="ln 2: knows nothing")
ax.set(title="Same network, same steps: only one beginning learns", xlabel="epoch", ylabel="loss", ylim=(0, 1.3))
ax.legend(loc="upper right", ncols=2)
plt.show()
assert curves["Glorot"][-1] < 0.2 and min(curves[name][-1] for name in ("s = 0.02", "s = 1", "zeros")) > 0.6
# %% [markdown] tags=["en"]
# ## Try next
# 1. relu throws half of its input away. Measure `spread` with `"relu"`, once with `"glorot_normal"` and once with `"he_normal"`. What does He's factor do?
# 2. How few units, in one hidden layer of tanh, still bend the border around the moons? And with relu?
# 3. Give the twenty layers `LayerNormalization` in between (`tinyllm.layers`). Does `s = 0.02` learn now?
# %% [markdown] tags=["zh"]
# ## 接着试试
# 1. relu 会丢掉一半的输入。用 `"relu"` 量一量 `spread`，一次用 `"glorot_normal"`，一次用 `"he_normal"`。He 的那个系数起什么作用？
# 2. 只有一个 tanh 隐藏层时，最少几个单元还能把边界弯过月牙？换成 relu 呢？
# 3. 在二十层之间插入 `LayerNormalization`（在 `tinyllm.layers` 里）。这时 `s = 0.02` 学得会吗？
