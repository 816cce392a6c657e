# %% [markdown] tags=["en"]
# # 3. Gradient descent, SGD, Adam raced
# The article names three optimisers and gives each one sentence. You run them down a valley that can be drawn, compute Adam's first step by
# hand, race them on real text, and find that one number decides more than their names.
# **You need** lesson 2. **It takes** 35 minutes. **To run it:** `pip install -e ".[lessons]"`, then `jupyter lab`. `make tour` shows the short version.
# %% [markdown] tags=["zh"]
# # 3. 梯度下降、SGD、Adam 赛跑
# 文章提到三种优化方法，各用一句话带过。本课让它们在一个画得出来的山谷里往下走，手算 Adam 的第一步，
# 再拿真实文本比一场，最后会发现：有一个数比名字更能决定胜负。
# **需要**：第 2 课。**用时**：35 分钟。**运行**：先 `pip install -e ".[lessons]"`，再 `jupyter lab`。`make tour` 可看简短版。
# %%
from itertools import pairwise

import matplotlib.pyplot as plt
import numpy as np

from tinyllm import Tensor, no_grad
from tinyllm.datasets import seasons
from tinyllm.lessons import claim, table
from tinyllm.losses import SparseCategoricalCrossentropy
from tinyllm.optimizers import GD, SGD, Adam
from tinyllm.schedules import CosineDecay

COLOURS = {"GD": "#555555", "SGD": "#2b6cb0", "momentum": "#b7791f", "Adam": "#d9485f"}

# %% [markdown] tags=["en"]
# ## Four rules
# $w$ are the weights, $g$ the gradient of the loss with respect to them, of the same shape, $\alpha$ the **learning rate**;
# $v$, $m$ and $s$ are memories, also of that shape, 0 at first; $t = 1, 2, \dots$ counts the steps. All of it is elementwise.
#
# $$\text{GD, SGD:} \quad w \leftarrow w - \alpha g \qquad\qquad \text{momentum:} \quad v \leftarrow \mu v - \alpha g, \quad w \leftarrow w + v$$
# $$\text{Adam:} \quad m \leftarrow \beta_1 m + (1 - \beta_1)\, g, \quad s \leftarrow \beta_2 s + (1 - \beta_2)\, g^2, \quad w \leftarrow w - \alpha\, \frac{\sqrt{1 - \beta_2^t}}{1 - \beta_1^t}\, \frac{m}{\sqrt{s} + \varepsilon}$$
#
# GD and SGD are one rule, and differ in what $g$ is taken from: all samples, or a few of them, a **batch**, drawn anew for each step.
# %% [markdown] tags=["zh"]
# ## 四条规则
# $w$ 是权重，$g$ 是损失对它们的梯度，形状相同，$\alpha$ 是**学习率**；$v$、$m$、$s$ 是记忆，形状也相同，从 0 开始；
# $t = 1, 2, \dots$ 数步数。所有运算都是逐元素的。
#
# $$\text{GD、SGD：} \quad w \leftarrow w - \alpha g \qquad\qquad \text{动量：} \quad v \leftarrow \mu v - \alpha g, \quad w \leftarrow w + v$$
# $$\text{Adam：} \quad m \leftarrow \beta_1 m + (1 - \beta_1)\, g, \quad s \leftarrow \beta_2 s + (1 - \beta_2)\, g^2, \quad w \leftarrow w - \alpha\, \frac{\sqrt{1 - \beta_2^t}}{1 - \beta_1^t}\, \frac{m}{\sqrt{s} + \varepsilon}$$
#
# GD 和 SGD 是同一条规则，区别只在 $g$ 从哪里来：全部样本，还是每一步重新抽的几个样本，也就是一个**批次**（batch）。
# %% [markdown] tags=["en"]
# ## A valley
# Fifty samples with two inputs each, the second five times as large; two weights, loss $\frac{1}{2n} \sum_i (x_i w - y_i)^2$. Such a loss is a
# valley: steep along one direction, flat along the other. How steep is told by the eigenvalues of the Hessian $X^\top X / n$, and with
# $\lambda$ the largest, plain descent can use no rate above $2 / \lambda$: at the limit each step lands as far up on the other side.
# %% [markdown] tags=["zh"]
# ## 一个山谷
# 五十个样本，每个有两个输入，第二个输入大五倍；两个权重，损失是 $\frac{1}{2n} \sum_i (x_i w - y_i)^2$。这样的损失是一个山谷：
# 一个方向陡，另一个方向平。有多陡，看海森矩阵 $X^\top X / n$ 的特征值。设最大的是 $\lambda$，普通下降的学习率不能超过
# $2 / \lambda$：正好等于它时，每一步都落到对面同样高的坡上。
# %%
rng = np.random.default_rng(3)
X = rng.normal(size=(50, 2)) * [1.0, 5.0]
Y = X @ [2.0, -1.0] + rng.normal(size=50)
bottom = np.linalg.lstsq(X, Y)[0]
steepness = np.linalg.eigvalsh(X.T @ X / 50)
LIMIT = 2 / steepness[-1]


