"""Makes the files in state_dict/: state dicts that PyTorch itself wrote, and what its modules make of them. See README.md.

    python generate_state_dict.py
"""

from pathlib import Path

import torch
from safetensors.torch import save_file
from torch import nn

FOLDER = Path(__file__).resolve().parent / "state_dict"


class Model(nn.Module):
    """Every module whose weights the crate reads, with sizes that are all different."""

    def __init__(self):
        super().__init__()
        self.embedding = nn.Embedding(7, 4)
        self.encoder = nn.GRU(4, 5, num_layers=2, bidirectional=True, batch_first=True)
        self.rnn = nn.RNN(10, 3, nonlinearity="relu", bias=False, batch_first=True)
        self.head = nn.Linear(3, 2)
        # Of no layer.
        self.register_buffer("steps", torch.tensor(3))

    def forward(self, classes):
        states, _ = self.encoder(self.embedding(classes))
        return self.head(self.rnn(states)[0])


def main():
    torch.manual_seed(1)
    FOLDER.mkdir(exist_ok=True)
    model = Model()
    save_file(model.state_dict(), FOLDER / "model.safetensors", metadata={"format": "pt"})
    save_file({name: value.half() for name, value in model.encoder.state_dict().items()}, FOLDER / "f16.safetensors")
    save_file({name: value.bfloat16() for name, value in model.encoder.state_dict().items()}, FOLDER / "bf16.safetensors")
    save_file({name: value.double() for name, value in model.encoder.state_dict().items()}, FOLDER / "f64.safetensors")
    save_file(nn.LSTM(4, 5).state_dict(), FOLDER / "lstm.safetensors")

    # What is expected is computed in f64 from the f32 weights, and rounded to f32 at the end.
    classes = torch.randint(7, (3, 6))
    model = model.double()
    output = model(classes)
    d_output = torch.rand(output.shape, dtype=torch.float64) - 0.5
    d_output = d_output.float().double()
    output.backward(d_output)
    embedded = model.embedding(classes).detach()
    numbers = {"embedded": embedded, "output": output.detach(), "d_output": d_output}
    numbers |= {f"d_{name}": parameter.grad for name, parameter in model.named_parameters()}
    numbers = {name: value.float().contiguous() for name, value in numbers.items()}
    save_file(numbers | {"classes": classes}, FOLDER / "numbers.safetensors", metadata={"torch": torch.__version__})


if __name__ == "__main__":
    main()
