"""Makes options/pytorch with PyTorch's own nn.GRU and nn.RNN in f64, forward and backward. See README.md.

    python generate_options.py
"""

import torch
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence
from vectors import RELU, Case, Expected, Given, draw, emptied, write

FIRST_SEED = 1001
BOTH = "bidirectional"

# The seed of a case is its place in this list, from FIRST_SEED, so new ones go at the end. PyTorch has no reverse-only
# layer and cannot pack a row of length 0: Keras and ONNX Runtime have both.
CASES = [
    Case("gru_no_bias", bias=False),
    Case("gru_batch_first", batch_first=True),
    Case("gru_h0_zero", given_h0=False),
    Case("gru_lengths", batch=4, lengths=(2, 5, 1, 4)),
    Case("gru_bidirectional", direction=BOTH),
    Case("gru_bidirectional_lengths", batch=4, direction=BOTH, lengths=(1, 4, 5, 2)),
    Case("gru_2_layers", num_layers=2),
    Case("gru_2_layers_bidirectional_batch_first", hidden_size=4, num_layers=2, direction=BOTH, batch_first=True),
    Case("gru_2_layers_lengths_no_bias", num_layers=2, bias=False, lengths=(4, 2, 5)),
    Case("gru_3_layers_bidirectional_lengths", hidden_size=3, num_layers=3, direction=BOTH, lengths=(3, 5, 1)),
    Case("gru_3_layers_no_bias_batch_first", hidden_size=3, num_layers=3, bias=False, batch_first=True),
    # No row is as long as the sequence.
    Case(
        "gru_2_layers_all_rows_short", seq_len=6, hidden_size=3, num_layers=2, direction=BOTH, batch_first=True,
        lengths=(2, 4, 3),
    ),
    Case("rnn_tanh", "rnn"),
    Case("rnn_relu", "rnn", nonlinearity=RELU),
    Case("rnn_tanh_bidirectional_lengths", "rnn", batch=4, direction=BOTH, lengths=(3, 1, 5, 2)),
    Case("rnn_relu_2_layers_batch_first_no_bias", "rnn", num_layers=2, bias=False, batch_first=True, nonlinearity=RELU),
    Case("rnn_tanh_3_layers_lengths", "rnn", hidden_size=4, num_layers=3, lengths=(5, 2, 4)),
    Case(
        "rnn_relu_2_layers_bidirectional_lengths_batch_first", "rnn", hidden_size=4, num_layers=2, direction=BOTH,
        batch_first=True, nonlinearity=RELU, lengths=(2, 5, 3),
    ),
]  # fmt: skip


def evaluate(case: Case, given: Given) -> Expected:
    """The outputs, and the gradients of sum(output * d_output) + sum(h_n * d_h_n)."""

    def tensor(values: list[float], shape: tuple[int, ...]) -> torch.Tensor:
        return torch.tensor(values, dtype=torch.float64).reshape(shape)

    options = {
        "num_layers": case.num_layers,
        "bias": case.bias,
        "batch_first": case.batch_first,
        "bidirectional": case.direction == BOTH,
        "dtype": torch.float64,
    }
    if case.cell == "gru":
        layer = torch.nn.GRU(case.input_size, case.hidden_size, **options)
    else:
        nonlinearity = case.config()["nonlinearity"]["name"]
        layer = torch.nn.RNN(case.input_size, case.hidden_size, nonlinearity=nonlinearity, **options)
    assert {name: tuple(value.shape) for name, value in layer.named_parameters()} == case.weight_shapes()
    with torch.no_grad():
        for name, parameter in layer.named_parameters():
            parameter.copy_(tensor(given.weights[name], tuple(parameter.shape)))

    x = tensor(given.x, case.x_shape).requires_grad_()
    h0 = tensor(given.h0, case.h_shape).requires_grad_()
    if case.lengths is None:
        output, h_n = layer(x, h0)
    else:
        packed = pack_padded_sequence(x, list(case.lengths), batch_first=case.batch_first, enforce_sorted=False)
        packed_output, h_n = layer(packed, h0)
        output, _ = pad_packed_sequence(packed_output, batch_first=case.batch_first, total_length=case.seq_len)
    d_output, d_h_n = tensor(given.d_output, case.output_shape), tensor(given.d_h_n, case.h_shape)
    ((output * d_output).sum() + (h_n * d_h_n).sum()).backward()

    def flat(value: torch.Tensor) -> list[float]:
        return value.detach().flatten().tolist()

    d_weights = {name: flat(parameter.grad) for name, parameter in layer.named_parameters()}
    return Expected(flat(output), flat(h_n), flat(x.grad), flat(h0.grad), d_weights)


def main() -> None:
    # One thread, so that the order of every sum is the same on each run.
    torch.set_num_threads(1)
    torch.use_deterministic_algorithms(True)
    folder, total = emptied("pytorch"), 0
    for seed, case in enumerate(CASES, start=FIRST_SEED):
        given = draw(case, seed)
        source = f"PyTorch {torch.__version__}"
        total += write(folder, source, "f64", case, given, evaluate(case, given), seed)
    print(f"{len(CASES)} cases, {total} bytes, PyTorch {torch.__version__}")


if __name__ == "__main__":
    main()
