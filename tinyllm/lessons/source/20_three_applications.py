# %% [markdown] tags=["en"]
# # 20. Three applications made concrete
# Section 6 of the article lists what language models are used for: answering customers, forecasting prices, marking homework. It
# shows none of it. You build the smallest honest version of each, give it a yardstick, and find out where it fails.
# **You need** lesson 11. **It takes** 35 minutes. **To run it:** `pip install -e ".[lessons]"`, then `jupyter lab`.
# %% [markdown] tags=["zh"]
# # 20. 三个应用，做给你看
# 文章第 6 节列举了语言模型的用途：回答顾客、预测价格、批改作业，却一样也没做出来。本课把每一样做成最小的老实版本，
# 配上一把尺子，再找出它在哪里不行。
# **需要**：第 11 课。**用时**：35 分钟。**运行**：先 `pip install -e ".[lessons]"`，再 `jupyter lab`。
# %%
import matplotlib.pyplot as plt
import numpy as np

from tinyllm.layers import LSTM, Dense, Embedding, GlobalAveragePooling1D
from tinyllm.models import Sequential
from tinyllm.optimizers import Adam
from tinyllm.preprocessing.text import TextToIds, Tokenizer

# %% [markdown] tags=["en"]
# ## What does the customer want?
# Four intents, eight sentences each to learn from, three each to test. All were written by hand, the tests before the model was
# tried. Model: ids (batch, 12), embeddings (batch, 12, 16), their mean (batch, 16), probabilities (batch, 4) from a softmax, and
# the loss is $-\log p_k$ for the true intent $k$. The yardstick: answer "hours" if a word of the sentence stood in a training
# sentence about hours, and so on; each word votes once for every intent that used it. No training at all.
# %% [markdown] tags=["zh"]
# ## 顾客想要什么？
# 四种意图，每种八句用来学，三句用来考。全是手写的，考题在试模型之前就写好了。模型：编号（批, 12），嵌入（批, 12, 16），
# 取平均（批, 16），softmax 给出概率（批, 4）；真实意图为 $k$ 时，损失是 $-\log p_k$。尺子：句中的词在哪种意图的训练句里出现过，
# 就给那种意图投一票。完全不用训练。
# %%
LEARN = {
    "delivery": "where is my parcel|when will my order arrive|my package has not come yet|track my order please|the delivery is"
    " late|has my parcel been sent|how long does delivery take|i am still waiting for my order",
    "refund": "i want my money back|please refund my payment|how do i return these shoes|the shirt is broken i want a refund|can i"
    " send it back|you charged me twice|i would like to return this item|when do i get my money back",
    "password": "i forgot my password|i cannot log in|how do i reset my password|my account is locked|the login page does not"
    " accept my password|change my password please|i need a new password|why can i not sign in",
    "hours": "when do you open|are you open on sunday|what are your opening hours|when does the shop close|is the shop open today|"
    "until what time are you open|do you close for lunch|at what time do you open tomorrow",
}
TEST = {
    "delivery": "where is the package i bought|is my order on its way|the parcel should have come last week",
    "refund": "this is broken and i want my money|how can i return the item|refund me please",
    "password": "my password does not work|i am locked out of my account|help me to log in again",
    "hours": "is the shop open on monday|what time do you close tonight|do you open early",
}
INTENTS = list(LEARN)


def pairs(sentences):
    cut = {name: text.split("|") for name, text in sentences.items()}
    return [each for texts in cut.values() for each in texts], np.repeat(np.arange(4), [len(t) for t in cut.values()])


