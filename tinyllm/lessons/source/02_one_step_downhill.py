# %% [markdown] tags=["en"]
# # 2. One step downhill
# The article takes one step of gradient descent by hand: eleven derivatives, eleven new weights. You check every line,
# build the five networks it may have meant, and see what one wrong sign does to the loss.
#
# **You need** lesson 1. **It takes** 30 minutes.
# **To run it:** `pip install -e ".[lessons]"`, then `jupyter lab`. `make tour` shows the short version.
# %% [markdown] tags=["zh"]
# # 2. 下山一步
# 文章手算了一步梯度下降：十一个导数，十一个新权重。本课逐行检验，再把它可能想说的五种网络都搭出来，
# 看一个写反的符号会对损失做什么。
#
# **需要**：第 1 课。**用时**：30 分钟。
# **运行**：先 `pip install -e ".[lessons]"`，再 `jupyter lab`。`make tour` 可看简短版。
# %%
from fractions import Fraction

import matplotlib.pyplot as plt
import numpy as np

from tinyllm import Tensor
from tinyllm.lessons import claim, table
from tinyllm.lessons.readings import READINGS
from tinyllm.losses import BinaryCrossentropy
from tinyllm.ops import sigmoid

# %% [markdown] tags=["en"]
# ## What is given
# A network "1-2-1" (one input, two hidden neurons, one output), inputs $x$, labels $y$, ten weights $\theta$, and the
# learning rate $\alpha = 0.1$. Count before you compute: do ten weights fit?
# %% [markdown] tags=["zh"]
# ## 已知条件
# 一个“1-2-1”网络（一个输入、两个隐藏神经元、一个输出），输入 $x$，标签 $y$，十个权重 $\theta$，学习率 $\alpha = 0.1$。
# 先数一数再算：十个权重放得下吗？
# %%
X, Y, ALPHA = np.array([1.0, 2.0, 3.0, 4.0]), np.array([0.0, 1.0, 0.0, 1.0]), 0.1
THETA = np.arange(1, 11) / 10


def count(inputs, hidden, biases):
    return inputs * hidden + hidden * biases + hidden + biases


for i, h, b in [(1, 2, True), (1, 2, False), (4, 2, False), (1, 3, True)]:
    print(f"{i}-{h}-1 {'with' if b else 'without'} biases: {count(i, h, b)} weights")
table(
    [
        claim("S4-14", computed=count(1, 2, True)),
        claim("S4-17", computed=THETA.size in (count(1, 2, True), count(1, 2, False))),
        claim("S4-15", computed=len(X)),
        claim("S4-16", computed=X[0].size),
    ]
)

# %% [markdown] tags=["en"]
# ## Eleven derivatives, added up again
# For every weight the article prints four terms $(y_i - p)\,x_i$ with $p = 0.6$, and a result. Here are its labels, inputs and
# results as printed. Fractions have no rounding, so nobody can blame the computer.
# %% [markdown] tags=["zh"]
# ## 十一个导数，重加一遍
# 对每个权重，文章都印了四项 $(y_i - p)\,x_i$（$p = 0.6$）和一个结果。下面照抄它的标签、输入和结果。
# 分数没有舍入误差，怪不到计算机头上。
# %%
labels = ["0000"] + ["0101"] * 10
inputs = ["1234", "2134", "3243", "4312", "1423", "2314", "3243", "4321", "1432", "2341", "3214"]
printed = np.array([-2.4, -1.6, -1.2, -0.8, -0.4, 0.0, 0.4, 0.8, 1.2, 1.6, 2.4])
P = Fraction(6, 10)
sums = [float(sum((int(y) - P) * int(x) for y, x in zip(*row))) for row in zip(labels, inputs)]
table([claim(f"S4-{24 + i}", computed=total) for i, total in enumerate(sums)])

# %%
RED, BLUE, GREY = "#d9485f", "#2b6cb0", "#555555"
fig, ax = plt.subplots(figsize=(7.5, 4), facecolor="white", layout="constrained")
ax.vlines(range(11), printed, sums, color=GREY, alpha=0.4)
ax.plot(printed, "x", color=RED, markersize=8, markeredgewidth=2, label="printed result")
ax.plot(sums, "o", color=BLUE, label="what the printed terms add up to")
ax.set(title="None of the eleven printed results equals its own sum", xlabel="number of the weight", xticks=range(11))
ax.set_ylabel("derivative")
ax.legend(loc="lower right")
plt.show()

