# %% [markdown] tags=["en"]
# # 17. Bias and fairness, measured
# "Make sure that the model performs alike in different groups", says the article (question 5). Alike in what? You train a small
# classifier, compute five measures, see that they cannot all be good at once, and pay the price of a remedy.
#
# **You need** lesson 1; the words "training" and "held out". **It takes** 35 minutes.
# **To run it:** `pip install -e ".[lessons]"`, then `jupyter lab`.
# %% [markdown] tags=["zh"]
# # 17. 偏见与公平，量出来
# 文章说要“确保模型在不同群体中的表现一致”（问题 5）。什么一致？本课训练一个小分类器，算出五种指标，
# 看清它们为什么不能同时都好，再为一种补救办法付一次代价。
#
# **需要**：第 1 课；知道“训练集”和“留出集”。**用时**：35 分钟。
# **运行**：先 `pip install -e ".[lessons]"`，再 `jupyter lab`。
# %%
import matplotlib.pyplot as plt
import numpy as np

from tinyllm.audit import counterfactual, fairness_report, swap_words
from tinyllm.layers import Dense, Embedding, GlobalAveragePooling1D
from tinyllm.models import Sequential
from tinyllm.optimizers import Adam
from tinyllm.preprocessing.text import TextToIds, Tokenizer

# %% [markdown] tags=["en"]
# ## People on paper
# Somebody asks for a loan. $y = 1$: would pay it back. A person has a group, A or B, and two numbers: a test score, which
# depends on $y$ alone, and the district, which depends on the group alone. In A 60 % would pay back, in B 40 %. All of this is
# made up, so that we know the truth; nothing here is about real people. $x$ is (people, 2), $y$ (people,).
# **The model never sees the group.** Is it fair by that?
# %% [markdown] tags=["zh"]
# ## 纸上的人
# 有人来申请贷款，$y = 1$ 表示会还。每个人属于 A 组或 B 组，另有两个数：测验分数，只取决于 $y$；所住街区，只取决于组别。
# A 组有 60% 会还，B 组 40%。数据都是编的，所以我们知道真相；与任何真实人群无关。$x$ 形状（人数, 2），$y$ 形状（人数,）。
# **模型从头到尾看不到组别。** 这样就公平了吗？
# %%
RATE = {"A": 0.6, "B": 0.4}


def people(n, seed):
    rng = np.random.default_rng(seed)
    group = rng.choice(["A", "B"], n)
    y = (rng.random(n) < np.vectorize(RATE.get)(group)).astype(int)
    score = y + rng.normal(0, 0.8, n)
    district = (group == "A") + rng.normal(0, 0.5, n)
    return np.stack([score, district], axis=1), y, group


def lender(x, y, sample_weight=None):
    model = Sequential([Dense(1, "sigmoid", input_shape=(2,))], seed=0)
    model.compile(Adam(0.05), "binary_crossentropy")
    model.fit(x, y, sample_weight=sample_weight, batch_size=200, epochs=20, verbose=0)
    return model


x, y, group = people(2000, seed=1)
new_x, truth, new_group = people(4000, seed=2)
plain = lender(x, y)
p = plain.predict(new_x)[:, 0]
print("weights: score {:.2f}, district {:.2f}".format(*plain.get_weights()[0][:, 0]))
report = fairness_report(truth, p > 0.5, new_group)
print(report)