(texts, labels), (new, truth) = pairs(LEARN), pairs(TEST)
words = Tokenizer()
words.fit_on_texts(texts)
to_ids = TextToIds(words, maxlen=12, padding="post")
table = Embedding(len(words.word_index) + 1, 16, mask_zero=True)
model = Sequential([table, GlobalAveragePooling1D(), Dense(4, "softmax")], seed=0)
model.compile(Adam(0.02), "sparse_categorical_crossentropy", ["accuracy"])
model.fit(to_ids(texts), labels, epochs=60, batch_size=8, verbose=0)
known = [{word for text in LEARN[name].split("|") for word in text.split()} for name in INTENTS]
votes = np.array([[sum(word in each for word in text.split()) for each in known] for text in new])
scores = [model.evaluate(to_ids(*each[:1]), each[1])[1] for each in [(texts, labels), (new, truth)]]
print(
    f"model: training {scores[0]:.2f}, held out {scores[1]:.2f};  counting words: {np.mean(votes.argmax(axis=1) == truth):.2f}"
)
assert scores == [1, 1] and np.sum(votes.argmax(axis=1) != truth) == 1
for text, p, label in zip(new, model.predict(to_ids(new)), truth):
    if p.argmax() != label:
        print(f"  wrong: {text!r} -> {INTENTS[p.argmax()]} ({p.max():.2f}), it is {INTENTS[label]}")

# %% [markdown] tags=["en"]
# ## What nobody planned for
# Customers do not know our four intents. A softmax must divide 1 among them, whatever it is asked.
# %% [markdown] tags=["zh"]
# ## 没人料到的问题
# 顾客不知道我们只有四种意图。不管问什么，softmax 都得把 1 分给这四种。
# %%
strange = [
    "do you sell bicycles",
    "your shop is wonderful",
    "i do not want my money back",
    "colourless green ideas",
    "banana",
]
for text, p in zip(strange, model.predict(to_ids(strange))):
    print(f"{text!r:30} -> {INTENTS[p.argmax()]:9} {p.max():.2f}   known words: {np.count_nonzero(to_ids([text]))}")
sure = model.predict(to_ids(new)).max(axis=1)
print("on the held-out sentences it is sure by", np.sort(sure).round(2))

# %% [markdown] tags=["en"]
# All twelve right, and counting words gets all but one: twelve sentences cannot tell the two apart, and the simple way is a
# hard yardstick. The strange ones show the price. "I do **not** want my money back" is a refund for sure: a mean does not see
# what "not" belongs to. Praise is filed under hours with as much certainty as a right answer: a threshold on $p$ would not help.
# A sentence without any known word still gets an intent. A real service needs a way to say "I pass you on".
#
# ## Will the price go up?
# A toy price: $x_{t+1} = x_t + n_t$, with $n_t$ drawn anew every day. Tomorrow's change has nothing to do with the past: **no** method
# can do better than "tomorrow equals today". An LSTM sees windows of 10 days (batch, 10, 1) and predicts the next day (batch, 1);
# the loss is the mean squared error
#
# $$\mathrm{MSE} = \frac1n \sum_t (x_{t+1} - \hat x_{t+1})^2$$
#
# with $n$ days and $\hat x$ the prediction. The last third of the days is held out, in order: shuffled, the future would leak into training.
# A second series has something to find: a week's rhythm on top.
# %% [markdown] tags=["zh"]
# 十二句全对，而数词投票只错一句：十二个句子分不出两者的高下，简单办法是一把硬尺子。怪句子露了底。“我**不**想要回我的钱”被断定为退款：
# 取平均看不出“不”管着谁。夸奖被归到营业时间，把握和答对时一样大，所以给 $p$ 设门槛也没用。一个认识的词都没有的句子照样分到一种意图。
# 真正的服务得会说“我给您转人工”。
#
# ## 价格会涨吗？
# 一个玩具价格：$x_{t+1} = x_t + n_t$，$n_t$ 每天重新随机抽取。明天的涨跌与过去毫无关系：**没有**任何办法能胜过“明天等于今天”。
# LSTM 看 10 天的窗口（批, 10, 1），预测下一天（批, 1）；损失是均方误差
#
# $$\mathrm{MSE} = \frac1n \sum_t (x_{t+1} - \hat x_{t+1})^2$$
#
# 其中 $n$ 是天数，$\hat x$ 是预测。最后三分之一的日子留出来，按先后顺序：一打乱，未来就漏进训练集了。
# 第二个序列里确有东西可找：叠加了一个以周为周期的节奏。
# %%
DAYS, WINDOW, SPLIT = 600, 10, 400
rng = np.random.default_rng(7)
walk = 100 + np.cumsum(rng.normal(0, 1, DAYS))
series = {"random walk": walk, "walk + weekly rhythm": walk + 3 * np.sin(2 * np.pi * np.arange(DAYS) / 7)}