# %% [markdown] tags=["en"]
# ## Look closer
# The printed results climb evenly (by 0.4, at both ends by 0.8) while their sums jump about. Weights 2 and 6 have the same
# terms and different results. The first sum uses the labels 0, 0, 0, 0; the others reorder the inputs as if the samples changed places.
# And there is an eleventh derivative for ten weights.
# %% [markdown] tags=["zh"]
# ## 再看仔细些
# 印出的结果匀速上升（每次 0.4，首尾 0.8），而各项之和却上下跳。权重 2 和权重 6 的四项完全相同，结果却不同。
# 第一个和式的标签用成了 0、0、0、0；其余的和式又把输入换了顺序，好像样本会挪位置。而且十个权重竟有十一个导数。
# %%
print("weights 2 and 6: same terms", inputs[2] == inputs[6], "- printed results", printed[2], printed[6])
print("wrong results:", sum(abs(s - r) > 0.05 for s, r in zip(sums, printed)), "of", len(printed))
table(
    [
        claim("S4-23", computed=Y),
        claim("S4-35", computed=THETA.size),
        claim("S4-36", computed=sums),
        claim("S4-37", computed=X),
    ]
)

# %% [markdown] tags=["en"]
# ## Eleven updates: right arithmetic, wrong input
# A step of gradient descent is $\theta \leftarrow \theta - \alpha\, \partial L/\partial \theta$. The article subtracts correctly, but a
# wrong gradient goes in. The last column of the printout is what its own terms would have given.
# %% [markdown] tags=["zh"]
# ## 十一次更新：算式对，输入错
# 梯度下降的一步是 $\theta \leftarrow \theta - \alpha\, \partial L/\partial \theta$。文章的减法都对，可代进去的梯度是错的。
# 打印结果的最后一列，是照它自己印的各项本该得到的值。
# %%
starts = np.append(THETA, 1.1)  # the article goes on to an eleventh
from_printed = starts - ALPHA * printed
from_sums = starts - ALPHA * np.array(sums)
for i in range(11):
    print(f"theta_{i:<2} {starts[i]:.1f} -> printed {from_printed[i]:.2f}, from its own terms {from_sums[i]:.2f}")
try:
    eleventh = THETA[10]
except IndexError as error:
    eleventh = error
rows = [claim(f"S4-{38 + i}", computed=from_printed[i]) for i in range(10)]
table([*rows, claim("S4-48", computed=eleventh), claim("S4-49", computed=from_sums)])

# %% [markdown] tags=["en"]
# ## Five networks it may have meant
# Nothing fits exactly, so we try each way to make it fit. In A and B, $x$ is one sample of four numbers with $y = 0$; in C, D
# and E there are four samples of one number. The hidden neurons and the output use $\sigma(z) = 1/(1+e^{-z})$.
#
# - **A**: no hidden layer, 4 weights, and a constant added to $z$ that makes $p = 0.6$, as the article assumes
# - **B**: 4-2-1 without biases, all 10 weights
# - **C**: 1-2-1 with biases, the first 7 weights
# - **D**: 1-2-1 without biases, the first 4 weights
# - **E**: 1-3-1 with biases, all 10 weights
#
# D takes two lines: `theta[:2]` are the weights of the first layer, `theta[2:]` those of the second. The library holds all
# five, written in the same way.
# %% [markdown] tags=["zh"]
# ## 它可能想说的五种网络
# 没有一种完全对得上，于是把能凑上的办法都试一遍。A、B 中 $x$ 是一个含四个数的样本，$y = 0$；C、D、E 中是四个单数样本。
# 隐藏神经元和输出都用 $\sigma(z) = 1/(1+e^{-z})$。
#
# - **A**：没有隐藏层，4 个权重，并给 $z$ 加一个常数，使 $p = 0.6$，与文章的假设一致
# - **B**：不带偏置的 4-2-1，用全部 10 个权重
# - **C**：带偏置的 1-2-1，用前 7 个权重
# - **D**：不带偏置的 1-2-1，用前 4 个权重
# - **E**：带偏置的 1-3-1，用全部 10 个权重
#
# D 写出来只有两行：`theta[:2]` 是第一层的权重，`theta[2:]` 是第二层的。库里五种都有，写法相同。
# %%
FOUR = X.reshape(4, 1)  # four samples of one number


def stated(theta, x):
    hidden = sigmoid(x @ theta[:2].reshape(1, 2))
    return sigmoid(hidden @ theta[2:].reshape(2, 1))


assert np.array_equal(stated(THETA[:4], FOUR), READINGS["D"].predict(THETA[:4], FOUR))
for reading in READINGS.values():
    p = reading.predict(reading.start, reading.x)
    print(reading.name, f"{reading.says[0]:32} {reading.size:2} weights   p =", p.ravel().round(3))


