# %% [markdown] tags=["en"]
# # 8. Text to integers
# A model reads numbers. Which number stands for what is decided before any training, and the article's program decides it in an unlucky way: a whole
# sentence becomes one number. You see why, cut Chinese into characters, pad and truncate, and learn the byte pairs that large models use.
#
# **You need** Python. **It takes** 35 minutes. **To run it:** `pip install -e ".[lessons]"`, then `jupyter lab`.
# %% [markdown] tags=["zh"]
# # 8. 文本变成整数
# 模型读的是数字。哪个数字代表什么，在训练之前就定下了，而文章的程序定得不巧：一整句话成了一个数字。这一课看看为什么，再把中文切成字，
# 填充、截断，最后学会大模型用的字节对编码。
#
# **需要**：Python。**用时**：35 分钟。**运行**：先 `pip install -e ".[lessons]"`，再 `jupyter lab`。
# %%
import matplotlib.pyplot as plt
import numpy as np

from tinyllm.datasets import seasons
from tinyllm.lessons import claim, table
from tinyllm.preprocessing.cleaning import clean_text
from tinyllm.preprocessing.sequence import pad_sequences
from tinyllm.preprocessing.text import Tokenizer, text_to_word_sequence
from tinyllm.preprocessing.tokenizers import BPETokenizer, StreamDecoder

sentences = ["你好，世界！", "今天天气很好。", "我爱中国。"]


# %% [markdown] tags=["en"]
# ## What is a word?
# A **token** is a piece of text that gets one integer, its **id**. Keras's `Tokenizer` works in three steps: make everything lower case;
# turn the characters of `filters` into spaces; cut at spaces. Its filters are the punctuation of ASCII, and the space is U+0020. What
# will that do to a language that writes no spaces, and whose comma is not the ASCII comma?
# %% [markdown] tags=["zh"]
# ## 什么是词？
# **词元**（token）是得到一个整数的一小段文本，那个整数叫它的**编号**（id）。Keras 的 `Tokenizer` 分三步：全变成小写；把 `filters` 里的字符
# 换成空格；在空格处切开。它滤掉的是 ASCII 标点，它认的空格是 U+0020。要是一种语言不写空格，逗号也不是 ASCII 的逗号，会怎样？
# %%
print(text_to_word_sequence("Hello, world! Don't panic."), text_to_word_sequence("你好，世界！ 别慌。"))
words = Tokenizer()
words.fit_on_texts(sentences)
ids = words.texts_to_sequences(sentences)
print(words.word_index)
print("the second sentence without its full stop:", words.texts_to_sequences(["今天天气很好"]))
table(
    [
        claim("S5-06", computed=any(len(sequence) > 1 for sequence in ids)),
        claim("S5-07", computed=ids),
        claim("S5-25"),
    ]
)
# %% [markdown] tags=["en"]
# One word a sentence: change one character and the sentence is *unknown*. And unknown words vanish without a sound: the answer is an empty list.
#
# Would it help to clean the text first? `clean_text` applies Unicode's form NFKC, which gives many wide characters their ASCII twin.
# %% [markdown] tags=["zh"]
# 一句一个“词”：改动一个字，整句就成了*没见过*的。而没见过的词会不声不响地消失：得到一个空列表。
#
# 先清洗文本会好些吗？`clean_text` 用的是 Unicode 的 NFKC 形式，许多全角字符会变成对应的 ASCII 字符。
# %%
cleaned = [clean_text(sentence) for sentence in sentences]
after = Tokenizer()
after.fit_on_texts(cleaned)
print(cleaned, after.word_index)
# %% [markdown] tags=["en"]
# Half way: `，` and `！` have twins, so the first sentence falls into two pieces; `。` has none and stays where it is. Cutting Chinese into *words*
# needs a dictionary or a model. Two ways need neither: characters, and bytes.
#
# ## Characters
# `char_level=True` cuts everywhere; `filters` then plays no part. Ids count from 1, the most frequent first; **0 is never given away**: it is
# for padding. With `oov_token` the unknown gets an id of its own (out of vocabulary), 1, instead of vanishing.
# %% [markdown] tags=["zh"]
# 只成了一半：`，` 和 `！` 有对应的字符，第一句于是断成两段；`。` 没有，原样留着。把中文切成*词*需要词典或模型。有两种办法两样都不要：
# 按字切，按字节切。
#
# ## 按字切
# `char_level=True` 处处切开，这时 `filters` 不起作用。编号从 1 开始，越常见的越小；**0 永远不分配**，留给填充。设了 `oov_token`，没见过的
# 字就有一个专门的编号 1（oov：不在词表里），不再凭空消失。
# %%
letters, marked = Tokenizer(char_level=True), Tokenizer(char_level=True, oov_token="?")
for tokenizer in (letters, marked):
    tokenizer.fit_on_texts(sentences)
