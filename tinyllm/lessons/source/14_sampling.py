# %% [markdown] tags=["en"]
# # 14. Sampling
# A language model gives probabilities, not text. Somebody must choose, and how one chooses decides whether the text goes in circles,
# reads well, or falls apart. You write the usual ways by hand, measure them, and search for the most probable text of all.
# **You need** lesson 12. **It takes** 35 minutes; the cells run for about five seconds.
# **To run it:** `pip install -e ".[lessons]"`, then `jupyter lab`.
# %% [markdown] tags=["zh"]
# # 14. 采样
# 语言模型给出的是概率，不是文本。总得有人来选；怎么选，决定了写出来的东西是原地打转、通顺可读，还是语无伦次。
# 本课把常用的选法都亲手写一遍，量一量，最后再去找概率最高的那段文本。
# **需要**：第 12 课。**用时**：35 分钟；单元运行约五秒。
# **运行**：先 `pip install -e ".[lessons]"`，再 `jupyter lab`。
# %%
import matplotlib.pyplot as plt
import numpy as np

from tinyllm import datasets
from tinyllm.generation import Sampling, beam_search, distinct, distribution, generate
from tinyllm.lessons import claim
from tinyllm.models import Bigram, NGram
from tinyllm.ops import softmax
from tinyllm.preprocessing.tokenizers import CharacterTokenizer

BLUE, RED, GREY = "#2b6cb0", "#d9485f", "#555555"

# %% [markdown] tags=["en"]
# ## Two ways to choose
# Five tokens can come next. **Greedy** choice takes the most probable one, always. **Sampling** draws: token $i$ comes with its
# probability $p_i$. The article wants both in one sentence. Ten draws show that they are two things.
# %% [markdown] tags=["zh"]
# ## 两种选法
# 下一个词元有五种可能。**贪心**总是取概率最高的那个；**采样**则是抽签：词元 $i$ 以概率 $p_i$ 出现。
# 文章在一句话里两样都要。抽十次就看得出，这是两回事。
# %%
p = np.array([0.5, 0.2, 0.15, 0.1, 0.05])
rng = np.random.default_rng(14)
drawn = [int(rng.choice(5, p=p)) for _ in range(10)]
print("greedy:", [int(p.argmax())] * 10, "  drawn:", drawn)
claim("S5-22", computed=set(drawn) == {int(p.argmax())})


# %% [markdown] tags=["en"]
# ## Temperature
# The model's scores $z_i$, its **logits**, are divided by a number $\tau$, the temperature, before the softmax:
#
# $$p_i = \frac{e^{z_i / \tau}}{\sum_j e^{z_j / \tau}}, \qquad H = -\sum_i p_i \ln p_i$$
#
# Below 1 the probable becomes more probable (bolder), above 1 all become more alike. The **entropy** $H$, in nats, measures how
# open the choice is: 0 if one token is certain, $\ln 5$ if all five are equal, and $e^H$ is the number of tokens among which
# one "really" chooses.
# %% [markdown] tags=["zh"]
# ## 温度
# 模型的分数 $z_i$ 叫 **logits**；做 softmax 之前，先把它们都除以一个数 $\tau$，即温度：
#
# $$p_i = \frac{e^{z_i / \tau}}{\sum_j e^{z_j / \tau}}, \qquad H = -\sum_i p_i \ln p_i$$
#
# $\tau$ 小于 1，概率大的更大（更大胆）；大于 1，彼此更接近。**熵** $H$（单位奈特）衡量选择有多开放：某个词元必然出现时为 0，
# 五个机会均等时为 $\ln 5$；$e^H$ 就是“实际上”在几个词元里挑。
# %%
def entropy(p):
    return -np.sum(p * np.log(np.where(p > 0, p, 1)), axis=-1)


