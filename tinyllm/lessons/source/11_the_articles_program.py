# %% [markdown] tags=["en"]
# # 11. The article's program, line by line
#
# The article trains a "simple language model" in forty lines of Keras. We run those lines on our own engine, count
# every parameter, watch it learn, find out why its last part cannot work, and build the language model that it meant.
#
# **You need** lessons 1 and 2, or the words "loss" and "gradient". **It takes** 30 minutes. **To run it:**
# `pip install -e ".[lessons]"` in the project's folder, then open this file in Jupyter.
# %% [markdown] tags=["zh"]
# # 11. 逐行读文章里的程序
#
# 文章用四十行 Keras 训练了一个“简单的语言模型”。我们在自己的引擎上运行这些代码，数清每一个参数，看它怎样学习，弄明白
# 最后一段为什么跑不通，再把它本来想要的语言模型做出来。
#
# **需要**：第 1、2 课，或者知道“损失”和“梯度”是什么。**用时**：30 分钟。**运行**：在项目目录下执行
# `pip install -e ".[lessons]"`，然后用 Jupyter 打开本文件。
# %%
import math

import matplotlib.pyplot as plt
import numpy as np

import tinyllm
from tinyllm.layers import LSTM, Dense, Embedding
from tinyllm.lessons import claim, table
from tinyllm.models import LanguageModel, Sequential
from tinyllm.preprocessing.sequence import pad_sequences

# %% [markdown] tags=["en"]
# ## Text becomes integers
# Three sentences, each with a label: 1, 0, 1. A tokenizer gives every *word* a number. What is a word here? Look.
# %% [markdown] tags=["zh"]
# ## 文本变成整数
# 三个句子，标签是 1、0、1。分词器给每个*词*编一个号。这里的“词”是什么？看结果。
# %%
sentences = ["你好，世界！", "今天天气很好。", "我爱中国。"]
labels = np.array([1, 0, 1])

tokenizer = tinyllm.preprocessing.text.Tokenizer()
tokenizer.fit_on_texts(sentences)
ids = tokenizer.texts_to_sequences(sentences)
tokenizer.word_index
# %%
x = pad_sequences(ids, maxlen=5, padding="post")
cut_into_words = any(len(sequence) > 1 for sequence in ids)
table(
    [
        claim("S5-06", computed=cut_into_words),
        claim("S5-07", computed=ids),
        claim("S5-08", computed=x.tolist()),
        claim("S5-25", computed=next(iter(tokenizer.word_index))),
    ]
)
# %% [markdown] tags=["en"]
# Keras splits at spaces, and Chinese has none, so a whole sentence is one word. The model will see one number and four
# zeros of padding. It cannot learn anything *about* a sentence: it can only tell three numbers apart.
# %% [markdown] tags=["zh"]
# Keras 按空格切分，中文没有空格，所以一整句就是一个“词”。模型看到的只是一个编号加四个填充的零。它学不到句子*里面*的
# 任何东西，只能把三个编号区分开。
# %% [markdown] tags=["en"]
# ## The model, counted
# An embedding (a table with one row of 50 numbers per id), an LSTM with 100 units, and one sigmoid. With $V$ ids, $E$
# features and $H$ units there are
#
# $$\underbrace{V E}_{\text{embedding}} + \underbrace{4\,(E H + H H + H)}_{\text{LSTM: 4 gates}} + \underbrace{H + 1}_{\text{dense}}$$
#
# parameters. Here $V = 4$: three sentences, and 0 for padding.
# %% [markdown] tags=["zh"]
# ## 数一数模型
# 一个嵌入层（一张表，每个编号一行，50 个数），一个 100 单元的 LSTM，一个 sigmoid。设编号有 $V$ 个、特征 $E$ 个、单元
# $H$ 个，参数共有
#
# $$\underbrace{V E}_{\text{嵌入}} + \underbrace{4\,(E H + H H + H)}_{\text{LSTM：4 个门}} + \underbrace{H + 1}_{\text{全连接}}$$
#
# 个。这里 $V = 4$：三个句子，加上表示填充的 0。
# %%
model = Sequential()
model.add(Embedding(input_dim=len(tokenizer.word_index) + 1, output_dim=50, input_length=5))
model.add(LSTM(units=100, activation="tanh"))
model.add(Dense(units=1, activation="sigmoid"))
model.summary()
# %%
V, E, H = 4, 50, 100
by_hand = [V * E, 4 * (E * H + H * H + H), H + 1]
assert by_hand == [layer.count_params() for layer in model.layers] and sum(by_hand) == 60_701
table([claim(name, computed=n) for name, n in zip(["S5-09", "S5-10", "S5-11"], by_hand)])
# %% [markdown] tags=["en"]
# ## Training
# A hundred times through three samples, one at a time: 300 steps of Adam. The loss is the binary cross-entropy of
# lesson 01; at the start the model knows nothing, $p \approx 0.5$, so the loss is near $\ln 2 = 0.693$.
# The bands are where 44 runs of TensorFlow, Keras and NumPy with different seeds began and ended.
# %% [markdown] tags=["zh"]
# ## 训练
# 三个样本逐个训练，重复一百轮：Adam 走 300 步。损失是第 01 课的二元交叉熵；开始时模型一无所知，$p \approx 0.5$，损失
# 接近 $\ln 2 = 0.693$。图中的两条带，是 TensorFlow、Keras 和 NumPy 以不同随机种子运行 44 次的起点和终点范围。
# %%
model.compile(optimizer="adam", loss="binary_crossentropy", metrics=["accuracy"])
history = model.fit(x, labels, epochs=100, batch_size=1, verbose=0).history
learnt = 1 + max(epoch for epoch, accuracy in enumerate(history["accuracy"], 1) if accuracy < 1)

