# %% [markdown] tags=["en"]
# # 9. Embeddings
# The first layer of the article's program turns each integer into 50 numbers. Which 50? At first, random ones. You see that this layer is a matrix
# product in disguise, follow its gradient to the rows that were looked up, and train one until the four seasons find each other.
#
# **You need** lessons 6 and 8. **It takes** 35 minutes. **To run it:** `pip install -e ".[lessons]"`, then `jupyter lab`.
# %% [markdown] tags=["zh"]
# # 9. 嵌入
# 文章程序的第一层把每个整数变成 50 个数。哪 50 个？一开始是随机的。这一课会看到：这个层其实是一次矩阵乘法；它的梯度只流向被查到的那些行；
# 再训练一个，直到春夏秋冬四个字彼此靠拢。
#
# **需要**：第 6、8 课。**用时**：35 分钟。**运行**：先 `pip install -e ".[lessons]"`，再 `jupyter lab`。
# %%
import matplotlib.pyplot as plt
import numpy as np

from tinyllm import Sequential, gradcheck
from tinyllm.datasets import seasons
from tinyllm.layers import LSTM, Dense, Embedding, Flatten
from tinyllm.lessons import claim
from tinyllm.optimizers import Adam
from tinyllm.preprocessing.text import Tokenizer

BLUE, RED, GREY = "#0072B2", "#D55E00", "#555555"

# %% [markdown] tags=["en"]
# ## A table, or a product
# An embedding is a table $M$ of shape ($V$, $E$): one row of $E$ numbers for each of $V$ ids. Looking up id $i$ takes row $i$. Write the id as a
# **one-hot** row: $V$ zeros with a 1 at place $i$. Times $M$, it picks the same row. So with ids (batch, time) and their one-hot rows
# $H$ (batch, time, $V$)
#
# $$y = M[\text{ids}] = H M \qquad \text{of shape (batch, time, } E)$$
#
# and an embedding is a dense layer without bias, on an input that is nearly all zeros. Looking up skips the zeros.
# %% [markdown] tags=["zh"]
# ## 查表，也是乘法
# 嵌入是一张表 $M$，形状（$V$, $E$）：$V$ 个编号各占一行，每行 $E$ 个数。查编号 $i$，就是取第 $i$ 行。把编号写成**独热**的一行：$V$ 个数，只有
# 第 $i$ 个是 1，其余是 0；它乘 $M$，取出的正是那一行。所以对编号（批, 时间）和它们的独热行 $H$（批, 时间, $V$）：
#
# $$y = M[\text{ids}] = H M \qquad \text{形状为 (批, 时间, } E)$$
#
# 也就是说，嵌入是一个没有偏置的全连接层，输入几乎全是零；查表就是跳过这些零。
# %%
ids = np.array([[1, 0, 0, 0, 0], [2, 0, 0, 0, 0], [3, 0, 0, 0, 0]])  # the article's three sentences, padded
layer = Embedding(4, 50, seed=9)
y = layer(ids)
(M,) = layer.get_weights()
H = np.eye(4, dtype="float32")[ids]
print("ids", ids.shape, "  H", H.shape, "  M", M.shape, "  y", y.shape)
assert np.array_equal(y.data, H @ M)  # not nearly: the same numbers
print(f"as a product: {H.size * 50} multiplications; as a table: none, {y.data.size} numbers copied")
claim("S5-09", computed=layer.count_params())


# %% [markdown] tags=["en"]
# ## The gradient goes where the ids went
# Let $g = \partial L / \partial y$, of shape (batch, time, $E$). From $y = H M$ follows $\bar M = H^\top g$ (over batch and time), that is
#
# $$\bar M_i = \sum_{b,t\,:\,\text{ids}_{b,t} = i} g_{b,t}$$
#
# A row that was not looked up gets 0. A row that was looked up $k$ times gets the **sum** of $k$ gradients. In NumPy, `d[ids] = g` does
# not add, it overwrites; and `d[ids] += g` does not either: it reads first, then writes each place once. `np.add.at` adds. Ask the laboratory.
# %% [markdown] tags=["zh"]
# ## 编号去了哪里，梯度就去哪里
# 设 $g = \partial L / \partial y$，形状（批, 时间, $E$）。由 $y = H M$ 得 $\bar M = H^\top g$（对批和时间求和），也就是
#
# $$\bar M_i = \sum_{b,t\,:\,\text{ids}_{b,t} = i} g_{b,t}$$
#
# 没被查到的行得 0；被查了 $k$ 次的行，得到 $k$ 个梯度之**和**。在 NumPy 里，`d[ids] = g` 不是加，是覆盖；`d[ids] += g` 也不行：它先读、再把每个位置
# 只写一次。`np.add.at` 才会累加。问问实验室。
# %%
def look_up(M, ids):
    return M[ids]


