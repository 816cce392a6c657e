# %% [markdown] tags=["en"]
# # 19. Looking inside
# The article calls the models black boxes (section 8). You open four of them: gates of an LSTM, neighbours of a word, what a
# classifier's answer hangs on, where a GPT looks. And you learn to distrust each picture until a test has confirmed it.
# **You need** lessons 10 and 11. **It takes** 40 minutes. **To run it:** `pip install -e ".[lessons]"`, then `jupyter lab`.
# %% [markdown] tags=["zh"]
# # 19. 往里看
# 文章说模型是“黑箱”（第 8 节）。本课打开四个：LSTM 的门、一个词的邻居、分类器的回答靠的是什么、GPT 在看哪里。同时学会：没有检验证实之前，哪张图都不要信。
# **需要**：第 10、11 课。**用时**：40 分钟。**运行**：先 `pip install -e ".[lessons]"`，再 `jupyter lab`。
# %%
import matplotlib.pyplot as plt
import numpy as np

from tinyllm import Tensor
from tinyllm.layers import LSTM, Dense, Embedding
from tinyllm.losses import SparseCategoricalCrossentropy
from tinyllm.models import GPT, Sequential
from tinyllm.ops import sigmoid, softmax
from tinyllm.optimizers import Adam
from tinyllm.preprocessing.text import TextToIds, Tokenizer


# %% [markdown] tags=["en"]
# ## What does a cell remember?
# Random texts of `a` and `b`, with brackets that open and close. What comes next depends on what the last character does not show:
# are we inside? An LSTM with 8 units predicts the next character; nobody tells it about "inside". With $c_t$ (batch, 8) its
# cell at character $t$ (lesson 10), we look for the unit whose $c_t$ goes most with being inside.
# %% [markdown] tags=["zh"]
# ## 细胞记住了什么？
# 由 `a` 和 `b` 组成的随机文本，夹着一开一合的括号。下一个字符取决于上一个字符看不出来的事：现在在括号里面吗？让 8 个单元的 LSTM
# 预测下一个字符，没人告诉它什么叫“里面”。$c_t$（批, 8）是读到第 $t$ 个字符时的细胞（第 10 课）：哪个单元的 $c_t$ 与“在里面”最相关？
# %%
def brackets(n, length, seed):
    rng = np.random.default_rng(seed)
    turn = rng.random((n, length)) < 0.2
    inside = np.cumsum(turn, axis=1) % 2
    return np.where(turn, 3 - inside, rng.integers(0, 2, (n, length))), inside  # 2 is "(", 3 is ")"


def reader(seed):
    model = Sequential([Embedding(4, 8), LSTM(8, return_sequences=True), Dense(4, "softmax")], seed=seed)
    model.compile(Adam(0.03), "sparse_categorical_crossentropy")
    model.build((None, None))
    return model


def gates(model, ids):  # the forget gate and the cell, each (batch, time, units), with the formulas of lesson 10
    x, (K, R, b) = model.layers[0](ids).data, model.layers[1].get_weights()
    h, c, kept = 0 * x[:, 0], 0 * x[:, 0], []
    for t in range(ids.shape[1]):
        i, f, g, o = np.split(x[:, t] @ K + h @ R + b, 4, axis=-1)
        c = sigmoid(f) * c + sigmoid(i) * np.tanh(g)
        h = sigmoid(o) * np.tanh(c)
        kept.append((sigmoid(f), c))
    return [np.stack(each, axis=1) for each in zip(*kept)]


def best_unit(model):
    c = gates(model, new)[1]
    found = [np.corrcoef(c[..., unit].ravel(), inside.ravel())[0, 1] for unit in range(8)]
    return int(np.argmax(np.abs(found))), float(np.max(np.abs(found)))


ids, _ = brackets(256, 31, seed=0)
new, inside = brackets(64, 48, seed=5)
trained = reader(0)
trained.fit(ids[:, :-1], ids[:, 1:], epochs=25, verbose=0)
fig, axes = plt.subplots(2, 1, figsize=(9.5, 4.4), facecolor="white", layout="constrained")
for ax, model, name in zip(axes, (trained, reader(3)), ("trained", "never trained")):
    unit, match = best_unit(model)
    f, c = gates(model, new[:1])
    rows = [2 * f[0, :, unit] - 1, c[0, :, unit] / np.abs(c[0, :, unit]).max(), 2 * inside[0] - 1]
    ax.imshow(rows, cmap="RdBu", vmin=-1, vmax=1, aspect="auto")
    ax.set_yticks(range(3), ["forget gate", "cell", "inside?"])
    ax.set_xticks(range(48), list(np.array(list("ab()"))[new[0]]))
    ax.set(title=f"{name}: the best of 8 units goes with 'inside' by {match:.2f}")
