# %% [markdown] tags=["en"]
# # 10. The LSTM cell by hand
# The article adds an LSTM layer "for processing sequence data" and says no more. You compute its four gates with plain
# NumPy, take the gradient back through time yourself, and see how far back a gradient reaches, and on what that depends.
# **You need** lesson 1 and the chain rule. **It takes** 40 minutes. **To run it:** `pip install -e ".[lessons]"`, then `jupyter lab`.
# %% [markdown] tags=["zh"]
# # 10. 手算 LSTM 单元
# 文章加了一个 LSTM 层，只说“用于处理序列数据”，就没有下文了。本课用纯 NumPy 算出它的四个门，亲手让梯度沿时间倒着走一遍，
# 再看梯度能传回多远，由什么决定。
# **需要**：第 1 课，以及链式法则。**用时**：40 分钟。**运行**：先 `pip install -e ".[lessons]"`，再 `jupyter lab`。
# %%
import inspect
from timeit import timeit

import matplotlib.pyplot as plt
import numpy as np

from tinyllm import Tensor, gradcheck
from tinyllm.autograd.kernels import lstm_step
from tinyllm.layers import LSTM, Embedding, SimpleRNN
from tinyllm.lessons import claim, table
from tinyllm.ops import sigmoid
from tinyllm.preprocessing.sequence import pad_sequences
from tinyllm.preprocessing.text import Tokenizer
from tinyllm.visualize import graph

# %% [markdown] tags=["en"]
# ## A sentence, one character at a time
# The article's tokenizer makes a sentence one word. Memory needs something to remember: here a step is one *character* of its second
# sentence, a row of $E = 4$ random numbers. The layer reads $x$ (batch, time, features). Steps 1 and 2 are the same character: watch them.
# %% [markdown] tags=["zh"]
# ## 一句话，一次读一个字
# 文章的分词器把整句当成一个词。要谈记忆，总得有东西可记：这里一步读一个*字*，用文章的第二句，每个字是一行 $E = 4$ 个随机数。
# 层读到的 $x$ 形状为（批、时间、特征）。第 1、2 步（从 0 数起）是同一个“天”字，请盯住它们。
# %%
sentences = ["你好，世界！", "今天天气很好。", "我爱中国。"]
letters = Tokenizer(char_level=True)
letters.fit_on_texts(sentences)
ids = np.array(letters.texts_to_sequences(sentences[1:2]))
E, H, T = 4, 3, ids.shape[1]
x = np.random.default_rng(10).standard_normal((len(letters.word_index) + 1, E))[ids]
print("ids", ids.tolist(), "  x", x.shape)


# %% [markdown] tags=["en"]
# ## Four gates
# Between steps an LSTM with $H$ units carries two states of shape (batch, $H$), both zero at first: $h_t$, what it shows, and
# $c_t$, the **cell**, what it keeps. With kernel $K$ ($E$, $4H$), recurrent kernel $R$ ($H$, $4H$), bias $b$ ($4H$), $\sigma(z) = 1/(1 + e^{-z})$:
#
# $$[z_i, z_f, z_g, z_o] = x_t K + h_{t-1} R + b, \quad i = \sigma(z_i), \quad f = \sigma(z_f), \quad g = \tanh(z_g), \quad o = \sigma(z_o)$$
# $$c_t = f\,c_{t-1} + i\,g, \qquad h_t = o \tanh(c_t)$$
#
# Gates multiply elementwise. $g$ is a proposal, the input gate $i$ lets it in, the forget gate $f$ keeps the old cell, the
# output gate $o$ shows the new one. The order $i, f, g, o$ of the $4H$ columns is Keras's; each gate has $EH + HH + H$ weights.
# %% [markdown] tags=["zh"]
# ## 四个门
# 有 $H$ 个单元的 LSTM 在两步之间携带两个状态，形状都是（批, $H$），都从零开始：$h_t$ 是它给人看的；$c_t$ 叫**细胞状态**，是它自己
# 留着的。设核 $K$（$E$, $4H$）、循环核 $R$（$H$, $4H$）、偏置 $b$（$4H$），$\sigma(z) = 1/(1 + e^{-z})$，则
#
# $$[z_i, z_f, z_g, z_o] = x_t K + h_{t-1} R + b, \quad i = \sigma(z_i), \quad f = \sigma(z_f), \quad g = \tanh(z_g), \quad o = \sigma(z_o)$$
# $$c_t = f\,c_{t-1} + i\,g, \qquad h_t = o \tanh(c_t)$$
#
# 与门相乘都是逐元素的。$g$ 是候选内容，输入门 $i$ 决定放进多少，遗忘门 $f$ 决定旧细胞留下多少，输出门 $o$ 决定新细胞亮出多少。
# $4H$ 列按 $i, f, g, o$ 的顺序排列，与 Keras 相同；每个门有 $EH + HH + H$ 个权重。
# %%
def forward(x, K, R, b):
    h, c, tape = np.zeros((len(x), len(R))), np.zeros((len(x), len(R))), []
    for t in range(x.shape[1]):
        zi, zf, zg, zo = np.split(x[:, t] @ K + h @ R + b, 4, axis=-1)
        i, f, g, o = sigmoid(zi), sigmoid(zf), np.tanh(zg), sigmoid(zo)
        before, c = (h, c), f * c + i * g
        h = o * np.tanh(c)
        tape.append((*before, c, (i, f, g, o)))  # what the way back will need
    return h, tape