FIRST, LAST = (0.690796, 0.708843), (3.2100e-4, 6.1800e-4)  # 44 seeded runs: loss of epochs 1 and 100
figure, axes = plt.subplots(figsize=(7, 4), layout="constrained")
axes.semilogy(range(1, 101), history["loss"], label="our loss")
for (low, high), colour, name in [(FIRST, "tab:green", "epoch 1"), (LAST, "tab:red", "epoch 100")]:
    axes.axhspan(low, high, color=colour, alpha=0.35, label=f"44 other runs, {name}")
axes.axvline(learnt, color="gray", linestyle="--", label=f"all three right from epoch {learnt} on")
axes.set(title="The curve begins and ends where the frameworks' do", xlabel="epoch", ylabel="loss (nats)")
axes.legend()
plt.show()
print(f"epoch 1: {history['loss'][0]:.4f}   epoch 100: {history['loss'][-1]:.6f}")
# %%
predictions = model.predict(x)
table(
    [
        claim("S5-12", computed=model.evaluate(x, labels)[1] == np.mean((predictions[:, 0] > 0.5) == labels)),
        claim("S5-13", computed=model.optimizer.iterations),
        claim("S5-14", computed=predictions.shape),
    ]
)


# %% [markdown] tags=["en"]
# ## Is that an evaluation?
# The article counts four parts of its program and lists five; the fourth, `model.predict`, it calls evaluation.
# Near 1, 0, 1: but these are the sentences it was trained on. A sentence it has never seen becomes five zeros, and what
# it answers to those depends on nothing but the random numbers it started from:
# %% [markdown] tags=["zh"]
# ## 这算评估吗？
# 文章说程序分四个部分，列出来却是五个；第四个是 `model.predict`，它称之为评估。
# 接近 1、0、1，可这些正是训练用的句子。没见过的句子会变成五个零，而模型对它的回答，只取决于初始的随机数：
# %%
def trained(seed):
    layers = [Embedding(4, 50, input_length=5), LSTM(100), Dense(1, activation="sigmoid")]
    other = Sequential(layers, seed=seed)
    other.compile("adam", "binary_crossentropy")
    other.fit(x, labels, epochs=100, batch_size=1, verbose=0)
    return other


unseen = pad_sequences(tokenizer.texts_to_sequences(["我爱学习。"]), maxlen=5, padding="post")
print("ids:", unseen.tolist())
for seed in range(1, 5):
    print(f"seed {seed}: P(label 1) = {float(trained(seed).predict(unseen)[0, 0]):.3f}")
table([claim("S5-24"), claim("S5-15", computed="unseen text: arbitrary")])
# %% [markdown] tags=["en"]
# ## Why it cannot generate
# The article goes on to draw words with `np.random.choice(words, p=predictions[i][j])`. We try that line, and then
# repair it, one step at a time. Each repair meets the next error: not a slip, but the wrong kind of model.
# %% [markdown] tags=["zh"]
# ## 它为什么不能生成文本
# 文章接着用 `np.random.choice(words, p=predictions[i][j])` 抽词。我们先照样试，再一步步修补。每修一处，就撞上下一个错误：
# 这不是笔误，而是模型的种类不对。
# %%
words = list(tokenizer.word_index)
index_to_word = {i: word for word, i in tokenizer.word_index.items()}


def attempt(action):
    try:
        return action()
    except Exception as error:
        print(f"{type(error).__name__}: {str(error)[:300]}")
        return error


