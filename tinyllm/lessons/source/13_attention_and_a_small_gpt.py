# %% [markdown] tags=["en"]
# # 13. Attention and a small GPT
# An LSTM must squeeze all it has read into one state. Attention keeps everything and looks back. You compute it by hand, see what
# the square root and the mask are for, write a whole GPT in twenty lines of NumPy, train it for a second, and look where it looks.
# **You need** lesson 12; lesson 10 helps. **It takes** 40 minutes; the cells run for about five seconds.
# **To run it:** `pip install -e ".[lessons]"`, then `jupyter lab`.
# %% [markdown] tags=["zh"]
# # 13. 注意力与一个小 GPT
# LSTM 要把读过的一切挤进一个状态；注意力则什么都留着，需要时回头看。本课亲手计算注意力，弄清根号和掩码各有什么用，
# 用二十行 NumPy 写出整个 GPT，训练一两秒，再看它到底在看哪里。
# **需要**：第 12 课；学过第 10 课更好。**用时**：40 分钟；单元运行约五秒。
# **运行**：先 `pip install -e ".[lessons]"`，再 `jupyter lab`。
# %%
import math

import matplotlib.pyplot as plt
import numpy as np

from tinyllm.generation import Sampling, generate
from tinyllm.layers import MultiHeadAttention
from tinyllm.lessons import claim
from tinyllm.losses import SparseCategoricalCrossentropy
from tinyllm.models import GPT, RecurrentLM
from tinyllm.ops import gelu, softmax
from tinyllm.optimizers import Adam

BLUE, RED, GREY = "#2b6cb0", "#d9485f", "#555555"


# %% [markdown] tags=["en"]
# ## A question, a key, a value
# $X$ ($T$, $w$) holds $T$ positions of a text, $w$ numbers each. Three matrices of weights, $W_Q, W_K, W_V$ ($w$, $d$), make three things of
# each position: a **query** (what am I looking for?), a **key** (what can I be found by?) and a **value** (what do I hand over?):
#
# $$Q = X W_Q, \qquad K = X W_K, \qquad V = X W_V, \qquad A = \text{softmax}\!\left(\frac{Q K^\top}{\sqrt{d}}\right), \qquad Y = A V$$
#
# $Q$, $K$, $V$ and the result $Y$ have the shape ($T$, $d$), $A$ ($T$, $T$). $A_{ij}$ says how much position $i$ looks at position $j$; softmax makes
# each row sum to 1, so a row of $Y$ is a mean of values. To predict the next token, nobody may look at what comes later: before
# the softmax such scores become $-\infty$, after it their weights are 0. That is the **causal mask**.
# %% [markdown] tags=["zh"]
# ## 查询、键、值
# $X$（$T$, $w$）是一段文本的 $T$ 个位置，每个位置 $w$ 个数。三个权重矩阵 $W_Q, W_K, W_V$（$w$, $d$）从每个位置做出三样东西：
# **查询**（我在找什么？）、**键**（别人凭什么找到我？）、**值**（找到了，我交出什么？）：
#
# $$Q = X W_Q, \qquad K = X W_K, \qquad V = X W_V, \qquad A = \text{softmax}\!\left(\frac{Q K^\top}{\sqrt{d}}\right), \qquad Y = A V$$
#
# $Q$、$K$、$V$ 和结果 $Y$ 的形状都是（$T$, $d$），$A$ 是（$T$, $T$）。$A_{ij}$ 表示位置 $i$ 看位置 $j$ 看得有多重；softmax 让每一行加起来为 1，
# 所以 $Y$ 的一行是各个值的加权平均。要预测下一个词元，谁也不许看后面：这样的分数在 softmax 之前改成 $-\infty$，之后权重就是 0。
# 这就是**因果掩码**。
# %%
def looking(Q, K, causal=True):
    """A (T, T): how much each position looks at each."""
    scores = Q @ K.T / math.sqrt(K.shape[-1])
    if causal:
        scores = np.where(np.tri(len(Q), len(K), dtype=bool), scores, -np.inf)
    return softmax(scores)


rng = np.random.default_rng(13)
T, W, D = 5, 8, 4
X = rng.normal(size=(T, W))
layer = MultiHeadAttention(num_heads=1, key_dim=D, use_bias=False, dtype="float64", seed=0)
by_layer, A_layer = layer(X[None], X[None], use_causal_mask=True, return_attention_scores=True)
W_Q, W_K, W_V, W_O = (np.squeeze(kernel) for kernel in layer.get_weights())  # (w, 1, d) -> (w, d); one head
A = looking(X @ W_Q, X @ W_K)
print(A.round(2))
print("A by hand and the layer's are apart by", np.abs(A - A_layer.data[0, 0]).max())
print("Y W_O and what the layer gives: apart by", np.abs(A @ (X @ W_V) @ W_O - by_layer.data[0]).max())

