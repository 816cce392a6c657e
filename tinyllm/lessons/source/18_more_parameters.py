# %% [markdown] tags=["en"]
# # 18. More parameters: when they help
# Why do models get better with more parameters, asks the article (question 1), and warns in the same breath of over-fitting.
# You see both on one small task, cure the second in four ways, and count the parameters of GPT-3 without owning it.
#
# **You need** lesson 11 and the word "held out". **It takes** 30 minutes.
# **To run it:** `pip install -e ".[lessons]"`, then `jupyter lab`.
# %% [markdown] tags=["zh"]
# # 18. 参数更多，什么时候有用
# 模型为什么参数越多越好？文章的问题 1 这样问，同时又提醒会过拟合。本课在一个小任务上让两件事都现身，
# 用四种办法治过拟合，再数一数 GPT-3 的参数——不用真有一个 GPT-3。
#
# **需要**：第 11 课；知道“留出集”。**用时**：30 分钟。
# **运行**：先 `pip install -e ".[lessons]"`，再 `jupyter lab`。
# %%
import matplotlib.pyplot as plt
import numpy as np

from tinyllm.callbacks import EarlyStopping
from tinyllm.experiments import capacity_sweep
from tinyllm.layers import Dense, Dropout
from tinyllm.lessons import claim
from tinyllm.models import GPT, Sequential
from tinyllm.optimizers import AdamW

# %% [markdown] tags=["en"]
# ## A task with a floor
# A point of the plane has label 1 inside a circle, 0 outside; then a share $\eta = 0.1$ of the labels is turned round. Nobody
# can foresee which. The best that anyone can say is $p = 1 - \eta$ inside and $\eta$ outside, with the loss
#
# $$L_{\min} = -\,(1 - \eta) \log (1 - \eta) - \eta \log \eta$$
#
# The model has two hidden layers of $h$ units: $x$ (batch, 2), hidden (batch, $h$), hidden (batch, $h$), $p$ (batch, 1). It has
# $N = (2h + h) + (h^2 + h) + (h + 1) = h^2 + 5h + 1$ parameters.
# %% [markdown] tags=["zh"]
# ## 有下限的任务
# 平面上的点，圆内标签为 1，圆外为 0；再把其中 $\eta = 0.1$ 的标签翻转。翻了哪些，谁也猜不到。最好的回答是圆内 $p = 1 - \eta$、
# 圆外 $\eta$，损失是
#
# $$L_{\min} = -\,(1 - \eta) \log (1 - \eta) - \eta \log \eta$$
#
# 模型有两个隐藏层，各 $h$ 个单元：$x$（批, 2），隐藏（批, $h$），隐藏（批, $h$），$p$（批, 1）。
# 参数共 $N = (2h + h) + (h^2 + h) + (h + 1) = h^2 + 5h + 1$ 个。
# %%
ETA = 0.1
FLOOR = -(1 - ETA) * np.log(1 - ETA) - ETA * np.log(ETA)


def points(n, seed):
    rng = np.random.default_rng(seed)
    x = rng.uniform(-2, 2, (n, 2))
    return x, ((np.hypot(*x.T) < 1.4) ^ (rng.random(n) < ETA)).astype(int)


def network(h, seed, dropout=0.0, decay=0.0):
    layers = [Dense(h, "tanh", input_shape=(2,)), Dense(h, "tanh"), Dropout(dropout), Dense(1, "sigmoid")]
    model = Sequential(layers, seed=seed)
    model.compile(AdamW(0.02, weight_decay=decay), "binary_crossentropy", ["accuracy"])
    return model


few, many, new = points(60, 1), points(600, 1), points(500, 2)
sweeps = {
    "60 points": capacity_sweep((1, 2, 4, 8, 16), network, few, new, epochs=120, batch_size=30, seeds=2),
    "600 points": capacity_sweep((1, 4, 16, 64), network, many, new, epochs=25, batch_size=100, seeds=2),
}
for name, sweep in sweeps.items():
    assert list(sweep.parameters) == [h * h + 5 * h + 1 for h in sweep.sizes]
    print(f"{name}\n{sweep}\n")
few_turned = np.mean((np.hypot(*few[0].T) < 1.4) != few[1])
honest = -(1 - few_turned) * np.log(1 - ETA) - few_turned * np.log(ETA)
print(
    f"the floor: {FLOOR:.3f}; on these 60 points, {few_turned:.0%} of them turned, the best answer scores {honest:.3f}"
)
# %%
fig, axes = plt.subplots(1, 2, figsize=(10, 4.2), sharey=True, facecolor="white", layout="constrained")
for ax, (name, sweep) in zip(axes, sweeps.items()):
    train, held_out = sweep.train.mean(axis=0), sweep.held_out.mean(axis=0)
    ax.semilogx(sweep.parameters, train, "o-", label="training")
    ax.semilogx(sweep.parameters, held_out, "s-", label="held out")
    ax.axhline(FLOOR, color="gray", linestyle="--", label="floor")
    worst = held_out[sweep.sizes > sweep.best].max()
    ax.set(title=f"{name}: best h = {sweep.best}; too large costs up to {worst - held_out.min():+.2f}")
    ax.set(xlabel="parameters, N")