layer = LSTM(H, dtype="float64", seed=10)
from_layer = layer(x).data  # the first call makes the weights
K, R, b = layer.get_weights()
h_last, tape = forward(x, K, R, b)
print("K", K.shape, "  R", R.shape, "  b", b.shape, "  apart from the layer by", np.abs(h_last - from_layer).max())
print("b, gate by gate:", dict(zip("ifgo", b.reshape(4, H).tolist())), f"  sigma(1) = {sigmoid(1.0):.2f}")
# %%
opened = np.concatenate([np.concatenate(gates, axis=-1) for *_, gates in tape]).T  # (4 H, time)
moved = np.abs(opened[:, 2] - opened[:, 1]).max()
fig, ax = plt.subplots(figsize=(7.5, 4.6), facecolor="white", layout="constrained")
ax.imshow(opened, cmap="RdBu", vmin=-1.5, vmax=1.5, aspect="auto")
for (row, t), value in np.ndenumerate(opened):
    ax.text(t, row, f"{value:.2f}", ha="center", va="center", fontsize=8)
ax.set_yticks(range(4 * H), [f"{name}, unit {unit}" for name in "ifgo" for unit in range(H)])
ax.set_xticks(range(T), [f"{t}: id {n}" for t, n in enumerate(ids[0])])
ax.hlines(np.arange(1, 4) * H - 0.5, -0.5, T - 0.5, color="black", linewidth=1)
ax.set(title=f"Id 2 twice, yet its gates differ by up to {moved:.2f}: h has changed", xlabel="time step and character")
plt.show()