# %% [markdown] tags=["en"]
# The layer has one more matrix, $W_O$ ($d$, $w$), which brings $Y$ back to $w$ numbers. With several **heads** there are several $W_Q, W_K, W_V$,
# their results side by side before $W_O$: several questions at once. Now change the last position, and see who notices.
# %% [markdown] tags=["zh"]
# 层里还有一个矩阵 $W_O$（$d$, $w$），把 $Y$ 变回 $w$ 个数。有多个**头**时，就有多组 $W_Q, W_K, W_V$，结果并排放好再乘 $W_O$：
# 同时问好几个问题。现在改动最后一个位置，看谁会察觉。
# %%
other = X.copy()
other[-1] = rng.normal(size=W)
for causal in (True, False):
    before, after = (looking(x @ W_Q, x @ W_K, causal) @ (x @ W_V) for x in (X, other))
    print(f"causal={causal!s:5}  change at each position:", np.abs(after - before).max(axis=-1).round(3))

# %% [markdown] tags=["en"]
# The article builds a language model of input, hidden and output layers of neurons, and nothing else. Does one word see the others
# then? Tried twice: with dense layers at every position, and in a GPT.
# %% [markdown] tags=["zh"]
# 文章说语言模型由输入层、隐藏层、输出层的神经元组成，再没有别的。这样一个词看得见其他词吗？试两次：每个位置只用全连接层；用 GPT。
# %%
claim("S3-06")

# %% [markdown] tags=["en"]
# ## Why the square root?
# A score is a sum of $d$ products. If all numbers in $Q$ and $K$ are independent with mean 0 and variance 1, each product has variance 1,
# and so the score has variance $d$: with $d = 1024$ scores of $\pm 32$ are usual. Softmax then gives everything to one position. And its
# derivative, $\partial A_{ij} / \partial s_{ij} = A_{ij}(1 - A_{ij})$ with $s_{ij}$ the score, is 0 where a weight is 0 or 1: such a row no longer learns.
# %% [markdown] tags=["zh"]
# ## 为什么要除以根号？
# 一个分数是 $d$ 个乘积之和。如果 $Q$ 和 $K$ 里的数相互独立、均值 0、方差 1，每个乘积的方差就是 1，分数的方差就是 $d$：
# $d = 1024$ 时，分数常到 $\pm 32$。这时 softmax 会把全部权重给一个位置。而它的导数 $\partial A_{ij} / \partial s_{ij} = A_{ij}(1 - A_{ij})$
# （$s_{ij}$ 是分数）在权重为 0 或 1 时等于 0：这样的一行再也学不动。
# %%
sizes = 4 ** np.arange(6)  # 1 to 1024
largest = {"divided by sqrt(d)": [], "not divided": []}
slopes = {name: [] for name in largest}
for d in sizes:
    scores = np.sum(rng.normal(size=(2000, 1, d)) * rng.normal(size=(2000, 16, d)), axis=-1)
    for name, divisor in zip(largest, (math.sqrt(d), 1)):
        weights = softmax(scores / divisor)
        largest[name].append(weights.max(axis=-1).mean())
        slopes[name].append((weights * (1 - weights)).sum(axis=-1).mean())
fig, axes = plt.subplots(1, 2, figsize=(10, 4.2), facecolor="white", layout="constrained")
for ax, found, label in zip(axes, (largest, slopes), ("the largest of 16 weights", "sum of the 16 slopes A (1 - A)")):
    for (name, values), colour in zip(found.items(), (BLUE, RED)):
        ax.semilogx(sizes, values, "o-", base=2, color=colour, label=name)
    ax.set(xlabel="d, numbers in a query and a key", ylabel=label, ylim=(0, 1.05))
axes[0].legend()
axes[0].set_title("Undivided, one position takes nearly all")
axes[1].set_title(f"and the slope falls from {slopes['not divided'][0]:.2f} to {slopes['not divided'][-1]:.2f}")
plt.show()


