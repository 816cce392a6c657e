# %% [markdown] tags=["en"]
# # 15. Saving and serving
# The article saves its model and puts it behind a web address. You try its service, find out why it gives everyone the same answer,
# look into a saved model, damage one bit of it on purpose, and serve it so that even a wrong request gets a helpful answer.
# **You need** lesson 11. **It takes** 35 minutes; the cells run for about three seconds.
# **To run it:** `pip install -e ".[lessons,serve]"`, then `jupyter lab`. Nothing is left on your disk, no port is opened.
# %% [markdown] tags=["zh"]
# # 15. 保存与部署
# 文章把模型保存下来，放到一个网址后面。本课先试它的服务，弄明白它为什么对谁都给同一个答案；再看看保存下来的模型里有什么，
# 故意弄坏其中一个比特；最后换一个服务：连错误的请求，也能得到有用的回答。
# **需要**：第 11 课。**用时**：35 分钟；单元运行约三秒。
# **运行**：先 `pip install -e ".[lessons,serve]"`，再 `jupyter lab`。不会在磁盘上留下文件，也不会打开端口。
# %%
import json
import tempfile
from collections import Counter
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
from flask import Flask, jsonify, request

from tinyllm.layers import LSTM, Dense, Embedding
from tinyllm.lessons import claim, table
from tinyllm.models import Sequential, load_model
from tinyllm.preprocessing.sequence import pad_sequences
from tinyllm.preprocessing.text import TextToIds, Tokenizer
from tinyllm.serving import create_app

# %% [markdown] tags=["en"]
# ## The article's service, as printed
# A program on another machine sends a text with HTTP's method POST, as JSON, and gets JSON back. These are the article's lines. A
# **test client** calls them as a network would, without one. Nothing above this cell makes a `tokenizer` or a `model`: nor does `app.py`.
# %% [markdown] tags=["zh"]
# ## 文章的服务，照印
# 另一台机器上的程序用 HTTP 的 POST 方法送来一段 JSON 文本，再收回 JSON。下面就是文章的那几行。**测试客户端**像网络那样调用它，
# 但不经过网络。这个单元之前没有哪里造出 `tokenizer` 或 `model`：`app.py` 里也没有。
# %%
app = Flask("app")
app.logger.disabled = True  # a failed request prints its traceback; here we look at it instead
SENTENCES, LABELS = ["你好，世界！", "今天天气很好。", "我爱中国。"], np.array([1, 0, 1])


@app.route("/predict", methods=["POST"])
def predict():
    data = request.get_json()
    text = data["text"]
    encoded_text = tokenizer.texts_to_sequences([text])
    padded_text = pad_sequences(encoded_text, maxlen=max_sequence_length, padding="post")
    predictions = model.predict(padded_text)
    result = predictions.argmax(axis=1).flatten().tolist()
    return jsonify(result=result)


def error_of(client, body):
    """The exception behind a status of 500."""
    client.application.config["PROPAGATE_EXCEPTIONS"] = True
    try:
        return client.post("/predict", json=body)
    except Exception as error:
        return error
    finally:
        client.application.config["PROPAGATE_EXCEPTIONS"] = False


printed = app.test_client()
print("status", printed.post("/predict", json={"text": SENTENCES[0]}).status_code)
claim("S5-27", computed=error_of(printed, {"text": SENTENCES[0]}))

# %% [markdown] tags=["en"]
# ## With a model, one answer for all
# Now train the article's classifier in the same program, so that all names exist. The three sentences have the labels 1, 0, 1.
# %% [markdown] tags=["zh"]
# ## 有了模型，对谁都一个答案
# 现在在同一个程序里训练文章的分类器，名字就都有了。三句话的标签是 1、0、1。
# %%
max_sequence_length = 5
tokenizer = Tokenizer()
tokenizer.fit_on_texts(SENTENCES)
x = pad_sequences(tokenizer.texts_to_sequences(SENTENCES), maxlen=max_sequence_length, padding="post")
model = Sequential([Embedding(4, 50), LSTM(100), Dense(1, activation="sigmoid")], name="classifier", seed=0)
model.compile("adam", "binary_crossentropy")
model.fit(x, LABELS, epochs=100, batch_size=1, verbose=0)
p = model.predict(x)
answers = [printed.post("/predict", json={"text": sentence}).get_json()["result"] for sentence in SENTENCES]
typed = printed.get("/predict")  # what a browser's address bar sends
print("probabilities", p[:, 0].round(4), "  the service", answers, "  p > 0.5:", (p[:, 0] > 0.5).astype(int))
table(
    [
        claim("S5-28", computed=p[:1].argmax(axis=1)),
        claim("S5-29", computed=answers[0]),
        claim("S5-30", computed=typed.status_code == 200),
        claim("S5-32"),
    ]
)

