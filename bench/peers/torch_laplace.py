# Curvatures of a classifier by hand in PyTorch: the formulas for exactly these networks, on batches. The sums of an example's
# columns, diag(sqrt p) - p sqrt(p)^T, are pulled back to every dense layer and convolution, and contracted there with its inputs
# (Martens & Grosse 2015, arXiv:1503.05671; Dangel et al. 2020, arXiv:1912.10985).
import math

import torch
from torch import nn
from torch.nn import functional


class Site:
    """A dense layer or a convolution in one forward pass: its inputs as columns, and where its outputs are."""

    def __init__(self, layer):
        self.layer = layer
        self.handle = layer.register_forward_hook(self.see)

    def see(self, layer, inputs, output):
        self.output, self.given = output, inputs[0].detach()

    def inputs(self):
        """[B, T, inputs]: T is 1 for vectors."""
        if isinstance(self.layer, nn.Linear):
            return self.given.reshape(len(self.given), -1, self.given.shape[-1])
        layer = self.layer
        return functional.unfold(self.given, layer.kernel_size, layer.dilation, layer.padding, layer.stride).transpose(1, 2)

    def columns(self, pulled):
        """[K, B, T, outputs] of what arrived at the outputs."""
        if isinstance(self.layer, nn.Linear):
            return pulled.reshape(*pulled.shape[:2], -1, pulled.shape[-1])
        return pulled.flatten(3).transpose(2, 3)


def roots(logits):
    """[K, B, C]: the columns of the square root of diag(p) - p p^T."""
    p = logits.softmax(-1)
    root = p.sqrt()
    return torch.diag_embed(root).permute(1, 0, 2) - root.T[:, :, None] * p


def drawn(logits):
    """[1, B, (T,) C]: p minus a label that is drawn from it."""
    p = logits.softmax(-1)
    label = torch.distributions.Categorical(probs=p).sample()
    return (p - functional.one_hot(label, p.shape[-1]))[None]


def pulled_back(logits, outputs, columns, together):
    """What arrives at each site: all columns in one pass, or one after the other."""
    if together:
        return torch.autograd.grad(logits, outputs, columns, is_grads_batched=True)
    each = [torch.autograd.grad(logits, outputs, column, retain_graph=True) for column in columns]
    return [torch.stack(one) for one in zip(*each)]


class Fit:
    """Sums of one pass over the data."""

    def __init__(self, model, last_layer):
        layers = [one for one in model.modules() if isinstance(one, (nn.Linear, nn.Conv2d))]
        self.model, self.sites = model, [Site(one) for one in (layers[-1:] if last_layer else layers)]
        self.last_layer = last_layer

    def close(self):
        for site in self.sites:
            site.handle.remove()

    def over(self, batches, columns_of, contract):
        sums = [None] * len(self.sites)
        for x, _ in batches:
            if self.last_layer:
                # The columns are there already.
                with torch.no_grad():
                    logits = self.model(x)
                arrived = [columns_of(logits)]
            else:
                logits = self.model(x)
                outputs = [site.output for site in self.sites]
                columns = columns_of(logits.detach())
                arrived = pulled_back(logits, outputs, columns, TOGETHER)
            for i, (site, pulled) in enumerate(zip(self.sites, arrived)):
                found = contract(site, site.columns(pulled), site.inputs())
                sums[i] = found if sums[i] is None else [a + b for a, b in zip(sums[i], found)]
        return sums


# Whether columns go back in one pass; the faster of both is chosen when a network is loaded.
TOGETHER = True


def squares(site, g, a):
    """The diagonal's sums: of squares over columns and examples."""
    if a.shape[1] == 1:
        square = (g * g).sum(0)[:, 0]
        weight = square.T @ (a[:, 0] ** 2)
        bias = square.sum(0)
    else:
        weight = sum((column.transpose(1, 2) @ a).square_().sum(0) for column in g)
        bias = g.sum(2).square().sum((0, 1))
    return [weight] if site.layer.bias is None else [weight, bias]