# %% [markdown] tags=["en"]
# ## A whole GPT
# A token's row of the table $E$ ($V$, $w$) plus its position's row of $P$ ($T$, $w$), then blocks, here one. A block *adds* twice to the
# stream $x$ ($T$, $w$), each time after normalising (mean 0, variance 1, times learnt numbers $\gamma$): first what attention found in other
# positions, then what a small network makes of each position alone. The scores of the next token use the table $E$ again:
#
# $$x = E_{\text{ids}} + P, \qquad x \leftarrow x + A V W_O, \qquad x \leftarrow x + \text{gelu}(\text{norm}(x)\,W_1)\,W_2, \qquad \text{logits} = \text{norm}(x)\,E^\top$$
#
# with $Q, K, V$ made of $\text{norm}(x)$, $W_1$ ($w$, $4w$), $W_2$ ($4w$, $w$). GPT-2 has the same, 12 blocks deep and 12 heads wide.
# %% [markdown] tags=["zh"]
# ## 整个 GPT
# 词元在表 $E$（$V$, $w$）里的一行，加上位置在 $P$（$T$, $w$）里的一行，再经过若干个块，这里只有一个。一个块往主干 $x$（$T$, $w$）上*加*两次，
# 每次先做归一化（均值 0，方差 1，再乘学得的 $\gamma$）：先加注意力在别的位置找到的东西，再加一个小网络对每个位置单独加工的结果。
# 下一个词元的分数，用的还是那张表 $E$：
#
# $$x = E_{\text{ids}} + P, \qquad x \leftarrow x + A V W_O, \qquad x \leftarrow x + \text{gelu}(\text{norm}(x)\,W_1)\,W_2, \qquad \text{logits} = \text{norm}(x)\,E^\top$$
#
# 其中 $Q, K, V$ 由 $\text{norm}(x)$ 算出，$W_1$（$w$, $4w$），$W_2$（$4w$, $w$）。GPT-2 也是这样，只是深 12 块、宽 12 头。
# %%
def norm(x, gamma):
    return gamma * (x - x.mean(axis=-1, keepdims=True)) / np.sqrt(x.var(axis=-1, keepdims=True) + 1e-5)


def gpt_by_hand(ids, weights):
    """The logits (T, V), and where it looked, A (T, T)."""
    E, P, gamma_1, W_QKV, W_O, gamma_2, W_1, W_2, gamma = weights
    x = E[ids] + P[: len(ids)]
    Q, K, V = np.split(norm(x, gamma_1) @ W_QKV, 3, axis=-1)  # the three matrices side by side
    A = looking(Q, K)
    x = x + A @ V @ W_O
    x = x + gelu(norm(x, gamma_2) @ W_1, approximate=True) @ W_2
    return norm(x, gamma) @ E.T, A


VOCABULARY, HALF = 10, 8
gpt = GPT(VOCABULARY, context=2 * HALF, depth=1, heads=1, width=32, seed=0)
ids = np.array([3, 1, 4, 1, 5, 9, 2, 6])
apart = np.abs(gpt_by_hand(ids, gpt.get_weights())[0] - gpt(ids[None]).data[0]).max()
print(f"{sum(w.size for w in gpt.get_weights()):,} weights; by hand and the library's are apart by {apart:.1e}")
assert apart < 1e-5


# %% [markdown] tags=["en"]
# ## A task that needs looking back
# Eight random digits, and then the same eight again. The first eight can only be guessed, the second eight can be known. Of the 15 digits
# to predict, 7 cost $\ln 10$, so no model gets below $7 \ln 10 / 15$. Same 300 batches for the GPT and for an LSTM with 64 units:
# %% [markdown] tags=["zh"]
# ## 非回头看不可的任务
# 八个随机数字，然后原样再来一遍。前八个只能猜，后八个却可以知道。要预测的 15 个数字里有 7 个要付出 $\ln 10$，所以没有模型能低于
# $7 \ln 10 / 15$。GPT 和一个 64 单元的 LSTM 读同样的 300 批：
# %%
def batch(rng, rows=32):
    first = rng.integers(0, VOCABULARY, (rows, HALF))
    both = np.concatenate([first, first], axis=1)
    return both[:, :-1], both[:, 1:]


def train(model, learning_rate):
    model.compile(Adam(learning_rate), SparseCategoricalCrossentropy(from_logits=True))
    rng = np.random.default_rng(0)
    return [float(model.train_on_batch(*batch(rng))) for _ in range(300)]


