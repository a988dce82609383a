# Networks with the modules and names of torchvision's ResNet-18, of a BERT classifier of Hugging Face's transformers and of
# torchvision's ViT, of GPT-2 and of nn.LSTM, of small widths: checkpoints.py FOLDER. Writes NAME.safetensors (float64, as
# safetensors.torch does, names in order), NAME.onnx (float32) of the first three and NAME.json with inputs and outputs. Neither
# package is needed.
import json, math, struct, sys
from collections import OrderedDict
import torch
from torch import nn
import torch.nn.functional as F

torch.manual_seed(0)
torch.set_num_threads(1)
folder = sys.argv[1]


# torchvision/models/resnet.py: names of modules and their order.
class BasicBlock(nn.Module):
    def __init__(self, inputs, outputs, stride):
        super().__init__()
        self.conv1 = nn.Conv2d(inputs, outputs, 3, stride, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(outputs)
        self.conv2 = nn.Conv2d(outputs, outputs, 3, 1, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(outputs)
        self.downsample = None
        if stride != 1 or inputs != outputs:
            self.downsample = nn.Sequential(nn.Conv2d(inputs, outputs, 1, stride, bias=False), nn.BatchNorm2d(outputs))

    def forward(self, x):
        y = self.bn2(self.conv2(F.relu(self.bn1(self.conv1(x)))))
        return F.relu(y + (x if self.downsample is None else self.downsample(x)))


class ResNet18(nn.Module):
    def __init__(self, width=4, classes=3):
        super().__init__()
        self.conv1 = nn.Conv2d(3, width, 7, 2, 3, bias=False)
        self.bn1 = nn.BatchNorm2d(width)
        self.maxpool = nn.MaxPool2d(3, 2, 1)
        inputs = width
        for i in range(4):
            outputs = width * 2**i
            blocks = nn.Sequential(BasicBlock(inputs, outputs, 1 if i == 0 else 2), BasicBlock(outputs, outputs, 1))
            setattr(self, f"layer{i + 1}", blocks)
            inputs = outputs
        self.fc = nn.Linear(inputs, classes)

    def forward(self, x):
        x = self.maxpool(F.relu(self.bn1(self.conv1(x))))
        x = self.layer4(self.layer3(self.layer2(self.layer1(x))))
        return self.fc(torch.flatten(F.adaptive_avg_pool2d(x, 1), 1))


# transformers/models/bert/modeling_bert.py: names of modules and their order.
def part(**modules):
    return nn.ModuleDict(modules)


class BertLayer(nn.Module):
    def __init__(self, width, heads, inner):
        super().__init__()
        linear = lambda: nn.Linear(width, width)
        norm = lambda: nn.LayerNorm(width, eps=1e-12)
        attention = nn.ModuleDict(OrderedDict(query=linear(), key=linear(), value=linear()))
        self.heads = heads
        self.attention = nn.Module()
        self.attention.self = attention
        self.attention.output = nn.ModuleDict(OrderedDict(dense=linear(), LayerNorm=norm()))
        self.intermediate = nn.ModuleDict(OrderedDict(dense=nn.Linear(width, inner)))
        self.output = nn.ModuleDict(OrderedDict(dense=nn.Linear(inner, width), LayerNorm=norm()))

    def forward(self, x, hidden=None):
        b, t, d = x.shape
        split = lambda y: y.view(b, t, self.heads, d // self.heads).transpose(1, 2)
        q, k, v = (split(self.attention.self[name](x)) for name in ("query", "key", "value"))
        scores = q @ k.transpose(-1, -2) / math.sqrt(d // self.heads)
        if hidden is not None:
            scores = scores.masked_fill(hidden[:, None, None, :], torch.finfo(scores.dtype).min)
        y = (scores.softmax(-1) @ v).transpose(1, 2).reshape(b, t, d)
        x = self.attention.output["LayerNorm"](self.attention.output["dense"](y) + x)
        y = self.output["dense"](F.gelu(self.intermediate["dense"](x)))
        return self.output["LayerNorm"](y + x)


class BertForSequenceClassification(nn.Module):
    def __init__(self, vocabulary=11, positions=7, width=8, heads=2, inner=16, layers=3, classes=3):
        super().__init__()
        self.bert = nn.Module()
        embeddings = self.bert.embeddings = nn.Module()
        embeddings.word_embeddings = nn.Embedding(vocabulary, width)
        embeddings.position_embeddings = nn.Embedding(positions, width)
        embeddings.token_type_embeddings = nn.Embedding(2, width)
        embeddings.LayerNorm = nn.LayerNorm(width, eps=1e-12)
        embeddings.register_buffer("position_ids", torch.arange(positions).expand((1, -1)))
        self.bert.encoder = nn.Module()
        self.bert.encoder.layer = nn.ModuleList(BertLayer(width, heads, inner) for _ in range(layers))
        self.bert.pooler = nn.ModuleDict({"dense": nn.Linear(width, width)})
        self.classifier = nn.Linear(width, classes)

    def forward(self, tokens, hidden=None):
        e = self.bert.embeddings
        x = e.word_embeddings(tokens) + e.token_type_embeddings(torch.zeros_like(tokens)) + e.position_embeddings(e.position_ids[:, : tokens.shape[1]])
        x = e.LayerNorm(x)
        for layer in self.bert.encoder.layer:
            x = layer(x, hidden)
        return self.classifier(torch.tanh(self.bert.pooler["dense"](x[:, 0])))


# torchvision/models/vision_transformer.py: names of modules and their order.
class EncoderBlock(nn.Module):
    def __init__(self, width, heads, inner):
        super().__init__()
        self.ln_1 = nn.LayerNorm(width, eps=1e-6)
        self.self_attention = nn.MultiheadAttention(width, heads, batch_first=True)
        self.ln_2 = nn.LayerNorm(width, eps=1e-6)
        self.mlp = nn.Sequential(nn.Linear(width, inner), nn.GELU(), nn.Dropout(0.0), nn.Linear(inner, width))

    def forward(self, x):
        y = self.ln_1(x)
        x = x + self.self_attention(y, y, y, need_weights=False)[0]
        return x + self.mlp(self.ln_2(x))


class VisionTransformer(nn.Module):
    def __init__(self, width=8, heads=2, inner=12, layers=2, classes=3):
        super().__init__()
        self.conv_proj = nn.Conv2d(3, width, 4, 4)
        self.class_token = nn.Parameter(torch.randn(1, 1, width))
        self.encoder = nn.Module()
        self.encoder.pos_embedding = nn.Parameter(torch.randn(1, 5, width))
        blocks = OrderedDict((f"encoder_layer_{i}", EncoderBlock(width, heads, inner)) for i in range(layers))
        self.encoder.layers = nn.Sequential(blocks)
        self.encoder.ln = nn.LayerNorm(width, eps=1e-6)
        self.heads = nn.Sequential(OrderedDict(head=nn.Linear(width, classes)))

    def forward(self, x):
        x = self.conv_proj(x).flatten(2).transpose(1, 2)
        x = torch.cat([self.class_token.expand(x.shape[0], -1, -1), x], 1) + self.encoder.pos_embedding
        return self.heads(self.encoder.ln(self.encoder.layers(x))[:, 0])


# transformers/models/gpt2/modeling_gpt2.py: names of modules, and Conv1D of pytorch_utils.py, whose weight is [inputs, outputs].
class Conv1D(nn.Module):
    def __init__(self, outputs, inputs):
        super().__init__()
        self.weight = nn.Parameter(torch.randn(inputs, outputs) * 0.3)
        self.bias = nn.Parameter(torch.randn(outputs) * 0.3)

    def forward(self, x):
        return x @ self.weight + self.bias


class GPT2Block(nn.Module):
    def __init__(self, width, heads):
        super().__init__()
        self.heads = heads
        self.ln_1 = nn.LayerNorm(width)
        self.attn = nn.ModuleDict(OrderedDict(c_attn=Conv1D(3 * width, width), c_proj=Conv1D(width, width)))
        self.ln_2 = nn.LayerNorm(width)
        self.mlp = nn.ModuleDict(OrderedDict(c_fc=Conv1D(4 * width, width), c_proj=Conv1D(width, 4 * width)))

    def forward(self, x):
        b, t, d = x.shape
        q, k, v = (y.view(b, t, self.heads, -1).transpose(1, 2) for y in self.attn["c_attn"](self.ln_1(x)).split(d, 2))
        scores = q @ k.transpose(-1, -2) / math.sqrt(d // self.heads)
        scores = scores.masked_fill(torch.ones(t, t).triu(1).bool(), -math.inf)
        x = x + self.attn["c_proj"]((scores.softmax(-1) @ v).transpose(1, 2).reshape(b, t, d))
        y = self.mlp["c_fc"](self.ln_2(x))
        y = 0.5 * y * (1 + torch.tanh(math.sqrt(2 / math.pi) * (y + 0.044715 * y**3)))
        return x + self.mlp["c_proj"](y)


class GPT2(nn.Module):
    def __init__(self, vocabulary=11, positions=9, width=8, heads=2, layers=2):
        super().__init__()
        self.wte = nn.Embedding(vocabulary, width)
        self.wpe = nn.Embedding(positions, width)
        self.h = nn.ModuleList(GPT2Block(width, heads) for _ in range(layers))
        self.ln_f = nn.LayerNorm(width)

    def forward(self, tokens):
        x = self.wte(tokens) + self.wpe.weight[: tokens.shape[1]]
        for block in self.h:
            x = block(x)
        return self.ln_f(x)[:, -1] @ self.wte.weight.T


class Lstm(nn.Module):
    def __init__(self, width=5):
        super().__init__()
        self.lstm = nn.LSTM(width, width, 2, batch_first=True)
        self.fc = nn.Linear(width, 2)

    def forward(self, x):
        return self.fc(self.lstm(x)[0][:, -1])


def save(state, path):
    """What safetensors.torch.save_file writes: tensors by the size of their elements, then by name."""
    kinds = {torch.float64: ("F64", 8), torch.int64: ("I64", 8), torch.float32: ("F32", 4)}
    header, data = {}, b""
    for name, value in sorted(state.items(), key=lambda one: (-kinds[one[1].dtype][1], one[0])):
        raw = value.contiguous().numpy().tobytes()
        header[name] = {"dtype": kinds[value.dtype][0], "shape": list(value.shape), "data_offsets": [len(data), len(data) + len(raw)]}
        data += raw
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    with open(path, "wb") as file:
        file.write(struct.pack("<Q", len(text)) + text + data)


def plain(t):
    return {"shape": list(t.shape), "data": t.detach().double().flatten().tolist()}


if "--docs" in sys.argv:
    # The checkpoints of docs/pytorch.md, and of docs/models.md a network of examples/data/moons.csv, as a checkpoint and as an ONNX file.
    resnet, bert = ResNet18(width=2).eval(), BertForSequenceClassification(vocabulary=30, positions=12, layers=2).eval()
    save(resnet.state_dict(), f"{folder}/resnet18.safetensors")
    save(bert.state_dict(), f"{folder}/bert.safetensors")
    print(resnet(torch.ones(1, 3, 32, 32)))
    tokens = torch.tensor([[2, 7, 19, 3, 0, 0]])
    print(bert(tokens, tokens == 0))
    with open(f"{folder}/moons.csv") as file:
        rows = [[float(cell) for cell in line.split(",")] for line in list(file)[1:]]
    x, y = torch.tensor([row[:2] for row in rows]), torch.tensor([int(row[2]) for row in rows])
    moons = nn.Sequential(OrderedDict(fc1=nn.Linear(2, 16), tanh1=nn.Tanh(), fc2=nn.Linear(16, 16), tanh2=nn.Tanh(), fc3=nn.Linear(16, 2)))
    optimizer = torch.optim.Adam(moons.parameters(), 0.02, weight_decay=1e-3)
    for _ in range(400):
        optimizer.zero_grad()
        F.cross_entropy(moons(x), y).backward()
        optimizer.step()
    save(moons.state_dict(), f"{folder}/moons.safetensors")
    axes = {"x": {0: "batch"}, "y": {0: "batch"}}
    torch.onnx.export(nn.Sequential(OrderedDict(moons=moons, softmax=nn.Softmax(-1))), x[:1], f"{folder}/moons.onnx", input_names=["x"],
                      output_names=["y"], opset_version=14, dynamic_axes=axes)
    print(moons(torch.tensor([[0.0, 1.0]])))
    sys.exit()

networks = {
    "resnet18": (ResNet18(), torch.randn(5, 3, 33, 33)),
    "bert": (BertForSequenceClassification(), torch.randint(0, 11, (5, 6))),
    "vit": (VisionTransformer(), torch.randn(5, 3, 8, 8)),
    "gpt2": (GPT2(), torch.randint(0, 11, (5, 6))),
    "lstm": (Lstm(), torch.randn(5, 4, 5)),
}
for name, (net, x) in networks.items():
    for module in net.modules():
        if isinstance(module, (nn.LayerNorm, nn.BatchNorm2d)):
            nn.init.normal_(module.weight, 1, 0.3)
            nn.init.normal_(module.bias, 0, 0.3)
        if isinstance(module, nn.BatchNorm2d):
            module.running_mean.normal_(0, 0.5)
            module.running_var.uniform_(0.5, 2)
        if isinstance(module, nn.MultiheadAttention):
            module.in_proj_bias.data.normal_()
            module.out_proj.bias.data.normal_()
    net = net.eval()
    axes = {"x": {0: "batch"}, "y": {0: "batch"}}
    # BatchNormalization stays a node of its own.
    exported = name in ("resnet18", "bert", "vit")
    if exported:
        torch.onnx.export(net, x, f"{folder}/{name}.onnx", input_names=["x"], output_names=["y"], opset_version=14, dynamic_axes=axes,
                          training=torch.onnx.TrainingMode.PRESERVE, do_constant_folding=False)
    net = net.double()
    x = x if x.dtype == torch.int64 else x.double()
    save(net.state_dict(), f"{folder}/{name}.safetensors")
    with open(f"{folder}/{name}.json", "w") as file:
        result = {"x": plain(x), "y": plain(net(x)), "names": list(net.state_dict())}
        if name == "bert":
            # The token 0 as padding, but for the first one.
            hidden = (x == 0) & (torch.arange(x.shape[1]) > 0)
            x = x + ((x == 0) & ~hidden)
            result["x"], result["y"], result["masked"] = plain(x), plain(net(x)), plain(net(x, hidden))
        json.dump(result, file)
