"""Keras's files: ours open in Keras, Keras's open here, and nothing else gets in."""

import importlib.util
import json
import re
import subprocess
import sys
import warnings
from pathlib import Path

import numpy as np
import pytest

from tinyllm.layers import LSTM, Bidirectional, Dense, Dropout, Embedding, InputLayer
from tinyllm.models import LanguageModel, Sequential, load_model
from tinyllm.preprocessing.text import TextToIds, Tokenizer
from tinyllm.saving import seal

h5py = pytest.importorskip("h5py")

GOLDEN = Path(__file__).parents[1] / "golden" / "llm_model_keras3.h5"
X = np.random.default_rng(0).integers(0, 10, (20, 5))
Y = np.arange(20) % 2


def article_model(**options):
    layers = [Embedding(10, 5, input_length=5, **options), Dropout(0.3), LSTM(6), Dense(1, activation="sigmoid")]
    model = Sequential(layers, seed=3)
    model.compile("adam", "binary_crossentropy", metrics=["accuracy"])
    return model


def trained(epochs=2, **options):
    model = article_model(**options)
    model.fit(X, Y, epochs=epochs, verbose=0)
    return model


def same_bits(a, b):
    return [w.tobytes() for w in a.get_weights()] == [w.tobytes() for w in b.get_weights()]


def refusal(path):
    with pytest.raises(ValueError) as caught:
        load_model(path)
    message = str(caught.value)
    assert "\n" not in message and path.name in message
    return message


@pytest.fixture(params=["m.h5", "m.keras"])
def saved(tmp_path, request):
    trained().save(tmp_path / request.param)
    return tmp_path / request.param


def sealed_again(path):
    """What somebody does who wants a changed file to be read: the sum is no signature."""
    path.write_bytes(seal.sealed(path.read_bytes()))


# -- ours, there and back -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["llm_model.h5", "模型 one.HDF5", "deep/er/m.h5", "m.keras", "模型.KERAS"])
def test_a_model_comes_back_bit_for_bit_with_its_tokenizer(tmp_path, name):
    model = trained(mask_zero=True)
    tokenizer = Tokenizer(char_level=True)
    tokenizer.fit_on_texts(["我爱中国。"])
    model.preprocess = TextToIds(tokenizer, maxlen=5)
    model.save(tmp_path / name)
    loaded = load_model(tmp_path / name)
    assert (tmp_path / name).is_file()
    assert same_bits(model, loaded)
    assert model.predict(X).tobytes() == loaded.predict(X).tobytes()
    np.testing.assert_array_equal(loaded.preprocess(["爱我"]), model.preprocess(["爱我"]))


@pytest.mark.parametrize("name", ["m.h5", "m.keras"])
def test_five_epochs_then_five_after_loading_are_ten_epochs_to_the_bit(tmp_path, name):
    whole, half = trained(epochs=10), trained(epochs=5)
    half.save(tmp_path / name)
    loaded = load_model(tmp_path / name)
    loaded.fit(X, Y, epochs=5, verbose=0)
    assert same_bits(whole, loaded)


@pytest.mark.parametrize("ending", ["h5", "keras", "weights.h5"])
def test_two_saves_give_the_same_bytes_and_the_second_replaces_the_first(tmp_path, ending):
    first, second = tmp_path / f"a.{ending}", tmp_path / f"b.{ending}"
    model = trained()
    save = "save_weights" if ending == "weights.h5" else "save"
    getattr(model, save)(first)
    getattr(trained(epochs=1), save)(second)
    getattr(model, save)(second)
    assert first.read_bytes() == second.read_bytes()
    assert sorted(tmp_path.iterdir()) == [first, second]