def overwrites(g, M, ids):
    d = np.zeros_like(M)
    d[ids] = g
    return d, None


def adds_once(g, M, ids):
    d = np.zeros_like(M)
    d[ids] += g
    return d, None


def adds(g, M, ids):
    d = np.zeros_like(M)
    np.add.at(d, ids, g)
    return d, None


table, some = np.random.default_rng(9).normal(size=(6, 3)), np.array([[4, 1, 4], [2, 4, 0]])
for gradient in (overwrites, adds_once, adds):
    report = gradcheck(look_up, table, some, gradient=gradient)
    print(f"{gradient.__name__:10} {report.grade:5} {report.diagnosis}")
g = np.arange(18.0).reshape(2, 3, 3)
assert np.allclose(adds(g, table, some)[0], np.einsum("btv,bte->ve", np.eye(6)[some], g))  # it is H^T g
print("rows with a gradient:", np.flatnonzero(adds(g, table, some)[0].any(axis=1)), "of", list(range(6)))
# %% [markdown] tags=["en"]
# ## The row for padding is a row like the others
# In the article's batch id 0 stands twelve times, each word once. Nothing tells the layer that 0 means "nothing here", so its row is trained, and
# the LSTM after it reads it. `mask_zero=True` tells them. Below: how far each row has moved when the article's hundred epochs are over.
# %% [markdown] tags=["zh"]
# ## 填充行和别的行一样
# 在文章的这批数据里，编号 0 出现十二次，每个词各一次。没有谁告诉这一层 0 表示“这里什么也没有”，所以它那一行也参与训练，后面的 LSTM 也照读
# 不误。`mask_zero=True` 就是告诉它们。下图：文章的一百轮训练结束时，每一行移动了多远。
# %%
moved = {}
for mask in (False, True):
    model = Sequential([Embedding(4, 50, mask_zero=mask), LSTM(100), Dense(1, activation="sigmoid")], seed=0)
    model.compile("adam", "binary_crossentropy")
    model.build((None, 5))
    before = model.layers[0].get_weights()[0]
    model.fit(ids, np.array([1, 0, 1]), epochs=100, batch_size=1, verbose=0)
    moved[mask] = np.linalg.norm(model.layers[0].get_weights()[0] - before, axis=1)
fig, ax = plt.subplots(figsize=(7.5, 3.6), facecolor="white", layout="constrained")
for shift, (mask, colour) in zip((-0.2, 0.2), [(False, RED), (True, BLUE)]):
    ax.bar(np.arange(4) + shift, moved[mask], width=0.38, color=colour, label=f"mask_zero={mask}")
ax.set_xticks(range(4), ["row 0: padding", "row 1", "row 2", "row 3"])
ax.set(
    title=f"Unmasked, the padding's row moves by {moved[False][0]:.2f}; masked, by {moved[True][0]:.0f}",
    ylabel="distance moved",
)
ax.legend()
plt.show()


# %% [markdown] tags=["en"]
# ## You shall know a word by the company it keeps
# (J. R. Firth, 1957.) Let a small model guess, from one word $c$, the words $o$ within two places of it. $M_c$ is the row of $c$, $W$ ($E$, $V$)
# the matrix after it, and
#
# $$P(o \mid c) = \operatorname{softmax}(M_c W)_o$$
#
# Words with the same company need the same guesses, so training must give them similar rows: nobody says which words are alike. How alike two
# rows are is told by the **cosine** of the angle between them: 1 for the same direction, 0 for a right angle.
#
# $$\cos(u, v) = \frac{u \cdot v}{\lVert u \rVert\, \lVert v \rVert}$$
#
# The text: 150 lines on the four seasons in English by words, and 150 in Chinese by characters.
# %% [markdown] tags=["zh"]
# ## 观其友，知其词
# （弗斯，1957：看一个词常和谁在一起，就知道它的意思。）让一个小模型由一个词 $c$ 去猜它前后两个位置之内的词 $o$。$M_c$ 是 $c$ 那一行，
# $W$（$E$, $V$）是后面的矩阵：
#
# $$P(o \mid c) = \operatorname{softmax}(M_c W)_o$$
#
# 常有同样“朋友”的词，要猜的也一样，训练只好给它们相似的行：没有人告诉它哪些词相像。两行有多像，看夹角的**余弦**：同方向是 1，垂直是 0。
#
# $$\cos(u, v) = \frac{u \cdot v}{\lVert u \rVert\, \lVert v \rVert}$$
#
# 文本：写四季的 150 行英文（按词）和 150 行中文（按字）。
# %%
def learn(lines, char_level, features=16, reach=2):
    tokenizer = Tokenizer(char_level=char_level)
    tokenizer.fit_on_texts(lines)
    pairs = []
    for line in tokenizer.texts_to_sequences(lines):
        for t, centre in enumerate(line):
            pairs += [(centre, other) for other in line[max(t - reach, 0) : t] + line[t + 1 : t + 1 + reach]]
    centres, others = np.array(pairs).T
    V = len(tokenizer.word_index) + 1
    model = Sequential([Embedding(V, features, input_length=1), Flatten(), Dense(V, "softmax", use_bias=False)], seed=0)
    model.compile(Adam(0.01), "sparse_categorical_crossentropy")
    first = model.layers[0].get_weights()[0]
    losses = model.fit(centres[:, None], others, epochs=20, batch_size=256, verbose=0).history["loss"]
    print(
        f"{len(pairs)} pairs, {V} ids: loss {losses[0]:.2f} -> {losses[-1]:.2f}, against ln V = {np.log(V):.2f} for a blind guess"
    )
    return tokenizer, first, model.layers[0].get_weights()[0]


