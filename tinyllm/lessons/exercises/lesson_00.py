# %% [markdown] tags=["en"]
# # Exercises to lesson 0: the pipeline
# Three functions in plain Python and NumPy: the shapes along the way, characters for words, and the order of the stages.
# Check yourself with `tinyllm exercise check lesson_00.py`; `tinyllm exercise hint 00.1` helps when you are stuck.
# %% [markdown] tags=["zh"]
# # 第 0 课练习：全程
# 三个函数，只用 Python 和 NumPy：一路上的形状、用字代替词、各环节的先后。
# 用 `tinyllm exercise check lesson_00.py` 自己检查；卡住了就看提示：`tinyllm exercise hint 00.1`。
# %%
import numpy as np

from tinyllm.lessons.grading import Mistake, check, expect, same

# %% [markdown] tags=["en"]
# ## 0.1 Predict the shapes
# The classifier of lesson 0 gets `sentences` sentences, each padded to `length` ids. An `Embedding` makes `features` numbers of
# every id; the `LSTM` with `units` units reads a sentence and hands out what it keeps at the end; `Dense(1)` makes one number of that.
# Return the four shapes, in this order: of the padded ids, after the embedding, after the LSTM, after the dense layer.
# %% [markdown] tags=["zh"]
# ## 0.1 预测形状
# 第 0 课的分类器收到 `sentences` 个句子，每句补齐到 `length` 个编号。`Embedding` 把每个编号变成 `features` 个数；有 `units` 个单元的
# `LSTM` 读完一句，交出最后留下的东西；`Dense(1)` 再把它变成一个数。
# 依次返回四个形状：补齐后的编号、嵌入层之后、LSTM 之后、全连接层之后。


# %% tags=["exercise"]
# exercise 00.1 (2 points): predict the shapes
def shapes(sentences, length, features, units):
    """Four tuples: the shape of the ids, of the vectors, of what the LSTM keeps, of the probabilities."""
    ### BEGIN SOLUTION
    return [(sentences, length), (sentences, length, features), (sentences, units), (sentences, 1)]
    ### END SOLUTION


# %% tags=["checks"]
@check("00.1", points=2, catches=[
    Mistake("lets the LSTM hand out every step", "(sentences, units)", "(sentences, length, units)"),
    Mistake("takes one number a sentence for a shape without a last axis", "(sentences, 1)]", "(sentences,)]"),
    Mistake("puts features in the place of length", "(sentences, length, features)", "(sentences, features)"),
    Mistake("forgets that the sentences are padded", "[(sentences, length)", "[(sentences,)"),
])  # fmt: skip
def the_four_shapes(student, rng):
    """Any sizes: the shapes that a model of these layers really has."""
    from tinyllm.layers import LSTM, Dense, Embedding

    names = "of the ids", "after the embedding", "after the LSTM", "after the dense layer"
    for _ in range(2):
        n, length, features, units = (int(size) for size in rng.permutation(np.arange(2, 9))[:4])
        x = [rng.integers(5, size=(n, length))]
        for layer in (Embedding(5, features), LSTM(units), Dense(1)):
            x.append(layer(x[-1]))
        found = student.shapes(n, length, features, units)
        expect(isinstance(found, list | tuple) and len(found) == 4, f"shapes: four were asked; found {found!r:.60}")
        for name, a, b in zip(names, found, x):
            same(tuple(a) if isinstance(a, list) else a, b.shape, f"shapes({n}, {length}, {features}, {units}), {name}")


# %% [markdown] tags=["en", "hint"]
# The first axis is the same everywhere: one row for each sentence. An embedding adds an axis. An LSTM that hands out only
# what it keeps at the end takes the axis of the steps away. `Dense(1)` changes the last axis to 1; it does not drop it.
# %% [markdown] tags=["zh", "hint"]
# 第一个轴处处相同：每句一行。嵌入层增加一个轴。LSTM 只交出最后留下的东西，时间步那个轴就没有了。
# `Dense(1)` 把最后一个轴变成 1，并不去掉它。