axes[0].set(ylabel="cross-entropy, mean of 2 runs")
axes[0].legend()
plt.show()
few_best, many_best = (sweep.held_out.mean(axis=0) for sweep in sweeps.values())
assert 0 < few_best.argmin() < len(few_best) - 1 and sweeps["60 points"].train.mean(axis=0)[-1] < honest / 2
claim("S9-04", computed=few_best[-1] > few_best.min() + 0.1)


# %% [markdown] tags=["en"]
# Three things at once. At the left, more parameters help both curves: a model of one unit **cannot** draw a circle. Then the
# training loss falls far below what the best answer itself scores on these points: the model learns the wrong labels, and the
# gaps between the points, by heart, and the held-out loss rises. With ten times the data a large model hardly suffers. So "more
# is better" needs "and data to match". (And data alone do not help a model of one unit: it is bad in both pictures.)
# %% [markdown] tags=["zh"]
# 一张图里有三件事。左端：参数多了，两条曲线都变好，因为只有一个单元的模型**画不出**圆。接着，训练损失跌到远低于
# “最好的回答”在这些点上的得分：模型在死记错误的标签和点与点之间的空隙，留出损失随之上升。数据多到十倍，大模型就几乎不受害。
# 所以“越多越好”要补上“数据也得跟上”。（反过来，模型只有一个单元，数据再多也没用：两张图里它都差。）
# %% [markdown] tags=["en"]
# ## Over-fitting, seen
# The large model ($h = 16$) on the 60 points: where it says $p > 0.5$, and the labels that were turned round.
# %% [markdown] tags=["zh"]
# ## 看见过拟合
# 大模型（$h = 16$）和那 60 个点：它在哪里说 $p > 0.5$，以及哪些标签被翻转过。
# %%
def fitted(h=16, data=few, seed=0, stop=False, **options):
    model = network(h, seed, **options)
    if stop:  # the last 15 points are held back, and decide when to stop
        watch = EarlyStopping(patience=25, restore_best_weights=True)
        model.fit(*data, epochs=120, batch_size=30, validation_split=0.25, callbacks=[watch], verbose=0)
    else:
        model.fit(*data, epochs=7200 // len(data[0]), batch_size=30, verbose=0)  # the same number of steps
    return model


side = np.linspace(-2, 2, 81)
plane = np.stack(np.meshgrid(side, side), axis=-1).reshape(-1, 2)
turned = (np.hypot(*few[0].T) < 1.4) != few[1]
fig, axes = plt.subplots(1, 2, figsize=(9.5, 4.6), facecolor="white", layout="constrained")
drawn = {"none": fitted(data=few), "ten times the data": fitted(data=many)}
for ax, model, name in zip(axes, drawn.values(), ("60", "600")):
    p = model.predict(plane, batch_size=8000).reshape(81, 81)
    ax.contourf(side, side, p, levels=[0, 0.05, 0.5, 0.95, 1], colors=["#2b6cb0", "#bcd3ea", "#f7cfc5", "#d9485f"])
    ax.scatter(*few[0].T, c=np.where(few[1] == 1, "white", "black"), edgecolors="black", s=28)
    ax.scatter(*few[0][turned].T, s=130, facecolors="none", edgecolors="gold", linewidths=2)
    ax.add_patch(plt.Circle((0, 0), 1.4, fill=False, linestyle="--"))
    sure = np.mean((p < 0.05) | (p > 0.95))
    ax.set(title=f"h = 16 on {name} points: sure of {sure:.0%} of the plane", aspect="equal")
plt.show()

# %% [markdown] tags=["en"]
# Strong colours are certainty ($p < 0.05$ or $p > 0.95$); nobody may be so sure here, since 10 % of all labels are wrong. Gold
# rings mark the turned labels; the dashed circle is the truth. With 60 points the border bends out to the rings.
#
# ## Four cures
# More data; weight decay (each step also takes a small part off every weight); dropout (half of the last hidden layer is left
# out at random in each step); early stopping (stop when points held back get worse). Guess the best before you run it.
# %% [markdown] tags=["zh"]
# 深色表示十分确信（$p < 0.05$ 或 $p > 0.95$）；这里谁都不该这么有把握，因为 10% 的标签是错的。金圈是被翻转的标签，虚线圆是真相。
# 只有 60 个点时，边界向金圈弯了出去。
#
# ## 四种治法
# 更多数据；权重衰减（每一步顺便让每个权重缩小一点）；随机失活（每一步随机丢掉最后隐藏层的一半）；早停（留出的点一变差就停）。
# 运行之前先猜：哪种最好？
# %%
cures = {"none": {}, "ten times the data": {"data": many}, "weight decay": {"decay": 0.5}, "dropout": {"dropout": 0.5}}
cures |= {"early stopping": {"stop": True}, "a smaller model": {"h": 4}}
results = {}
for name, options in cures.items():
    models = [drawn.get(name) or fitted(seed=0, **options), fitted(seed=1, **options)]
    results[name] = np.mean([model.evaluate(*new, batch_size=500) for model in models], axis=0)
    print(f"{name:20} held-out loss {results[name][0]:.3f}   accuracy {results[name][1]:.3f}")
fig, ax = plt.subplots(figsize=(7.5, 3.8), facecolor="white", layout="constrained")
names = sorted(results, key=lambda name: results[name][0])
assert names[-2:] == ["early stopping", "none"] and np.ptp([accuracy for _, accuracy in results.values()]) < 0.05
ax.bar_label(ax.barh(names, [results[name][0] for name in names], color="#2b6cb0"), fmt="%.2f")
ax.axvline(FLOOR, color="gray", linestyle="--", label=f"floor {FLOOR:.2f}")
ax.set(
    title=f"Best is {names[0]}: {results[names[0]][0]:.2f} instead of {results['none'][0]:.2f}",
    xlabel="held-out loss (h = 16, but for the smaller one)",
)
ax.legend(loc="lower right")
plt.show()


# %% [markdown] tags=["en"]
# Every cure lowers the loss; early stopping least, for its judge is 15 points, and too few to see the turn. The accuracies hardly
# differ: over-fitting shows first in the **confidence**, which the loss sees and the accuracy does not. (One task, two runs
# each: the order of the cures is not a law.)
#
# ## Counting GPT-3
# A GPT of depth $L$ (blocks), width $d$, vocabulary $V$ and context $C$ has per block: attention $4 d^2 + 4d$ (query, key, value,
# output, each with its bias), a network $8 d^2 + 5d$ (to $4d$ and back), two normalisations $4d$. With both embeddings and a last
# normalisation:
#
# $$N = L\,(12 d^2 + 13 d) + (V + C)\, d + 2 d$$
#
# First on a model small enough to build, then with the sizes that the paper gives (Brown et al. 2020, table 2.1): $L = 96$,
# $d = 12288$, $C = 2048$, and GPT-2's vocabulary, $V = 50257$.
# %% [markdown] tags=["zh"]
# 每种治法都降低了损失；早停降得最少，因为它的裁判只有 15 个点，太少，看不出拐点。准确率几乎没有差别：
# 过拟合首先坏在**把握**上，损失看得见，准确率看不见。（一个任务，各跑两次：治法的名次不是定律。）
#
# ## 数一数 GPT-3
# 深度 $L$（块数）、宽度 $d$、词表 $V$、上下文 $C$ 的 GPT，每块有：注意力 $4 d^2 + 4d$（查询、键、值、输出，各带偏置），
# 网络 $8 d^2 + 5d$（升到 $4d$ 再降回来），两个归一化 $4d$。加上两个嵌入表和最后一个归一化：
#
# $$N = L\,(12 d^2 + 13 d) + (V + C)\, d + 2 d$$
#
# 先在一个造得出来的小模型上核对，再代入论文给的尺寸（Brown 等 2020，表 2.1）：$L = 96$、$d = 12288$、$C = 2048$，
# 词表沿用 GPT-2 的 $V = 50257$。
# %%
def gpt_parameters(depth, width, vocabulary, context):
    return depth * (12 * width**2 + 13 * width) + (vocabulary + context) * width + 2 * width


small = GPT(vocab_size=50, context=16, depth=3, heads=2, width=24, bias=True)
small(np.zeros((1, 1), int))  # the first call makes the weights
assert small.count_params() == gpt_parameters(3, 24, 50, 16)
largest = gpt_parameters(96, 12288, 50257, 2048)
print(f"small {small.count_params():,}   GPT-3 {largest:,}: {2 * largest / 1e9:,.0f} GB at two bytes each")
print(f"of these in the matrices of the blocks, 12 L d^2: {96 * 12 * 12288**2 / largest:.1%}")
print(f"Adam keeps two numbers more for each: {8 * largest / 1e12:.1f} TB at four bytes")
claim("S8-01", computed=largest / 1e9)

# %% [markdown] tags=["en"]
# ## Try next
# 1. Set `ETA = 0`: no wrong labels. Does the largest model still lose on 60 points?
# 2. Sweep `decay` over 0.01, 0.1, 1, 10. Where does the cure become an illness, and what does the plane look like there?
# 3. Halve GPT-3's width and double its depth twice. Does `gpt_parameters` stay the same? What is the difference, and why?
# %% [markdown] tags=["zh"]
# ## 接着试试
# 1. 令 `ETA = 0`：没有错误标签。最大的模型在 60 个点上还会输吗？
# 2. 让 `decay` 取 0.01、0.1、1、10。到哪里治法变成了毛病？那时平面长什么样？
# 3. 把 GPT-3 的宽度减半、深度加倍两次。`gpt_parameters` 不变吗？差在哪里，为什么？
