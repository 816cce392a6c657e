# %% [markdown] tags=["en"]
# # 1. Losses by hand
# A loss is one number that says how wrong a prediction is. You compute the three losses that the article works out,
# find the lines where it slips, and learn to test any gradient with two function calls.
#
# **You need** Python, NumPy arrays, and the derivative of a logarithm. **It takes** 25 minutes.
# **To run it:** `pip install -e ".[lessons]"`, then `jupyter lab`. `make tour` shows the short version.
# "The article" is the introduction to language models that these lessons follow; line numbers are its lines.
# %% [markdown] tags=["zh"]
# # 1. 手算损失
# 损失是一个数，说明预测错得有多厉害。本课把文章里的三个损失重算一遍，找出它在哪几行出了错，
# 并学会一个只要调用两次函数、就能检验任何梯度的办法。
#
# **需要**：Python、NumPy 数组、对数的导数。**用时**：25 分钟。
# **运行**：先 `pip install -e ".[lessons]"`，再 `jupyter lab`。`make tour` 可看简短版。
# “文章”指这套课程所依据的那篇语言模型入门文；行号是它的行号。
# %%
import matplotlib.pyplot as plt
import numpy as np

from tinyllm import Tensor, gradcheck
from tinyllm.lessons import claim, table
from tinyllm.losses import BinaryCrossentropy, HalfSumSquaredError, MeanSquaredError, categorical_crossentropy
from tinyllm.ops import sigmoid


# %% [markdown] tags=["en"]
# ## The formula
# A question has the answer $y$, which is 0 or 1. The model says $p$: how probable it holds the answer 1 to be
# (the article writes $\hat y$). The **binary cross-entropy** of that one answer is
#
# $$L(y, p) = -\,[\,y \log p + (1 - y) \log (1 - p)\,]$$
#
# with the natural logarithm. Since $y$ is 0 or 1, only one of the two terms is left: minus the logarithm of the
# probability that the model gave to what really happened.
# %% [markdown] tags=["zh"]
# ## 公式
# 一个问题的答案是 $y$，取 0 或 1。模型给出 $p$：它认为答案是 1 的概率（文章写作 $\hat y$）。
# 这一个回答的**二元交叉熵**是
#
# $$L(y, p) = -\,[\,y \log p + (1 - y) \log (1 - p)\,]$$
#
# 其中 $\log$ 是自然对数。因为 $y$ 只能是 0 或 1，两项里只剩一项：模型给“真正发生的事”多大概率，取对数再加负号。
# %%
def by_hand(y, p):
    return -(y * np.log(p) + (1 - y) * np.log(1 - p))


def by_library(y, p):
    return float(BinaryCrossentropy()([[y]], [[p]]))


cases = [(1.0, 0.9), (0.0, 0.1), (0.0, 0.6)]  # the article's three: (y, p)
for y, p in cases:
    print(f"y = {y:.0f}, p = {p}:   by hand {by_hand(y, p):.6f}   tinyllm {by_library(y, p):.6f}")

# %% [markdown] tags=["en"]
# ## A loss cannot be negative
# The article's first example is $y = 1$, $p = 0.9$: a good prediction. Each of its steps is right until the number at
# the end. A probability is at most 1, so its logarithm is at most 0, and the minus sign in front makes the loss at least 0.
# **-0.105 is the logarithm itself**: the minus sign was lost on line 152.
# %% [markdown] tags=["zh"]
# ## 损失不会是负数
# 文章的第一个例子是 $y = 1$、$p = 0.9$：预测得不错。前面每一步都对，错在最后的数。
# 概率最大是 1，它的对数最大是 0，前面再加负号，损失就不会小于 0。**-0.105 是对数本身**：第 152 行把负号丢了。
# %%
first = by_library(*cases[0])
print(f"the smallest loss for p up to 0.999: {by_hand(1.0, np.linspace(0.001, 0.999, 999)).min():.6f}")
table(
    [
        claim("S4-06", computed=[by_library(y, p) for y, p in cases], claimed=[by_hand(y, p) for y, p in cases]),
        claim("S4-07", computed=first, claimed=-(1 * np.log(0.9) + (1 - 1) * np.log(1 - 0.9))),
        claim("S4-08", computed=first, claimed=-np.log(0.9)),
        claim("S4-09", computed=first),
    ]
)