def neighbours(tokenizer, M, word, count=4, often=5):
    unit = M / np.linalg.norm(M, axis=1, keepdims=True)
    cosine = unit @ unit[tokenizer.word_index[word]]
    known = [tokenizer.index_word[i] for i in np.argsort(-cosine) if i]
    near = [w for w in known if w != word and tokenizer.word_counts[w] >= often][:count]
    return ", ".join(f"{w} {cosine[tokenizer.word_index[w]]:.2f}" for w in near)


english = learn([line for line in seasons() if line.isascii()], char_level=False)
chinese = learn([line for line in seasons() if not line.isascii()], char_level=True)
tokenizer, untrained, trained = english
print("\nspring, before training:", neighbours(tokenizer, untrained, "spring"))
for word in ("spring", "summer", "river"):
    print(f"{word}, after:", neighbours(tokenizer, trained, word))
for character in "春雪":
    print(f"{character}, after:", neighbours(chinese[0], chinese[2], character))
# %% [markdown] tags=["en"]
# The seasons are one another's neighbours, in both languages, and nobody told the model what a season is. Not every neighbour is as wise: a few
# thousand pairs are a very small text, and a word seen five times has little company. Sixteen dimensions do not fit on paper; the two
# directions in which the rows differ most (their principal components, from `np.linalg.svd`) do.
# %% [markdown] tags=["zh"]
# 两种语言里，四季都互为邻居，而谁也没有告诉模型什么是季节。别的邻居未必这样聪明：几千对词是很小的文本，只见过五次的词没几个朋友。
# 十六维画不到纸上；差别最大的两个方向（主成分，用 `np.linalg.svd` 求得）可以。
# %%
SEASONS = ["spring", "summer", "autumn", "winter"]
drawn = [word for word, count in tokenizer.word_counts.items() if count >= 7]
fig, axes = plt.subplots(1, 2, figsize=(11, 5), facecolor="white", layout="constrained")
for ax, M, when in zip(axes, (untrained, trained), ("before", "after")):
    unit = M / np.linalg.norm(M, axis=1, keepdims=True)
    rows = unit[[tokenizer.word_index[word] for word in drawn]]
    _, _, directions = np.linalg.svd(rows - rows.mean(axis=0), full_matrices=False)
    place = (rows - rows.mean(axis=0)) @ directions[:2].T
    four = unit[[tokenizer.word_index[word] for word in SEASONS]]
    alike = (four @ four.T)[np.triu_indices(4, 1)].mean()
    for word, (across, up) in zip(drawn, place):
        chosen = word in SEASONS
        ax.text(
            across, up, word, color=RED if chosen else GREY, weight="bold" if chosen else None, fontsize=9, ha="center"
        )
    ax.set(xlim=(-0.95, 0.95), ylim=(-0.95, 0.95), xlabel="first principal direction")
    ax.set(title=f"{when} training: the seasons' mean cosine is {alike:.2f}")
axes[0].set(ylabel="second principal direction")
plt.show()
assert alike > 0.7 and moved[True][0] == 0 < moved[False][0]
# %% [markdown] tags=["en"]
# ## Try next
# 1. Find two words that are neighbours though they mean the opposite. Why must that happen? (What company do `warm` and `cool` keep?)
# 2. Set `reach=1`, then `reach=5`. Which neighbours become more alike in grammar, which in subject?
# 3. Train on some of the pairs, then on others that lack a word of the first. Does its row stand still with `"sgd"`? And with Adam, which remembers?
# %% [markdown] tags=["zh"]
# ## 接着试试
# 1. 找两个意思相反却互为邻居的词。为什么一定会这样？（`warm` 和 `cool` 的“朋友”有哪些？）
# 2. 设 `reach=1`，再设 `reach=5`。哪些邻居变得语法上更像，哪些主题上更像？
# 3. 先用一部分词对训练，再用另一部分，其中少了前面的某个词。用 `"sgd"` 时它那一行会一动不动吗？换成有“记忆”的 Adam 呢？