def valley(w, rows=slice(None)):
    return np.mean(np.square(X[rows] @ w - Y[rows])) / 2


def walk(optimizer, steps=40, batch=None):
    w, draw = Tensor([-3.0, 1.0], requires_grad=True), np.random.default_rng(0)
    path = [w.data.copy()]
    for _ in range(steps):
        w.grad = None
        valley(w, slice(None) if batch is None else draw.choice(50, batch, replace=False)).backward()
        optimizer.apply_gradients([(w.grad, w)])
        path.append(w.data.copy())
    return np.array(path)


print(f"steepness {steepness.round(2)}, limit {LIMIT:.4f}; at the bottom the loss is {valley(bottom):.4f}")
for share in (0.1, 0.5, 0.95, 1.05):
    path = walk(GD(share * LIMIT))
    print(f"GD, {share:4} of the limit: loss {valley(path[10]):8.4f} after 10 steps, {valley(path[40]):11.4f} after 40")

# %%
walks = {
    "GD": (walk(GD(0.5 * LIMIT)), f"{0.5 * LIMIT:.3f}"),
    "SGD": (walk(GD(0.5 * LIMIT), batch=5), f"{0.5 * LIMIT:.3f}, 5 samples a step"),
    "momentum": (walk(SGD(0.5 * LIMIT, momentum=0.8)), f"{0.5 * LIMIT:.3f}, mu = 0.8"),
    "Adam": (walk(Adam(0.3)), "0.3"),
}
grid = np.meshgrid(np.linspace(-3.6, 4.2, 80), np.linspace(-2.9, 1.6, 80))
heights = np.array([[valley(np.array(w)) for w in zip(*row)] for row in zip(*grid)])
fig, axes = plt.subplots(2, 2, figsize=(9.5, 6.4), facecolor="white", layout="constrained", sharex=True, sharey=True)
for ax, (name, (path, rate)) in zip(axes.flat, walks.items()):
    ax.contour(*grid, heights, levels=np.geomspace(0.6, 120, 12), colors="#bbbbbb", linewidths=0.8)
    ax.plot(*path.T, ".-", color=COLOURS[name], markersize=5, linewidth=1.2)
    ax.plot(*bottom, "k*", markersize=10)
    ax.set_title(f"{name}, rate {rate}: {valley(path[-1]):.3f}", fontsize=10)
    ax.set(xlim=(-3.6, 4.2), ylim=(-2.9, 1.6), xlabel="first weight", ylabel="second weight")
    ax.label_outer()
nearest = min(walks, key=lambda name: valley(walks[name][0][-1]))
fig.suptitle(f"40 steps each: {nearest} is nearest to the bottom, {valley(bottom):.3f}")
plt.show()