letter_ids = letters.texts_to_sequences(sentences)
print(letter_ids, letters.word_index)
for tokenizer in (letters, marked):
    unseen = tokenizer.texts_to_sequences(["我爱学习。"])
    print(f"oov_token={tokenizer.oov_token!r:5}", unseen, tokenizer.sequences_to_texts(unseen))
# %% [markdown] tags=["en"]
# ## One rectangle for all
# A batch is an array, (sentences, `maxlen`), so every row must have the same length. `padding` says at which end zeros are put, `truncating` at
# which end too long a sentence is cut. Both are `"pre"` unless you say otherwise, and the article says so for the padding only. Its one-word
# sentences are never too long; sentences of characters are. Guess what is left of the second one.
# %% [markdown] tags=["zh"]
# ## 装进一个矩形
# 一批数据是一个数组，形状（句子, `maxlen`），所以每行要一样长。`padding` 决定零补在哪一头，`truncating` 决定太长的句子从哪一头截。
# 不写的话两个都是 `"pre"`（前面），文章只写明了填充。它的一词一句从来不会太长；按字切的句子就会。猜猜第二句还剩下什么。
# %%
for padding in ("pre", "post"):
    for truncating in ("pre", "post"):
        x = pad_sequences(letter_ids, maxlen=6, padding=padding, truncating=truncating)
        print(f"padding={padding!r:6} truncating={truncating!r:6}", x[1:].tolist(), letters.sequences_to_texts(x[1:]))
padded = pad_sequences(ids, maxlen=5, padding="post")
table([claim("S5-08", computed=padded.tolist()), claim("S9-03", computed=0 not in letters.index_word)])
# %% [markdown] tags=["en"]
# Cutting in front eats the beginning: the second sentence has lost `今`, and "today" with it. That is fine if the end matters most, as in
# "continue this text"; bad if the answer stands in the first words. Say both ends, always, and say the same when you use the model: one that
# was trained with zeros behind has never seen them in front. (The article's PAD is here no word but the number 0, which `word_index` never holds.)
#
# ## Bytes, joined in pairs
# In UTF-8 every text is a row of bytes, numbers 0 to 255: an English letter is 1 byte, a Chinese character 3. With 256 ids nothing is
# unknown, but sentences get long. **Byte pair encoding** (BPE) starts there and joins the pair of neighbours that is seen most often into a new
# token; then again, until the vocabulary has $V$ ids. What is bought is
#
# $$\text{length} = \frac{\text{tokens}}{\text{characters}}$$
#
# Learn from every second line of a small text in two languages (300 lines on the four seasons), and measure on the lines between.
# %% [markdown] tags=["zh"]
# 从前面截，吃掉的是开头：第二句丢了 `今`，“今天”就没了。如果要紧的是结尾，比如“接着往下写”，没问题；如果答案就在开头几个字里，就糟了。
# 两头都写明白，而且用模型时要和训练时一致：训练时零都在后面的模型，从没见过零在前面。（文章所说的 PAD 在这里不是词，而是数字 0，
# `word_index` 里永远没有它。）
#
# ## 字节，两两合并
# 在 UTF-8 里，任何文本都是一串字节，即 0 到 255 的数：一个英文字母 1 个字节，一个汉字 3 个。256 个编号就没有“没见过”的了，可是句子变长。
# **字节对编码**（BPE）从这里出发，把最常见的一对邻居合并成一个新词元；再合并，直到词表有 $V$ 个编号。换来的是
#
# $$\text{长度} = \frac{\text{词元数}}{\text{字符数}}$$
#
# 用一份双语小文本（写四季的 300 行）的奇数行来学，在偶数行上量。
# %%
lines = seasons()
chinese, english = ([line for line in lines if line.isascii() == plain] for plain in (False, True))
sizes = [256, 280, 320, 384, 448, 512, 640, 768, 896]
tokenizers = [BPETokenizer.train(chinese[::2] + english[::2], vocab_size=size) for size in sizes]


def length(tokenizer, texts):
    return sum(len(tokenizer.encode(text)) for text in texts) / sum(map(len, texts))


fig, ax = plt.subplots(figsize=(7.5, 4.2), facecolor="white", layout="constrained")
curves = {}
for name, texts, colour in [("Chinese", chinese, "#D55E00"), ("English", english, "#0072B2")]:
    for part, dash in [(1, "-"), (0, ":")]:
        curves[name, part] = [length(tokenizer, texts[part::2]) for tokenizer in tokenizers]
        seen = "lines it has not seen" if part else "lines it was learnt from"
        ax.plot(sizes, curves[name, part], f"{dash}o", markersize=4, color=colour, label=f"{name}, {seen}")
