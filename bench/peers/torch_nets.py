# The networks that PyTorch is given, with parameters in the order of ours.
import torch
from torch import nn
from torch.nn import functional


def dense(sizes):
    layers = []
    for inputs, outputs in zip(sizes, sizes[1:]):
        layers += [nn.Linear(inputs, outputs), nn.ReLU()]
    return layers[:-1]


def lenet():
    return nn.Sequential(
        nn.Conv2d(1, 6, 5, padding=2),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Conv2d(6, 16, 5),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Flatten(),
        *dense([400, 120, 84, 10]),
    )


def convolution(inputs, outputs, size, stride):
    return nn.Conv2d(inputs, outputs, size, stride, size // 2, bias=False)


class Shortcut(nn.Module):
    """Two convolutions beside the identity, or beside one of size 1 where the shape changes (He et al. 2016)."""

    def __init__(self, inputs, outputs, stride):
        super().__init__()
        self.way = nn.Sequential(
            convolution(inputs, outputs, 3, stride),
            nn.BatchNorm2d(outputs),
            nn.ReLU(),
            convolution(outputs, outputs, 3, 1),
            nn.BatchNorm2d(outputs),
        )
        same = stride == 1 and inputs == outputs
        self.beside = (
            nn.Identity() if same else nn.Sequential(convolution(inputs, outputs, 1, stride), nn.BatchNorm2d(outputs))
        )

    def forward(self, x):
        return functional.relu(self.way(x) + self.beside(x))


def resnet():
    layers = [convolution(3, 16, 3, 1), nn.BatchNorm2d(16), nn.ReLU()]
    inputs = 16
    for outputs, stride in ((16, 1), (32, 2), (64, 2)):
        for block in range(3):
            layers.append(Shortcut(inputs, outputs, stride if block == 0 else 1))
            inputs = outputs
    return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(64, 10))


class Attention(nn.Module):
    def __init__(self, width, heads):
        super().__init__()
        self.heads = heads
        self.joint = nn.Linear(width, 3 * width)
        self.out = nn.Linear(width, width)

    def forward(self, x):
        batch, length, width = x.shape
        split = self.joint(x).view(batch, length, 3, self.heads, width // self.heads)
        query, key, value = split.permute(2, 0, 3, 1, 4)
        scores = query @ key.transpose(2, 3) / (width // self.heads) ** 0.5
        later = torch.ones(length, length, dtype=torch.bool).triu(1)
        weights = scores.masked_fill(later, -torch.inf).softmax(-1)
        return self.out((weights @ value).transpose(1, 2).reshape(batch, length, width))


class Block(nn.Module):
    def __init__(self, width):
        super().__init__()
        self.attention = nn.Sequential(nn.LayerNorm(width), Attention(width, 4))
        self.dense = nn.Sequential(nn.LayerNorm(width), nn.Linear(width, 4 * width), nn.GELU(), nn.Linear(4 * width, width))

    def forward(self, x):
        x = x + self.attention(x)
        return x + self.dense(x)


class Tokens(nn.Module):
    """A causal transformer's two blocks over 64 of 1000 tokens."""

    def __init__(self, vocabulary=1000, width=128, length=64):
        super().__init__()
        self.embedding, self.position = nn.Embedding(vocabulary, width), nn.Embedding(length, width)
        self.rest = nn.Sequential(Block(width), Block(width), nn.LayerNorm(width), nn.Linear(width, vocabulary))

    def forward(self, tokens):
        return self.rest(self.embedding(tokens.long()) + self.position.weight)


def network(name):
    """The network, and the shape of its inputs."""
    if name == "LeNet":
        return lenet(), [1, 28, 28]
    if name == "ResNet-20":
        return resnet(), [3, 32, 32]
    if name == "transformer":
        return Tokens(), [64]
    sizes = [int(size) for size in name.split("-")]
    return nn.Sequential(*dense(sizes)), sizes[:1]
