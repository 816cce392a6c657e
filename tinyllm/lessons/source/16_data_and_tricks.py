# %% [markdown] tags=["en"]
# # 16. Data quality, augmentation, ensembles, fine-tuning
# What helps when data are few or bad? The article's questions 2 and 4 give a list: good data, augmentation, several models,
# pretrained models. You measure every entry of it on one small task, always on sentences that were not trained on.
# **You need** lesson 11. **It takes** 35 minutes. **To run it:** `pip install -e ".[lessons]"`, then `jupyter lab`.
# %% [markdown] tags=["zh"]
# # 16. 数据质量、数据增强、集成与微调
# 数据太少、太差，怎么办？文章的问题 2 和问题 4 开了一张单子：好数据、数据增强、多个模型、预训练模型。
# 本课在一个小任务上逐条测量，而且只在没训练过的句子上测。
# **需要**：第 11 课。**用时**：35 分钟。**运行**：先 `pip install -e ".[lessons]"`，再 `jupyter lab`。
# %%
import matplotlib.pyplot as plt
import numpy as np

from tinyllm.datasets import split
from tinyllm.layers import Dense, Embedding, GlobalAveragePooling1D
from tinyllm.lessons import claim
from tinyllm.models import Sequential
from tinyllm.models.ensemble import Ensemble, hard_vote, soft_vote
from tinyllm.models.transfer import freeze, replace_head
from tinyllm.ops import softmax
from tinyllm.optimizers import Adam
from tinyllm.preprocessing.augmentation import augment
from tinyllm.preprocessing.text import TextToIds, Tokenizer

# %% [markdown] tags=["en"]
# ## A task whose truth is known
# Sentences are drawn from lists: somebody says that the soup was good, or bad. The label is 1 if the adjective is a good
# one. Because we wrote the rule, we can spoil the labels by a known amount and still measure against the truth.
# The model looks up each word's row of 16 numbers, takes the mean of the rows, and ends in one sigmoid: $p$, the
# probability of label 1. Shapes: ids (batch, 12), rows (batch, 12, 16), mean (batch, 16), $p$ (batch, 1).
# %% [markdown] tags=["zh"]
# ## 一个知道真相的任务
# 句子从词表里抽词拼成：有人说汤好喝，或者不好喝。形容词是褒义，标签就是 1。规则是我们自己定的，所以可以按已知的比例
# 弄坏标签，再跟真相比。模型给每个词查出一行 16 个数，对各行取平均，最后过一个 sigmoid 得到 $p$，即标签为 1 的概率。
# 形状：编号（批, 12），各行（批, 12, 16），平均（批, 16），$p$（批, 1）。
# %%
GOOD = "good great fine lovely superb decent charming perfect splendid pleasant".split()
BAD = "bad awful poor dreadful terrible weak boring horrible dull nasty".split()
FOOD = "soup bread waiter table dessert coffee kitchen price menu salad".split()
FILM = "plot actor music ending camera script scene hero cast sound".split()
HOW = "really quite rather very so truly".split()


def sentences(n, things, seed):
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, 2, n)
    drawn = ([rng.choice(words) for words in (things, HOW, GOOD if label else BAD, things)] for label in labels)
    return ["the {} was {} {} and the {} too".format(*words) for words in drawn], labels


def trained(texts, labels, seed=0, epochs=20, more_words=()):
    words = Tokenizer()
    words.fit_on_texts([*texts, *more_words])  # of the training texts: a word that only the others hold has no id
    table = Embedding(len(words.word_index) + 1, 16, mask_zero=True, name="words")
    model = Sequential([table, GlobalAveragePooling1D(), Dense(1, "sigmoid")], seed=seed)
    model.preprocess = TextToIds(words, maxlen=12, padding="post")
    return fitted(model, texts, labels, epochs)


def fitted(model, texts, labels, epochs):
    model.compile(Adam(0.1), "binary_crossentropy", ["accuracy"])
    model.fit(model.preprocess(texts), np.array(labels), batch_size=100, epochs=epochs, verbose=0)
    return model


def accuracy(model, texts, labels):
    return np.mean((model.predict(model.preprocess(texts), batch_size=300)[:, 0] > 0.5) == labels)