# %% [markdown] tags=["en"]
# ## Five measures
# $\hat y = 1$: the loan is given, here where $p > 0.5$. For a group $g$, with its share $r_g$ of people who would pay back:
#
# $$s_g = P(\hat y = 1 \mid g), \qquad t_g = P(\hat y = 1 \mid y = 1, g), \qquad f_g = P(\hat y = 1 \mid y = 0, g)$$
#
# Demographic parity asks for equal selection rates $s$; disparate impact is their ratio, the smaller to the larger; equal
# opportunity asks for equal true positive rates $t$; equalised odds for equal $t$ **and** equal $f$; the accuracy gap for
# answers that are right equally often. The district stands in for the group: a **proxy**. Not looking is not fairness.
# %% [markdown] tags=["zh"]
# ## 五种指标
# $\hat y = 1$ 表示放贷，这里是 $p > 0.5$。对组 $g$，设其中会还的人占比 $r_g$：
#
# $$s_g = P(\hat y = 1 \mid g), \qquad t_g = P(\hat y = 1 \mid y = 1, g), \qquad f_g = P(\hat y = 1 \mid y = 0, g)$$
#
# 人口均等要求入选率 $s$ 相等；差别影响是入选率之比（小比大）；机会均等要求真阳性率 $t$ 相等；均等几率要求 $t$ 相等**而且** $f$ 相等；
# 准确率差看各组答对的比例差多少。街区成了组别的替身，叫**代理变量**。不看，不等于公平。
# %%
by_hand = {}
for g in "AB":
    said, true = (p > 0.5)[new_group == g], truth[new_group == g]
    by_hand[g] = {"selection_rate": said.mean(), "tpr": said[true == 1].mean(), "fpr": said[true == 0].mean()}
    print(g, {name: round(float(value), 3) for name, value in by_hand[g].items()})
    assert all(np.isclose(report.groups[g][name], value) for name, value in by_hand[g].items())
shuffled = fairness_report(truth, p > 0.5, np.random.default_rng(0).permutation(new_group))
print("groups drawn by lot, 2000 people each:", {name: round(v, 3) for name, v in shuffled.measures.items()})

# %% [markdown] tags=["en"]
# The accuracy gap is almost 0, and yet somebody in B who **would** pay back is refused more often than in A. One number can
# hide what another shows. With the groups drawn by lot all is near 0: that much is chance, at 2000 people a group.
#
# ## Why not all at once
# Whoever gets a loan either would pay back or not, so
#
# $$s_g = r_g\, t_g + (1 - r_g)\, f_g$$
#
# Let odds be equal: $t_A = t_B = t$ and $f_A = f_B = f$. Then $s_A - s_B = (r_A - r_B)(t - f)$. This is 0 only if $r_A = r_B$, or
# if $t = f$: then the answer says nothing about $y$. To see it, keep A's threshold at 0.5 and move B's.
# %% [markdown] tags=["zh"]
# 准确率差几乎是 0，可是 B 组里**会**还钱的人却比 A 组更常被拒。一个数遮住的，另一个数会露出来。
# 抽签分组时各项都接近 0：每组 2000 人，偶然性就这么大。
#
# ## 为什么不能全要
# 拿到贷款的人，要么会还，要么不会，所以
#
# $$s_g = r_g\, t_g + (1 - r_g)\, f_g$$
#
# 假设几率均等：$t_A = t_B = t$，$f_A = f_B = f$。那么 $s_A - s_B = (r_A - r_B)(t - f)$。它要为 0，只能 $r_A = r_B$，
# 或者 $t = f$，也就是回答跟 $y$ 毫无关系。眼见为实：A 的门槛固定在 0.5，移动 B 的门槛。
# %%
for g in "AB":
    r, each = truth[new_group == g].mean(), by_hand[g]
    assert np.isclose(each["selection_rate"], r * each["tpr"] + (1 - r) * each["fpr"])
thresholds, gaps = np.linspace(0.25, 0.65, 41), []
for threshold in thresholds:
    a, b = fairness_report(truth, p > np.where(new_group == "B", threshold, 0.5), new_group).groups.values()
    a, b = (a, b) if new_group[0] == "A" else (b, a)
    gaps.append([a[name] - b[name] for name in ("selection_rate", "tpr", "fpr", "accuracy")])