z = np.log(p)  # softmax(log p) = p, so these are logits for it
taus = np.geomspace(0.05, 20, 100)
H = [entropy(softmax(z / tau)) for tau in taus]
print(
    f"tau 0.5: {softmax(z / 0.5).round(3)}   tau 2: {softmax(z / 2).round(3)}   at tau 1, e^H = {np.exp(entropy(p)):.2f}"
)
assert np.allclose(softmax(z / 0.5), distribution(z, temperature=0.5)) and np.all(np.diff(H) > 0)
fig, ax = plt.subplots(figsize=(7.5, 4.2), facecolor="white", layout="constrained")
ax.semilogx(taus, H, color=BLUE)
ax.plot(1, entropy(p), "o", color="black", label=f"the model itself: {entropy(p):.3f} nats")
ax.axhline(np.log(5), color=GREY, linestyle="--", label="five equal choices: ln 5 = 1.609")
ax.set(title="Temperature turns the choice from none to free", xlabel="temperature", ylabel="entropy, nats")
ax.legend()
plt.show()


# %% [markdown] tags=["en"]
# ## Leaving out what is improbable
# One bad token can spoil a text, and among 50,000 tokens the improbable ones are many. So cut them off, and scale what is left to 1:
#
# - **top-k**: keep the $k$ most probable (Fan et al. 2018)
# - **top-p**: keep the fewest, most probable first, that have together at least the probability $P$ (Holtzman et al. 2020)
# - **min-p**: keep what is at least $m$ times as probable as the most probable (Nguyen et al. 2024)
#
# Top-k keeps $k$ tokens whether the model is sure or not. The two others look: sure, they keep few; unsure, many.
# %% [markdown] tags=["zh"]
# ## 去掉不太可能的
# 一个坏词元就能毁掉一段文本，而五万个词元里，不太可能的多得很。所以把它们截掉，剩下的再放大到和为 1：
#
# - **top-k**：留下概率最高的 $k$ 个（Fan 等，2018）
# - **top-p**：从概率最高的开始留，直到合起来至少有概率 $P$，留得尽量少（Holtzman 等，2020）
# - **min-p**：留下概率不低于最高者 $m$ 倍的（Nguyen 等，2024）
#
# 不管模型有没有把握，top-k 总是留 $k$ 个。另外两种会看情况：有把握就少留，没把握就多留。
# %%
def scaled(p, kept):
    return np.where(kept, p, 0) / p[kept].sum()


def top_k(p, k):
    return scaled(p, p >= np.sort(p)[-k])


def top_p(p, share):
    order = np.argsort(-p)
    before = np.cumsum(p[order]) - p[order]  # the probability of all that are more probable
    kept = np.zeros(len(p), bool)
    kept[order] = before < share
    return scaled(p, kept)


def min_p(p, share):
    return scaled(p, p >= share * p.max())


for f, name, value in [(top_k, "top_k", 2), (top_p, "top_p", 0.8), (min_p, "min_p", 0.25)]:
    assert np.allclose(f(p, value), distribution(z, **{name: value}))
    print(f"{name} = {value}: {f(p, value).round(3)}")
sure, unsure = softmax(-1.5 * np.arange(10)), softmax(-0.1 * np.arange(10))
fig, axes = plt.subplots(2, 3, figsize=(10, 5), facecolor="white", layout="constrained", sharey="row")
for row, (model, full) in zip(axes, [("sure", sure), ("unsure", unsure)]):
    for ax, (f, name, value) in zip(row, [(top_k, "top-k", 4), (top_p, "top-p", 0.9), (min_p, "min-p", 0.1)]):
        cut = f(full, value)
        ax.bar(range(10), full, color="#cccccc")
        ax.bar(range(10), np.where(cut > 0, full, 0), color=BLUE)
        ax.set_title(f"{model}: {name} {value} keeps {np.count_nonzero(cut)}")
axes[1, 1].set_xlabel("token")
axes[0, 0].set_ylabel("probability")
fig.suptitle("Top-k keeps as many when it should not; top-p and min-p look first")
plt.show()