new, truth = sentences(300, FOOD, seed=99)  # held out: nothing below is ever trained on these
print(f"{new[0]!r} -> {truth[0]},  {new[1]!r} -> {truth[1]}")
# %% [markdown] tags=["en"]
# ## Copies that leak
# First a trap. We throw a coin for each of 100 sentences: there is **nothing** to learn, so 0.5 is all that anybody can
# get right. Each sentence stands in the file three times, as happens when texts are collected. We split and train.
# %% [markdown] tags=["zh"]
# ## 会泄漏的重复
# 先看一个陷阱。给 100 个句子各抛一次硬币当标签：**没有任何**规律可学，谁都只能对一半。收集来的文本常有重复，
# 这里每个句子在文件里出现三次。然后划分、训练。
# %%
coins = list(zip(sentences(100, FOOD, 4)[0], np.random.default_rng(0).integers(0, 2, 100)))
for name, pairs in [("with copies", coins * 3), ("each once", coins)]:
    runs = []
    for seed in range(2):
        parts = [tuple(zip(*part)) for part in split(pairs, 0.3, seed=seed)]  # (texts, labels), twice
        model = trained(*parts[0], epochs=60)
        runs.append([accuracy(model, *part) for part in parts])
    known, held_out = np.mean(runs, axis=0)
    print(f"{name:12} accuracy on its own training part {known:.2f}, on the held-out part {held_out:.2f}")
claim("S5-15", computed=f"on the coins it saw {known:.2f}, on new coins {held_out:.2f}")
# %% [markdown] tags=["en"]
# Predicting the training sentences, as the article's program does, finds skill where there is none. So does a split of a
# file with copies: the held-out part is mostly known by heart. Remove copies first (`clean_texts`), then split.
#
# ## Wrong labels
# Now true labels, of which a share $\eta$ is turned round. If a model's answers are right with probability $a$, and the
# *test's* labels are wrong with probability $\eta$ too, then model and test agree with probability
#
# $$a' = a (1 - \eta) + (1 - a)\, \eta$$
#
# $a'$ is the accuracy that one measures. Guess first: with 30 % wrong labels in 200 sentences, what are $a$ and $a'$?
# %% [markdown] tags=["zh"]
# 像文章的程序那样对训练句子做预测，会在毫无规律的地方看出“本事”来。含重复的文件一划分，也是如此：留出的部分大半背过了。
# 先去重（`clean_texts`），再划分。
#
# ## 错误的标签
# 现在用真标签，但把其中比例为 $\eta$ 的一部分翻转。设模型答对的概率为 $a$，而*测试集*的标签也有 $\eta$ 的概率是错的，
# 那么模型与测试集一致的概率是
#
# $$a' = a (1 - \eta) + (1 - a)\, \eta$$
#
# $a'$ 就是测出来的准确率。先猜：200 个句子里有 30% 的标签是错的，$a$ 和 $a'$ 各是多少？
# %%
shares, found = np.linspace(0, 0.5, 6), []
for share in shares:
    runs = []
    for seed in range(2):
        rng = np.random.default_rng(100 + seed)
        texts, labels = sentences(200, FOOD, seed)
        spoilt, test = (y ^ (rng.random(len(y)) < share) for y in (labels, truth))
        model = trained(texts, spoilt, seed)
        runs.append([accuracy(model, *each) for each in [(texts, spoilt), (new, truth), (new, test)]])
    found.append(np.mean(runs, axis=0))
on_training, true_accuracy, measured = np.array(found).T
fig, ax = plt.subplots(figsize=(7.5, 4.4), facecolor="white", layout="constrained")
ax.plot(shares, true_accuracy, "o-", label="a: new sentences, true labels")
ax.plot(shares, measured, "s-", label="a': new sentences, labels spoilt alike")
mixed = true_accuracy * (1 - shares) + (1 - true_accuracy) * shares
ax.plot(shares, mixed, ":", color="black", label="a(1 - eta) + (1 - a)eta")
ax.plot(shares, on_training, "^--", color="gray", label="its own training labels")
ax.set(title=f"30 % wrong labels: {true_accuracy[3]:.0%} right, and a spoilt test sees only {measured[3]:.0%}")
ax.set(xlabel="eta, share of wrong labels (training; for a' also in the test)", ylabel="accuracy, mean of 2 runs")
ax.legend()
plt.show()
# %% [markdown] tags=["en"]
# As long as right labels are the majority, wrong ones cancel: the model is better than its labels. At $\eta = 0.5$
# they hold nothing (what is above 0.5 is the luck of two runs); its training labels look learnt all the same. Clean the test first.
#
# ## More texts from few
# The article proposes rotation and scaling. Those are for images: a cat turned round is a cat. Below, the ids of a sentence
# times two. For text (`augment`): exchange words, delete some, put synonyms in their place.
# %% [markdown] tags=["zh"]
# 只要对的占多数，错的标签就会互相抵消：模型比它的标签还准。到 $\eta = 0.5$，标签里什么也没有了
# （高出 0.5 的只是两次运行的运气），训练标签却照样像是学会了。先把测试集弄干净。
#
# ## 由少变多
# 文章建议旋转、缩放。那是给图像用的：猫转个方向还是猫。把一句话的编号乘以二，看看变成什么。
# 文本的办法（`augment`）是：交换词、删词、换同义词。
# %%
texts, labels = sentences(16, FOOD, 0)
words = trained(texts, labels).preprocess.tokenizer
scaled = words.sequences_to_texts(2 * np.array(words.texts_to_sequences(texts[:1])))[0]
print(f"{texts[0]!r} scaled by 2 is {scaled!r}")
synonyms = {word: [w for w in group if w != word] for group in (GOOD[:5], GOOD[5:], BAD[:5], BAD[5:]) for word in group}
ways = {"16 sentences": None, "swap words": {"swap": 0.3}, "delete words": {"delete": 0.2}}
for name, rates in (ways | {"synonyms": {"synonym": 1.0, "synonyms": synonyms}}).items():
    runs = []
    for seed in range(3):
        texts, labels = sentences(16, FOOD, seed)
        if rates:  # the training part only; as many steps in all, so the plain one gets twice the epochs
            more = augment(texts, labels, copies=8, seed=seed, **rates)
            texts, labels = more.texts, more.labels
        runs.append(accuracy(trained(texts, labels, seed, epochs=20 if rates else 40), new, truth))
    print(f"{name:13} {np.mean(runs):.2f}   {np.round(runs, 2)}")
