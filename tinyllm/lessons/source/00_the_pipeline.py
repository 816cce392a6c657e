# %% [markdown] tags=["en"]
# # 0. The pipeline in five minutes
# The article draws a language model as four stages in a row: collect data, process it, train, deploy. You run all of them here, on the
# article's three sentences, without understanding much yet. Each stage names the lessons that explain it.
#
# **You need** a little Python. **It takes** 5 minutes, 10 if you try things. **To run it:** `pip install -e ".[lessons]"`, then `jupyter lab`.
# %% [markdown] tags=["zh"]
# # 0. 五分钟走完全程
# 文章把语言模型画成一条线上的四个环节：采集数据、处理、训练、部署。本课用文章的三个句子把它们从头到尾跑一遍，暂时不求甚解；
# 每个环节都会告诉你，哪几课细讲。
#
# **需要**：会一点 Python。**用时**：5 分钟；想动手试试就 10 分钟。**运行**：先 `pip install -e ".[lessons]"`，再 `jupyter lab`。
# %%
import re
from graphlib import TopologicalSorter
from pathlib import Path
from tempfile import TemporaryDirectory

import matplotlib.pyplot as plt
import numpy as np

from tinyllm.datasets import report
from tinyllm.layers import LSTM, Dense, Embedding
from tinyllm.lessons import claim, table
from tinyllm.models import LanguageModel, Sequential, load_model
from tinyllm.preprocessing.sequence import pad_sequences
from tinyllm.preprocessing.text import TextToIds, Tokenizer
from tinyllm.serving import create_app

# %% [markdown] tags=["en"]
# ## The map
# This is the article's own chart, in Mermaid, a language for drawing with text. In JupyterLab and on GitHub the lines become boxes and arrows.
#
# ```mermaid
# graph TD
# A[数据采集] --> B[数据处理]
# B --> C[模型训练]
# C --> D[模型部署]
# ```
#
# An arrow means "is needed for". That settles the order, and a computer can find it: sort the boxes so that every arrow points onward.
# Lesson 4 does the same with a computation, and calls it backpropagation.
# %% [markdown] tags=["zh"]
# ## 地图
# 这是文章自己的流程图，用 Mermaid（一种用文字画图的语言）写成。在 JupyterLab 和 GitHub 上，这几行会变成方框和箭头。
#
# ```mermaid
# graph TD
# A[数据采集] --> B[数据处理]
# B --> C[模型训练]
# C --> D[模型部署]
# ```
#
# 箭头表示“后者要用到前者”。这就定下了先后，而且计算机自己能找出来：给方框排队，让每个箭头都朝前指。
# 第 4 课会对一次计算做同样的事，那就是反向传播。
# %%
CHART = """
A[数据采集] --> B[数据处理]
B --> C[模型训练]
C --> D[模型部署]
"""
ENGLISH = {"数据采集": "collect", "数据处理": "process", "模型训练": "train", "模型部署": "deploy"}
names = dict(re.findall(r"(\w)\[(.+?)\]", CHART))
arrows = re.findall(r"(\w)(?:\[.+?\])? --> (\w)", CHART)
needs = {b: [a] for a, b in arrows}
order = list(TopologicalSorter(needs).static_order())
assert [ENGLISH[names[box]] for box in order] == ["collect", "process", "train", "deploy"]
print(len(names), "boxes,", len(arrows), "arrows, in order:", " -> ".join(ENGLISH[names[box]] for box in order))

# %% [markdown] tags=["en"]
# ## Collect
# Three sentences with a label each, 1, 0, 1. What the labels mean, the article does not say. The first thing to do with data is to look at
# it. (Good, bad and doubled data: lesson 16. Whom the data leave out: lesson 17.)
# %% [markdown] tags=["zh"]
# ## 采集
# 三个句子，各带一个标签：1、0、1。标签是什么意思，文章没有说。拿到数据，第一件事是看一看。
# （好数据、坏数据、重复的数据：第 16 课。数据里漏掉了谁：第 17 课。）
# %%
sentences, labels = ["你好，世界！", "今天天气很好。", "我爱中国。"], np.array([1, 0, 1])
print(report(sentences))
claim("S5-05")