# %% [markdown] tags=["en"]
# ## A model that writes
# An `NGram` that has counted 5,600 characters about the seasons, looking back four. It needs no training, and goes wrong in the same ways
# as a large one. Two measures for a text of 300 characters: how **surprising** it is to the model, in nats per character, and
# `distinct`: different runs of four characters, divided by all runs of four. The corpus itself is the yardstick.
# %% [markdown] tags=["zh"]
# ## 会写字的模型
# 一个 `NGram`，数过 5600 个关于四季的字符，往回看四个。它不用训练，而犯的毛病和大模型一样。给一段 300 字符的文本量两个数：
# 它让模型有多**意外**（每字符多少奈特）；以及 `distinct`：不同的四字符片段数，除以全部四字符片段数。拿语料本身作标尺。
# %%
text = "\n".join(line for line in datasets.seasons() if line.isascii()) + "\n"
letters = CharacterTokenizer(text)
model = NGram(letters.vocab_size, order=5, tokenizer=letters)
model.count(np.array(letters.encode(text)))


def measured(settings, seeds=range(2)):
    """(surprise, distinct) of texts of 300 characters, and the first text."""
    found = [generate(model, "The ", 300, Sampling(**settings), seed=seed) for seed in seeds]
    logs = [model.scores(np.array([each.prompt + each.ids]))[0] for each in found]
    surprise = [-np.mean(log[np.arange(3, 303), each.ids]) for log, each in zip(logs, found)]
    return np.mean(surprise), np.mean([distinct(each.text, 4) for each in found]), found[0].text


rows = {"greedy": {"greedy": True}, "penalty 1.3": {"greedy": True, "repetition_penalty": 1.3}}
rows |= {f"tau {tau}": {"temperature": tau} for tau in (0.1, 0.3, 0.5, 0.7, 1.0, 1.3, 1.6)}
rows |= {"top-k 3": {"top_k": 3}, "top-p 0.9": {"top_p": 0.9}, "min-p 0.1": {"min_p": 0.1}}
results = {name: measured(settings) for name, settings in rows.items()}
for name in ("greedy", "penalty 1.3", "tau 0.3", "top-p 0.9", "tau 1.0", "tau 1.6"):
    print(f"{name:12}", repr(results[name][2][:90]))
# %%
pieces = [text[i : i + 300] for i in range(0, len(text) - 300, 300)]
corpus = model.nats(np.array(letters.encode(text))), np.mean([distinct(each, 4) for each in pieces])
fig, ax = plt.subplots(figsize=(7.5, 4.8), facecolor="white", layout="constrained")
path = np.array([results[name][:2] for name in rows if name.startswith("tau")])
ax.plot(*path.T, "o-", color=BLUE, label="temperature 0.1 to 1.6")
ax.plot(*corpus, "*", color="black", markersize=14, label="the corpus itself")
places = {"greedy": (8, -4), "penalty 1.3": (8, -4), "top-k 3": (4, -14), "top-p 0.9": (8, -6), "min-p 0.1": (-56, -8)}
places |= {"tau 0.1": (8, -2), "tau 0.3": (8, -4), "tau 0.7": (-50, 12), "tau 1.0": (-10, 8), "tau 1.6": (-14, -16)}
for name, place in places.items():
    colour = BLUE if name.startswith("tau") else RED
    ax.plot(*results[name][:2], "o" if colour == BLUE else "s", color=colour)
    ax.annotate(name, results[name][:2], place, textcoords="offset points", color=colour)
ax.set(
    title="Every setting pays for variety with surprise",
    xlabel="surprise, nats per character",
    ylabel="distinct, n = 4",
)
ax.legend(loc="lower right")
plt.show()
print("penalty 2 for token 1:", distribution(z, repetition_penalty=2, seen=[1]).round(3))
print("3 added to all logits:", distribution(z + 3, repetition_penalty=2, seen=[1]).round(3))