claim("S9-01", computed=scaled == texts[0])
# %% [markdown] tags=["en"]
# Exchanging words cannot help: a mean does not see the order. Synonyms help, because the table **is** new knowledge: adjectives
# that the 16 sentences lack. Augmentation says what changes no label; where that is untrue ("not good" minus "not"), it harms.
#
# ## A vote
# $M$ models, model $m$ says $p_m$. The soft vote answers with the mean, the hard vote counts who is above one half:
#
# $$p_{\text{soft}} = \frac1M \sum_m p_m, \qquad p_{\text{hard}} = 1 \text{ if more than } M/2 \text{ of the } p_m > 0.5, \text{ else } 0$$
# %% [markdown] tags=["zh"]
# 交换词帮不上忙：取平均看不见顺序。同义词有用，因为那张表本身**就是**新知识：有 16 句里没有的形容词。
# 数据增强是在告诉模型“怎样改动不影响标签”；要是这话不对（比如删了“不好”的“不”），反而有害。
#
# ## 投票
# $M$ 个模型，第 $m$ 个给出 $p_m$。软投票取平均；硬投票数一数有几个过半：
#
# $$p_{\text{soft}} = \frac1M \sum_m p_m, \qquad p_{\text{hard}} = 1 \text{ 若超过 } M/2 \text{ 个 } p_m > 0.5, \text{ 否则 } 0$$
# %%
said = np.array([[0.9, 0.2, 0.4], [0.8, 0.1, 0.4], [0.7, 0.4, 0.9]])  # three models (rows) about three texts
print("soft", soft_vote(said[..., None]).ravel().round(4), "  hard", hard_vote(said[..., None]).ravel())
(texts, labels), rng = sentences(100, FOOD, 0), np.random.default_rng(1)
spoilt = labels ^ (rng.random(100) < 0.2)
draws = rng.integers(0, 100, (7, 100))  # each member sees its own draw of the 100 sentences, with repeats ("bagging")
members = [trained([texts[i] for i in draw], spoilt[draw], seed) for seed, draw in enumerate(draws)]
alone = [accuracy(model, new, truth) for model in members]
answers = [model.predict(model.preprocess(new)) for model in members]  # each with its own tokenizer
together = np.mean((soft_vote(answers)[:, 0] > 0.5) == truth)
triplets = [trained(texts, spoilt, seed) for seed in range(3)]  # the same sentences, other first weights
of_triplets = Ensemble(triplets).evaluate(triplets[0].preprocess(new), truth)[1]
print(f"seven members alone: {np.mean(alone):.3f} on average, the best {np.max(alone):.3f}; their vote: {together:.3f}")
assert together > np.mean(alone) + 0.02 and abs(of_triplets - accuracy(triplets[0], new, truth)) < 0.02
print(f"three triplets: the first alone {accuracy(triplets[0], new, truth):.3f}, their vote {of_triplets:.3f}")
# %% [markdown] tags=["en"]
# A vote averages away what its members do *differently* wrong: it is clearly better than the average member. Triplets that saw the
# same sentences share their mistakes: nothing is gained. And seven who each saw a part do not beat one who saw all.
#
# ## Start from what was learnt
# We have 400 sentences about films, label 1 if somebody is pleased, and a few about food with **another question**: is it
# a complaint? Take the film model, replace its head, and either `freeze` the word rows (training leaves them as they are)
# or train everything ("fine-tuning"). The yardstick is a model that starts from nothing.
# %% [markdown] tags=["zh"]
# 投票能抵消的，是各成员*各不相同*的错误：它明显好于普通成员。看过同样句子的“三胞胎”错在一处，投票没有好处。
# 而且，七个各看一部分的，也胜不过一个全看过的。
#
# ## 站在学过的东西上
# 有 400 句影评，满意则标签为 1；另有几句餐评，问的却是**另一个问题**：这是投诉吗？把影评模型的头换掉，
# 然后要么用 `freeze` 冻结词向量（训练时一点不变），要么全部接着训练（“微调”）。对照的是从零开始的模型。
# %%
base = trained(*sentences(400, FILM, 7), more_words=FOOD)
print(f"the film model as it is, asked about complaints: {accuracy(base, new, 1 - truth):.2f} right")
sizes, names, found = (2, 4, 8, 16, 32), ("from nothing", "fine-tuned", "frozen words"), []
for size in sizes:
    runs = []
    for seed in range(2):
        texts, labels = sentences(size, FOOD, 10 + seed)
        tuned, frozen = (replace_head(base, Dense(1, "sigmoid"), seed=seed) for _ in range(2))
        freeze(frozen, up_to="words")
        models = [trained(texts, 1 - labels, seed, 30), fitted(tuned, texts, 1 - labels, 30)]
        models += [fitted(frozen, texts, 1 - labels, 30)]
        runs.append([accuracy(model, new, 1 - truth) for model in models])
        assert np.array_equal(*(model.layers[0].get_weights()[0] for model in (frozen, base)))  # to the last bit
    found.append(np.mean(runs, axis=0))