lstm = RecurrentLM(VOCABULARY, embedding=32, width=64, seed=0)
curves = {"GPT": train(gpt, 0.003), "LSTM": train(lstm, 0.01)}
x, y = batch(np.random.default_rng(1), rows=500)
right = {name: float((m.scores(x).argmax(-1) == y)[:, -HALF:].mean()) for name, m in [("GPT", gpt), ("LSTM", lstm)]}
floor = 7 * math.log(10) / 15
print(f"second half right: {right}; weights: GPT {gpt.count_params():,}, LSTM {lstm.count_params():,}")
print([3, 1, 4, 1, 5, 9, 2, 6], "->", generate(gpt, [3, 1, 4, 1, 5, 9, 2, 6], 8, Sampling(greedy=True)).ids)
# %%
fig, ax = plt.subplots(figsize=(7.5, 4.4), facecolor="white", layout="constrained")
for (name, curve), colour in zip(curves.items(), (BLUE, RED)):
    ax.plot(curve, color=colour, label=f"{name}: {right[name]:.0%} of the second half right")
ax.axhline(floor, color="black", linestyle="--", label=f"floor: 7 ln 10 / 15 = {floor:.3f}")
ax.set(title="Looking back is learnt sooner than remembering", xlabel="batch", ylabel="loss, nats per digit")
ax.legend()
plt.show()

# %% [markdown] tags=["en"]
# ## Where it looks
# The digit that follows position $t$ stood at position $t - 7$. Nobody told the model. Below, $A$ as a picture: a row is a position
# that looks, a column one that is looked at. The upper triangle is black: the mask. And a promise of every causal model of this library,
# tested on the trained one: a later token changes no earlier logit, not by one bit.
# %% [markdown] tags=["zh"]
# ## 它看哪里
# 位置 $t$ 之后的那个数字，先前就在位置 $t - 7$ 上。没有人告诉过模型。下面把 $A$ 画成图：一行是一个在看的位置，一列是一个被看的位置。
# 右上三角是黑的：那是掩码。库里的每个因果模型都有一个承诺，也在训练好的模型上试一试：后面的词元不会改变前面的 logits，一个比特也不会。
# %%
maps = [gpt_by_hand(row, gpt.get_weights())[1] for row in x[:100]]
A = np.mean(maps, axis=0)
fig, ax = plt.subplots(figsize=(6, 5), facecolor="white", layout="constrained")
image = ax.imshow(A, cmap="magma", vmin=0, vmax=1)
fig.colorbar(image, label="mean weight over 100 texts")
share = np.mean([A[t, t - 7] for t in range(HALF - 1, len(A))])
ax.set(title=f"In the second half, {share:.0%} of the look goes 7 back", xlabel="looked at", ylabel="looking")
plt.show()
changed = x[:1].copy()
changed[0, 10:] = (changed[0, 10:] + 1) % VOCABULARY
moved = (gpt(x[:1]).data != gpt(changed).data).any(axis=-1)[0]
print("positions whose logits changed when the digits from position 10 on did:", np.flatnonzero(moved))
assert not moved[:10].any()
# %% [markdown] tags=["en"]
# ## What was found
# Attention is a weighted mean, and the weights come from a comparison; that is all. In the first half, where there is nothing to find,
# the look rests on position 0: softmax must put its weight somewhere. In the second half the model looks 7 back, and copies.
# The LSTM can do it, too (3,000 batches bring it to 97 %), but to copy it must first learn to keep eight digits apart in one state.
#
# **Try next.** 1. Zero the position table in `gpt.get_weights()` and compute `right` again. What is left, and why?
# 2. Repeat after a random 3 to 8 digits instead of always 8, with `depth=1` and `depth=2`, 1000 batches at 0.005. Which one finds out?
# 3. Leave `/ math.sqrt(...)` out of `looking` and compare with the library again: how far apart are the logits now?
# %% [markdown] tags=["zh"]
# ## 有什么发现
# 注意力就是加权平均，权重由比较得来，仅此而已。前半段没什么可找，目光就停在位置 0 上：softmax 总得把权重放在某处。
# 后半段模型看 7 个位置之前，然后照抄。LSTM 也做得到（给 3000 批，能对 97 %），但它要照抄，得先学会在一个状态里分清八个数字。
#
# **接着试试。** 1. 把 `gpt.get_weights()` 里的位置表清零，再算一次 `right`。还剩多少？为什么？
# 2. 不总是 8 个，而是每 3 到 8 个（随机）数字重复一次，用 `depth=1` 和 `depth=2`，学习率 0.005，各 1000 批。哪个学得会？
# 3. 在 `looking` 里去掉 `/ math.sqrt(...)`，再和库比一比：logits 差多少？