# %% [markdown] tags=["en"]
# ## Which term stays?
# Second example: $y = 0$, $p = 0.1$. The model says "1 is unlikely", the answer is 0: again a good prediction, exactly as
# good as the first. With $y = 0$ the term that stays is $\log(1 - p) = \log 0.9$. Line 162 keeps $\log 0.1$ instead, and
# so a small loss becomes a large one. (And $-\log 0.1 = 2.302585$ rounds to 2.303, not to 2.302.)
#
# Third example: $y = 0$, $p = 0.6$. The model leans the wrong way, a little. Here the right term stays: the number is right.
# %% [markdown] tags=["zh"]
# ## 该留下哪一项？
# 第二个例子：$y = 0$、$p = 0.1$。模型说“不太可能是 1”，答案是 0：又是一个好预测，和第一个一样好。
# $y = 0$ 时留下的是 $\log(1 - p) = \log 0.9$。第 162 行却留下了 $\log 0.1$，小损失就成了大损失。
# （而且 $-\log 0.1 = 2.302585$，四舍五入是 2.303，不是 2.302。）
#
# 第三个例子：$y = 0$、$p = 0.6$。模型稍微偏错了方向。这次留下的那一项是对的，结果也就对了。
# %%
second, third = by_library(*cases[1]), by_library(*cases[2])
table(
    [
        claim("S4-10", computed=second, claimed=-(0 * np.log(0.1) + (1 - 0) * np.log(1 - 0.1))),
        claim("S4-11", computed=second, claimed=-np.log(0.1)),
        claim("S4-12", computed=second),
        claim("S4-18", computed=third, claimed=-(0 * np.log(0.6) + 1 * np.log(1 - 0.6))),
        claim("S4-20", computed=third, claimed=-np.log(0.4)),
        claim("S4-21", computed=third),
    ]
)

# %% [markdown] tags=["en"]
# ## All three in one picture
# Let $q$ be the probability given to what really happened. The loss is $-\log q$: 0 for certainty, without bound towards 0.
# %% [markdown] tags=["zh"]
# ## 三个数放进一张图
# 设 $q$ 为模型给“真正发生的事”的概率。损失就是 $-\log q$：完全确信时为 0，$q$ 趋近 0 时没有上界。
# %%
BLUE, RED, GREY = "#2b6cb0", "#d9485f", "#555555"
fig, ax = plt.subplots(figsize=(7.5, 4.6), facecolor="white", layout="constrained")
q = np.linspace(0.05, 1, 400)
ax.plot(q, -np.log(q), color=BLUE, label="loss = -log q")
ax.axhspan(-0.45, 0, color=GREY, alpha=0.12)
ax.text(0.06, -0.29, "no loss lives here", color=GREY)
ax.plot([0.9, 0.4], -np.log([0.9, 0.4]), "o", color=BLUE, markersize=8, label="computed")
ax.plot([0.9, 0.9], [-0.105, 2.302], "X", color=RED, markersize=9, label="the article, lines 152 and 166")
line = {"arrowstyle": "-", "color": GREY}
ax.annotate("y=1, p=0.9 and y=0, p=0.1:\n0.105", (0.9, 0.105), (0.66, 0.62), arrowprops=line)
ax.annotate("y=0, p=0.6:  0.916", (0.4, 0.916), (0.45, 1.2), arrowprops=line)
ax.text(0.88, 2.302, "2.302", color=RED, ha="right", va="center")
ax.text(0.88, -0.2, "-0.105", color=RED, ha="right", va="center")
ax.set(title="Two of the article's three losses are not on the curve", xlabel="q, probability given to the true answer")
ax.set(ylabel="loss", xlim=(0, 1.02), ylim=(-0.45, 3.1))
ax.legend(loc="upper center")
plt.show()