plt.show()
print("the best units of ten untrained models:", *(f"{best_unit(reader(seed))[1]:.2f}" for seed in range(3, 13)))
# %% [markdown] tags=["en"]
# The trained cell turns at brackets and holds in between: a memory of one bit. But whoever looks for the best of eight units
# **always** finds one. The number to beat is that of models that never learnt anything.
#
# ## A classifier with a secret
# The label of "the soup was not bad today" is 1: good and bad, turned round by "not". In our training texts 90 % of the
# sentences with label 1 also end in "today", of the others 10 %; the rest ends in "again". We stop training early, and ask.
# %% [markdown] tags=["zh"]
# 训练过的细胞遇到括号就变色，中间保持不变：一个比特的记忆。但是从八个单元里挑最好的，**总能**挑出一个来。
# 该比的是从来没学过任何东西的模型能到多少。
#
# ## 藏着秘密的分类器
# “the soup was not bad today”的标签是 1：好或坏，再被 not 翻转。但在训练文本里，标签为 1 的句子有 90% 以 today 结尾，
# 其余的只有 10%；剩下的以 again 结尾。训练早早停下，然后来问它。
# %%
GOOD, BAD, THINGS = "good great fine lovely".split(), "bad awful poor boring".split(), "soup bread table coffee".split()


def opinions(n, seed, today=0.9):
    rng = np.random.default_rng(seed)
    good, no = rng.integers(0, 2, (2, n))
    label = good ^ no
    ends = np.where(rng.random(n) < np.where(label, today, 1 - today), "today", "again")
    parts = zip(rng.choice(THINGS, n), np.where(no, "not", "so"), [rng.choice(GOOD if g else BAD) for g in good], ends)
    return ["the {} was {} {} {}".format(*each) for each in parts], label


def classifier(seed, epochs):
    model = Sequential([Embedding(len(words.word_index) + 1, 8), LSTM(12), Dense(1, "sigmoid")], seed=seed)
    model.compile(Adam(0.02), "binary_crossentropy", ["accuracy"])
    model.build((None, 6))
    model.fit(to_ids(texts), labels, epochs=epochs, verbose=0) if epochs else None
    return model


(texts, labels), words = opinions(300, seed=0), Tokenizer()
words.fit_on_texts(texts)
to_ids = TextToIds(words, maxlen=6, padding="post")
hasty, patient = classifier(0, epochs=8), classifier(0, epochs=40)
for name, share in [("ends as in training", 0.9), ("ends the other way round", 0.1), ("ends by a coin", 0.5)]:
    test, truth = opinions(300, seed=1, today=share)
    scores = [model.evaluate(to_ids(test), truth)[1] for model in (hasty, patient)]
    print(f"{name:25} right after 8 epochs {scores[0]:.2f}, after 40 {scores[1]:.2f}")
assert scores[0] < 0.6 < 0.9 < scores[1]


# %% [markdown] tags=["en"]
# ## Two ways to ask which word
# $z$ is the logit (the number before the sigmoid), $e_t$ (8,) the embedding of word $t$. **Gradient x input** asks the slope,
# **occlusion** tries it: what is lost if the word gives way to $\bar e$, the mean of all embeddings?
#
# $$S_t = e_t \cdot \frac{\partial z}{\partial e_t}, \qquad O_t = z(e_1, \dots, e_T) - z(e_1, \dots, \bar e, \dots, e_T)$$
# %% [markdown] tags=["zh"]
# ## 问“是哪个词”的两种办法
# $z$ 是 logit（进 sigmoid 之前的数），$e_t$（8,）是第 $t$ 个词的嵌入。**梯度乘输入**问的是斜率，
# **遮挡**则动手试：把这个词换成所有嵌入的平均 $\bar e$，会少掉多少？
#
# $$S_t = e_t \cdot \frac{\partial z}{\partial e_t}, \qquad O_t = z(e_1, \dots, e_T) - z(e_1, \dots, \bar e, \dots, e_T)$$
# %%
def two_ways(model, texts):  # S and O, each (texts, 6)
    def logit(e):
        return model.layers[1](e) @ model.layers[2].kernel + model.layers[2].bias

    mean = model.layers[0].get_weights()[0][1:].mean(axis=0)
    e = Tensor(model.layers[0](to_ids(texts)).data, requires_grad=True)
    np.sum(logit(e)).backward()
    without = [logit(np.where(np.eye(6)[t][:, None] > 0, mean, e.data)) for t in range(6)]
    return np.sum(e.grad * e.data, axis=-1), np.concatenate([(logit(e) - each).data for each in without], axis=1)