@pytest.mark.parametrize("name", ["m.h5", "m.keras"])
def test_a_language_model_and_a_large_tokenizer_travel_too(tmp_path, name):
    model = LanguageModel(["".join(map(chr, range(0x4E00, 0x4E00 + 5000)))], embedding_dim=2, units=2)
    model.save(tmp_path / name)
    loaded = load_model(tmp_path / name)
    assert type(loaded) is LanguageModel
    assert loaded.generate("一", max_length=5, seed=1) == model.generate("一", max_length=5, seed=1)


def test_names_too_many_for_one_attribute_are_spread_over_several(tmp_path):
    layers = [Dense(1, name=f"{'layer' * 40}{i}", input_shape=(1,)) for i in range(400)]
    model = Sequential(layers)
    model.save(tmp_path / "m.h5")
    assert same_bits(model, load_model(tmp_path / "m.h5"))
    with h5py.File(tmp_path / "m.h5") as file:
        assert {"layer_names0", "layer_names1"} <= set(file["model_weights"].attrs)


def test_what_is_not_an_hdf5_file_is_not_overwritten(tmp_path):
    (tmp_path / "m.h5").write_text("mine")
    with pytest.raises(FileExistsError, match="holds something else"):
        article_model().save(tmp_path / "m.h5")
    (tmp_path / "folder.h5").mkdir()
    with pytest.raises(FileExistsError, match="is a folder"):
        article_model().save(tmp_path / "folder.h5")
    assert (tmp_path / "m.h5").read_text() == "mine"


def test_what_keras_would_compute_otherwise_or_not_accept_is_not_written(tmp_path):
    with pytest.raises(ValueError, match="hard_sigmoid"):
        Sequential([LSTM(2, recurrent_activation="hard_sigmoid", input_shape=(3, 1))]).save(tmp_path / "m.h5")
    with pytest.raises(ValueError, match="slash"):
        Sequential([Dense(2, name="a/b", input_shape=(1,))]).save(tmp_path / "m.h5")
    assert not list(tmp_path.iterdir())


def test_without_h5py_the_error_says_what_to_install(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "h5py", None)
    with pytest.raises(ImportError, match="pip install h5py"):
        article_model().save(tmp_path / "m.h5")


# -- what is damaged or hostile is refused --------------------------------------------------------------------------


def test_an_edited_weight_a_changed_order_and_an_edited_manifest_are_refused(tmp_path):
    saved = tmp_path / "m.h5"
    trained().save(saved)
    with h5py.File(saved, "r+") as file:
        file["model_weights/dense/sequential/dense/bias"][0] += 1e-7
    assert "seal at its end is missing" in refusal(saved)  # h5py cuts it off
    sealed_again(saved)
    assert "weights' SHA-256 differs" in refusal(saved)
    trained().save(saved)
    with h5py.File(saved, "r+") as file:
        file["model_weights"].attrs["layer_names"] = [b"embedding", b"dropout", b"dense", b"lstm"]
    sealed_again(saved)
    refusal(saved)
    trained().save(saved)
    with h5py.File(saved, "r+") as file:
        file.attrs["tinyllm_manifest"] = file.attrs["tinyllm_manifest"].replace('"seed": 3', '"seed": 4')
    sealed_again(saved)
    assert "differs from its own checksum" in refusal(saved)