# %% [markdown] tags=["en"]
# ## What the paths tell
# GD follows the slope: across the valley at once, then slowly along its floor. SGD takes the same way with five samples a step: a tenth of the
# work, and a path that shakes. Momentum swings across, but what it gains along the floor adds up. Adam divides each weight's step by the size
# of that weight's own gradients, so it goes at first at 45 degrees: both weights move alike. "Adam joins GD and SGD", says the article. What it
# joins is momentum ($m$) and a rate for each weight ($s$). And GD's trouble here is no local minimum, as the article has it: this valley has
# one bottom. It is that the valley is steep one way and flat the other.
# %% [markdown] tags=["zh"]
# ## 四条路说明了什么
# GD 只看坡度：一下子横穿山谷，然后沿谷底慢慢挪。SGD 走同一条路，每步只看五个样本：工作量是十分之一，路线会抖。
# 动量会左右摇摆，但沿谷底方向的速度越积越大。Adam 把每个权重的步子除以它自己梯度的大小，所以一开始沿 45 度走：
# 两个权重移动得一样多。文章说“Adam 结合了 GD 和 SGD”，其实它结合的是动量（$m$）和每个权重各自的步长（$s$）。
# 文章还说 GD 容易陷入局部最小值，可这里只有一个谷底；GD 的麻烦在于山谷一个方向陡、另一个方向平。
# %%
table([claim("S3-03"), claim("S3-04"), claim("S3-05")])

# %% [markdown] tags=["en"]
# ## Adam's first step, by hand
# At $t = 1$ the memories hold $m = (1 - \beta_1)\, g = 0.1\, g$ and $s = (1 - \beta_2)\, g^2 = 0.001\, g^2$: both far too small, since they
# began at 0. The factor $\sqrt{1 - \beta_2^t} / (1 - \beta_1^t)$ puts that right. It is called **bias correction**. Put in:
#
# $$\alpha\, \frac{\sqrt{0.001}}{0.1} \cdot \frac{0.1\, g}{\sqrt{0.001}\, |g| + \varepsilon} \approx \alpha\, \operatorname{sign}(g)$$
#
# However steep or flat it is, the first step has the length $\alpha$; shorter only where $\sqrt{0.001}\, |g|$ comes near $\varepsilon = 10^{-7}$.
# %% [markdown] tags=["zh"]
# ## 手算 Adam 的第一步
# $t = 1$ 时，两个记忆是 $m = (1 - \beta_1)\, g = 0.1\, g$、$s = (1 - \beta_2)\, g^2 = 0.001\, g^2$：因为从 0 开始，都小得不像话。
# 因子 $\sqrt{1 - \beta_2^t} / (1 - \beta_1^t)$ 就是来纠正它的，叫作**偏差修正**。代进去：
#
# $$\alpha\, \frac{\sqrt{0.001}}{0.1} \cdot \frac{0.1\, g}{\sqrt{0.001}\, |g| + \varepsilon} \approx \alpha\, \operatorname{sign}(g)$$
#
# 不管坡有多陡多平，第一步的长度都是 $\alpha$；只有 $\sqrt{0.001}\, |g|$ 小到接近 $\varepsilon = 10^{-7}$ 时，步子才更短。
# %%
ALPHA, B1, B2, EPSILON = 0.1, 0.9, 0.999, 1e-7
g = np.array([100.0, -1.0, 1e-3, 1e-9])
m, s = (1 - B1) * g, (1 - B2) * g**2
without = ALPHA * m / (np.sqrt(s) + EPSILON)
by_hand = np.sqrt(1 - B2) / (1 - B1) * without

w = Tensor(np.zeros(4), requires_grad=True)
Adam(ALPHA).apply_gradients([(g, w)])
assert np.allclose(-w.data, by_hand, rtol=1e-12, atol=0)
for row in zip(g, by_hand, without):
    print("gradient {:10g}   first step {:10.6f}   without the correction {:10.6f}".format(*row))