# %% [markdown] tags=["en"]
# ## What a saved model must hold
# The weights; how the layers fit together; the optimizer's memory, if training is to go on; *and the tokenizer*. A model reads numbers.
# Which sentence is number 1? Only the tokenizer knows. Below, the same weights read by a tokenizer that met the sentences in another order.
# %% [markdown] tags=["zh"]
# ## 保存的模型里必须有什么
# 权重；各层怎样连接；如果还要接着训练，优化器的记忆；*还有分词器*。模型读的是数字。1 号是哪句话？只有分词器知道。
# 下面让同一组权重配上另一个分词器，它见到那些句子的顺序不同。
# %%
other = Tokenizer()
other.fit_on_texts(SENTENCES[1:] + SENTENCES[:1])
swapped = model.predict(TextToIds(other, maxlen=5, padding="post")(SENTENCES))
print("right tokenizer", p[:, 0].round(3), "  another one", swapped[:, 0].round(3), "  no error, no warning")

model.preprocess = TextToIds(tokenizer, maxlen=5, padding="post")  # from here on it travels with the model
temporary = tempfile.TemporaryDirectory()
folder = Path(temporary.name) / "classifier"
model.save(folder)
for file in sorted(folder.iterdir()):
    print(f"{file.stat().st_size:9,} bytes  {file.name}")
manifest = json.loads((folder / "manifest.json").read_text())
print("manifest.json:", ", ".join(manifest))
again = load_model(folder)
bit_for_bit = np.array_equal(again.predict(x), p) and again.optimizer.iterations == 300
print("preprocess:", manifest["preprocess"]["class_name"], again.preprocess.tokenizer.word_index)
claim("S5-26", computed=bit_for_bit)


# %% [markdown] tags=["en"]
# ## One bit
# A disk, a cable or a hasty edit can change a single bit. A weight is a float32: 1 bit for the sign, 8 for the exponent, 23 for the
# fraction, and its value is $\pm\, 2^{\text{exponent} - 127} \cdot 1.\text{fraction}$. Turn round each of the 32 bits of each of the last layer's 100
# weights, one at a time: 3,200 damaged models, each asked for all three sentences. How many answers change? Guess first.
# %% [markdown] tags=["zh"]
# ## 一个比特
# 磁盘、网线或一次手快的编辑，都可能改掉一个比特。一个权重是一个 float32：1 位符号，8 位指数，23 位小数，
# 值为 $\pm\, 2^{\text{exponent} - 127} \cdot 1.\text{fraction}$。把最后一层 100 个权重的 32 位逐个翻转，一次只翻一位：共 3200 个损坏的模型，
# 每个都问那三句话。有多少回答会变？先猜。
# %%
embedding, lstm, dense = model.layers
h, kernel = lstm(embedding(x)).data, dense.kernel.data[:, 0]  # (3, 100), (100,)
bits = np.uint32(1) << np.arange(32, dtype=np.uint32)
damaged = (kernel.view(np.uint32)[:, None] ^ bits).view(np.float32)  # (100, 32): one bit of one weight
with np.errstate(over="ignore"):
    shift = h[:, :, None].astype(float) * (damaged - kernel[:, None].astype(float))  # what it adds to the logit
    after = 1 / (1 + np.exp(-(np.log(p / (1 - p))[:, :, None] + shift)))  # (3, 100, 32)
change = np.abs(after - p[:, :, None]).max(axis=0)  # the worst of the three sentences
wrong = ((after > 0.5) != (p > 0.5)[:, :, None]).any(axis=0)
print(f"{wrong.sum()} of 3200 damaged models answer wrongly, all by bit", np.flatnonzero(wrong.any(axis=0)))
fig, ax = plt.subplots(figsize=(8.5, 4.4), facecolor="white", layout="constrained")
parts = ["fraction"] * 23 + ["exponent"] * 8 + ["sign"]
colours = {"fraction": "#2b6cb0", "exponent": "#d9485f", "sign": "#2e9e5b"}
for part, colour in colours.items():
    where = [i for i in range(32) if parts[i] == part]
    ax.semilogy(where, np.maximum(change.max(axis=0)[where], 1e-12), "o-", color=colour, label=part)
ax.set(xlabel="which bit of the weight was turned round", ylabel="largest change of a probability", ylim=(1e-12, 3))
ax.set_title(f"Bit 30 alone does harm: {wrong[:, 30].sum()} of 100 models turn an answer round, without a word")
ax.legend()
plt.show()