# %% [markdown] tags=["en"]
# ## The most probable text
# Greedy takes the best *step*. The best *text* may begin with the second best. A small tree: first a, b or c with 0.5, 0.4, 0.1;
# after a come x, y, z with 0.4, 0.3, 0.3, after b with 0.9, 0.05, 0.05. Greedy goes to a and reaches $0.5 \cdot 0.4 = 0.20$; by way of b it
# is $0.4 \cdot 0.9 = 0.36$. **Beam search** keeps the best $B$ beginnings at every step: $B = 1$ is greedy.
# %% [markdown] tags=["zh"]
# ## 概率最高的文本
# 贪心取的是最好的*一步*，而最好的*整段*也许要从第二好的一步走起。一棵小树：第一步 a、b、c 的概率是 0.5、0.4、0.1；
# a 之后 x、y、z 是 0.4、0.3、0.3，b 之后是 0.9、0.05、0.05。贪心走 a，得 $0.5 \cdot 0.4 = 0.20$；
# 走 b 却有 $0.4 \cdot 0.9 = 0.36$。**束搜索**每一步都留下最好的 $B$ 个开头：$B = 1$ 就是贪心。
# %%
chances = {"start": {"a": 0.5, "b": 0.4, "c": 0.1}, "a": {"x": 0.4, "y": 0.3, "z": 0.3}}
chances |= {"b": {"x": 0.9, "y": 0.05, "z": 0.05}, "c": {"x": 0.34, "y": 0.33, "z": 0.33}}
names = ["start", *"abcxyz"]
tree = Bigram(vocab_size=len(names), dtype="float64")
tree.build((None, 1))
tree.set_weights([np.log([[chances.get(a, {}).get(b, 1e-12) for b in names] for a in names])])
for beams in (1, 2):
    best = beam_search(tree, [0], max_tokens=2, beams=beams)[0]
    print(f"{beams} beam(s): {[names[i] for i in best.ids]} with probability {np.exp(best.log_probability):.2f}")
for beams in (1, 2, 4, 16):
    best = beam_search(model, "The ", 30, beams=beams)[0]
    print(f"{beams:2} beam(s): ln P = {best.log_probability:.2f}  {best.text!r}")
claim("S9-02")
# %% [markdown] tags=["en"]
# ## What was found
# Greedy text went in circles, hot text fell apart, and the corpus lies between; a temperature near 0.7 or a cut came closest to it. The
# **repetition penalty** (a seen token's logit is divided by it, a negative one multiplied) did little here: it is made for words, and after a
# few lines every *letter* has been seen. And it is the only setting that changes when a number is added to all logits: see the two printed lines.
# Beams found more and more probable texts, but a probable text is not a good one: it says the river, again and again.
#
# **Try next.** 1. Draw with `top_p=0.9` and `temperature=1.6` together. Which is applied first, and what does it save?
# 2. Give `beam_search` a `stop="\n"` and the `length_penalty` 0, then 1. Which finds the shorter sentence, and why?
# 3. Plot `results` again with `order=3` in `NGram`. Does greedy choice still go in circles?
# %% [markdown] tags=["zh"]
# ## 有什么发现
# 贪心写的原地打转，温度太高就散架，语料在两者之间；温度 0.7 左右，或者截断，离它最近。**重复惩罚**（出现过的词元，logit 除以它；
# 负的则乘以它）在这里几乎没用：它是给词设计的，而写不了几行，每个*字母*都出现过了。它还是唯一会受“所有 logits 加同一个数”影响的设置：
# 请看印出的那两行。束越宽，找到的文本概率越高；但概率高不等于写得好：说来说去都是那条河。
#
# **接着试试。** 1. 同时用 `top_p=0.9` 和 `temperature=1.6` 抽样。哪个先起作用？它挽救了什么？
# 2. 给 `beam_search` 加上 `stop="\n"`，`length_penalty` 先取 0，再取 1。哪个找到的句子短？为什么？
# 3. 把 `NGram` 改成 `order=3`，重画 `results`。贪心还会打转吗？