fig, axes = plt.subplots(1, 3, figsize=(10, 3.8), sharey=True, facecolor="white", layout="constrained")
for ax, model, name in zip(axes, (hasty, patient, classifier(0, 0)), ("8 epochs", "40 epochs", "never trained")):
    for i, (label, values) in enumerate(zip(("gradient x input", "occlusion"), two_ways(model, test))):
        size = np.abs(values).mean(axis=0)  # over the texts
        ax.barh(np.arange(6) + 0.4 * i, size / size.max(), 0.38, label=label)
    ax.set(
        title=f"{name}: {model.evaluate(to_ids(test), truth)[1]:.0%} right", xlabel="mean |S|, mean |O|; largest = 1"
    )
axes[0].set_yticks(np.arange(6) + 0.2, ("the", "thing", "was", "not / so", "good / bad ...", "today / again"))
axes[0].invert_yaxis()
axes[0].legend()
plt.show()


# %% [markdown] tags=["en"]
# The ways disagree, so which is right? The table before is the judge: the hasty model hangs on "today" (ends by a coin: it guesses),
# the patient one on "not" and the adjective. Occlusion says so; the slope at one point does not, where gates are nearly shut or open.
# Nor does agreement prove anything: in the model that learnt **nothing** both name "the" (Adebayo et al. 2018). A map is a suspicion.
#
# ## Neighbours of a word
# The cosine $\cos(e_a, e_b) = e_a \cdot e_b / (\|e_a\| \|e_b\|)$ of two embeddings is 1 for one direction, -1 for opposite ones. Who is near?
# %% [markdown] tags=["zh"]
# 两种办法说法不一，谁对？前面的表就是裁判：匆忙的模型靠 today（句尾一随机，它就瞎猜），耐心的靠 not 和形容词。遮挡说对了；
# 只看一点的斜率没说对，因为门几乎全关或全开。说法一致也证明不了什么：**什么都没学过**的模型，两种办法都指着 the（Adebayo 等 2018）。图只是嫌疑。
#
# ## 一个词的邻居
# 两个嵌入的余弦 $\cos(e_a, e_b) = e_a \cdot e_b / (\|e_a\| \|e_b\|)$，同向为 1，反向为 -1。谁离得近？
# %%
for name, model in [("40 epochs", patient), ("never trained", classifier(0, 0))]:
    table = model.layers[0].get_weights()[0]
    table = table / np.linalg.norm(table, axis=-1, keepdims=True)
    for word in ("good", "awful", "soup"):
        near = table @ table[words.word_index[word]]
        others = [
            f"{words.index_word[i]} {near[i]:.2f}" for i in np.argsort(-near) if i and words.index_word[i] != word
        ]
        print(f"{name:13} {word:5} ->", ", ".join(others[:4]))


# %% [markdown] tags=["en"]
# "good" and "awful" have found their kinds. But "awful" sits just as near to "not", and to "bread" for no reason: neighbours are a
# hint, not a meaning. With 8 numbers a word, chance alone gives cosines of 0.5 and more.
#
# ## Where a GPT looks
# Eleven digits and a sign `=`; the answer is the **first** digit. With queries $Q$ and keys $K$ (time, size) of a head, the map is
# $A = \mathrm{softmax}(Q K^\top / \sqrt{\text{size}} + M)$, where $M$ is $-\infty$ for later positions: row $t$ says where $t$ looks.
# Next to it the test: draw the digit at each position anew and count how often the answer changes.
# %% [markdown] tags=["zh"]
# good 和 awful 都找到了同类。可是 awful 离 not 同样近，离 bread 也一样近，毫无道理：邻居只是线索，不是含义。
# 每个词只有 8 个数时，纯属偶然也会有 0.5 以上的余弦。
#
# ## GPT 在看哪里
# 十一个数字加一个 `=`，答案是**第一个**数字。设某个头的查询、键为 $Q$、$K$（时间, size），图就是
# $A = \mathrm{softmax}(Q K^\top / \sqrt{\text{size}} + M)$，$M$ 对后面的位置取 $-\infty$：第 $t$ 行说明 $t$ 在看哪里。
# 旁边是检验：把每个位置上的数字重抽一次，数一数答案变了多少次。
# %%
def first_digit(n, seed):
    digits = np.random.default_rng(seed).integers(0, 10, (n, 11))
    return np.c_[digits, np.full(n, 10)], np.c_[np.full((n, 11), -1), digits[:, 0]]  # 10 is "="; -1: no loss there


