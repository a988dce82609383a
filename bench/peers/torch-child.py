# Not torch.py, which would be what it imports.
# PyTorch on a classifier, one command a line.
# stdin:  {"network": "784-256-10" | "LeNet", "batch": 128, "theta": "f", "x": "f", "y": "f", "threads": 1}  -> {"ok": true}
#         {"setup": "gradient" | "per-sample gradients"}                             ->  {"ok": true} or {"error": reason}
#         {"run": repetitions}                                                      ->  {"seconds": total}
#         {"result": "file"}  writes the last result as float64, row-major           ->  {"ok": true}
# "gradient" is forward and backward of the summed cross-entropy, batch by batch, into one sum over all data.
# "per-sample gradients" is functorch's vmap(grad) of every batch; its result is the last batch's first sample.
import json
import sys
import time

import numpy
import torch
from torch.nn import functional

try:
    from functorch import grad, make_functional, vmap
except ImportError:
    vmap = None

model = None
batches = []


def lenet():
    return torch.nn.Sequential(
        torch.nn.Conv2d(1, 6, 5, padding=2),
        torch.nn.ReLU(),
        torch.nn.MaxPool2d(2),
        torch.nn.Conv2d(6, 16, 5),
        torch.nn.ReLU(),
        torch.nn.MaxPool2d(2),
        torch.nn.Flatten(),
        *dense([400, 120, 84, 10]),
    )


def dense(sizes):
    layers = []
    for inputs, outputs in zip(sizes, sizes[1:]):
        layers += [torch.nn.Linear(inputs, outputs), torch.nn.ReLU()]
    return layers[:-1]


def load(command):
    global model, batches
    torch.set_num_threads(command["threads"])
    if command["network"] == "LeNet":
        model, shape = lenet(), [1, 28, 28]
    else:
        sizes = [int(size) for size in command["network"].split("-")]
        model, shape = torch.nn.Sequential(*dense(sizes)), sizes[:1]
    theta = torch.from_numpy(numpy.fromfile(command["theta"], dtype=numpy.float32))
    torch.nn.utils.vector_to_parameters(theta, model.parameters())
    x = torch.from_numpy(numpy.fromfile(command["x"], dtype=numpy.float32).reshape(-1, *shape))
    y = torch.from_numpy(numpy.fromfile(command["y"], dtype=numpy.float32)).long()
    size = command["batch"]
    batches = [(x[i : i + size], y[i : i + size]) for i in range(0, len(x), size)]


def gradient():
    for parameter in model.parameters():
        parameter.grad = None
    for x, y in batches:
        functional.cross_entropy(model(x), y, reduction="sum").backward()
    return [parameter.grad for parameter in model.parameters()]


def per_sample():
    function, parameters = make_functional(model)

    def loss(parameters, x, y):
        return functional.cross_entropy(function(parameters, x[None]), y[None], reduction="sum")

    all_gradients = vmap(grad(loss), (None, 0, 0))

    def run():
        for x, y in batches:
            gradients = all_gradients(parameters, x, y)
        return [one[0] for one in gradients]

    return run


def setup(kind):
    if kind == "gradient":
        return gradient
    if vmap is None:
        raise RuntimeError("this PyTorch has no functorch")
    return per_sample()


work = None
last = None
kind = "functorch" if vmap is not None else "no functorch"
print(json.dumps({"ready": f"PyTorch {torch.__version__} ({kind})"}), flush=True)
for line in sys.stdin:
    command = json.loads(line)
    answer = {"ok": True}
    try:
        if "network" in command:
            load(command)
        elif "setup" in command:
            work = setup(command["setup"])
        elif "run" in command:
            start = time.perf_counter()
            for _ in range(command["run"]):
                last = work()
            answer = {"seconds": time.perf_counter() - start}
        elif "result" in command:
            flat = torch.cat([part.detach().reshape(-1) for part in last])
            flat.double().numpy().tofile(command["result"])
    except Exception as error:
        answer = {"error": str(error)}
    print(json.dumps(answer), flush=True)