def forecast(x):
    """Predictions for the days SPLIT..DAYS-1, each from the ten days before it."""
    mean, spread = x[:SPLIT].mean(), x[:SPLIT].std()  # of the training days only
    z = ((x - mean) / spread)[:, None]
    windows = np.stack([z[t : t + WINDOW] for t in range(len(x) - WINDOW)])
    cut = SPLIT - WINDOW
    model = Sequential([LSTM(16), Dense(1)], seed=0)
    model.compile(Adam(0.01), "mean_squared_error")
    model.fit(windows[:cut], z[WINDOW:SPLIT], epochs=30, batch_size=32, verbose=0)
    return model.predict(windows[cut:])[:, 0] * spread + mean


predicted, errors = {}, {}
for name, x in series.items():
    today = x[SPLIT - 1 : -1]
    changes = np.diff(x, prepend=x[0])
    guesses = {"LSTM, prices": forecast(x), "LSTM, changes": today + forecast(changes), "tomorrow = today": today}
    predicted[name], errors[name] = guesses, {n: np.mean((x[SPLIT:] - guess) ** 2) for n, guess in guesses.items()}
    print(f"{name:21}", {guess: round(float(error), 2) for guess, error in errors[name].items()})
    won = (x[SPLIT:] - today) ** 2 - (x[SPLIT:] - guesses["LSTM, changes"]) ** 2  # day by day
    print(f"{'':21} won by the changes: {won.mean():.2f}, give or take {won.std() / np.sqrt(len(won)):.2f}")
    assert (won.mean() > 3 * won.std() / np.sqrt(len(won))) == (name != "random walk")
fig, axes = plt.subplots(1, 3, figsize=(11, 4), facecolor="white", layout="constrained", width_ratios=(1.2, 1.2, 1))
x, guesses = series["random walk"], predicted["random walk"]
axes[0].plot(x, color="black", label="price")
axes[0].plot(np.arange(SPLIT, DAYS), guesses["LSTM, prices"], label="LSTM, prices")
axes[0].axvline(SPLIT, color="gray", linestyle="--")
axes[0].set(title="The price goes where it never was", xlabel="day")
days = np.arange(SPLIT, SPLIT + 30)
axes[1].plot(days, x[days], "o-", color="black", markersize=3, label="price")
axes[1].plot(days, guesses["LSTM, changes"][:30], "s-", markersize=3, label="LSTM, changes")
axes[1].set(title="It seems to follow: a day too late", xlabel="day")
for i, (name, each) in enumerate(errors.items()):
    low = [each["tomorrow = today"], each["LSTM, changes"]]
    axes[2].bar_label(axes[2].bar(np.arange(2) + 0.4 * i, low, 0.38, label=name), fmt="%.2f")
axes[2].set_xticks(np.arange(2) + 0.2, ["tomorrow = today", "LSTM, changes"])
axes[2].set(title="MSE: a gain only with a rhythm", ylim=(0, 6))
for ax in axes:
    ax.legend()
plt.show()