# %% [markdown] tags=["en"]
# ## Three ways to a derivative
# How fast does the loss change with $p$? By calculus, $\partial L/\partial p = -y/p + (1-y)/(1-p)$. To test such a formula,
# move $p$ a little both ways: $[L(p+h) - L(p-h)]\,/\,2h$ is a **finite difference**. The third way is the engine: a `Tensor`
# remembers what was done to it, and `backward()` walks back. `gradcheck` does this comparison for any function.
# %% [markdown] tags=["zh"]
# ## 求导的三条路
# 损失随 $p$ 变化得多快？用微积分：$\partial L/\partial p = -y/p + (1-y)/(1-p)$。要检验这样的公式，
# 就把 $p$ 往两边各挪一点：$[L(p+h) - L(p-h)]\,/\,2h$，这叫**有限差分**。第三条路是引擎：`Tensor` 记得自己经过了哪些运算，
# `backward()` 沿原路往回走。`gradcheck` 能对任何函数做这种对照。
# %%
def slope(f, at, h=1e-5):
    return (f(at + h) - f(at - h)) / (2 * h)


for y, p in cases:
    leaf = Tensor([[p]], requires_grad=True)
    BinaryCrossentropy()([[y]], leaf).backward()
    difference = slope(lambda p, y=y: by_hand(y, p), p)
    print(f"y = {y:.0f}, p = {p}:  calculus {-y / p + (1 - y) / (1 - p):+.6f}", end="   ")
    print(f"difference {difference:+.6f}   engine {leaf.grad[0, 0]:+.6f}")
print(gradcheck(lambda p: BinaryCrossentropy()([[1.0], [0.0], [0.0]], p), [[0.9], [0.1], [0.6]]))

# %% [markdown] tags=["en"]
# ## The printed gradient points the wrong way
# Now $p$ comes from a parameter $\theta$ and an input $x_i$: $p_i = \sigma(\theta x_i)$, with $\sigma(z) = 1/(1+e^{-z})$. The chain
# rule gives $\sum_i (p_i - y_i)\,x_i$. Line 112 prints $\sum_i (y_i - p_i)\,x_i$. A finite difference needs no
# algebra, so it can be the judge. (The $x_i$, $y_i$ are the article's; $\theta = 0.5$ is our choice.)
# %% [markdown] tags=["zh"]
# ## 印出的梯度方向反了
# 现在 $p$ 由参数 $\theta$ 和输入 $x_i$ 得来：$p_i = \sigma(\theta x_i)$，其中 $\sigma(z) = 1/(1+e^{-z})$。由链式法则得
# $\sum_i (p_i - y_i)\,x_i$；第 112 行印的却是 $\sum_i (y_i - p_i)\,x_i$。有限差分不用推导，正好当裁判。
# （$x_i$、$y_i$ 取自文章；$\theta = 0.5$ 是我们自己选的。）
# %%
x = np.array([[1.0], [2.0], [3.0], [4.0]])
y = np.array([[0.0], [1.0], [0.0], [1.0]])
THETA = 0.5


def cross_entropy(theta):
    return BinaryCrossentropy(reduction="sum")(y, sigmoid(theta * x))


theta = Tensor(THETA, requires_grad=True)
cross_entropy(theta).backward()
difference = slope(lambda t: float(cross_entropy(t)), THETA)
p = 1 / (1 + np.exp(-THETA * x))
print(f"engine {theta.grad:+.6f}   difference {difference:+.6f}   sum (p - y) x = {np.sum((p - y) * x):+.6f}")
table([claim("S4-02", computed=difference, claimed=np.sum((y - p) * x)), claim("S4-03")])

# %%
fig, ax = plt.subplots(figsize=(7.5, 4.6), facecolor="white", layout="constrained")
along = np.linspace(-0.6, 1.4, 201)
here, near = float(cross_entropy(THETA)), np.array([THETA - 0.5, THETA + 0.5])
ax.plot(along, [float(cross_entropy(t)) for t in along], color=BLUE, label="the loss")
ax.plot(near, here + difference * (near - THETA), color="black", label=f"slope {difference:+.2f}: computed, touches")
ax.plot(near, here - difference * (near - THETA), "--", color=RED, label=f"slope {-difference:+.2f}: line 112, crosses")
ax.plot(THETA, here, "o", color="black")
ax.set(title="The true gradient is the tangent; the printed one is its mirror image", ylabel="cross-entropy, 4 samples")
ax.set(xlabel="parameter theta", ylim=(1.8, 6.2))
ax.legend(loc="upper center")
plt.show()