# %% [markdown] tags=["en"]
# ## Backward through time
# Write $\bar a$ for $\partial L / \partial a$, with $L$ the loss. At each step, the last first, $\bar h_t$ and $\bar c_t$ arrive from the step
# after it. The cell collects what it said through $h_t$; each gate takes its share; the two states before get the rest:
#
# $$\bar c_t \mathrel{+}= \bar h_t\, o\,(1 - \tanh^2 c_t)$$
# $$\bar z_i = \bar c_t\, g\, i (1-i), \quad \bar z_f = \bar c_t\, c_{t-1} f (1-f), \quad \bar z_g = \bar c_t\, i\,(1-g^2), \quad \bar z_o = \bar h_t \tanh(c_t)\, o (1-o)$$
# $$\bar c_{t-1} = \bar c_t\, f, \qquad \bar h_{t-1} = \bar z R^\top, \qquad \bar x_t = \bar z K^\top$$
#
# The weights are the same at every step, so their gradients add up: $\bar K = \sum_t x_t^\top \bar z$, $\bar R = \sum_t h_{t-1}^\top \bar z$, $\bar b = \sum_t \bar z$.
# %% [markdown] tags=["zh"]
# ## 沿时间反向传播
# 用 $\bar a$ 表示 $\partial L / \partial a$，$L$ 是损失。从最后一步开始，每一步都从后一步收到 $\bar h_t$ 和 $\bar c_t$。细胞先收回它经由 $h_t$
# 说出去的那一份，各个门再领走自己的一份，余下的交给前一步的两个状态：
#
# $$\bar c_t \mathrel{+}= \bar h_t\, o\,(1 - \tanh^2 c_t)$$
# $$\bar z_i = \bar c_t\, g\, i (1-i), \quad \bar z_f = \bar c_t\, c_{t-1} f (1-f), \quad \bar z_g = \bar c_t\, i\,(1-g^2), \quad \bar z_o = \bar h_t \tanh(c_t)\, o (1-o)$$
# $$\bar c_{t-1} = \bar c_t\, f, \qquad \bar h_{t-1} = \bar z R^\top, \qquad \bar x_t = \bar z K^\top$$
#
# 每一步用的是同一组权重，所以梯度要累加：$\bar K = \sum_t x_t^\top \bar z$，$\bar R = \sum_t h_{t-1}^\top \bar z$，$\bar b = \sum_t \bar z$。
# %%
def backward(dh, x, K, R, b):
    _, tape = forward(x, K, R, b)
    dx, dK, dR, db, dc = np.zeros_like(x), 0, 0, 0, np.zeros_like(dh)
    for t in reversed(range(x.shape[1])):
        h_before, c_before, c, (i, f, g, o) = tape[t]
        dc = dc + dh * o * (1 - np.tanh(c) ** 2)
        shares = dc * g * i * (1 - i), dc * c_before * f * (1 - f), dc * i * (1 - g**2), dh * np.tanh(c) * o * (1 - o)
        dz = np.concatenate(shares, axis=-1)
        dK, dR, db = dK + x[:, t].T @ dz, dR + h_before.T @ dz, db + dz.sum(axis=0)
        dx[:, t], dh, dc = dz @ K.T, dz @ R.T, dc * f
    return dx, dK, dR, db


def by_engine(layer):
    leaf = Tensor(x, requires_grad=True)
    output = layer(leaf)
    np.sum(output * upstream).backward()
    return [output.data, *(a.grad for a in (leaf, layer.kernel, layer.recurrent_kernel, layer.bias))]


upstream = np.array([[1.0, -2.0, 0.5]])  # d loss / d h at the last step
fast = by_engine(layer)
for name, ours, theirs in zip(["h", "dx", "dK", "dR", "db"], [h_last, *backward(upstream, x, K, R, b)], fast):
    print(f"{name:2} {ours.shape!s:10} by hand and .grad are apart by {np.abs(ours - theirs).max():.1e}")
two = np.concatenate([x, x[:, ::-1]])  # the sentence, and the same read backwards
print(gradcheck(lambda x, K, R, b: forward(x, K, R, b)[0], two, K, R, b, gradient=backward))
# %% [markdown] tags=["en"]
# ## One layer, two forms
# Every recurrent layer of this library exists twice, on purpose. `fused=False` is a loop over `lstm_step`, printed below: no derivative
# is written there, each operation takes its own from the table. `fused=True` (the default) makes the whole sequence one recorded
# operation, with a backward pass written by hand, as yours is. The loop is the one that you can check by reading, and the fast
# form's judge: the tests hold the two equal, and under second derivatives the fast form steps aside for the loop. What it buys is time.
# Below, the ratio of the least of 15 times each, taken in turn (float32, forward and backward). The loop records some sixteen operations
# a step, and each slice `z[:, t]` hands back a gradient as long as the whole sequence: long sequences cost it most.
# %% [markdown] tags=["zh"]
# ## 同一个层，两种写法
# 本库的每个循环层都特意写了两遍。`fused=False` 就是反复调用下面印出的 `lstm_step`：里面没有一行导数，每个运算自己去导数表里取。
# `fused=True`（默认）把整个序列记成一个运算，反向过程由人手写，和你刚才写的一样。循环是读得懂、查得了的那一种，也是快写法的裁判：
# 测试要求两者相等；求二阶导数时，快写法会让位给循环。快写法换来的是时间。下面是轮流各测 15 次、取最短时间所得的比值
# （float32，前向加反向）。循环每步要记下十六个左右的运算，每个切片 `z[:, t]` 传回的梯度又都和整个序列一样长：序列越长越吃亏。
# %%
same = {"dtype": "float64", "weights": [K, R, b]}
readable = LSTM(H, fused=False, **same)
apart = max(np.abs(one - two).max() for one, two in zip(fast, by_engine(readable)))
boxes = [len(graph(np.sum(form(x))).boxes) for form in (readable, layer)]
print(inspect.getsource(lstm_step))
print(f"value and all gradients agree to {apart:.1e}; boxes in the recorded graph: {boxes[0]} and {boxes[1]}")
print("right to second order:", [gradcheck(form, two, order=2).ok for form in (readable, layer)])