# %% [markdown] tags=["en"]
# ## Process
# A network computes with numbers, so each word gets a number, its **id**, and short sentences are filled up with zeros to equal length.
# Look: how many words has the tokenizer found in a sentence? (Why, and what to do about it: lesson 8.)
# %% [markdown] tags=["zh"]
# ## 处理
# 网络只会算数，所以给每个词编一个号（id），再用零把短句补到一样长。看一看：分词器在一个句子里找到了几个词？
# （为什么会这样，怎么办：第 8 课。）
# %%
tokenizer = Tokenizer()
tokenizer.fit_on_texts(sentences)
x = pad_sequences(tokenizer.texts_to_sequences(sentences), maxlen=5, padding="post")
print(tokenizer.word_index)
print(x)

# %% [markdown] tags=["en"]
# ## Train
# The model is a chain of functions: an `Embedding` makes 50 numbers of each id (lesson 9), an `LSTM` reads them one after the other and
# keeps 100 (lesson 10), a `Dense` layer makes one number of these, between 0 and 1: the probability of label 1 (lesson 7). At first all its weights are random.
# Training repeats: **forward** to a prediction, a **loss** that says how wrong it is (lesson 1), **backward** to the gradients (lessons 4 to 6), one **step**
# of the optimiser that lowers the loss (lessons 2 and 3). The article has the weights changed in the third and again in the fourth. Are they?
# %% [markdown] tags=["zh"]
# ## 训练
# 模型是一串函数：`Embedding` 把每个编号变成 50 个数（第 9 课）；`LSTM` 一个接一个地读，留下 100 个数（第 10 课）；`Dense` 层再把它们变成一个
# 0 到 1 之间的数，即标签为 1 的概率（第 7 课）。一开始，所有权重都是随机的。训练就是反复做四件事：**前向**得出预测；用**损失**说明错得多厉害
# （第 1 课）；**反向**求出梯度（第 4 至 6 课）；优化器**走一步**，让损失变小（第 2、3 课）。文章说第三件事改了权重，第四件事又改一次。真是这样吗？
# %%
model = Sequential([Embedding(4, 50), LSTM(100), Dense(1, activation="sigmoid")], seed=0)
model.compile(optimizer="adam", loss="binary_crossentropy", metrics=["accuracy"])
before = model.predict(x)[:, 0]
history = model.fit(x, labels, epochs=100, batch_size=1, verbose=0).history
after = model.predict(x)[:, 0]
print(f"{model.count_params():,} weights; loss {history['loss'][0]:.4f} -> {history['loss'][-1]:.6f}")
print("P(label 1) before", before.round(2), "  after", after.round(3))
claim("S3-01")

# %%
embedding, memory, _ = model.layers
vectors = embedding(x).data
kept = memory(vectors).data
alike = np.corrcoef(kept)
pictures = [x[:1].T, vectors[0], kept, after[:, None]]
titles = [
    "first sentence:\n5 ids",
    "its vectors,\n5 x 50",
    "what the LSTM keeps of each\nsentence, 3 x 100",
    "P(label 1)\nof each",
]
fig, axes = plt.subplots(1, 4, figsize=(11, 3.6), facecolor="white", layout="constrained", width_ratios=[1, 4, 4, 1])
for ax, picture, title in zip(axes, pictures, titles):
    largest = np.abs(picture).max()
    ax.imshow(picture, cmap="RdBu", vmin=-largest, vmax=largest, aspect="auto", interpolation="nearest")
    ax.set_title(title, fontsize=10)
    ax.set(xticks=[], yticks=range(len(picture)))
for ax in (axes[0], axes[3]):
    for i, value in enumerate(ax.images[0].get_array().data.ravel()):
        ax.text(0, i, f"{value:.3g}", ha="center", va="center", color="black" if value < 0.5 else "white")
found = f"correlation {alike[0, 2]:.2f}; of 0 and 1 {alike[0, 1]:.2f}"
fig.suptitle(f"Sentences 0 and 2 share a label, and are kept alike ({found})", fontsize=11)
plt.show()