# %% [markdown] tags=["en"]
# ## 0.2 Characters for words
# The article's tokenizer takes a whole Chinese sentence for a word. Give each *character* a number instead: 1 for the first that
# occurs in the first sentence, 2 for the next new one, and so on; the same character has the same number everywhere.
# Return an array of whole numbers, (sentences, `length`): one row a sentence, filled with zeros at the end. A sentence
# that is too long keeps its first `length` characters; its other characters get numbers all the same.
# %% [markdown] tags=["zh"]
# ## 0.2 用字代替词
# 文章的分词器把整句中文当成一个词。现在改为给每个*字符*编号：第一句里最先出现的是 1，下一个没见过的是 2，依此类推；
# 同一个字符在哪里都是同一个号。返回一个整数数组，形状为 (句数, `length`)：一句一行，末尾用零补齐。
# 句子太长就只保留前 `length` 个字符；其余的字符照样编号。


# %% tags=["exercise"]
# exercise 00.2 (3 points): characters for words
def character_ids(sentences, length):
    """An array of whole numbers (len(sentences), length), 0 where a sentence has ended."""
    ### BEGIN SOLUTION
    numbers = {}
    rows = np.zeros((len(sentences), length), dtype=int)
    for i, sentence in enumerate(sentences):
        ids = [numbers.setdefault(character, len(numbers) + 1) for character in sentence][:length]
        rows[i, : len(ids)] = ids
    return rows
    ### END SOLUTION


# %% tags=["checks"]
def numbered(sentences: list[str], length: int) -> np.ndarray:
    """What character_ids must return."""
    order = list(dict.fromkeys("".join(sentences)))
    rows = [[order.index(each) + 1 for each in sentence][:length] for sentence in sentences]
    return np.array([row + [0] * (length - len(row)) for row in rows])


@check("00.2", points=2, catches=[
    Mistake("numbers from 0, so that the first character looks like padding", "len(numbers) + 1", "len(numbers)"),
    Mistake("pads in front", "rows[i, : len(ids)] = ids", "rows[i, length - len(ids) :] = ids", says="[0, 0]"),
    Mistake("begins anew in each sentence", "rows[i, : len(ids)] = ids", "rows[i, : len(ids)], numbers = ids, {}"),
    Mistake("gives a character a new number each time", "numbers.setdefault(character, len(numbers) + 1)",
            "numbers.setdefault(len(numbers), len(numbers) + 1)"),
    Mistake("returns real numbers", "dtype=int", "dtype=float", says="whole number"),
])  # fmt: skip
def the_articles_sentences_and_others(student, rng):
    """The article's three sentences in ten columns, and random ones."""
    article = ["你好，世界！", "今天天气很好。", "我爱中国。"]
    same(student.character_ids(article, 10), numbered(article, 10), "character_ids(the article's sentences, 10)")
    for _ in range(3):
        sentences = ["".join(rng.choice(list("abcdefgh天气"), size=size)) for size in rng.integers(1, 9, size=4)]
        same(student.character_ids(sentences, 9), numbered(sentences, 9), f"character_ids({sentences}, 9)")


@check("00.2", points=1, catches=[
    Mistake("keeps the end of a long sentence", "sentence][:length]", "sentence][-length:]"),
    Mistake("cuts before it numbers", "character in sentence][:length]", "character in sentence[:length]]"),
])  # fmt: skip
def a_long_sentence_is_cut(student, rng):
    """With four columns a longer sentence keeps its first four characters."""
    sentences = ["".join(rng.permutation(list("甲乙丙丁戊己"))), "".join(rng.permutation(list("己戊丁丙乙甲子")))]
    same(student.character_ids(sentences, 4), numbered(sentences, 4), f"character_ids({sentences}, 4)")


# %% [markdown] tags=["en", "hint"]
# A dict from characters to numbers, and two loops. `numbers.setdefault(character, len(numbers) + 1)` gives the number of a
# character that is known, and enters one that is not. Begin with `np.zeros((len(sentences), length), dtype=int)`.
# %% [markdown] tags=["zh", "hint"]
# 一个从字符到编号的字典，两层循环。`numbers.setdefault(character, len(numbers) + 1)` 对认识的字符给出编号，
# 对不认识的就登记一个。先造 `np.zeros((len(sentences), length), dtype=int)`。