no_vector = attempt(lambda: np.random.choice(words, p=predictions[0][0]))
one_for_three = attempt(lambda: np.random.choice(words, p=predictions[0]))
no_second = attempt(lambda: predictions[0][1])
no_word = attempt(lambda: index_to_word[words[0]])
padding_in_vocabulary = "<PAD>" in tokenizer.word_index
table(
    [
        claim("S5-16", computed=no_vector),
        claim("S5-17", computed=one_for_three),
        claim("S5-18", computed=no_second),
        claim("S5-19", computed=no_word),
        claim("S5-20", computed=padding_in_vocabulary),
        claim("S5-21", computed=not isinstance(no_vector, Exception)),
    ]
)
# %% [markdown] tags=["en"]
# A *language model* gives, at every position, a probability to **each** token of its vocabulary. This one has a single
# output: the probability that the label is 1. There is nothing to draw a word from. The same misunderstanding breaks
# the article's server: it takes `argmax` over an axis with one entry, which is 0 for every sentence.
# %% [markdown] tags=["zh"]
# *语言模型*在每个位置给词表里的**每个**词元一个概率。而这个模型只有一个输出：标签为 1 的概率，根本无从抽词。同样的误解
# 也弄坏了文章的服务端：它在只有一个元素的轴上取 `argmax`，对任何句子都得到 0。
# %%
one_request = model.predict(x[:1])
print("argmax:", predictions.argmax(axis=1), "  p > 0.5:", (predictions[:, 0] > 0.5).astype(int))
table(
    [
        claim("S5-23", computed=predictions.shape[1] == len(words)),
        claim("S5-28", computed=one_request.argmax(axis=1)),
        claim("S5-29", computed=one_request.argmax(axis=1).flatten().tolist()),
    ]
)
# %% [markdown] tags=["en"]
# ## The language model that can
# One id per *character*; BOS says "a sentence begins", EOS "it ends". The model reads $c_1 \dots c_{t-1}$ and gives
# $P(c_t \mid c_1 \dots c_{t-1})$ for every character $c_t$; the loss is the mean of $-\ln P$ over the 21 characters and
# ends. Eighteen of them can be known for certain. The three first characters cannot: each sentence is as likely as the
# others, so each costs $\ln 3$, and no model can get below
#
# $$\frac{3 \ln 3}{21} = 0.156945 \text{ nats per character.}$$
# %% [markdown] tags=["zh"]
# ## 真正能生成的语言模型
# 每个*字*一个编号；BOS 表示“句子开始”，EOS 表示“句子结束”。模型读入 $c_1 \dots c_{t-1}$，对每个字 $c_t$ 给出
# $P(c_t \mid c_1 \dots c_{t-1})$；损失是 21 个字和句尾上 $-\ln P$ 的平均。其中 18 个可以完全确定，三个首字却不能：三句话
# 机会均等，各付出 $\ln 3$，所以任何模型的损失都不会低于
#
# $$\frac{3 \ln 3}{21} = 0.156945 \text{ 奈特／字。}$$
# %%
language_model = LanguageModel(sentences, units=32)
curve = language_model.fit_texts(sentences, epochs=250, learning_rate=0.02, verbose=0).history["loss"]
floor = 3 * math.log(3) / 21

figure, axes = plt.subplots(figsize=(7, 4), layout="constrained")
axes.plot(range(1, 251), curve, label="language model")
axes.axhline(floor, color="gray", linestyle="--", label=f"floor: {floor:.6f}")
axes.set(
    title="The loss comes down to its floor, and stays", xlabel="epoch", ylabel="nats per character", ylim=(0, None)
)
axes.legend()
plt.show()
print(f"reached {language_model.nats(sentences):.6f}; the floor is {floor:.6f}")
# %%
for sentence in sentences:
    print("greedy, from", sentence[0], "->", language_model.generate(sentence[0], greedy=True))
print("drawn:", [language_model.generate(seed=seed) for seed in range(4)])
# %% [markdown] tags=["en"]
# ## What next
# - Give the *classifier* characters instead of sentences: `Tokenizer(char_level=True)`. What do unseen sentences get now?
# - Draw with `temperature=3`: which sentences come out that were never in the data?
# - Add a fourth sentence that begins with 今. What is the floor then? Compute it before you train.
# %% [markdown] tags=["zh"]
# ## 接下来可以试
# - 让*分类器*读字而不是整句：`Tokenizer(char_level=True)`。没见过的句子现在得到什么？
# - 用 `temperature=3` 抽样：会写出哪些数据里没有的句子？
# - 加第四个句子，也以“今”开头。这时的下限是多少？先算，再训练。