# %% [markdown] tags=["en"]
# ## Is it a language model?
# The article calls it one, and goes on to let it write. But it answers "label 1, or not" and knows no words to write with. A language model
# says how probable each next character is. Here is one of the same sentences, given each first character. (How it works: lessons 12 and
# 13. Drawing at random: lesson 14. Why more weights help, or do not: lesson 18. The article's program line by line: lesson 11.)
# %% [markdown] tags=["zh"]
# ## 这是语言模型吗？
# 文章管它叫语言模型，接着就让它写文本。可它只会回答“标签是不是 1”，手里没有可写的词。语言模型要说出下一个字是每个字的概率各有多大。
# 下面就用同样三句话训练一个，并给它每句的第一个字。（原理：第 12、13 课。随机抽取：第 14 课。权重多了有没有用：第 18 课。逐行读文章的程序：第 11 课。）
# %%
writer = LanguageModel(sentences, units=32)
writer.fit_texts(sentences, epochs=100, learning_rate=0.02, verbose=0)
for sentence in sentences:
    written = writer.generate(sentence[0], greedy=True)
    assert written == sentence
    print(sentence[0], "->", written)
claim("S5-23")

# %% [markdown] tags=["en"]
# ## Deploy
# Trained once, used often, by programs that know nothing of training: so a model is saved, loaded somewhere else, and asked over HTTP. What turns
# texts into ids must travel with it, `TextToIds`; the article forgets that. No server is started here: Flask's test client plays the browser.
# (Lesson 15. Is it fair to everyone: lesson 17. Looking inside: lesson 19. Three applications: lesson 20.)
# %% [markdown] tags=["zh"]
# ## 部署
# 训练一次，使用多次，而且使用它的程序对训练一无所知：所以把模型存下来，在别处载入，通过 HTTP 提问。把文本变成编号的那一步要跟着模型走，
# 这就是 `TextToIds`；文章忘了它。这里没有真的启动服务器，由 Flask 的测试客户端扮演浏览器。
# （第 15 课。对每个人都公平吗：第 17 课。看看里面：第 19 课。三个应用：第 20 课。）
# %%
model.preprocess = TextToIds(tokenizer, maxlen=5, padding="post")
with TemporaryDirectory() as folder:
    model.save(Path(folder) / "classifier")
    print("saved:", sorted(file.name for file in (Path(folder) / "classifier").iterdir()))
    loaded = load_model(Path(folder) / "classifier")
print("loaded, predictions equal to the last bit:", np.array_equal(loaded.predict(x), model.predict(x)))
try:
    client = create_app(loaded).test_client()
    for text in [*sentences, "我爱学习。"]:
        print("POST /predict", text, "->", client.post("/predict", json={"text": text}).json)
except ImportError as error:
    print("left out:", error)

# %% [markdown] tags=["en"]
# `known` says whether the model has ever seen a word of the text. For the last sentence it has not: the answer means nothing.
#
# ## What you do not need
# The article begins with installing TensorFlow 2.7, and ends with a reading list. Both have aged, or never held. These lessons need Python, NumPy,
# Matplotlib and Jupyter; for this last stage Flask.
# %% [markdown] tags=["zh"]
# `known` 说明模型有没有见过这段文本里的任何词。最后一句没有见过，所以那个回答毫无意义。
#
# ## 用不着的东西
# 文章从安装 TensorFlow 2.7 开始，以一份书单结束；两者有的过了时，有的本来就不对。这套课程只需要 Python、NumPy、Matplotlib 和 Jupyter；
# 最后这个环节再加上 Flask。
# %%
table([claim(id) for id in ("S5-01", "S5-02", "S5-03", "S5-04", "S7-01", "S7-02")])

# %% [markdown] tags=["en"]
# ## Try next
# 1. Turn the labels round, `np.array([0, 1, 0])`, and run everything again. Does the loss still fall? What has the model "understood"?
# 2. Use `Tokenizer(char_level=True)`, `maxlen=7` and 16 rows in the `Embedding`. What do the two last sentences get now, and why are they close?
# 3. Add a box to `CHART` between training and deployment. What should it do? (Lesson 11 asks: "Is that an evaluation?")
# %% [markdown] tags=["zh"]
# ## 接着试试
# 1. 把标签反过来，`np.array([0, 1, 0])`，全部重跑。损失还会下降吗？模型到底“懂”了什么？
# 2. 用 `Tokenizer(char_level=True)`、`maxlen=7`，`Embedding` 改成 16 行。最后两句现在得到什么？为什么这么接近？
# 3. 在 `CHART` 的训练和部署之间加一个框。它该做什么？（第 11 课会问：“这算评估吗？”）