# %% [markdown] tags=["en"]
# Three lessons. Fed with prices, the LSTM is lost as soon as the price leaves the range of its training days. Fed with **changes**, it
# draws a curve that looks like the price, a day too late: it has learnt to say "about as today". On the random walk what it wins is within
# chance, as it must be. On the rhythm it wins for certain, because there is something to learn. A forecast is worth what it wins
# against the yardstick on days it has not seen; a picture of two curves that run together is worth nothing.
#
# ## Marking homework by similarity
# A teacher's answer $a$, a pupil's answer $b$; $v_a$, $v_b$ (words,) count each word. Similarity is the cosine
#
# $$\cos(v_a, v_b) = \frac{v_a \cdot v_b}{\|v_a\|\, \|v_b\|}$$
#
# 1 for the same words, 0 for none in common. Below, seven answers with the mark that a teacher gave (0 to 1), before the computer was asked.
# %% [markdown] tags=["zh"]
# 三点教训。喂给它价格，价格一走出训练时的范围，LSTM 就迷路了。喂给它**涨跌**，它画出的曲线很像价格，只是晚了一天：
# 它学会的是“跟今天差不多”。在随机游走上，它赢的那点在偶然误差之内，也只能如此。有节奏时它确实赢了，因为有东西可学。
# 预测值多少，要看在没见过的日子里比尺子强多少；两条曲线挨在一起的图，什么也不值。
#
# ## 用相似度批作业
# 老师的答案 $a$，学生的答案 $b$；$v_a$、$v_b$（词,）数出每个词的次数。相似度取余弦
#
# $$\cos(v_a, v_b) = \frac{v_a \cdot v_b}{\|v_a\|\, \|v_b\|}$$
#
# 词全同为 1，没有共同的词为 0。下面七份答案附有老师的评分（0 到 1），是在问计算机之前打的。
# %%
REFERENCE = "the gradient points in the direction in which the loss grows fastest so we step against it"
ANSWERS = {
    "the gradient points where the loss grows fastest so we step against it": 1.0,
    "it shows the steepest way up and we walk the other way": 1.0,
    "downhill is minus the gradient": 0.7,
    "we step against the gradient": 0.5,
    "the gradient points in the direction in which the loss falls fastest so we step along it": 0.0,
    "the loss is a number": 0.0,
    "the the the gradient gradient loss loss step direction fastest": 0.0,
}
counter = Tokenizer()
counter.fit_on_texts([REFERENCE, *ANSWERS])
v, *others = counter.texts_to_matrix([REFERENCE, *ANSWERS], mode="count")
cosines = [v @ other / np.linalg.norm(v) / np.linalg.norm(other) for other in others]
marks = np.array(list(ANSWERS.values()))
agreement = np.corrcoef(cosines, marks)[0, 1]
fig, ax = plt.subplots(figsize=(9.5, 4), facecolor="white", layout="constrained")
for shift, values, name in [(0, marks, "the teacher"), (0.4, cosines, "cosine of the word counts")]:
    ax.barh(np.arange(7) + shift, values, 0.38, label=name)
ax.set_yticks(np.arange(7) + 0.2, [f"{text[:52]}..." if len(text) > 55 else text for text in ANSWERS])
ax.invert_yaxis()
ax.set(title=f"Correlation with the teacher: {agreement:+.2f}", xlabel="mark", xlim=(0, 1.4))
ax.legend(loc="lower right")
plt.show()
assert cosines[4] == max(cosines) and agreement < 0.3

# %% [markdown] tags=["en"]
# The highest mark goes to the answer that is wrong in its two decisive words; a heap of stolen words beats an answer in the pupil's own.
# Similar words are not the same meaning, and whoever is marked this way will soon write for the machine. What it can do: find the
# answers that share hardly a word with the reference, and hand them to a human first.
#
# ## Try next
# 1. Add an intent "other" with sentences of your own. Do the strange sentences land there? And new strange ones?
# 2. Shuffle the days before the split. How good does the LSTM on prices look now, and why is that a lie?
# 3. Give the words of the reference weights (1 for "against" and "grows", 0 for "the"). Can you save the marking? Can a pupil still cheat?
# %% [markdown] tags=["zh"]
# 最高分给了一份在两个关键词上答错的；偷来的一堆词，胜过学生用自己的话写的答案。用词相近不等于意思相同；这样评分，学生很快就会写给机器看。
# 它能做的是：找出几乎没用到参考答案里的词的答卷，先交给人看。
#
# ## 接着试试
# 1. 加一种意图“其他”，自己写些句子。怪句子会落到那里吗？新的怪句子呢？
# 2. 划分之前把日子打乱。喂价格的 LSTM 现在看起来有多好？为什么那是假象？
# 3. 给参考答案的词加权（against、grows 为 1，the 为 0）。评分还有救吗？学生还能作弊吗？