# %% [markdown] tags=["en"]
# ## A "mean" that is half a sum
# Line 122 calls $\frac12 \sum_i (y_i - p_i)^2$ the mean squared error. The mean is $\frac1n \sum_i (y_i - p_i)^2$, with $n$ samples:
# $2/n$ times as much. Both have the same minimum, but a learning rate that suits one does not suit the other.
# The library has both, each under its name. The gradient on line 130 has its sign turned once more (here $p_i = \theta x_i$).
# %% [markdown] tags=["zh"]
# ## 其实是“和的一半”
# 第 122 行把 $\frac12 \sum_i (y_i - p_i)^2$ 叫作均方误差。真正的均值是 $\frac1n \sum_i (y_i - p_i)^2$，$n$ 为样本数，
# 是前者的 $2/n$ 倍。两者的最低点相同，但适合一个的学习率不适合另一个。库里两个都有，各用各的名字。
# 第 130 行的梯度又把符号写反了（这里 $p_i = \theta x_i$）。
# %%
p = THETA * x
half_sum, mean = float(HalfSumSquaredError()(y, p)), float(MeanSquaredError()(y, p))
theta = Tensor(THETA, requires_grad=True)
HalfSumSquaredError()(y, theta * x).backward()
difference = slope(lambda t: np.sum((y - t * x) ** 2) / 2, THETA)
print(f"half a sum {half_sum:.4f}, mean {mean:.4f}, ratio {mean / half_sum:.4f} = 2/n")
print(f"gradient of the half sum: engine {theta.grad:+.6f}, difference {difference:+.6f}")
table(
    [
        claim("S4-04", computed=mean, claimed=np.sum((y - p) ** 2) / 2),
        claim("S4-05", computed=theta.grad, claimed=np.sum((y - p) * x)),
    ]
)

# %% [markdown] tags=["en"]
# ## Classes, not samples
# Line 104 writes the cross-entropy as $-\sum_i y_i \log \hat y_i$ and lets $i$ count samples. Try it on two samples with
# $y = 0$ and a model that is certain of 1, twice wrong: the formula finds nothing to complain about. It is right when $i$
# counts the **classes** of one sample and $y$ is one-hot: 1 for the true class, 0 for the others.
# %% [markdown] tags=["zh"]
# ## 遍历类别，不是样本
# 第 104 行把交叉熵写成 $-\sum_i y_i \log \hat y_i$，并让 $i$ 遍历样本。拿两个 $y = 0$ 的样本试试，模型却都确信是 1，
# 两次全错：公式居然挑不出毛病。只有让 $i$ 遍历一个样本的各个**类别**，$y$ 取独热（真实类别为 1，其余为 0），它才成立。
# %%
labels, certain = np.array([0.0, 0.0]), np.array([0.999, 0.999])
over_samples = -np.sum(labels * np.log(certain))
one_hot, classes = np.stack([1 - labels, labels], axis=1), np.stack([1 - certain, certain], axis=1)
over_classes = categorical_crossentropy(one_hot, classes).data.sum()
print(f"over classes {over_classes:.4f}, binary {by_hand(labels, certain).sum():.4f}: the same")
claim("S4-01", computed=over_classes, claimed=over_samples)

# %% [markdown] tags=["en"]
# ## Try next
# 1. Which $p$ gives a loss of exactly 0.5 when $y = 1$? Guess from the curve, then compute.
# 2. Put $\theta = 0$ into the tangent plot. What do you have to change, and what happens to the red line?
# 3. Break `by_hand` (drop the minus sign) and see which cell notices first.
# %% [markdown] tags=["zh"]
# ## 接着试试
# 1. $y = 1$ 时，哪个 $p$ 的损失恰好是 0.5？先看曲线猜，再算。
# 2. 在切线图里令 $\theta = 0$。要改哪里？红线会怎样？
# 3. 把 `by_hand` 改坏（去掉负号），看哪个单元最先发现。