zeros = thresholds[np.argmin(np.abs(gaps), axis=0)]
fig, ax = plt.subplots(figsize=(7.5, 4.4), facecolor="white", layout="constrained")
for gap, zero, name, mark in zip(
    np.transpose(gaps), zeros, ("selected, s", "true positives, t", "false positives, f", "accuracy"), "o^sD"
):
    (line,) = ax.plot(thresholds, gap, label=f"{name}: 0 near {zero:.2f}")
    ax.plot(zero, 0, mark, color=line.get_color(), markersize=8)
ax.axhline(0, color="black", linewidth=0.8)
ax.set(title="No threshold for group B brings all four differences to 0", xlabel="threshold for B (for A: 0.5)")
ax.set(ylabel="rate in A - rate in B")
ax.legend()
plt.show()

# %% [markdown] tags=["en"]
# ## A remedy and its price
# Reweighting (Kamiran & Calders 2012) makes group and label look independent in training. A person of group $g$ with label
# $y$ counts
#
# $$w(g, y) = \frac{P(g)\, P(y)}{P(g, y)}$$
#
# times, with the shares of the training set. Whoever is rarer than independence would have it, counts more. The district
# then helps no longer, and training should leave it alone. Guess: which of the five measures will be better, which not?
# %% [markdown] tags=["zh"]
# ## 一种补救和它的代价
# 重新加权（Kamiran & Calders 2012）让训练集里组别和标签看起来相互独立。组 $g$、标签 $y$ 的人算作
#
# $$w(g, y) = \frac{P(g)\, P(y)}{P(g, y)}$$
#
# 个人，概率取训练集中的比例。比“独立时”少见的人，分量就加重。这样一来街区就帮不上忙了，训练应当不再理它。
# 先猜：五种指标里哪些会变好，哪些不会？
# %%
weight = np.empty(len(y))
for g in "AB":
    for label in (0, 1):
        cell = (group == g) & (y == label)
        weight[cell] = np.mean(group == g) * np.mean(y == label) / np.mean(cell)
        print(f"group {g}, y = {label}: {cell.sum():4} people, weight {weight[cell][0]:.3f}")
fair = lender(x, y, sample_weight=weight)
print("weights: score {:.2f}, district {:.2f}".format(*fair.get_weights()[0][:, 0]))
mended = fairness_report(truth, fair.predict(new_x)[:, 0] > 0.5, new_group)
assert mended.measures["equalized_odds_difference"] < 0.03 < 0.08 < mended.measures["demographic_parity_difference"]
yes = {name: model.predict(new_x)[:, 0] > 0.5 for name, model in [("plain", plain), ("reweighted", fair)]}
bars = {name: [*fairness_report(truth, said, new_group).measures.values()] for name, said in yes.items()}
for name, said in yes.items():
    refused = [np.sum(~said & (truth == 1) & (new_group == g)) for g in "AB"]
    print(
        f"{name:10} accuracy of all {np.mean(said == truth):.3f}; refused though they would pay: A {refused[0]}, B {refused[1]}"
    )
fig, ax = plt.subplots(figsize=(7.5, 4.2), facecolor="white", layout="constrained")
for i, (name, values) in enumerate(bars.items()):
    values = [1 - value if j == 1 else value for j, value in enumerate(values)]  # of the ratio, how far it is from 1
    ax.bar_label(ax.bar(np.arange(5) + 0.4 * i, values, 0.38, label=name), fmt="%.2f", fontsize=8)
labels = [
    "demographic\nparity",
    "1 - disparate\nimpact ratio",
    "equal\nopportunity",
    "equalised\nodds",
    "accuracy\ngap",
]
ax.set_xticks(np.arange(5) + 0.2, labels)
ax.set(title="Reweighted: odds nearly equal, parity gap halved, accuracy gap opened", ylabel="0 is alike")
ax.legend()
plt.show()