ax.axhline(1, color="black", linewidth=0.8)
ax.text(300, 0.9, "one token a character")
ax.set(xlabel="ids in the vocabulary, V", ylabel="tokens per character", ylim=(0, 3.1))
begin, end = curves["Chinese", 1][0], curves["Chinese", 1][-1]
ax.set(title=f"With {sizes[-1]} ids a Chinese character takes {end:.2f} tokens, not {begin:.2f}")
ax.legend()
plt.show()
# %% [markdown] tags=["en"]
# What was a pair of bytes soon is a character, then a word. On lines it has not seen it does worse than on those it was learnt from: a
# vocabulary, too, can be fitted too closely.
# The same sentence four ways; a box is a token, its width the characters that it covers (a third of one for a byte):
# %% [markdown] tags=["zh"]
# 起初是一对字节，很快成了一个字，然后是一个词。在没见过的行上，它不如在学过的行上：词表也会学得太死。
# 下面是同一句话的四种切法；一个方框是一个词元，宽度是它盖住几个字（一个字节是三分之一个字）：
# %%
sentence = "春天的花园又绿又亮。"  # a line that the pairs were not learnt from
assert sentence in chinese[1::2]
bpe = tokenizers[-1]
every_letter = Tokenizer(char_level=True)
every_letter.fit_on_texts(chinese)
rows = {
    "Tokenizer()": [(1, len(sentence))],
    "char_level=True": [(id_, 1) for id_ in every_letter.texts_to_sequences([sentence])[0]],
    "bytes": [(id_, 1 / 3) for id_ in sentence.encode()],
    f"BPE, {sizes[-1]} ids": [(id_, len(bpe.tokens[id_]) / 3) for id_ in bpe.encode(sentence)],
}
fig, ax = plt.subplots(figsize=(10, 3), facecolor="white", layout="constrained")
for row, tokens in enumerate(rows.values()):
    begins = np.cumsum([0] + [width for _, width in tokens])
    ax.barh(row, [width for _, width in tokens], left=begins[:-1], color="#cfe3f2", edgecolor="#0072B2", height=0.7)
    for (id_, width), begin in zip(tokens, begins):
        ax.text(begin + width / 2, row, id_, ha="center", va="center", fontsize=7)
ax.set_yticks(range(len(rows)), [f"{name}: {len(tokens)} tokens" for name, tokens in rows.items()])
ax.invert_yaxis()
ax.set(title="Ten characters: one token, ten, thirty, or somewhere between", xlabel="character of the sentence")
plt.show()
print([bpe.tokens[id_].decode(errors="replace") for id_ in bpe.encode(sentence)])
# %% [markdown] tags=["en"]
# ## What it costs, and what can happen
# Few ids make long sequences, and a model pays for each step; many ids make a long embedding table, $V \times E$ numbers with $E$ features a
# row, and rare ids are seen too seldom to be learnt. A token may also be *part* of a character: cut there, and the character is broken.
# %% [markdown] tags=["zh"]
# ## 代价与意外
# 编号少，序列就长，模型每走一步都要付出计算；编号多，嵌入表就大，每行 $E$ 个特征，共 $V \times E$ 个数，而且罕见的编号见得太少，学不好。
# 一个词元还可能只是*半个*字：从那里切断，字就碎了。
# %%
V = {"char_level=True": len(every_letter.word_index) + 1, "bytes": 256, f"BPE, {sizes[-1]} ids": bpe.vocab_size}
for name, size in V.items():
    print(f"{name:16} {len(rows[name]):2} steps; a table of {size} x 50 = {50 * size:6} numbers")
strange = bpe.encode("學🙂")
print(strange, "->", bpe.decode(strange), "  without the last token:", bpe.decode(strange[:-1]))
stream = StreamDecoder(bpe)
print("a stream waits until a character is whole:", [stream.feed(id_) for id_ in strange])
assert bpe.decode(strange) == "學🙂"
# %% [markdown] tags=["en"]
# ## Try next
# 1. Give the article's classifier `char_level=True` and `truncating="post"`. Does it now say something sensible about `我爱学习。`?
# 2. Print the first twenty merges, `[bpe.tokens[i] for i in range(256, 276)]`. Which are whole characters, which are halves?
# 3. Learn the pairs from the English lines only, and measure both languages. Who pays when a vocabulary is made for somebody else?
# %% [markdown] tags=["zh"]
# ## 接着试试
# 1. 让文章的分类器用 `char_level=True` 和 `truncating="post"`。它对 `我爱学习。` 的回答有点道理了吗？
# 2. 打印最先合并出的二十个词元：`[bpe.tokens[i] for i in range(256, 276)]`。哪些是完整的字，哪些是半个？
# 3. 只用英文行来学，再量两种语言。词表是为别人做的，代价由谁来付？
