"""Makes the files in keras/: what Keras itself saves, and what its layers make of some input. See README.md.

    python generate_keras_files.py

Keras runs on JAX. The files are of f32; what is expected is computed in f64 from their weights, and rounded at the end.
"""

import os
from pathlib import Path

os.environ["KERAS_BACKEND"] = "jax"
os.environ["JAX_ENABLE_X64"] = "1"

import jax
import keras
import numpy as np
from keras import layers
from keras.src.backend.common import dtypes
from safetensors.numpy import save_file

FOLDER = Path(__file__).resolve().parent / "keras"
BATCH, STEPS = 2, 5


def sequential() -> keras.Model:
    """Everything that becomes a layer of ours, with sizes that are all different."""
    return keras.Sequential(
        [
            layers.Input((None,), dtype="int32"),
            layers.Embedding(7, 4),
            layers.Bidirectional(layers.GRU(3, return_sequences=True)),
            layers.GRU(
                5, reset_after=False, activation="relu", recurrent_activation="hard_sigmoid", return_sequences=True
            ),
            layers.SimpleRNN(
                2, go_backwards=True, return_sequences=True, activation=layers.LeakyReLU(negative_slope=0.125)
            ),
            layers.Dense(3),
        ],
        name="everything",
    )


def functional() -> keras.Model:
    """Layers in a model in a model, stacked ones, a cell by itself, and what becomes no layer of ours."""
    x = keras.Input((STEPS, 3))
    stack = keras.Sequential(
        [layers.GRU(4, return_sequences=True, name="lower"), layers.GRU(4, return_sequences=True, name="upper")],
        name="stack",
    )
    cell = layers.GRUCell(2, use_bias=False, activation="softsign", recurrent_activation="elu", dropout=0.25)
    outputs = [
        layers.RNN(cell, name="cell")(stack(x)),
        layers.GRU(3, go_backwards=True, name="backwards")(x),
        layers.LSTM(2, name="lstm")(x),
    ]
    logits = layers.Dense(2, use_bias=False, activation="softmax", name="head")(layers.Concatenate()(outputs))
    return keras.Model(x, logits, name="parts")


def randomise(model: keras.Model, seed: int) -> None:
    """Keras's biases are 0 at first, which would hide what becomes of them."""
    generator = np.random.default_rng(seed)
    for variable in model.weights:
        variable.assign(generator.uniform(-0.9, 0.9, variable.shape).astype("float32"))


def in_f64(config: object) -> object:
    """The same with every dtype of f64."""
    if isinstance(config, dict):
        return {key: "float64" if key == "dtype" and value != "int32" else in_f64(value) for key, value in config.items()}
    return [in_f64(value) for value in config] if isinstance(config, list) else config


def twin(layer: keras.Layer, shape: tuple[int | None, ...]) -> keras.Layer:
    """The same layer in f64."""
    keras.config.set_dtype_policy("float64")
    made = keras.saving.deserialize_keras_object(in_f64(keras.saving.serialize_keras_object(layer)))
    if not made.built:
        made.build(shape)
    keras.config.set_dtype_policy("float32")
    made.set_weights([value.astype("float64") for value in layer.get_weights()])
    assert all(variable.dtype == "float64" for variable in made.weights)
    return made


def numbers(layer: keras.Layer, size: int, seed: int) -> dict[str, np.ndarray]:
    """Input, output, and the gradients of sum(output * d_output)."""
    generator = np.random.default_rng(seed)
    x = generator.uniform(-1, 1, (BATCH, STEPS, size)).astype("float32").astype("float64")
    made = twin(layer, x.shape)
    output = made(x)
    assert output.dtype == "float64"
    d_output = generator.uniform(-1, 1, output.shape).astype("float32").astype("float64")

    def loss(weights, x):
        output, _ = made.stateless_call(weights, [value.value for value in made.non_trainable_variables], x)
        return (output * d_output).sum()

    d_weights, d_x = jax.grad(loss, argnums=(0, 1))([weight.value for weight in made.trainable_variables], x)
    found = {"x": x, "output": output, "d_output": d_output, "d_x": d_x}
    return found | {f"d_{index}": value for index, value in enumerate(d_weights)}


def main() -> None:
    keras.config.set_floatx("float32")
    # On any backend but TensorFlow, Keras rounds the f64 operands of `ops.matmul` to f32, whatever the policy.
    dtypes.BIT64_TO_BIT32_DTYPE["float64"] = "float64"
    FOLDER.mkdir(exist_ok=True)
    found: dict[str, np.ndarray] = {}

    model = sequential()
    randomise(model, 1)
    model.save(FOLDER / "sequential.keras")
    for layer, size in zip(model.layers[1:4], [4, 6, 5]):
        found |= {f"{layer.name}.{name}": value for name, value in numbers(layer, size, size).items()}
    classes = np.array([[4, 0, 2, 6, 1], [3, 5, 5, 0, 2]])
    found["classes"] = classes.astype("float32")
    found["logits"] = twin(model, (None, None))(classes)
    assert found["logits"].dtype == "float64"

    parts = functional()
    randomise(parts, 2)
    parts.save(FOLDER / "functional.keras")
    stack = parts.get_layer("stack")
    for layer, size in [(stack, 3), (parts.get_layer("cell"), 4), (parts.get_layer("backwards"), 3)]:
        found |= {f"{layer.name}.{name}": value for name, value in numbers(layer, size, 10 + size).items()}

    rnn = keras.Sequential([layers.Input((None, 3)), layers.SimpleRNN(2, use_bias=False, name="alone")])
    randomise(rnn, 3)
    rnn.save_weights(FOLDER / "rnn.weights.h5")
    found |= {f"alone.{name}": value for name, value in numbers(rnn.layers[0], 3, 20).items()}
    # As a user without a .keras file has it: in the order of get_weights, and by Keras's own paths.
    gru = stack.layers[0]
    np.savez(FOLDER / "arrays.npz", *gru.get_weights())
    # One array column-major, one of f16, one that f32 does not hold.
    by_path = {variable.path: np.asarray(variable.value) for variable in gru.weights}
    kernel, recurrent, bias = by_path
    by_path[kernel] = np.asfortranarray(by_path[kernel])
    by_path[bias] = by_path[bias].astype("float16")
    np.savez_compressed(FOLDER / "paths.npz", **by_path, steps=np.array(3))

    found = {name: np.ascontiguousarray(value, dtype="float32") for name, value in found.items()}
    save_file(found, FOLDER / "numbers.safetensors", metadata={"keras": keras.__version__, "jax": jax.__version__})
    print({path.name: path.stat().st_size for path in sorted(FOLDER.iterdir())})


if __name__ == "__main__":
    main()
