"""Makes graph_keras3.keras, .weights.h5 and .json with Keras: python tests/golden/keras_files.py

A graph with two inputs, an embedding with padding and its reader, both shared, a Sequential inside, attention, and an
LSTM that begins with another's states; the JSON holds inputs, Keras's predictions, and Keras's description of it.
"""

import json
import os
from pathlib import Path

os.environ["KERAS_BACKEND"] = "torch"

import keras
import numpy as np

HERE = Path(__file__).parent
layers = keras.layers

keras.utils.set_random_seed(1)
question, answer = keras.Input((4,), name="question"), keras.Input((4,), name="answer")
table, padded = layers.Embedding(8, 3, name="table"), layers.Embedding(8, 3, mask_zero=True, name="padded")
inside = keras.Sequential([layers.Dense(4, "tanh"), layers.Dense(3)], name="inside")
x, y = inside(table(question)), inside(table(answer))
attended = layers.MultiHeadAttention(2, 2, name="attention")(x, y)
read, hidden, cell = layers.LSTM(3, return_state=True, name="first")(attended)
second = layers.LSTM(3, name="second")(y, initial_state=[hidden, cell])
reader = layers.Bidirectional(layers.GRU(2), name="reader")
both = layers.Concatenate(name="both")([read, second, reader(padded(question)), reader(padded(answer))])
model = keras.Model([question, answer], layers.Dense(1, "sigmoid", name="score")(both), name="graph")
for weight in model.weights:  # biases are 0 at first, so that swapped ones would pass
    weight.assign(np.random.default_rng(0).normal(0, 0.5, weight.shape))

rng = np.random.default_rng(2)
x = [rng.integers(0, 8, (5, 4)) for _ in range(2)]
content = {"x": [each.tolist() for each in x], "y": model.predict(x, verbose=0).tolist(), "config": model.get_config()}
model.save(HERE / "graph_keras3.keras")
model.save_weights(HERE / "graph_keras3.weights.h5")
(HERE / "graph_keras3.json").write_text(json.dumps(content, indent=1) + "\n")