def test_a_file_cut_short_anywhere_is_refused(saved):
    data = saved.read_bytes()
    cuts = 25 if saved.suffix == ".h5" else 200  # of an .h5 without its end a process of its own must say what is wrong
    for length in [*range(0, len(data), len(data) // cuts), len(data) - seal.LENGTH, len(data) - 1]:
        saved.write_bytes(data[:length])
        refusal(saved)


def test_every_flipped_bit_is_refused(saved):
    data = saved.read_bytes()
    rng = np.random.default_rng(0)
    places = [*rng.integers(0, len(data), 300), *range(len(data) - seal.LENGTH, len(data))]
    for place in places:
        flipped = bytearray(data)
        flipped[place] ^= 1 << int(rng.integers(8))
        saved.write_bytes(flipped)
        refusal(saved)


def test_bytes_before_within_and_behind_are_refused(saved):
    data = saved.read_bytes()
    for place in (0, 100, len(data) - seal.LENGTH, len(data)):
        saved.write_bytes(data[:place] + b"x" + data[place:])
        refusal(saved)


def keras_like(path, change, layout="keras3"):
    """A file as Keras writes it (no manifest of ours), changed."""
    write_keras_layout(path, article_model(), layout)
    with h5py.File(path, "r+") as file:
        change(file)
    return refusal(path)


KERNEL = "model_weights/dense/sequential/dense/kernel"


def replaced_by(make):
    def change(file):
        shape = file[KERNEL].shape
        del file[KERNEL]
        make(file, shape)

    return change


def virtual(file, shape):
    layout = h5py.VirtualLayout(shape, "f4")
    layout[...] = h5py.VirtualSource("secret.h5", "x", shape)
    file.create_virtual_dataset(KERNEL, layout)


@pytest.mark.parametrize(
    "make, message",
    [
        (lambda f, s: f.__setitem__(KERNEL, h5py.ExternalLink("secret.h5", "/x")), "link to elsewhere"),
        (lambda f, s: f.__setitem__(KERNEL, h5py.SoftLink("/model_weights")), "link to elsewhere"),
        (lambda f, s: f.create_dataset(KERNEL, s, "f4", external=[("/etc/passwd", 0, 24)]), "from another file"),
        (virtual, "from another file"),
        (lambda f, s: f.create_dataset(KERNEL, (2**20, 2**20), "f4", chunks=(64, 64)), "claims 4398046511104 bytes"),
        (lambda f, s: f.create_dataset(KERNEL, s, h5py.string_dtype()), "holds no numbers"),
        (lambda f, s: f.create_group(KERNEL), "there is no"),
        (lambda f, s: f.create_dataset(KERNEL, s, "f4", compression="gzip"), "is compressed or filtered"),
        (lambda f, s: f.__setitem__(KERNEL, f["model_weights"]), "linked to twice"),
        (lambda f, s: f.create_dataset(KERNEL, (1, 6), "f4"), r"'dense/kernel' is float32 \(1, 6\)"),
        (lambda f, s: None, "there is no"),
    ],
)
def test_what_would_read_another_file_or_fill_the_memory_is_refused(tmp_path, make, message):
    assert re.search(message, keras_like(tmp_path / "m.h5", replaced_by(make)))


def config_with(change):
    def edit(file):
        config = json.loads(file.attrs["model_config"])
        change(config)
        file.attrs["model_config"] = json.dumps(config)

    return edit


@pytest.mark.parametrize(
    "change, message",
    [
        (lambda c: c.update(class_name="Transformer"), "unknown layer 'Transformer'; known: "),
        (lambda c: c["config"]["layers"][1].update(class_name="Lambda"), "unknown layer 'Lambda'; known: .*Dense"),
        (
            lambda c: c["config"]["layers"][3]["config"].update(kernel_constraint="max_norm"),
            "LSTM 'lstm' has kernel_con",
        ),
        (lambda c: c["config"]["layers"][3]["config"].update(recurrent_activation="hard_sigmoid"), "in Keras 3"),
        (lambda c: c["config"]["layers"][3]["config"].update(units=10**9), "needs float32"),
        (lambda c: c["config"]["layers"].pop(), "8 weights|weights are stored, the model has 4"),
        (lambda c: c.update(config=None), "damaged"),
    ],
)
def test_a_keras_model_that_we_cannot_be_is_refused_with_the_reason(tmp_path, change, message):
    assert re.search(message, keras_like(tmp_path / "m.h5", config_with(change)))


def test_a_file_that_is_no_model_is_refused(tmp_path):
    with h5py.File(tmp_path / "data.h5", "w") as file:
        file["x"] = np.ones(3)
    assert "no model_config" in refusal(tmp_path / "data.h5")


# -- Keras's layouts ------------------------------------------------------------------------------------------------


def write_keras_layout(path, model, layout):
    """The article's model in the layouts found in the wild (see the datasets' names in the truth about the article)."""
    tails = {"embedding": ["embeddings"], "lstm": [f"lstm_cell/{n}" for n in ("kernel", "recurrent_kernel", "bias")]}
    tails |= {"dropout": [], "dense": ["kernel", "bias"]}
    keras3 = layout == "keras3"
    path_of = {
        (layer, tail): f"sequential/{layer}/{tail}" if keras3 else f"{layer}/{tail}:0"
        for layer in tails
        for tail in tails[layer]
    }
    weights = iter(model.get_weights())
    slots = iter(model.optimizer.get_state())
    iterations = np.array(model.optimizer.iterations)
    layers = []
    for layer in model.layers:
        config = layer.get_config()
        initializers = {key: {"class_name": "Zeros", "config": {}} for key in config if key.endswith("initializer")}
        extra = {"kernel_regularizer": None, "dropout": 0.0, "implementation": 2, "time_major": False}
        config |= initializers | (extra if layer.name == "lstm" else {})
        config["dtype"] = {"class_name": "DTypePolicy", "config": {"name": "float32"}} if keras3 else "float32"
        layers.append({"class_name": type(layer).__name__, "config": config})
    key = "batch_shape" if keras3 else "batch_input_shape"
    layers.insert(0, {"class_name": "InputLayer", "config": {key: [None, 5], "dtype": "float32", "name": "in"}})
    metrics = ["accuracy"] if keras3 else [[{"class_name": "MeanMetricWrapper", "config": {"name": "accuracy"}}]]
    adam = {"name": "Adam", "learning_rate": 0.001, "decay": 0.0, "beta_1": 0.9, "beta_2": 0.999, "epsilon": 1e-07}
    training = {"loss": "binary_crossentropy", "metrics": metrics}
    training["optimizer_config"] = {"class_name": "Adam", "config": adam | {"amsgrad": False}}
    with h5py.File(path, "w") as file:
        file.attrs["keras_version"] = {"keras3": "3.15.1", "tf_keras": "2.21.0", "tf2.7": "2.7.0"}[layout]
        file.attrs["backend"] = "tensorflow"
        file.attrs["model_config"] = json.dumps({"class_name": "Sequential", "config": {"name": "s", "layers": layers}})
        file.attrs["training_config"] = json.dumps(training)
        group = file.create_group("model_weights")
        group.attrs["layer_names"] = [layer.name.encode() for layer in model.layers]
        for layer in model.layers:
            own = group.create_group(layer.name)
            own.attrs["weight_names"] = [path_of[layer.name, tail].encode() for tail in tails[layer.name]]
            for tail in tails[layer.name]:
                own[path_of[layer.name, tail]] = next(weights)
        states = {place: next(slots, None) for place in path_of}
        if any(state is None for state in states.values()):
            return
        own = file.create_group("optimizer_weights")
        if layout == "tf2.7":
            named = [
                (f"Adam/{path_of[p][:-2]}/{s[0]}:0", states[p][s]) for s in ("momentum", "velocity") for p in path_of
            ]
            named = [("Adam/iter:0", iterations), *named]
        elif layout == "tf_keras":
            pairs = [(f"Adam/{s[0]}/{path_of[p]}", states[p][s]) for p in path_of for s in ("momentum", "velocity")]
            named = [("iteration:0", iterations), *pairs]
        else:
            flat = {p: path_of[p].replace("/", "_") for p in path_of}
            pairs = [(f"adam/{flat[p]}_{s}", states[p][s]) for p in path_of for s in ("momentum", "velocity")]
            named = [("adam/iteration", iterations), ("adam/learning_rate", np.float32(0.001)), *pairs]
        own.attrs["weight_names"] = [name.encode() for name, _ in named]
        for name, value in named:
            own[name] = value


@pytest.mark.parametrize("layout", ["keras3", "tf_keras", "tf2.7"])
def test_every_layout_of_keras_is_read_and_trained_on(tmp_path, layout):
    model = trained()
    write_keras_layout(tmp_path / "m.h5", model, layout)
    loaded = load_model(tmp_path / "m.h5")
    assert same_bits(model, loaded)
    assert model.predict(X).tobytes() == loaded.predict(X).tobytes()
    assert loaded.evaluate(X, Y) == model.evaluate(X, Y)
    for m in (model, loaded):
        m.layers[1].rate = 0  # the file does not hold the state of our random generators
        m.fit(X, Y, epochs=2, shuffle=False, verbose=0)
    assert same_bits(model, loaded)


def test_a_training_that_is_not_understood_is_announced_and_the_model_predicts(tmp_path):
    write_keras_layout(tmp_path / "m.h5", article_model(), "keras3")
    with h5py.File(tmp_path / "m.h5", "r+") as file:
        file.attrs["training_config"] = file.attrs["training_config"].replace("binary_crossentropy", "nope")
    with pytest.warns(UserWarning, match="not compiled.*unknown loss 'nope'"):
        loaded = load_model(tmp_path / "m.h5")
    assert loaded.predict(X).tobytes() == article_model().predict(X).tobytes()


def test_a_file_that_keras_3_wrote_gives_the_predictions_that_keras_gave():
    loaded = load_model(GOLDEN)
    with h5py.File(GOLDEN) as file:
        x, expected = file["golden/x"][()], file["golden/y"][()]
    np.testing.assert_allclose(loaded.predict(x), expected, rtol=0, atol=1e-6)
    assert loaded.optimizer.iterations == 3
    loaded.fit(x, np.ones(len(x)), verbose=0)


# -- the real Keras -------------------------------------------------------------------------------------------------


needs_keras = pytest.mark.skipif(
    not (importlib.util.find_spec("keras") and importlib.util.find_spec("torch")), reason="needs keras and torch"
)


def keras(code, *arguments):
    """Run Keras in a process of its own: it wants its backend chosen before it is imported."""
    start = "import os, sys; os.environ['KERAS_BACKEND'] = 'torch'; import keras, numpy as np, json\n"
    command = [sys.executable, "-W", "ignore", "-c", start + code, *map(str, arguments)]
    finished = subprocess.run(command, capture_output=True, text=True, check=False)
    assert finished.returncode == 0, finished.stderr[-2000:]
    return finished


INTEROP_MODELS = {
    "the article's": trained,
    "masked": lambda: trained(mask_zero=True),
    "never compiled": lambda: Sequential([Embedding(10, 4, input_length=5), LSTM(3), Dense(2, activation="softmax")]),
    "two LSTMs": lambda: Sequential(
        [Embedding(10, 4, mask_zero=True), LSTM(3, return_sequences=True), LSTM(3, go_backwards=True, use_bias=False)]
    ),
    "any length": lambda: Sequential([Embedding(10, 4), LSTM(3, unit_forget_bias=False), Dense(1, use_bias=False)]),
    "numbers in": lambda: Sequential([InputLayer((5,)), Dense(4, activation="relu"), Dropout(0.5), Dense(1, "tanh")]),
    "double": lambda: Sequential([Dense(4, activation="silu", input_shape=(5,), dtype="float64")]),
    "sgd": lambda: compiled(Sequential([Dense(2, input_shape=(5,))]), "sgd", "mse", ["mae"]),
    "language model": lambda: LanguageModel(["abcdefg"], embedding_dim=3, units=4),
}


def compiled(model, *options):
    model.compile(*options)
    model.fit(X, np.ones((20, 2)), verbose=0)
    return model


@pytest.mark.interop
@needs_keras
@pytest.mark.parametrize("ending", ["h5", "keras"])
def test_keras_opens_our_file_predicts_the_same_and_trains_on(tmp_path, ending):
    for i, make in enumerate(INTEROP_MODELS.values()):
        model = make()
        model.save(tmp_path / f"{i}.{ending}")
        np.save(tmp_path / f"{i}.npy", np.asarray(model.predict(X)))
    code = """
folder, count, ending = sys.argv[1], int(sys.argv[2]), sys.argv[3]
x = np.load(folder + "/x.npy")
for i in range(count):
    model = keras.models.load_model(f"{folder}/{i}.{ending}")
    expected = np.load(f"{folder}/{i}.npy")
    found = model.predict(x, verbose=0)
    assert found.shape == expected.shape and abs(found - expected).max() <= 1e-6, (i, abs(found - expected).max())
    if getattr(model, "optimizer", None) is not None:
        print(type(model.optimizer).__name__)
        model.fit(x, np.ones(expected.shape), verbose=0)
        assert model.optimizer.iterations == 1
"""
    np.save(tmp_path / "x.npy", X)
    finished = keras(code, tmp_path, len(INTEROP_MODELS), ending)
    assert finished.stdout.count("Adam") == 2 and finished.stdout.count("SGD") == 1
    assert "unused" not in finished.stderr and "freshly" not in finished.stderr


KERAS_WRITES = """
layers = keras.layers
keras.utils.set_random_seed(1)
models = [
    [layers.Embedding(10, 5), layers.LSTM(6), layers.Dense(1, activation="sigmoid")],
    [layers.Embedding(10, 5, mask_zero=True), layers.Dropout(0.3), layers.LSTM(6), layers.Dense(1, "sigmoid")],
    [layers.Embedding(10, 5), layers.LSTM(6, return_sequences=True), layers.LSTM(2, use_bias=False), layers.Dense(1)],
]
x = np.load(sys.argv[1] + "/x.npy")
for i, stack in enumerate(models):
    model = keras.Sequential([keras.Input((5,)), *stack])
    model.compile("adam", ["binary_crossentropy", keras.losses.BinaryCrossentropy(), "mse"][i], metrics=["accuracy"])
    model.fit(x, np.arange(len(x)) % 2, epochs=3, batch_size=len(x), verbose=0)
    model.save(f"{sys.argv[1]}/{i}.{sys.argv[2]}")
    np.save(f"{sys.argv[1]}/{i}.npy", model.predict(x, verbose=0))
    model.fit(x, np.arange(len(x)) % 2, epochs=3, batch_size=len(x), shuffle=False, verbose=0)
    np.save(f"{sys.argv[1]}/{i}_later.npy", model.predict(x, verbose=0))
"""


@pytest.mark.interop
@needs_keras
@pytest.mark.parametrize("ending", ["h5", "keras"])
def test_we_open_keras_files_predict_the_same_and_train_on(tmp_path, ending):
    np.save(tmp_path / "x.npy", X)
    keras(KERAS_WRITES, tmp_path, ending)
    for i in range(3):
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            loaded = load_model(tmp_path / f"{i}.{ending}")
        np.testing.assert_allclose(loaded.predict(X), np.load(tmp_path / f"{i}.npy"), rtol=0, atol=1e-6)
        assert loaded.optimizer.iterations == 3
        if i != 1:  # there dropout draws other numbers
            loaded.fit(X, Y, epochs=3, batch_size=len(X), shuffle=False, verbose=0)
            np.testing.assert_allclose(loaded.predict(X), np.load(tmp_path / f"{i}_later.npy"), rtol=0, atol=1e-5)


def test_a_hard_sigmoid_inside_a_wrapper_is_refused_too(tmp_path):
    inside = Sequential([Bidirectional(LSTM(2, recurrent_activation="hard_sigmoid"), input_shape=(3, 2))])
    with pytest.raises(ValueError, match="hard_sigmoid"):
        inside.save(tmp_path / "m.h5")