def factors(site, g, a):
    """B and A of Kronecker's approximation: sums over columns, examples and positions; and how many rows A sums."""
    g, a = g.reshape(-1, g.shape[-1]), a.reshape(-1, a.shape[-1])
    return [g.T @ g, a.T @ a, torch.tensor(float(len(a)))]


def diagonal(model, batches, last_layer=False):
    fit = Fit(model, last_layer)
    sums = fit.over(batches, roots, squares)
    fit.close()
    return torch.cat([part.reshape(-1) for site in sums for part in site])


def kronecker(model, batches, last_layer=False, columns_of=roots):
    fit = Fit(model, last_layer)
    sums = fit.over(batches, columns_of, factors)
    fit.close()
    return [(b, a / rows, site.layer.bias is not None) for site, (b, a, rows) in zip(fit.sites, sums)]


def kronecker_diagonal(blocks):
    parts = []
    for b, a, bias in blocks:
        parts += [torch.outer(b.diag(), a.diag()).reshape(-1)] + ([b.diag()] if bias else [])
    return torch.cat(parts)


def last_full(model, batches):
    """[S, S] over the last layer, a class's weights beside its bias: for each class one product of all others' weighted features."""
    fit = Fit(model, True)
    (site,) = fit.sites
    total = 0
    for x, _ in batches:
        with torch.no_grad():
            p = model(x).softmax(-1)
        a = torch.cat([site.given, torch.ones(len(x), 1)], 1)
        curvature = torch.diag_embed(p) - p[:, :, None] * p[:, None]
        weighted = (curvature[..., None] * a[:, None, None]).flatten(1)
        total = total + (weighted.T @ a)
    fit.close()
    classes, width = p.shape[1], a.shape[1]
    return total.view(classes, classes, width, width).permute(0, 2, 1, 3).reshape(classes * width, classes * width)


def full_diagonal(matrix, classes):
    """The diagonal in the order of ours: weights, then biases."""
    each = matrix.diag().view(classes, -1)
    return torch.cat([each[:, :-1].reshape(-1), each[:, -1]])


def eigenvalues(blocks):
    """The curvature's eigenvalues, and the eigenvectors of its factors."""
    values, vectors = [], []
    for b, a, bias in blocks:
        (lb, qb), (la, qa) = torch.linalg.eigh(b.double()), torch.linalg.eigh(a.double())
        lb, la = lb.clamp_min(0), la.clamp_min(0)
        values += [torch.outer(lb, la).reshape(-1)] + ([lb] if bias else [])
        vectors.append((qb, qa))
    return torch.cat(values), vectors


def evidence(values, log_likelihood, square, log_prior):
    """log p(data) at one prior precision, by eigenvalues [S]."""
    prior = log_prior.exp()
    ratio = (values / prior).log1p().sum()
    return log_likelihood - 0.5 * (ratio + prior * square)


def tuned(values, log_likelihood, square, steps=100, rate=0.1):
    log_prior = torch.zeros((), dtype=torch.float64, requires_grad=True)
    adam = torch.optim.Adam([log_prior], lr=rate)
    for _ in range(steps):
        adam.zero_grad()
        (-evidence(values, log_likelihood, square, log_prior)).backward()
        adam.step()
    return log_prior.detach().exp()


class LastFull:
    """Predictions by the last layer's whole matrix: the probit approximation (MacKay 1992), and the logits' variances."""

    def __init__(self, model, batches):
        self.model, self.fit = model, Fit(model, True)
        matrix = last_full(model, batches).double()
        matrix.diagonal().add_(1)
        covariance = torch.cholesky_inverse(torch.linalg.cholesky(matrix))
        self.classes = self.fit.sites[0].layer.out_features
        width = len(matrix) // self.classes
        blocks = covariance.view(self.classes, width, self.classes, width)
        self.blocks = torch.stack([blocks[c, :, c] for c in range(self.classes)]).float()

    def predict(self, x):
        with torch.no_grad():
            f = self.model(x)
            a = torch.cat([self.fit.sites[0].given, torch.ones(len(x), 1)], 1)
            variance = ((a @ self.blocks) * a).sum(-1).T
            return (f / (1 + math.pi / 8 * variance).sqrt()).softmax(-1), variance