# %% [markdown] tags=["en"]
# Most damage is invisible, and some is fatal; nothing in the numbers tells which. So the manifest keeps the SHA-256 of the weights, and of
# itself: 256 bits that come out differently if one bit of the file does. Turn round 300 bits of the saved files, one at a time, and load:
# %% [markdown] tags=["zh"]
# 多数损坏看不出来，少数却致命；光看数字，分不出是哪种。所以清单里记着权重的 SHA-256，也记着清单自己的：文件里变一个比特，
# 这 256 位就全不一样。把保存的文件逐个翻转 300 个比特，一次一个，再去载入：
# %%
rng, reasons = np.random.default_rng(15), Counter()
for i in range(300):
    file = sorted(folder.iterdir())[i % 2]
    whole = file.read_bytes()
    place, bit = int(rng.integers(len(whole))), 1 << int(rng.integers(8))
    file.write_bytes(whole[:place] + bytes([whole[place] ^ bit]) + whole[place + 1 :])
    try:
        load_model(folder)
    except ValueError as error:
        reasons[str(error).split(": ")[1]] += 1
    file.write_bytes(whole)
print("refused:", reasons.total(), "of 300;", *(f"{n} x {reason!r}" for reason, n in reasons.most_common(3)))
assert reasons.total() == 300 and np.array_equal(load_model(folder).predict(x), p)

# %% [markdown] tags=["en"]
# ## A service that answers
# `create_app` makes a service of a loaded model; `tinyllm serve classifier` would run it, reachable from this machine only. The same
# sentences, and then requests as they really come: a status of 4xx means "your request is wrong", 5xx "the server is". An unknown text is
# all padding, so its answer means nothing: `known` says so.
# %% [markdown] tags=["zh"]
# ## 会回答的服务
# `create_app` 把载入的模型变成服务；`tinyllm serve classifier` 能让它跑起来，只有本机够得着。先是同样的句子，再是现实中会来的各种请求：
# 状态码 4xx 表示“请求错了”，5xx 表示“服务器错了”。没见过的文本全是填充，回答没有意义：`known` 会告诉你。
# %%
ours = create_app(load_model(folder)).test_client()
for text in [*SENTENCES, "我爱学习。"]:
    print(text, ours.post("/predict", json={"text": text}).get_json())
requests = {
    "a text": {"json": {"text": SENTENCES[0]}},
    "no member 'text'": {"json": {}},
    "a number": {"json": {"text": 5}},
    "null": {"data": "null", "content_type": "application/json"},
    "a list": {"json": {"text": ["a", "b"]}},
    "half of a JSON": {"data": "{", "content_type": "application/json"},
    "no Content-Type": {"data": "{}"},
}
print(f"{'':18}article  tinyllm")
for name, body in requests.items():
    status, answer = printed.post("/predict", **body).status_code, ours.post("/predict", **body)
    detail = "" if answer.status_code == 200 else answer.get_json()["detail"]
    print(f"{name:18}{status:<9}{answer.status_code}  {detail[:90]}")
statuses = [printed.post("/predict", **body).status_code == 200 for body in list(requests.values())[:4]]
temporary.cleanup()
claim("S5-31", computed=statuses)

# %% [markdown] tags=["en"]
# ## What was found
# The article's two files do not make a service: the names are missing, and with them `argmax` over one column says 0 to everyone. A
# model that travels needs its tokenizer, or it answers in perfect calm about other sentences. A flipped bit is nearly always silent; a
# sum of the whole file is not. And a service must say what was wrong, since the caller cannot look into its log.
#
# **Try next.** 1. Why does the curve rise by a factor of two from bit to bit, and where does it stop doing so?
# 2. Save as `"classifier.keras"` instead of a folder (needs h5py). Is a flipped bit still noticed?
# 3. Serve the language model of lesson 12: `create_app(network)`. Which route does it answer, and what does `{"temperature": 0}` get?
# %% [markdown] tags=["zh"]
# ## 有什么发现
# 文章的两段程序拼不成一个服务：先是缺名字；名字补上了，在只有一列的数组上取 `argmax`，对谁都说 0。模型要搬家，得带上分词器，
# 否则它会心平气和地回答另一句话。翻转一个比特，多半毫无动静；给整个文件算的校验和却瞒不过。服务还得说清楚错在哪里，
# 因为调用的人看不到它的日志。
#
# **接着试试。** 1. 图中的曲线为什么每过一位就升一倍？到哪一位不再如此？
# 2. 不存成文件夹，存成 `"classifier.keras"`（需要 h5py）。翻转一个比特还能发现吗？
# 3. 部署第 12 课的语言模型：`create_app(network)`。它应答哪个路径？发 `{"temperature": 0}` 会得到什么？