# %% [markdown] tags=["en"]
# ## 0.3 The order of the stages
# A chart is a list of arrows `(a, b)`, two names each: `b` needs `a`. Return all names in an order in which every arrow points
# onward: `a` stands before `b`. There may be several such orders; any of them will do. If the arrows go round in a circle
# there is none: raise `ValueError`. Python's `graphlib` can do this; write it yourself here, in a few lines.
# %% [markdown] tags=["zh"]
# ## 0.3 各环节的先后
# 流程图是一串箭头 `(a, b)`，每个箭头两个名字：`b` 要用到 `a`。把所有名字排成一列，使每个箭头都朝前指：`a` 在 `b` 之前。
# 这样的排法可能有几种，哪一种都行。如果箭头绕成了圈，就没有这样的排法：请抛出 `ValueError`。
# Python 的 `graphlib` 会做这件事；这里请自己写，几行就够。


# %% tags=["exercise"]
# exercise 00.3 (4 points): the order of the stages
def in_order(arrows):
    """A list of every name that occurs in the arrows, once, with a before b for each arrow (a, b)."""
    ### BEGIN SOLUTION
    waiting = list(dict.fromkeys(name for arrow in arrows for name in arrow))
    order = []
    while waiting:
        ready = [name for name in waiting if all(a in order for a, b in arrows if b == name)]
        if not ready:
            raise ValueError("the arrows go round in a circle")
        order.append(ready[0])
        waiting.remove(ready[0])
    return order
    ### END SOLUTION


# %% tags=["checks"]
def points_onward(found: object, arrows: list[tuple[str, str]]) -> None:
    """Lost unless found is an order of the arrows' names."""
    names = sorted({name for arrow in arrows for name in arrow})
    shown = f"in_order({arrows})"
    expect(
        isinstance(found, list | tuple) and all(isinstance(each, str) for each in found), f"{shown}: a list of names"
    )
    expect(sorted(found) == names, f"{shown}: each of {names} once; found {list(found)!r:.80}")
    for a, b in arrows:
        expect(found.index(a) < found.index(b), f"{shown}: {a!r} must stand before {b!r}; found {list(found)!r:.80}")


@check("00.3", points=3, catches=[
    Mistake("takes the names as they come", "if all(a in order for a, b in arrows if b == name)", "if True"),
    Mistake("turns the arrows round", "for a, b in arrows if b == name", "for b, a in arrows if b == name"),
    Mistake("is content with one of several needs", "if all(a in order for a, b in arrows if b == name)",
            "if not any(b == name for a, b in arrows) or any(a in order for a, b in arrows if b == name)"),
])  # fmt: skip
def every_arrow_points_onward(student, rng):
    """The article's chart with its arrows shuffled, and random charts with forks."""
    chain = [("collect", "process"), ("process", "train"), ("train", "deploy")]
    for order in ([2, 1, 0], rng.permutation(3)):
        arrows = [chain[i] for i in order]
        points_onward(student.in_order(arrows), arrows)
    for _ in range(3):
        names = rng.permutation(list("abcdef"))
        pairs = [(str(names[i]), str(names[j])) for i in range(6) for j in range(i + 1, 6)]
        arrows = [pairs[k] for k in rng.permutation(len(pairs))[:9]]
        points_onward(student.in_order(arrows), arrows)


@check("00.3", points=1, catches=[
    Mistake("returns what it has when it comes to a circle", 'raise ValueError("the arrows go round in a circle")',
            "return order", says="must raise ValueError"),
    Mistake("takes a circle for an order", "        if not ready:\n            raise ValueError(\"the arrows go round in "
            "a circle\")", "        ready = ready or waiting", says="must raise ValueError"),
])  # fmt: skip
def a_circle_is_refused(student, rng):
    """a needs b, b needs c, c needs a: ValueError."""
    names = [str(name) for name in rng.permutation(list("abcde"))]
    circle = [(names[0], names[1]), (names[1], names[2]), (names[2], names[0]), (names[3], names[0])]
    student.raises(ValueError).in_order([circle[i] for i in rng.permutation(4)])


# %% [markdown] tags=["en", "hint"]
# Keep two lists: names that are placed, names that wait. A name may be placed when everything it needs is placed. Place one
# such name, and look again. If some still wait and none of them may be placed, there is a circle.
# %% [markdown] tags=["zh", "hint"]
# 准备两个列表：排好的名字和还在等的名字。一个名字所需要的都排好了，它才可以排进去。排一个，再看一遍。
# 如果还有名字在等，却一个也不能排，那就是绕成了圈。