for t in (1, 10, 100, 1000):
    print(f"step {t:4}, the same g all along: without it {(1 - B1**t) / np.sqrt(1 - B2**t):.2f} times as long")

# %% [markdown] tags=["en"]
# ## A race on text
# The built-in sentences, the English half. A model of the simplest kind: for each of the $V = 28$ characters a row of 28 numbers; softmax turns
# row $x$ into the probabilities of the next character $y$. Its weights are the table $W$ ($V$, $V$), its loss the mean of
# $-\log P(y \mid x)$. This loss too has one valley only, and how deep it is can be had by counting.
# A *pass* means that each of the pairs has been used once: one step of GD, or 84 steps with 64 pairs each.
# %% [markdown] tags=["zh"]
# ## 在文本上赛跑
# 用自带句子的英文部分。模型最简单不过：$V = 28$ 个字符各占一行，每行 28 个数；softmax 把第 $x$ 行变成下一个字符 $y$ 的概率。
# 权重就是这张表 $W$（$V$, $V$），损失是 $-\log P(y \mid x)$ 的平均。这个损失也只有一个山谷，谷底有多深，数一数就能得到。
# 一“轮”是指所有字符对各用一次：GD 走一步，或者每步 64 对、走 84 步。
# %%
sentences = [line.lower() for line in seasons() if line.isascii()]
characters = sorted(set("".join(sentences)))
x, y = np.array([[characters.index(c) for c in pair] for s in sentences for pair in pairwise(s)]).T
V, n, BATCH, PASSES = len(characters), len(x), 64, 10
counts = np.zeros((V, V))
np.add.at(counts, (x, y), 1)
floor = -np.mean(np.log((counts / np.maximum(counts.sum(axis=1, keepdims=True), 1))[x, y]))
loss = SparseCategoricalCrossentropy(from_logits=True)


def train(optimizer, batch=BATCH, passes=PASSES, seed=0):
    W, shuffle, losses = Tensor(np.zeros((V, V)), requires_grad=True), np.random.default_rng(seed), []
    for i in range(passes + 1):
        with no_grad():
            losses.append(float(loss(y, W[x])))
        if i < passes:
            for rows in np.split(shuffle.permutation(n), range(batch, n, batch)):
                W.grad = None
                loss(y[rows], W[x[rows]]).backward()
                optimizer.apply_gradients([(W.grad, W)])
    return losses, W


