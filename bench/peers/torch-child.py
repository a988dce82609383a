# Not torch.py, which would be what it imports.
# PyTorch on a classifier, one command a line.
# stdin:  {"network": "784-256-10" | "LeNet" | "ResNet-20" | "transformer", "batch": 128, "theta": "f", "buffers": "f", "x": "f",
#          "y": "f", "points": "f", "threads": 1}                                    ->  {"ok": true}
#         {"setup": job}                                                            ->  {"ok": true} or {"error": reason}
#         {"run": repetitions}                                                      ->  {"seconds": total}
#         {"result": "file"}  writes the last result as float64, row-major           ->  {"ok": true}
# "gradient" is forward and backward of the summed cross-entropy, batch by batch, into one sum over all data.
# "per-sample gradients" is functorch's vmap(grad) of every batch; its result is the last batch's first sample.
# The others are written by hand in torch_laplace.py.
import json
import os
import sys
import time

import numpy
import torch
from torch import nn
from torch.nn import functional

import torch_laplace as laplace
from torch_nets import network

try:
    from functorch import grad, make_functional, vmap
except ImportError:
    vmap = None

clock = time.process_time if os.environ.get("LAPLACE_BENCH_CLOCK") in ("processor", "thread") else time.perf_counter
model = None
batches = []
points = None
start = None


def load(command):
    global model, batches, points, start
    torch.set_num_threads(command["threads"])
    torch.manual_seed(0)
    model, shape = network(command["network"])

    def read(name):
        return torch.from_numpy(numpy.fromfile(command[name], dtype=numpy.float32))

    start = read("theta")
    nn.utils.vector_to_parameters(start.clone(), model.parameters())
    at, buffers = 0, read("buffers")
    for name, buffer in model.named_buffers():
        if "num_batches" in name:
            continue
        buffer.copy_(buffers[at : at + buffer.numel()].view_as(buffer))
        at += buffer.numel()
    model.eval()
    x, points = (read(name).reshape(-1, *shape) for name in ("x", "points"))
    y = read("y").long().reshape(len(x), -1).squeeze(1)
    size = command["batch"]
    batches = [(x[i : i + size], y[i : i + size]) for i in range(0, len(x), size)]
    laplace.TOGETHER = faster_together()


def faster_together():
    """Whether columns go back faster all in one pass, on one batch."""
    if batches[0][1].dim() > 1:
        return True
    spent = []
    for together in (True, False):
        laplace.TOGETHER = together
        try:
            laplace.kronecker(model, batches[:1])
            begin = clock()
            laplace.kronecker(model, batches[:1])
            spent.append(clock() - begin)
        except RuntimeError:
            spent.append(float("inf"))
    return spent[0] < spent[1]


def loss(logits, y):
    return functional.cross_entropy(logits.reshape(-1, logits.shape[-1]), y.reshape(-1), reduction="sum")


def gradient():
    for parameter in model.parameters():
        parameter.grad = None
    for x, y in batches:
        loss(model(x), y).backward()
    return [parameter.grad for parameter in model.parameters()]


def per_sample():
    if vmap is None:
        raise RuntimeError("this PyTorch has no functorch")
    function, parameters = make_functional(model)

    def of_one(parameters, x, y):
        return functional.cross_entropy(function(parameters, x[None]), y[None], reduction="sum")

    all_gradients = vmap(grad(of_one), (None, 0, 0))

    def run():
        for x, y in batches:
            gradients = all_gradients(parameters, x, y)
        return [one[0] for one in gradients]

    return run


def norms():
    """Norms of every example's gradient without it: of dense layers products of norms, of convolutions by their sums."""
    fit = laplace.Fit(model, False)

    def run():
        all_norms = []
        for x, y in batches:
            (*given,) = torch.autograd.grad(loss(model(x), y), [site.output for site in fit.sites])
            total = 0
            for site, pulled in zip(fit.sites, given):
                (g,), a = site.columns(pulled[None]), site.inputs()
                if a.shape[1] == 1:
                    weight = g.square().sum((1, 2)) * a.square().sum((1, 2))
                else:
                    weight = (g.transpose(1, 2) @ a).square().sum((1, 2))
                total = total + weight + (0 if site.layer.bias is None else g.sum(1).square().sum(1))
            all_norms.append(total.sqrt())
        return all_norms

    return run


def epoch():
    def run():
        nn.utils.vector_to_parameters(start.clone(), model.parameters())
        adam = torch.optim.Adam(model.parameters(), lr=1e-3)
        model.train()
        for x, y in batches:
            adam.zero_grad(set_to_none=True)
            (loss(model(x), y) / len(x)).backward()
            adam.step()
        model.eval()
        found = [parameter.detach().clone() for parameter in model.parameters()]
        nn.utils.vector_to_parameters(start.clone(), model.parameters())
        return found

    return run


def log_likelihood():
    with torch.no_grad():
        return -sum(loss(model(x), y).double() for x, y in batches)


def with_evidence():
    square = sum(one.detach().double().square().sum() for one in model.parameters())

    def run():
        values, _ = laplace.eigenvalues(laplace.kronecker(model, batches))
        return [laplace.evidence(values, log_likelihood(), square, torch.zeros((), dtype=torch.float64)).reshape(1)]

    return run


def tuning(values):
    square = sum(one.detach().double().square().sum() for one in model.parameters())
    value = log_likelihood()
    return lambda: [laplace.tuned(values, value, square).reshape(1)]


def predictions():
    posterior = laplace.LastFull(model, batches)
    return lambda: [posterior.predict(points)[1]]


def full_of_last():
    matrix = laplace.last_full(model, batches)
    return [laplace.full_diagonal(matrix, model[-1].out_features)]


jobs = {
    "gradient": lambda: gradient,
    "per-sample gradients": per_sample,
    "norms": norms,
    "epoch": epoch,
    "diagonal": lambda: lambda: [laplace.diagonal(model, batches)],
    "kronecker": lambda: lambda: [laplace.kronecker_diagonal(laplace.kronecker(model, batches))],
    "kronecker evidence": with_evidence,
    "kronecker monteCarlo": lambda: lambda: [laplace.kronecker_diagonal(laplace.kronecker(model, batches, False, laplace.drawn))],
    "kronecker lastLayer": lambda: lambda: [laplace.kronecker_diagonal(laplace.kronecker(model, batches, True))],
    "kronecker lastLayer monteCarlo": lambda: lambda: [
        laplace.kronecker_diagonal(laplace.kronecker(model, batches, True, laplace.drawn))
    ],
    "full lastLayer": lambda: full_of_last,
    "kronecker tune": lambda: tuning(laplace.eigenvalues(laplace.kronecker(model, batches))[0]),
    "diagonal tune": lambda: tuning(laplace.diagonal(model, batches).double()),
    "full lastLayer predict": predictions,
}

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
            for one in model.modules():
                one._forward_hooks.clear()
            work = jobs[command["setup"]]()
        elif "run" in command:
            begin = clock()
            for _ in range(command["run"]):
                last = work()
            answer = {"seconds": clock() - begin}
        elif "result" in command:
            flat = torch.cat([part.detach().reshape(-1) for part in last])
            flat.double().numpy().tofile(command["result"])
    except Exception as error:
        answer = {"error": str(error)}
    print(json.dumps(answer), flush=True)