fig, ax = plt.subplots(figsize=(7.5, 4.2), facecolor="white", layout="constrained")
for name, values, mark in zip(names, np.transpose(found), "o^s"):
    ax.semilogx(sizes, values, mark + "-", base=2, label=name)
ax.set_xticks(sizes, sizes)
ax.set(title=f"From {sizes[1]} sentences: {found[1][2]:.0%} right with kept words, {found[1][0]:.0%} from nothing")
ax.set(xlabel="food sentences to train on", ylabel="accuracy on 300 new ones, mean of 2 runs")
ax.legend()
plt.show()
# %% [markdown] tags=["en"]
# ## Strategies for text, and training by reward
# Question 4 calls reinforcement learning a strategy for *writing*. Two things are mixed. A decoding strategy (greedy, temperature,
# top-k) chooses from $p = \mathrm{softmax}(z)$ and leaves the scores $z$ alone. A reward $r$ for the token $k$ that was written
# is **training**: $z \leftarrow z + \alpha\, r\, (e_k - p)$, step $\alpha$, $e_k$ is 1 at $k$ and 0 elsewhere (REINFORCE, Williams 1992).
# %% [markdown] tags=["zh"]
# ## 解码策略与奖励训练
# 问题 4 把强化学习说成*生成*策略，混了两件事。解码策略（贪心、温度、top-k）只从 $p = \mathrm{softmax}(z)$ 里挑，不改分数 $z$。
# 给写出的词元 $k$ 一个奖励 $r$ 则是**训练**：$z \leftarrow z + \alpha\, r\, (e_k - p)$，$\alpha$ 是步长，$e_k$ 在 $k$ 处为 1，其余为 0。
# %%
z, k, reward = np.array([1.0, 0.0, -1.0]), 1, 1.0
print("model", softmax(z).round(3), "  temperature 0.5", softmax(z / 0.5).round(3), "  model", softmax(z).round(3))
z += 2.0 * reward * (np.eye(3)[k] - softmax(z))
print("model", softmax(z).round(3), "  after a reward: the model itself has changed")
claim("S9-02", computed="decoding leaves p, a reward moves it")
# %% [markdown] tags=["en"]
# ## Try next
# 1. Spoil only the labels of one class (every fifth "bad" becomes "good"). Does the noise still cancel?
# 2. Put a wrong pair into `synonyms` ("good" -> "bad"). How many such pairs does it take to lose what the table won?
# 3. Let the food sentences use a word the other way round ("rich" plots, "rich" soup). Which start suffers most?
# %% [markdown] tags=["zh"]
# ## 接着试试
# 1. 只弄坏一类标签（每五个“差评”有一个变成“好评”）。错误还会互相抵消吗？
# 2. 往 `synonyms` 里放一对错的（"good" -> "bad"）。要放多少对，才会把这张表赚来的赔光？
# 3. 让餐评里某个词意思反过来（影评的“浓”是好话，汤“浓”未必）。哪种起点吃亏最大？