make = {  # a rate to an optimiser and its batch
    "GD": lambda rate: (GD(rate), n),
    "SGD": lambda rate: (GD(rate), BATCH),
    "momentum": lambda rate: (SGD(rate, momentum=0.9), BATCH),
    "Adam": lambda rate: (Adam(rate), BATCH),
}
STEPS = PASSES * -(-n // BATCH)
cooling, cooled = train(SGD(CosineDecay(30.0, STEPS)))
print(f"{n} pairs, {V} characters, {STEPS} steps of SGD; a guess costs {np.log(V):.3f}, the floor is {floor:.4f}")

# %% [markdown] tags=["en"]
# ## One knob
# Which learning rate? Try many, for each rule, two passes each. A loss above 4 is left out of the picture: the weights have flown off.
# %% [markdown] tags=["zh"]
# ## 一个旋钮
# 学习率取多少？每条规则都试一串，各跑两轮。损失超过 4 的不画：权重已经飞走了。
# %%
rates = {"GD": (3, 10, 30, 100, 300), "SGD": (0.3, 1, 3, 10, 30, 100), "momentum": (0.03, 0.1, 0.3, 1, 3, 10)}
rates["Adam"] = (0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 1)
after = {name: [train(*make[name](rate), passes=2)[0][-1] for rate in rates[name]] for name in make}
best = {name: rates[name][int(np.argmin(after[name]))] for name in make}
races = {name: train(*make[name](best[name]))[0] for name in make}

fig, (left, right) = plt.subplots(1, 2, figsize=(10, 4.4), facecolor="white", layout="constrained")
for name, colour in COLOURS.items():
    left.semilogx(rates[name], after[name], "o-", color=colour, markersize=4, label=name)
    right.semilogy(np.array(races[name]) - floor, color=colour, label=f"{name}, rate {best[name]:g}")
right.semilogy(np.array(cooling) - floor, ":", color=COLOURS["SGD"], label="SGD, rate 30 falling to 0")
left.axhline(floor, color="black", linewidth=0.8, label="the floor")
left.set(title="Every rule has its valley of rates", xlabel="learning rate", ylabel="loss, 2 passes", ylim=(1.95, 4))
right.set(title="The falling rate starts worse and ends lowest", xlabel="passes", ylabel="loss above the floor")
left.legend(fontsize=9)
right.legend(fontsize=9)
plt.show()
assert cooling[1] > races["SGD"][1] and cooling[10] < min(losses[10] for losses in races.values())
others = {"momentum, rate 1": train(*make["momentum"](1))[0], "SGD, falling rate": cooling}
for name, losses in (races | others).items():
    print(f"{name:17} 1 pass {losses[1]:.3f}   2 passes {losses[2]:.3f}   10 passes {losses[10]:.3f}")


# %% [markdown] tags=["en"]
# ## Why noise helps, and then hurts
# GD waits a whole pass for one step. 64 pairs, an 84th of that work, point much the same way while the goal is far: the cosine between their
# gradient and the full one is printed below. Near the floor the full gradient is almost nothing and the noise is all that is left; a constant
# rate then walks about at random, above the floor. The cure is a rate that falls: the dotted line. (The best constant rate depends on how long
# you train: momentum was best with 3 over two passes; over ten it is better with 1.)
# %% [markdown] tags=["zh"]
# ## 噪声为什么先有用、后有害
# GD 要等一整轮才走一步。离终点还远时，64 对字符（工作量的 1/84）指的方向就差不多：下面打印的是它们的梯度与完整梯度夹角的余弦。
# 快到下限时，完整梯度所剩无几，剩下的全是噪声；学习率不变，就只会在下限上方乱走。办法是让学习率降下去：图中的虚线。
# （哪个固定学习率最好，也看你训练多久：跑两轮时，动量用 3 最好；跑十轮，用 1 更好。）
# %%
def gradient(W, rows):
    W.grad = None
    loss(y[rows], W[x[rows]]).backward()
    return W.grad


draw = np.random.default_rng(1)
for name, W in [("before", Tensor(np.zeros((V, V)), requires_grad=True)), ("after", cooled)]:
    full = gradient(W, np.arange(n))
    few = [gradient(W, draw.choice(n, BATCH, replace=False)) for _ in range(50)]
    cosine = np.mean([np.sum(f * full) / np.linalg.norm(f) / np.linalg.norm(full) for f in few])
    print(f"{name:6} training: length of the full gradient {np.linalg.norm(full):.4f}, cosine of 64 pairs {cosine:.2f}")

# %% [markdown] tags=["en"]
# ## Try next
# 1. Divide the second column of `X` by 5. What becomes of the valley, of `LIMIT`, and of GD? (This is why inputs are scaled.)
# 2. Race with `BATCH = 1` and with `BATCH = 1024`. Does the best rate grow or fall with the batch?
# 3. Give Adam a falling rate too: `Adam(CosineDecay(0.1, STEPS))`. Who ends lowest now?
# %% [markdown] tags=["zh"]
# ## 接着试试
# 1. 把 `X` 的第二列除以 5。山谷、`LIMIT` 和 GD 各会怎样？（这就是输入要缩放的原因。）
# 2. 用 `BATCH = 1` 和 `BATCH = 1024` 各比一场。批次变大，最好的学习率是变大还是变小？
# 3. 让 Adam 的学习率也降下去：`Adam(CosineDecay(0.1, STEPS))`。现在谁最低？