# %% [markdown] tags=["en"]
# The district's weight went to 0, and the odds became nearly equal. Parity did not: the base rates differ, as the formula
# said. Overall accuracy falls a little. But look at who pays: people in A who would pay back are refused more often than
# before, people in B less. Which measure counts is a decision about the use; no formula takes it for you.
#
# ## One word exchanged
# A text can carry a group in one word. Sixty letters of recommendation: the label should follow the praise, but whoever
# labelled them was harder on "she". The same letter with the word exchanged (`counterfactual`) shows what was learnt. The
# remedy: train on every letter **and** its exchanged copy, with the same label.
# %% [markdown] tags=["zh"]
# 街区的权重降到了 0，几率几乎相等了。均等却没有做到：两组的基础比例不同，公式早就说过。总准确率略降。
# 但要看是谁在付账：A 组里会还的人比以前更常被拒，B 组则更少。哪种指标算数，取决于用途，没有公式能替你决定。
#
# ## 只换一个词
# 一个词就能带出组别。六十封推荐信：标签本该只看评价，打标签的人却对“她”更严。同一封信只换这个词再问一遍
# （`counterfactual`），就看出模型学了什么。补救：每封信**连同**换过词的副本一起训练，标签相同。
# %%
PRAISE = {
    "brilliant": 3,
    "excellent": 3,
    "capable": 2,
    "reliable": 2,
    "ordinary": 1,
    "adequate": 1,
    "careless": 0,
    "slow": 0,
}
rng = np.random.default_rng(3)
words, pronouns = rng.choice(list(PRAISE), 60), rng.choice(["he", "she"], 60)
letters = [f"I think that {who} is {word} in this job" for who, word in zip(pronouns, words)]
invited = np.array([PRAISE[word] >= (2 if who == "he" else 3) for who, word in zip(pronouns, words)]).astype(int)


def reader(texts, labels):
    tokenizer = Tokenizer()
    tokenizer.fit_on_texts(texts)
    table = Embedding(len(tokenizer.word_index) + 1, 8, mask_zero=True)
    model = Sequential([table, GlobalAveragePooling1D(), Dense(1, "sigmoid")], seed=0)
    model.preprocess = TextToIds(tokenizer, maxlen=10, padding="post")
    model.compile(Adam(0.03), "binary_crossentropy")
    model.fit(model.preprocess(texts), labels, epochs=60, verbose=0)
    return model


swapped = [swap_words(letter, {"he": "she"}) for letter in letters]
probes = [f"I think that he is {word} in this job" for word in PRAISE]
before = counterfactual(reader(letters, invited), probes, {"he": "she"})
after = counterfactual(reader(letters + swapped, np.tile(invited, 2)), probes, {"he": "she"})
print(before, "", f"with exchanged copies: largest change {after.max:.3f}", sep="\n")
assert after.max < 0.05 < 0.5 < before.max

# %% [markdown] tags=["en"]
# The change is nearly 0 at the two ends of the scale and large in the middle: bias shows where the case is not clear. An average over
# all letters would have hidden that. And copies cure only the words in the table: names, schools and hobbies remain.
#
# ## Try next
# 1. Give both groups the same `RATE`. Which gaps of the plain model disappear, and why does the district no longer matter?
# 2. Find a threshold for B with the four-fifths rule kept. How many more wrong answers does it cost, and in which group?
# 3. Take 40 people instead of 2000 into `new_x`, ten times. How large do the measures of groups drawn by lot become?
# %% [markdown] tags=["zh"]
# 两头几乎不变，中间变得最多：偏见出现在两可的地方。对所有信取平均就看不出来了。
# 而且副本只治得了表里的词：名字、学校、爱好还在。
#
# ## 接着试试
# 1. 让两组的 `RATE` 相同。普通模型的哪些差距会消失？为什么这时街区就不重要了？
# 2. 给 B 找一个满足五分之四规则的门槛。要多错多少人？错在哪一组？
# 3. `new_x` 不取 2000 人而取 40 人，做十次。抽签分组的各项指标会有多大？
