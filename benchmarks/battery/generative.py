"""Generative nets of the battery: diffusion, autoencoders, generators, fields."""

from __future__ import annotations

import math
from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn import functional as F

Made = tuple[nn.Module, dict[str, Tensor]]


class _Steps(nn.Module):
    """Sines and cosines of a time, then two linear layers."""

    frequencies: Tensor

    def __init__(self, width: int, out: int) -> None:
        super().__init__()
        self.register_buffer("frequencies", torch.exp(-math.log(1e4) * torch.arange(width // 2) / (width // 2)))
        self.layers = nn.Sequential(nn.Linear(width, out), nn.SiLU(), nn.Linear(out, out))

    def forward(self, t: Tensor) -> Tensor:
        angles = t[:, None] * self.frequencies
        return self.layers(torch.cat([angles.sin(), angles.cos()], dim=-1))


class _Block(nn.Module):
    def __init__(self, c_in: int, c_out: int, time: int) -> None:
        super().__init__()
        self.norm1, self.norm2 = nn.GroupNorm(32, c_in), nn.GroupNorm(32, c_out)
        self.conv1, self.conv2 = nn.Conv2d(c_in, c_out, 3, padding=1), nn.Conv2d(c_out, c_out, 3, padding=1)
        self.time = nn.Linear(time, c_out) if time else None
        self.skip = nn.Conv2d(c_in, c_out, 1) if c_in != c_out else nn.Identity()

    def forward(self, x: Tensor, t: Tensor | None = None) -> Tensor:
        y = self.conv1(F.silu(self.norm1(x)))
        if self.time is not None and t is not None:
            y = y + self.time(F.silu(t))[:, :, None, None]
        return self.skip(x) + self.conv2(F.silu(self.norm2(y)))


class _Attention2d(nn.Module):
    def __init__(self, c: int, heads: int) -> None:
        super().__init__()
        self.norm, self.qkv, self.out, self.heads = nn.GroupNorm(32, c), nn.Linear(c, 3 * c), nn.Linear(c, c), heads

    def forward(self, x: Tensor) -> Tensor:
        n, c, h, w = x.shape
        y = self.norm(x).flatten(2).transpose(1, 2)
        q, k, v = (p.view(n, h * w, self.heads, -1).transpose(1, 2) for p in self.qkv(y).chunk(3, dim=-1))
        y = F.scaled_dot_product_attention(q, k, v).transpose(1, 2).reshape(n, h * w, c)
        return x + self.out(y).transpose(1, 2).reshape(n, c, h, w)


class _UNet(nn.Module):
    def __init__(self, c_in: int, base: int, multiples: tuple[int, ...], attention_from: int) -> None:
        super().__init__()
        time = 4 * base
        self.steps, self.first = _Steps(base, time), nn.Conv2d(c_in, base, 3, padding=1)
        widths = [base * m for m in multiples]
        self.down, self.shrink, self.up, self.grow = (nn.ModuleList() for _ in range(4))
        c, kept = base, [base]
        for i, w in enumerate(widths):
            for _ in range(2):
                attention = _Attention2d(w, 8) if i >= attention_from else nn.Identity()
                self.down.append(nn.ModuleList([_Block(c, w, time), attention]))
                c = w
                kept.append(c)
            self.shrink.append(nn.Conv2d(c, c, 3, 2, 1) if i < len(widths) - 1 else nn.Identity())
            kept += [c] if i < len(widths) - 1 else []
        self.middle = nn.ModuleList([_Block(c, c, time), _Attention2d(c, 8), _Block(c, c, time)])
        for i, w in reversed(list(enumerate(widths))):
            for _ in range(3):
                attention = _Attention2d(w, 8) if i >= attention_from else nn.Identity()
                self.up.append(nn.ModuleList([_Block(c + kept.pop(), w, time), attention]))
                c = w
            self.grow.append(nn.Conv2d(c, c, 3, padding=1) if i else nn.Identity())
        self.norm, self.last = nn.GroupNorm(32, c), nn.Conv2d(c, c_in, 3, padding=1)
        self.levels = len(widths)

    def forward(self, x: Tensor, t: Tensor) -> Tensor:
        t = self.steps(t)
        x = self.first(x)
        kept = [x]
        for level in range(self.levels):
            for block, attention in self.down[2 * level : 2 * level + 2]:
                x = attention(block(x, t))
                kept.append(x)
            if level < self.levels - 1:
                x = self.shrink[level](x)
                kept.append(x)
        x = self.middle[2](self.middle[1](self.middle[0](x, t)), t)
        for level in range(self.levels):
            for block, attention in self.up[3 * level : 3 * level + 3]:
                x = attention(block(torch.cat([x, kept.pop()], dim=1), t))
            if level < self.levels - 1:
                x = self.grow[level](F.interpolate(x, scale_factor=2.0, mode="nearest"))
        return self.last(F.silu(self.norm(x)))


def _noise(batch: int, c: int, pixels: int) -> dict[str, Tensor]:
    return {"x": torch.rand(batch, c, pixels, pixels), "t": torch.rand(batch)}


def pixel_diffusion(batch: int) -> Made:
    """A DDPM U-Net on 32 pixels, attention at the lower levels."""
    return _UNet(3, 128, (1, 2, 2), 1).eval(), _noise(batch, 3, 32)


def latent_diffusion(batch: int) -> Made:
    """A U-Net on latents of 32 x 32, wide and with attention at three levels."""
    return _UNet(4, 192, (1, 2, 4), 0).eval(), _noise(batch, 4, 32)


class _Modulated(nn.Module):
    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.norm1, self.norm2 = (nn.LayerNorm(width, elementwise_affine=False, eps=1e-6) for _ in range(2))
        self.qkv, self.out, self.heads = nn.Linear(width, 3 * width), nn.Linear(width, width), heads
        self.mlp = nn.Sequential(nn.Linear(width, 4 * width), nn.GELU("tanh"), nn.Linear(4 * width, width))
        self.condition = nn.Sequential(nn.SiLU(), nn.Linear(width, 6 * width))

    def forward(self, x: Tensor, c: Tensor) -> Tensor:
        shift1, scale1, gate1, shift2, scale2, gate2 = self.condition(c)[:, None].chunk(6, dim=-1)
        n, s, w = x.shape
        y = self.norm1(x) * (1 + scale1) + shift1
        q, k, v = self.qkv(y).view(n, s, 3, self.heads, -1).permute(2, 0, 3, 1, 4).unbind(0)
        y = F.scaled_dot_product_attention(q, k, v).transpose(1, 2).reshape(n, s, w)
        x = x + gate1 * self.out(y)
        return x + gate2 * self.mlp(self.norm2(x) * (1 + scale2) + shift2)


class _DiT(nn.Module):
    def __init__(self, width: int = 384, layers: int = 12, heads: int = 6) -> None:
        super().__init__()
        self.patches, self.steps = nn.Conv2d(4, width, 2, 2), _Steps(256, width)
        self.position = nn.Parameter(torch.zeros(1, 256, width))
        self.blocks = nn.ModuleList(_Modulated(width, heads) for _ in range(layers))
        self.norm, self.head = nn.LayerNorm(width, elementwise_affine=False), nn.Linear(width, 16)

    def forward(self, x: Tensor, t: Tensor) -> Tensor:
        n = x.shape[0]
        x = self.patches(x).flatten(2).transpose(1, 2) + self.position
        c = self.steps(t)
        for block in self.blocks:
            x = block(x, c)
        y = self.head(self.norm(x)).view(n, 16, 16, 2, 2, 4)
        return y.permute(0, 5, 1, 3, 2, 4).reshape(n, 4, 32, 32)


def diffusion_transformer(batch: int) -> Made:
    """DiT-S/2: layer norms shifted and scaled by the step's embedding."""
    return _DiT().eval(), _noise(batch, 4, 32)


def image_autoencoder(batch: int) -> Made:
    """The decoder of a latent diffusion model's autoencoder: group norms, nearest upsampling, 16 to 128 pixels."""

    class Decoder(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.first, self.attention = nn.Conv2d(4, 256, 3, padding=1), _Attention2d(256, 1)
            pairs = [(256, 256), (256, 128), (128, 64)]
            self.blocks = nn.ModuleList(_Block(a, b, 0) for a, b in pairs)
            self.grow = nn.ModuleList(nn.Conv2d(b, b, 3, padding=1) for _, b in pairs)
            self.norm, self.last = nn.GroupNorm(32, 64), nn.Conv2d(64, 3, 3, padding=1)

        def forward(self, x: Tensor) -> Tensor:
            x = self.attention(self.first(x))
            for block, grow in zip(self.blocks, self.grow):
                x = grow(F.interpolate(block(x), scale_factor=2.0, mode="nearest"))
            return self.last(F.silu(self.norm(x)))

    return Decoder().eval(), {"x": torch.rand(batch, 4, 16, 16)}


def vector_quantised(batch: int) -> Made:
    """A VQ-VAE: strided convolutions, the nearest of 512 codes, transposed convolutions."""

    class Quantised(nn.Module):
        def __init__(self, width: int = 128) -> None:
            super().__init__()
            self.encoder = nn.Sequential(
                *(nn.Conv2d(3, 64, 4, 2, 1), nn.ReLU(), nn.Conv2d(64, width, 4, 2, 1), nn.ReLU()),
                *(nn.Conv2d(width, width, 3, padding=1), nn.ReLU(), nn.Conv2d(width, 64, 1)),
            )
            self.codes = nn.Embedding(512, 64)
            self.decoder = nn.Sequential(
                *(nn.Conv2d(64, width, 3, padding=1), nn.ReLU(), nn.ConvTranspose2d(width, 64, 4, 2, 1), nn.ReLU()),
                nn.ConvTranspose2d(64, 3, 4, 2, 1),
            )

        def forward(self, x: Tensor) -> Tensor:
            z = self.encoder(x).permute(0, 2, 3, 1)
            flat, codes = z.reshape(-1, 64), self.codes.weight
            distance = (flat**2).sum(1, keepdim=True) - 2 * flat @ codes.t() + (codes**2).sum(1)
            chosen = self.codes(distance.argmin(dim=1)).view(z.shape)
            return self.decoder(chosen.permute(0, 3, 1, 2))

    return Quantised().eval(), {"x": torch.rand(batch, 3, 64, 64)}


def convolutional_generator(batch: int) -> Made:
    """DCGAN's generator: transposed convolutions from a vector to 64 pixels."""
    layers: list[nn.Module] = []
    for a, b, stride, pad in ((100, 512, 1, 0), (512, 256, 2, 1), (256, 128, 2, 1), (128, 64, 2, 1)):
        layers += [nn.ConvTranspose2d(a, b, 4, stride, pad, bias=False), nn.BatchNorm2d(b), nn.ReLU()]
    module = nn.Sequential(*layers, nn.ConvTranspose2d(64, 3, 4, 2, 1), nn.Tanh())
    return module.eval(), {"input": torch.rand(batch, 100, 1, 1)}


def style_generator(batch: int) -> Made:
    """A style-based generator: instance norms scaled by a mapped vector, bilinear upsampling."""

    class Style(nn.Module):
        def __init__(self, width: int = 256) -> None:
            super().__init__()
            self.mapping = nn.Sequential(*(nn.Sequential(nn.Linear(256, 256), nn.LeakyReLU(0.2)) for _ in range(4)))
            self.constant = nn.Parameter(torch.ones(1, width, 4, 4))
            widths = [width, width, 128, 64, 32]
            self.convs = nn.ModuleList(nn.Conv2d(a, b, 3, padding=1) for a, b in pairwise(widths))
            self.styles = nn.ModuleList(nn.Linear(256, 2 * b) for b in widths[1:])
            self.last = nn.Conv2d(32, 3, 1)

        def forward(self, z: Tensor) -> Tensor:
            w = self.mapping(z)
            x = self.constant.expand(z.shape[0], -1, -1, -1)
            for conv, style in zip(self.convs, self.styles):
                x = conv(F.interpolate(x, scale_factor=2.0, mode="bilinear", align_corners=False))
                scale, shift = style(w)[:, :, None, None].chunk(2, dim=1)
                x = F.leaky_relu(F.instance_norm(x) * (1 + scale) + shift, 0.2)
            return self.last(x)

    return Style().eval(), {"z": torch.rand(batch, 256)}


def radiance_field(batch: int) -> Made:
    """NeRF: sines of 3-D points, a deep MLP with a skip, 64 samples of 64 rays for each of a batch."""

    class Field(nn.Module):
        bands: Tensor

        def __init__(self, width: int = 256) -> None:
            super().__init__()
            self.register_buffer("bands", 2.0 ** torch.arange(10))
            self.first = nn.Linear(63, width)
            self.before = nn.ModuleList(nn.Linear(width, width) for _ in range(4))
            self.join = nn.Linear(width + 63, width)
            self.after = nn.ModuleList(nn.Linear(width, width) for _ in range(2))
            self.density, self.colour = nn.Linear(width, 1), nn.Linear(width, 3)

        def forward(self, points: Tensor) -> Tensor:
            angles = (points[..., None, :] * self.bands[:, None]).flatten(-2)
            encoded = torch.cat([points, angles.sin(), angles.cos()], dim=-1)
            x = F.relu(self.first(encoded))
            for layer in self.before:
                x = F.relu(layer(x))
            x = F.relu(self.join(torch.cat([x, encoded], dim=-1)))
            for layer in self.after:
                x = F.relu(layer(x))
            alpha = 1 - torch.exp(-F.relu(self.density(x)) * 0.02)
            through = torch.cumprod(1 - alpha + 1e-4, dim=-2)
            return (alpha * through * self.colour(x).sigmoid()).sum(dim=-2)

    return Field().eval(), {"points": torch.rand(64 * batch, 64, 3)}


def fourier_operator(batch: int) -> Made:
    """A Fourier neural operator on a 64 x 64 grid: products in frequency space, in single precision."""

    class Spectral(nn.Module):
        def __init__(self, c: int, modes: int) -> None:
            super().__init__()
            self.weight = nn.Parameter(torch.rand(c, c, modes, modes, 2) / c)
            self.modes, self.local = modes, nn.Conv2d(c, c, 1)

        def forward(self, x: Tensor) -> Tensor:
            m = self.modes
            found = torch.fft.rfft2(x.float())
            weight = torch.view_as_complex(self.weight.float())
            low = torch.einsum("bixy,ioxy->boxy", found[:, :, :m, :m], weight)
            out = torch.zeros_like(found)
            out[:, :, :m, :m] = low
            return F.gelu(torch.fft.irfft2(out, s=x.shape[-2:]).to(x.dtype) + self.local(x))

    module = nn.Sequential(nn.Conv2d(3, 32, 1), *(Spectral(32, 12) for _ in range(4)), nn.Conv2d(32, 1, 1))
    return module.eval(), {"input": torch.rand(batch, 3, 64, 64)}