# %% [markdown] tags=["en"]
# ## Forward, loss, backward, step
# The engine does what the article did by hand. `sign=+1` is descent; `sign=-1` is what follows from the article's gradient,
# whose sign is turned (lesson 1). First for D, then for all five (`READINGS` has the same two functions, for each network).
# The last column is the loss with the weights that the article ends with.
# %% [markdown] tags=["zh"]
# ## 前向、损失、反向、走一步
# 文章手算的事交给引擎。`sign=+1` 是下降；`sign=-1` 是照文章的梯度走，它的符号反了（见第 1 课）。
# 先算 D，再算五种（`READINGS` 里每种网络都有这样两个函数）。最后一列是换上文章最终那组权重后的损失。
# %%
def loss_and_gradient(theta):
    leaf = Tensor(theta, requires_grad=True)
    loss = BinaryCrossentropy()(Y.reshape(4, 1), stated(leaf, FOUR))
    loss.backward()
    return float(loss), leaf.grad


def step(theta, sign=1):
    return theta - sign * ALPHA * loss_and_gradient(theta)[1]


start = THETA[:4]
losses = [loss_and_gradient(theta)[0] for theta in (start, step(start), step(start, sign=-1))]
print("D by hand:", ", ".join(f"{loss:.6f}" for loss in losses))
results = {}
print("     before     descent    sign turned   article's weights")
for name, reading in READINGS.items():
    done = reading.compute()
    results[name] = [done.before, done.descent, done.turned, done.article]
    print(name, "".join(f"  {loss:.6f}   " for loss in results[name]))

# %% [markdown] tags=["en"]
# ## Read the table
# Descent lowers the loss in all five; the turned sign raises it in all five. The article's own weights raise it in A, C and
# D. In B and E they happen to lower it: they make the large last weights smaller, which here is the right way by luck.
# Only D, the network as stated, comes near the assumed $p = 0.6$.
# %% [markdown] tags=["zh"]
# ## 读表
# 五种解读里，下降都让损失变小，符号反了都让损失变大。文章自己的权重在 A、C、D 里让损失变大；在 B、E 里碰巧变小：
# 它们把末尾几个大权重改小了，而这里恰好该改小。只有 D（题面所说的网络）的预测接近假设的 $p = 0.6$。
# %%
before, down, up, _ = zip(*results.values())
first = float(stated(THETA[:4], FOUR)[0, 0])
literal = np.sum((Y - 0.6) * X)  # line 206 with the article's own data
table(
    [
        claim("S4-13", computed=all(d < b for d, b in zip(down, before))),
        claim("S3-02", computed=all(u < b for u, b in zip(up, before))),
        claim("S4-50", computed=all(u < b for u, b in zip(up, before))),
        claim("S4-19", computed=first),
        claim("S4-22", computed=loss_and_gradient(THETA[:4])[1][0], claimed=literal),
    ]
)

# %% [markdown] tags=["en"]
# ## Fifty steps
# One step hides how different the two directions are. Take fifty. The dashed lines never turn round: nothing in a wrong
# sign corrects itself.
# %% [markdown] tags=["zh"]
# ## 五十步
# 只走一步，看不出两个方向差多远。走五十步看看：虚线不会回头，写反的符号不会自己变对。
# %%
fig, axes = plt.subplots(1, 2, figsize=(10, 4.4), facecolor="white", layout="constrained")
colours = dict(zip(READINGS, ["#2b6cb0", "#b7791f", "#2e9e5b", "#7b3fa0", "#d9485f"]))
curves = {}
for name, reading in READINGS.items():
    for sign, style in [(1, "-"), (-1, "--")]:
        theta, curve = reading.start, []
        for _ in range(51):
            curve.append(reading.loss_and_gradient(theta)[0])
            theta = reading.step(theta, sign, ALPHA)
        curves[name, sign] = curve
        axes[0 if sign == 1 else 1].plot(curve, style, color=colours[name], label=name)
for ax, title in zip(axes, ["Minus the gradient: every loss falls", "Plus the gradient: every loss rises"]):
    ax.set(title=title, xlabel="step", ylabel="loss (log scale)", yscale="log")
axes[0].legend(title="reading", ncols=5, loc="lower left")
axes[0].set_ylim(bottom=0.001)
plt.show()

# %% [markdown] tags=["en"]
# ## Try next
# 1. C, D and E slow down near 0.693. Which prediction $p$ has that loss for $y = 0$ and $y = 1$ alike?
# 2. Write `ALPHA = 3` above the last plot and run it again: do they stay there? Then `ALPHA = 10`: why do they jump?
# 3. Turn the sign in `step`. Would `gradcheck` (lesson 1) notice? What would?
# %% [markdown] tags=["zh"]
# ## 接着试试
# 1. C、D、E 到 0.693 附近就慢了下来。哪个预测 $p$ 在 $y = 0$ 和 $y = 1$ 时损失都是这个数？
# 2. 在最后一张图上方写上 `ALPHA = 3` 再运行：它们还停在那里吗？改成 `ALPHA = 10`：为什么跳来跳去？
# 3. 把 `step` 里的符号改反，`gradcheck`（第 1 课）能发现吗？什么办法能发现？