def gpt(epochs):
    model = GPT(vocab_size=11, context=12, depth=1, heads=2, width=16, seed=0)
    model.compile(Adam(0.01), SparseCategoricalCrossentropy(from_logits=True, ignore_class=-1))
    model.build((None, 12))
    model.fit(*first_digit(1024, 0), epochs=epochs, batch_size=64, verbose=0) if epochs else None
    return model


def attention(model, ids):  # (batch, heads, time, time), of the first block
    x = model.token_embedding(ids) + model.position_embedding(np.arange(12))
    parts = np.split(model.blocks[0].attention(model.blocks[0].norm_1(x)).data, 3, axis=-1)
    Q, K, _ = (part.reshape(len(ids), 12, model.heads, -1).swapaxes(1, 2) for part in parts)
    return softmax(np.where(np.tri(12, dtype=bool), Q @ K.swapaxes(-1, -2) / np.sqrt(Q.shape[-1]), -np.inf))


def effect(model, ids, t):  # the share of answers that change when the digit at t becomes another one
    other = ids.copy()
    other[:, t] = (other[:, t] + np.random.default_rng(t).integers(1, 10, len(ids))) % 10
    return np.mean(np.diff([model(each).data[:, -1].argmax(axis=-1) for each in (ids, other)], axis=0) != 0)


test, wanted = first_digit(200, 9)
fig, axes = plt.subplots(2, 2, figsize=(9, 6.4), facecolor="white", layout="constrained", width_ratios=(1, 1.3))
for (left, right), model, name in zip(axes, (gpt(10), gpt(0)), ("trained", "never trained")):
    A = attention(model, test)
    right_answers = np.mean(model(test).data[:, -1].argmax(axis=-1) == wanted[:, -1])
    left.imshow(A[0].mean(axis=0), cmap="Blues", vmin=0, vmax=1)
    left.set(title=f"{name}, {right_answers:.0%} right: attention", xlabel="looked at", ylabel="looking")
    right.bar(np.arange(12) - 0.2, A[:, :, -1].mean(axis=(0, 1)), 0.4, label="attention of '='")
    right.bar(
        np.arange(11) + 0.2, [effect(model, test, t) for t in range(11)], 0.4, label="answer changes with the digit"
    )
    right.set(title=f"position 0: attention {A[:, :, -1, 0].mean():.2f}, effect {effect(model, test, 0):.2f}")
axes[0, 1].legend()
plt.show()
# %% [markdown] tags=["en"]
# Trained: the sign looks at position 0, and changing that digit changes the answer: map and test agree. Untrained: a neat
# triangle, made by the mask and nothing else; it looks at every digit alike, and none has an effect.
#
# ## Try next
# 1. Take "today" out of the training texts (`today=0.5`). Is the hasty model now honest, or merely ignorant?
# 2. Let the answer be the digit after the first `0`. One block will not do; which map changes when you give it two?
# 3. Freeze the recurrent kernel of an untrained `reader` and train the rest. Does `best_unit` still find "inside"?
# %% [markdown] tags=["zh"]
# 训练过的：等号看着位置 0，改动那个数字答案就变，图和检验一致。没训练过的：一个整齐的三角形，全是掩码造成的；
# 它对每个数字一视同仁，而哪个都不起作用。
#
# ## 接着试试
# 1. 让训练文本里的 today 失去作用（`today=0.5`）。匆忙的模型现在是诚实了，还是只剩无知？
# 2. 让答案变成第一个 `0` 后面的数字。一个块不够；换成两个块时，哪张图会变？
# 3. 冻结一个没训练过的 `reader` 的循环核，只训练其余部分。`best_unit` 还找得到“里面”吗？
