# Networks of PyTorch as ONNX files, in float32 and float64, with inputs, outputs and per-sample gradients of each output's sum.
# Run by Debian's python3-torch: export.py FOLDER. Writes NAME.onnx, NAME.f64.onnx and NAME.json.
import json, math, sys
import torch
from torch import nn
import torch.nn.functional as F

torch.manual_seed(0)
folder = sys.argv[1]


class Fn(nn.Module):
    def __init__(self, f, **modules):
        super().__init__()
        self.f = f
        for name, module in modules.items():
            if isinstance(module, (nn.Parameter,)):
                setattr(self, name, module)
            elif isinstance(module, torch.Tensor):
                self.register_buffer(name, module)
            else:
                setattr(self, name, module)

    def forward(self, x):
        return self.f(self, x)


def mlp(*between):
    return nn.Sequential(nn.Linear(5, 7), *between, nn.Linear(7, 3))


class Block(nn.Module):
    def __init__(self, a, b, stride=1):
        super().__init__()
        self.conv1 = nn.Conv2d(a, b, 3, stride, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(b)
        self.conv2 = nn.Conv2d(b, b, 3, 1, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(b)
        self.down = None if a == b and stride == 1 else nn.Sequential(nn.Conv2d(a, b, 1, stride, bias=False), nn.BatchNorm2d(b))

    def forward(self, x):
        y = self.bn2(self.conv2(torch.relu(self.bn1(self.conv1(x)))))
        return torch.relu(y + (x if self.down is None else self.down(x)))


class Inverted(nn.Module):
    def __init__(self, a, b, expand, act):
        super().__init__()
        h = a * expand
        self.body = nn.Sequential(nn.Conv2d(a, h, 1, bias=False), nn.BatchNorm2d(h), act(), nn.Conv2d(h, h, 3, 1, 1, groups=h, bias=False), nn.BatchNorm2d(h), act(), nn.Conv2d(h, b, 1, bias=False), nn.BatchNorm2d(b))
        self.same = a == b

    def forward(self, x):
        return x + self.body(x) if self.same else self.body(x)


class Attention(nn.Module):
    def __init__(self, d, heads):
        super().__init__()
        self.heads = heads
        self.q, self.k, self.v, self.out = (nn.Linear(d, d) for _ in range(4))

    def forward(self, x, mask=None):
        b, t, d = x.shape
        split = lambda y: y.view(b, t, self.heads, d // self.heads).transpose(1, 2)
        q, k, v = split(self.q(x)), split(self.k(x)), split(self.v(x))
        scores = q @ k.transpose(-1, -2) / math.sqrt(d // self.heads)
        if mask is not None:
            scores = scores.masked_fill(mask, float("-inf"))
        return self.out((scores.softmax(-1) @ v).transpose(1, 2).reshape(b, t, d))


class Encoder(nn.Module):
    def __init__(self, d, heads, act=nn.GELU, causal=False, t=4):
        super().__init__()
        self.n1, self.n2 = nn.LayerNorm(d), nn.LayerNorm(d)
        self.attention = Attention(d, heads)
        self.mlp = nn.Sequential(nn.Linear(d, 2 * d), act(), nn.Linear(2 * d, d))
        self.register_buffer("mask", torch.triu(torch.ones(t, t, dtype=torch.bool), 1) if causal else None)

    def forward(self, x):
        x = x + self.attention(self.n1(x), self.mask)
        return x + self.mlp(self.n2(x))


class Bert(nn.Module):
    def __init__(self):
        super().__init__()
        self.words, self.places = nn.Embedding(11, 8), nn.Embedding(4, 8)
        self.norm = nn.LayerNorm(8)
        self.layers = nn.Sequential(Encoder(8, 2), Encoder(8, 2))
        self.pooler, self.classifier = nn.Linear(8, 8), nn.Linear(8, 3)

    def forward(self, tokens):
        x = self.norm(self.words(tokens) + self.places(torch.arange(4)))
        return self.classifier(torch.tanh(self.pooler(self.layers(x)[:, 0])))


class Vit(nn.Module):
    def __init__(self):
        super().__init__()
        self.patches = nn.Conv2d(3, 8, 4, 4)
        self.cls = nn.Parameter(torch.randn(1, 1, 8))
        self.pos = nn.Parameter(torch.randn(1, 5, 8))
        self.body = Encoder(8, 2, t=5)
        self.norm, self.head = nn.LayerNorm(8), nn.Linear(8, 3)

    def forward(self, x):
        x = self.patches(x).flatten(2).transpose(1, 2)
        x = torch.cat([self.cls.expand(x.shape[0], -1, -1), x], 1) + self.pos
        return self.head(self.norm(self.body(x))[:, 0])


class Recurrent(nn.Module):
    def __init__(self, kind, **options):
        super().__init__()
        self.rnn = kind(3, 4, batch_first=True, **options)
        self.head = nn.Linear(8 if options.get("bidirectional") else 4, 2)

    def forward(self, x):
        return self.head(self.rnn(x)[0][:, -1])


def image(*layers, channels=4):
    return nn.Sequential(*layers, nn.Flatten(), nn.LazyLinear(3))


class Sep(nn.Module):
    def __init__(self, *after):
        super().__init__()
        self.net, self.after = mlp(nn.ReLU()), nn.Sequential(*after)

    def forward(self, x):
        return self.after(self.net(x))


v, im = (5,), (3, 8, 8)
networks = {
    "relu": (mlp(nn.ReLU()), v), "tanh": (mlp(nn.Tanh()), v), "sigmoid": (mlp(nn.Sigmoid()), v),
    "gelu": (mlp(nn.GELU()), v), "silu": (mlp(nn.SiLU()), v), "elu": (mlp(nn.ELU(0.75)), v), "selu": (mlp(nn.SELU()), v),
    "softplus": (mlp(nn.Softplus()), v), "leaky": (mlp(nn.LeakyReLU(0.25)), v), "prelu": (mlp(nn.PReLU(7, 0.3)), v),
    "mish": (mlp(nn.Mish()), v), "softsign": (mlp(nn.Softsign()), v), "hardswish": (mlp(nn.Hardswish()), v),
    "hardsigmoid": (mlp(nn.Hardsigmoid()), v), "relu6": (mlp(nn.ReLU6()), v), "celu": (mlp(nn.CELU(0.75)), v),
    "softmax_end": (Sep(nn.Softmax(-1)), v), "log_softmax_end": (Sep(nn.LogSoftmax(-1)), v), "sigmoid_end": (Sep(nn.Sigmoid()), v),
    "squeezed_sigmoid": (Fn(lambda s, x: torch.sigmoid(s.a(torch.relu(s.b(x)))).squeeze(-1), a=nn.Linear(6, 1), b=nn.Linear(5, 6)), v),
    "dropout": (mlp(nn.Dropout(0.5), nn.ReLU()), v), "layernorm": (mlp(nn.LayerNorm(7)), v), "batchnorm1d": (mlp(nn.BatchNorm1d(7), nn.ReLU()), v),
    "shared": (Fn(lambda s, x: s.out(torch.tanh(s.a(torch.tanh(s.a(x))))), a=nn.Linear(5, 5), out=nn.Linear(5, 2)), v),
    "matmul_only": (Fn(lambda s, x: torch.relu(x @ s.w) @ s.u + s.b, w=nn.Parameter(torch.randn(5, 6)), u=nn.Parameter(torch.randn(6, 2)), b=nn.Parameter(torch.randn(2))), v),
    "arithmetic": (Fn(lambda s, x: (s.a(x) - s.c) / (1 + s.b(x).exp()) * s.c + (s.a(x) ** 2).sqrt().reciprocal(), a=nn.Linear(5, 3), b=nn.Linear(5, 3), c=nn.Parameter(torch.rand(3) + 1)), v),
    "trigonometric": (Fn(lambda s, x: torch.cat([s.a(x).sin(), s.a(x).cos(), s.a(x).abs()], -1), a=nn.Linear(5, 3)), v),
    "minmax": (Fn(lambda s, x: torch.maximum(s.a(x), s.b(x)) + torch.minimum(s.a(x), s.b(x)) ** 3 + s.a(x).clamp(-0.2, 0.4), a=nn.Linear(5, 3), b=nn.Linear(5, 3)), v),
    "reductions": (Fn(lambda s, x: torch.stack([s.a(x).sum(-1), s.a(x).mean(-1), s.a(x).amax(-1), s.a(x).amin(-1), s.a(x).norm(dim=-1)], -1), a=nn.Linear(5, 6)), v),
    "slices": (Fn(lambda s, x: torch.cat([s.a(x)[:, 1:5], s.a(x)[:, ::2], s.a(x).chunk(2, 1)[1], s.a(x).flip(1) if False else s.a(x)[:, [4, 0, 1]]], 1), a=nn.Linear(5, 6)), v),
    "where": (Fn(lambda s, x: torch.where(s.m, s.a(x), s.b(x)), a=nn.Linear(5, 3), b=nn.Linear(5, 3), m=torch.tensor([True, False, True])), v),
    "standardised": (Fn(lambda s, x: s.a((x - s.mean) / s.std), a=nn.Linear(5, 3), mean=torch.randn(5), std=torch.rand(5) + 0.5), v),
    "lenet": (nn.Sequential(nn.Conv2d(1, 6, 5, padding=2), nn.ReLU(), nn.MaxPool2d(2), nn.Conv2d(6, 8, 3), nn.ReLU(), nn.AvgPool2d(2), nn.Flatten(), nn.Linear(8 * 3 * 3, 10)), (1, 16, 16)),
    "resnet": (nn.Sequential(nn.Conv2d(3, 4, 3, 1, 1, bias=False), nn.BatchNorm2d(4), nn.ReLU(), nn.MaxPool2d(3, 2, 1), Block(4, 4), Block(4, 6, 2), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(6, 3)), (3, 16, 16)),
    "mobilenet_v2": (nn.Sequential(Inverted(3, 4, 2, nn.ReLU6), Inverted(4, 4, 3, nn.ReLU6), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, 3)), im),
    "mobilenet_v3": (nn.Sequential(Inverted(3, 4, 2, nn.Hardswish), Inverted(4, 4, 3, nn.Hardswish), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, 3)), im),
    "strides": (image(nn.Conv2d(3, 4, (3, 2), (2, 1), (1, 0), (1, 2)), nn.Tanh()), im),
    "grouped": (image(nn.Conv2d(3, 6, 3, groups=3), nn.ReLU(), nn.Conv2d(6, 4, 1, groups=2)), im),
    "conv1d": (image(nn.Conv1d(2, 4, 3, 2, 1), nn.ReLU(), nn.MaxPool1d(2)), (2, 11)),
    "transposed": (image(nn.Conv2d(3, 4, 3, 2), nn.Tanh(), nn.ConvTranspose2d(4, 2, 3, 2, 1, 1)), im),
    "ceil_pools": (image(nn.Conv2d(3, 4, 1), nn.MaxPool2d(3, 2, ceil_mode=True), nn.Conv2d(4, 4, 1), nn.AvgPool2d(3, 2, 1, ceil_mode=True, count_include_pad=False)), im),
    "average_padded": (image(nn.Conv2d(3, 4, 1), nn.AvgPool2d(3, 2, 1), nn.AvgPool2d(2, 1, 1, count_include_pad=False)), im),
    "dilated_pool": (image(nn.Conv2d(3, 4, 1), nn.MaxPool2d(2, 1, 0, 2)), im),
    "padding_modes": (image(nn.ReflectionPad2d(1), nn.Conv2d(3, 4, 3), nn.ReplicationPad2d((1, 0, 2, 1)), nn.Conv2d(4, 3, 3), nn.ZeroPad2d((0, 1, 1, 0))), im),
    "group_norm": (image(nn.Conv2d(3, 4, 3), nn.GroupNorm(2, 4), nn.ReLU()), im),
    "instance_norm": (image(nn.Conv2d(3, 4, 3), nn.InstanceNorm2d(4, affine=True), nn.ReLU()), im),
    "global_max": (nn.Sequential(nn.Conv2d(3, 4, 3), nn.AdaptiveMaxPool2d(1), nn.Flatten(), nn.Linear(4, 3)), im),
    "encoder": (nn.Sequential(Encoder(8, 2), nn.Linear(8, 3)), (4, 8)),
    "causal": (nn.Sequential(Encoder(8, 2, nn.ReLU, True), nn.Linear(8, 3)), (4, 8)),
    "torch_attention": (Fn(lambda s, x: s.head(s.a(x, x, x, need_weights=False)[0]), a=nn.MultiheadAttention(8, 2, batch_first=True), head=nn.Linear(8, 2)), (4, 8)),
    "bert": (Bert(), "tokens"), "vit": (Vit(), im),
    "lstm": (Recurrent(nn.LSTM), (4, 3)), "gru": (Recurrent(nn.GRU), (4, 3)), "rnn": (Recurrent(nn.RNN), (4, 3)),
    "bidirectional_lstm": (Recurrent(nn.LSTM, bidirectional=True), (4, 3)), "stacked_gru": (Recurrent(nn.GRU, num_layers=2), (4, 3)),
    "bilinear": (Fn(lambda s, x: s.h(F.interpolate(F.interpolate(s.c(x), scale_factor=2, mode="bilinear", align_corners=False), size=(5, 7), mode="bilinear", align_corners=True).flatten(1)), c=nn.Conv2d(3, 2, 3), h=nn.Linear(70, 3)), im),
    "segmentation": (Fn(lambda s, x: s.c(x).softmax(1), c=nn.Sequential(nn.Conv2d(3, 4, 3, padding=1), nn.ReLU(), nn.Conv2d(4, 3, 1))), im),
}


def plain(t):
    return {"shape": list(t.shape), "data": t.detach().flatten().tolist()}


for name, (net, shape) in networks.items():
    net = net.eval()
    x = torch.randint(0, 11, (3, 4)) if shape == "tokens" else torch.randn(3, *shape)
    with torch.no_grad():
        net(x)
        for module in net.modules():
            # Arrays that are equal would be one in the file.
            if isinstance(module, (nn.LayerNorm, nn.GroupNorm, nn.InstanceNorm2d)):
                module.weight.normal_(1, 0.3)
                module.bias.normal_(0, 0.3)
            if isinstance(module, (nn.BatchNorm1d, nn.BatchNorm2d)):
                module.running_mean.normal_()
                module.running_var.uniform_(0.5, 2)
                module.weight.normal_(1, 0.3)
                module.bias.normal_(0, 0.3)
    opset = 14
    modes = {"training": torch.onnx.TrainingMode.EVAL, "do_constant_folding": name not in ("lenet",)}
    if name in ("resnet", "batchnorm1d", "mobilenet_v2"):
        # BatchNormalization stays a node of its own, as other exporters leave it.
        modes["training"] = torch.onnx.TrainingMode.PRESERVE
        modes["do_constant_folding"] = False
    axes = {"x": {0: "batch"}, "y": {0: "batch"}}
    common = dict(input_names=["x"], output_names=["y"], opset_version=opset, dynamic_axes=axes, **modes)
    torch.onnx.export(net, x, f"{folder}/{name}.onnx", **common)
    y32 = net(x)
    net = net.double()
    x = x if shape == "tokens" else x.double()
    torch.onnx.export(net, x, f"{folder}/{name}.f64.onnx", **common)
    y = net(x)
    weight = torch.randn_like(y[0])
    gradients = []
    for i in range(len(x)):
        net.zero_grad()
        one = x[i : i + 1].clone().requires_grad_(shape != "tokens")
        (net(one)[0] * weight).sum().backward()
        gradients.append({n: plain(p.grad) for n, p in net.named_parameters() if p.grad is not None})
        if shape != "tokens":
            gradients[-1]["input"] = plain(one.grad)
    # The whole Jacobian of the first sample, row by row, where it is of few outputs.
    jacobian = []
    for k in range(y[0].numel() if y[0].numel() <= 12 else 0):
        net.zero_grad()
        one = x[:1].clone().requires_grad_(shape != "tokens")
        net(one)[0].flatten()[k].backward()
        jacobian.append({n: plain(p.grad) for n, p in net.named_parameters() if p.grad is not None})
        if shape != "tokens":
            jacobian[-1]["input"] = plain(one.grad)
    parameters = {n: plain(p) for n, p in net.named_parameters()}
    with open(f"{folder}/{name}.json", "w") as file:
        json.dump({"parameters": parameters, "jacobian": jacobian, "x": plain(x.double()), "y": plain(y), "tokens": shape == "tokens", "weight": plain(weight), "gradients": gradients}, file)
print(len(networks), "networks")
