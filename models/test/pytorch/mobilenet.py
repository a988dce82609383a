# A network of MobileNetV2's size and structure (Sandler et al. 2018, table 2), its weights random, as an ONNX file: mobilenet.py FILE.
import sys
import torch
from torch import nn

torch.manual_seed(0)


def block(inputs, outputs, kernel=3, stride=1, groups=1):
    conv = nn.Conv2d(inputs, outputs, kernel, stride, kernel // 2, groups=groups, bias=False)
    return nn.Sequential(conv, nn.BatchNorm2d(outputs), nn.ReLU6())


class Inverted(nn.Module):
    def __init__(self, inputs, outputs, stride, expansion):
        super().__init__()
        hidden = inputs * expansion
        self.residual = stride == 1 and inputs == outputs
        first = [] if expansion == 1 else [block(inputs, hidden, 1)]
        last = [nn.Conv2d(hidden, outputs, 1, bias=False), nn.BatchNorm2d(outputs)]
        self.layers = nn.Sequential(*first, block(hidden, hidden, 3, stride, hidden), *last)

    def forward(self, x):
        return x + self.layers(x) if self.residual else self.layers(x)


layers, channels = [block(3, 32, stride=2)], 32
for expansion, outputs, repeats, stride in [
    (1, 16, 1, 1), (6, 24, 2, 2), (6, 32, 3, 2), (6, 64, 4, 2), (6, 96, 3, 1), (6, 160, 3, 2), (6, 320, 1, 1),
]:
    for i in range(repeats):
        layers.append(Inverted(channels, outputs, stride if i == 0 else 1, expansion))
        channels = outputs
net = nn.Sequential(*layers, block(320, 1280, 1), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(1280, 1000)).eval()
for module in net.modules():
    if isinstance(module, nn.Conv2d):
        nn.init.kaiming_normal_(module.weight)
    if isinstance(module, nn.BatchNorm2d):
        module.weight.data.uniform_(0.8, 1.2)
axes = {"x": {0: "batch"}, "y": {0: "batch"}}
torch.onnx.export(net, torch.randn(1, 3, 32, 32), sys.argv[1], input_names=["x"], output_names=["y"], dynamic_axes=axes)