# %%
for batch, steps in [(1, 1), (1, 5), (1, 20), (1, 80), (32, 20)]:
    many = np.random.default_rng(0).standard_normal((batch, steps, 50))
    forms = LSTM(100, fused=False), LSTM(100)
    turns = [[timeit(lambda f=f, x=many: np.sum(f(x)).backward(), number=1) for f in forms] for _ in range(15)]
    times = np.min(turns, axis=0)
    print(f"batch {batch:2}, {steps:2} steps: the loop takes {times[0] / times[1]:4.1f} times as long")
# %% [markdown] tags=["en"]
# ## How far back does a gradient reach?
# `SimpleRNN` has one state, $h_t = \tanh(x_t K + h_{t-1} R + b)$: each step back multiplies the gradient by $R^\top$ and by
# $1 - h_t^2 \le 1$. An LSTM's cell has a path of its own, with the factor $f$ alone: at first near $\sigma$ of the forget gate's bias,
# so 0.5 a step at bias 0, and 0.73 at 1, where a new layer starts it (`unit_forget_bias=True`). The loss sees only the last of 60
# steps; drawn is the norm of $\bar x_t$ in new layers of 32 units. Do LSTMs "not vanish"? Guess which of the four curves ends lowest.
# %% [markdown] tags=["zh"]
# ## 梯度能传回多远？
# `SimpleRNN` 只有一个状态，$h_t = \tanh(x_t K + h_{t-1} R + b)$：每退一步，梯度都要乘 $R^\top$，再乘 $1 - h_t^2 \le 1$。
# LSTM 的细胞另有一条自己的路，路上只乘 $f$。刚开始时 $f$ 约为 $\sigma(\text{偏置})$：偏置为 0，每步剩一半；新层从 1 开始
# （`unit_forget_bias=True`），每步剩 0.73。损失只看 60 步的最后一步；画的是新层（32 个单元）里 $\bar x_t$ 的范数。
# 都说“LSTM 的梯度不会消失”，真的吗？先猜猜四条线里哪条最后最低。
# %%
rng = np.random.default_rng(0)
far, wish = rng.standard_normal((8, 60, 8)), rng.standard_normal((8, 32))


def reach(layer, forget_bias=None):
    layer.ensure_built(far.shape)
    if forget_bias is not None:
        layer.bias.data[32:64] = forget_bias
    leaf = Tensor(far, requires_grad=True)
    np.sum(layer(leaf) * wish).backward()
    return np.linalg.norm(leaf.grad, axis=-1).mean(axis=0)  # over the batch


found = {"SimpleRNN": reach(SimpleRNN(32, dtype="float64", seed=0))}
found |= {f"LSTM, forget bias {b}": reach(LSTM(32, dtype="float64", seed=0), b) for b in (0, 1, 5)}
left = {name: norms[0] / norms[-1] for name, norms in found.items()}
fig, ax = plt.subplots(figsize=(7.5, 4.6), facecolor="white", layout="constrained")
for name, norms in found.items():
    ax.semilogy(np.arange(59, -1, -1), norms, label=f"{name}: {left[name]:.0e} left")
