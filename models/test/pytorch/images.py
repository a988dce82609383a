# A small network of images, trained: images.py FOLDER. Writes network.onnx, which ends in Softmax, images.npz by NumPy, images.csv, and
# images.json for a writer of Parquet.
import json, sys
import numpy, torch
from torch import nn

torch.manual_seed(0)
torch.set_num_threads(1)
folder = sys.argv[1]
n, side = 240, 8
labels = torch.arange(n) % 3
at = torch.arange(side).float()
waves = [torch.sin(at)[:, None].expand(side, side), torch.sin(at)[None, :].expand(side, side), torch.zeros(side, side)]
images = torch.stack([waves[k] for k in labels])[:, None] + 0.8 * torch.randn(n, 1, side, side)
net = nn.Sequential(nn.Conv2d(1, 4, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten(), nn.Linear(64, 8), nn.Tanh(), nn.Linear(8, 3))
optimizer = torch.optim.Adam(net.parameters(), 0.01)
for _ in range(60):
    optimizer.zero_grad()
    nn.functional.cross_entropy(net(images), labels).backward()
    optimizer.step()
whole = nn.Sequential(net, nn.Softmax(-1)).eval()
axes = {"x": {0: "batch"}, "y": {0: "batch"}}
torch.onnx.export(whole, images[:1], f"{folder}/network.onnx", input_names=["x"], output_names=["y"], opset_version=14, dynamic_axes=axes)
numpy.savez_compressed(f"{folder}/images.npz", images=images.numpy(), labels=labels.numpy())
names = ["cat", "dog", "eel"]
with open(f"{folder}/images.csv", "w") as file:
    file.write(",".join([f"p{i}" for i in range(side * side)] + ["kind"]) + "\n")
    for image, label in zip(images, labels):
        file.write(",".join([repr(float(value)) for value in image.flatten()] + [names[label]]) + "\n")
with open(f"{folder}/images.json", "w") as file:
    json.dump({"images": images.tolist(), "kinds": [names[label] for label in labels]}, file)