rnn, new = left["SimpleRNN"], left["LSTM, forget bias 1"]
ax.set(title=f"59 steps back: {rnn:.0e} is left in SimpleRNN, {new:.0e} in a new LSTM; f decides")
ax.set(xlabel="steps back from the loss", ylabel="norm of the gradient at x_t")
ax.legend()
plt.show()
# %% [markdown] tags=["en"]
# ## Padding also flows, unless it is masked
# The article's program pads its one word with four zeros *behind*, so the word lies four steps from the loss, and the LSTM reads
# id 0 as if it meant something. With `mask_zero=True` the embedding marks the padding, and a marked step is skipped: both states stay.
# %% [markdown] tags=["zh"]
# ## 不加掩码，填充也会流过去
# 文章的程序在唯一的词*后面*补了四个零，于是这个词离损失有四步远，LSTM 还把编号 0 当成有意义的东西读进去。设 `mask_zero=True`，
# 嵌入层就标出填充，被标出的步直接跳过：两个状态都不动。
# %%
padded = pad_sequences([[1], [2], [3]], maxlen=5, padding="post")
memory = LSTM(100, seed=1)
for masked in (False, True):
    embedding = Embedding(4, 50, mask_zero=masked, seed=0)
    output, alone = memory(embedding(padded)), memory(embedding(padded[:, :1]))
    np.sum(output).backward()
    padding, *words = np.linalg.norm(embedding.weights[0].grad, axis=-1)
    off = np.linalg.norm(output.data - alone.data) / np.linalg.norm(alone.data)
    print(f"mask_zero={masked!s:5}  h differs from the unpadded word's by {off:4.0%};", end=" ")
    print(f"gradient norm: row 0, the padding, {padding:.2f}; a word's {np.mean(words):.2f}")
claims = {"S5-08": padded.tolist(), "S5-09": embedding.count_params(), "S5-10": memory.count_params()}
table([claim(id, computed) for id, computed in claims.items()])
# %% [markdown] tags=["en"]
# ## States can be carried
# A sequence may come in pieces: `return_state=True` hands out $h$ and $c$, `initial_state=` takes them back. `stateful=True` carries
# them from call to call by itself, until `reset_states()`. What it carries is numbers: no gradient crosses over.
# %% [markdown] tags=["zh"]
# ## 状态可以接着用
# 序列可以分段送进来：`return_state=True` 交出 $h$ 和 $c$，`initial_state=` 再接回去。`stateful=True` 会自己把它们从一次调用带到下一次，
# 直到 `reset_states()`。这样带过去的只是数值，梯度过不去。
# %%
handing, stateful = LSTM(H, return_state=True, **same), LSTM(H, stateful=True, **same)
_, h, c = handing(x[:, :3])
stateful(x[:, :3])
ended = {"handed over": handing(x[:, 3:], initial_state=[h, c])[0], "stateful": stateful(x[:, 3:])}
stateful.reset_states()
ended["after reset_states()"] = stateful(x[:, 3:])
for name, h in ended.items():
    print(f"{name:20} apart from the whole sequence by {np.abs(h.data - h_last).max():.1e}")
# %% [markdown] tags=["en"]
# ## Try next
# 1. Drop `dc * f` from `backward` (write `dc * 0`). Which rows of `gradcheck` notice, and what does it diagnose?
# 2. Put `layer.recurrent_kernel.data *= 3` into `reach`, once it is built. Which curves now grow on the way back? That is the exploding gradient.
# 3. Pad with `padding="pre"` and no mask. Where is the word now, and what is its gradient?
# 4. A gradient that arrives is not yet learning: train both layers to repeat the first of 60 inputs.
# %% [markdown] tags=["zh"]
# ## 接着试试
# 1. 在 `backward` 里去掉 `dc * f`（写成 `dc * 0`）。`gradcheck` 的哪几行会发现？它诊断出什么？
# 2. 在 `reach` 里，层建好之后加一行 `layer.recurrent_kernel.data *= 3`。哪几条线往回走时反而变大？那就是梯度爆炸。
# 3. 不加掩码，改用 `padding="pre"`。词跑到哪里去了？它的梯度是多少？
# 4. 梯度传得到，不等于学得会：训练这两个层，让它们复述 60 个输入中的第一个。
