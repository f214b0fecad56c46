"""Train the three ShapeScenes networks: ``camlab train-shapes``."""

import json
import math
import platform
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import timm
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

import camlab
from camlab.common.errors import BadSetting
from camlab.common.torch_state import pinned_torch
from camlab.images.scenes.scenes import CLASSES, HELD_OUT_SEED, SCENE_VERSION, render, scene_plan
from camlab.models import shape_nets
from camlab.models.loading import pick_device
from camlab.models.shape_nets import SHAPE_NETS, SIDE
from camlab.noise import perturb

_OFTEN = 2500  # scenes between two progress reports

Say = Callable[[str], None]


@dataclass(frozen=True)
class Settings:
    """The training settings of a network.

    ``scenes`` are rendered once, with ``seed``. The network first sees close-ups, ``close_up`` pixels wide with the
    object in them, for ``close_epochs``, then whole scenes for ``epochs`` (None: the network's own numbers);
    close-ups teach the shapes faster and cheaper. Every picture is rotated, mirrored, and varied in light and grain;
    ``grain`` is the largest standard deviation of its Gaussian noise, far below level 1 (0.08). ``test_scenes`` of
    the held-out seed measure the accuracy.
    """

    seed: int = 1
    scenes: int = 16_000
    close_epochs: int | None = None
    epochs: int | None = None
    batch: int = 32
    close_up: int = 80
    weight_decay: float = 0.05
    smoothing: float = 0.05
    grain: float = 0.04
    ema: float = 0.998
    test_scenes: int = 2_000

    def __post_init__(self) -> None:
        if self.seed == HELD_OUT_SEED:
            raise BadSetting(f"Seed {HELD_OUT_SEED} is reserved for measuring accuracy; train with another seed.")
        for name in ("scenes", "close_epochs", "epochs", "batch", "test_scenes"):
            value = getattr(self, name)
            if value is not None and value < 1:
                raise BadSetting(f"The number of {name.replace('_', ' ')} is {value}; choose 1 or more.")
        if self.scenes < self.batch:
            raise BadSetting(f"{self.scenes} scenes are fewer than one batch of {self.batch}; choose more scenes.")


@dataclass(frozen=True)
class Bank:
    """Scenes in memory: RGB (N, S, S, 3), labels (N,), and the middles of the objects (N, 2), x and y in (0, 1)."""

    pictures: NDArray[np.uint8]
    labels: NDArray[np.int64]
    middles: NDArray[np.float64]

    def __len__(self) -> int:
        return len(self.labels)


def scene_bank(count: int, seed: int, say: Say) -> Bank:
    """Render the first ``count`` scenes of a seed at the networks' input size."""
    plans = [scene_plan(index, seed) for index in range(count)]
    pictures = np.empty((count, SIDE, SIDE, 3), np.uint8)
    for done, plan in enumerate(plans, 1):
        pictures[done - 1] = render(plan, SIDE)[0]
        if done % _OFTEN == 0 or done == count:
            say(f"rendered {done} of {count} scenes")
    labels = np.array([plan.label for plan in plans], np.int64)
    return Bank(pictures, labels, np.array([(plan.x, plan.y) for plan in plans]))


def close_ups(bank: Bank, rows: NDArray[np.intp], side: int, generator: torch.Generator) -> NDArray[np.uint8]:
    """Return crops of scenes (N, side, side, 3), each centred near the object's middle."""
    shift = (torch.rand(len(rows), 2, generator=generator).numpy() - 0.5) * side / 3
    corner = np.rint(bank.middles[rows] * SIDE + shift - side / 2).astype(int).clip(0, SIDE - side)
    pairs = zip(rows, corner, strict=True)
    return np.stack([bank.pictures[row, y : y + side, x : x + side] for row, (x, y) in pairs])


def vary(x: Tensor, generator: torch.Generator, grain: float) -> Tensor:
    """Augment pictures (N, 3, S, S) in [0, 1]: rotate by quarters, mirror, vary light and grain.

    ``generator`` draws on the CPU. None of it changes the class.
    """
    out = torch.empty_like(x)
    turns = torch.randint(8, (len(x),), generator=generator)
    for turn in range(8):
        some = turns == turn
        part = torch.rot90(x[some], turn % 4, (2, 3))
        out[some] = part.flip(3) if turn >= 4 else part
    light, contrast, strength = torch.rand(3, len(x), 1, 1, 1, generator=generator)
    middle = out.mean((1, 2, 3), keepdim=True)
    out = (out - middle) * (0.8 + 0.4 * contrast) + middle + 0.2 * (light - 0.5)
    noise = torch.randn(out.shape, generator=generator)
    return torch.clamp(out + noise * strength * grain, 0, 1)


def to_input(pictures: NDArray[np.uint8]) -> Tensor:
    """Convert RGB bytes (N, S, S, 3) to (N, 3, S, S) float32 in [0, 1], as `Preprocessing.apply` does."""
    return torch.from_numpy(pictures).permute(0, 3, 1, 2).contiguous().float() / 255


def normalise(x: Tensor) -> Tensor:
    """Apply the mean and standard deviation of the networks' preprocessing."""
    mean, std = (torch.tensor(v, device=x.device).view(1, 3, 1, 1) for v in (shape_nets.MEAN, shape_nets.STD))
    return ((x - mean) / std).contiguous(memory_format=torch.channels_last)


def _batches(bank: Bank, settings: Settings, side: int, epoch: int) -> Iterator[tuple[Tensor, Tensor]]:
    generator = torch.Generator().manual_seed(settings.seed * 100_003 + epoch)
    order = torch.randperm(len(bank), generator=generator).numpy()
    for i in range(0, len(order) - settings.batch + 1, settings.batch):
        rows = order[i : i + settings.batch]
        pictures = bank.pictures[rows] if side == SIDE else close_ups(bank, rows, side, generator)
        yield vary(to_input(pictures), generator, settings.grain), torch.from_numpy(bank.labels[rows])


def _rate(step: int, steps: int) -> float:
    """Return the factor of the learning rate: a linear rise in the first 5 % of steps, then half a cosine."""
    warm = max(1, steps // 20)
    if step < warm:
        return (step + 1) / warm
    return 0.5 * (1 + math.cos(math.pi * (step - warm) / max(1, steps - warm)))


@pinned_torch()
def fit(
    name: str, bank: Bank, settings: Settings, device: torch.device, say: Say
) -> tuple[nn.Module, list[dict[str, float]]]:
    """Train one network on a bank of scenes; return the averaged network, rounded as stored, and its losses.

    The same settings, libraries and device give the same weights. The global random state is not changed.
    """
    row = SHAPE_NETS[name]
    close, whole = settings.close_epochs or row.close_epochs, settings.epochs or row.epochs
    history: list[dict[str, float]] = []
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(settings.seed)
        net: Any = row.skeleton()
        for side, epochs, rate in (
            (settings.close_up, close, row.learning_rate),
            (SIDE, whole, row.learning_rate / 2),
        ):
            if not row.any_size:
                net.set_input_size((side, side))
            net = net.to(device).to(memory_format=torch.channels_last).train()
            numbers = range(len(history), len(history) + epochs)
            net, losses = _phase(net, bank, settings, side, numbers, rate, lambda text: say(f"{name}: {text}"))
            history += losses
    trained: nn.Module = net.cpu().eval()
    trained.load_state_dict({key: shape_nets.compact(t).to(t.dtype) for key, t in trained.state_dict().items()})
    return trained, history


def bfloat16_is_faster(device: torch.device) -> bool:
    """Return whether a device multiplies bfloat16 faster than float32; processors without it emulate it slowly."""
    if device.type == "cpu":
        known: dict[str, Any] = getattr(torch.cpu, "get_capabilities", dict)()  # older torch has none
        return any(there for name, there in known.items() if "bf16" in name)
    return device.type == "cuda"


def _phase(
    net: nn.Module, bank: Bank, settings: Settings, side: int, epochs: range, rate: float, say: Say
) -> tuple[nn.Module, list[dict[str, float]]]:
    """Train on pictures of one size with one cycle of the learning rate; return the averaged network and its losses."""
    average: Any = get_ema_multi_avg_fn(settings.ema)  # type: ignore[no-untyped-call]
    averaged = AveragedModel(net, multi_avg_fn=average, use_buffers=True)
    matrices = [p for p in net.parameters() if p.ndim > 1]
    others = [p for p in net.parameters() if p.ndim <= 1]
    groups: list[dict[str, Any]] = [{"params": matrices, "weight_decay": settings.weight_decay}]
    groups.append({"params": others})
    optimiser = torch.optim.AdamW(groups, lr=rate, weight_decay=0.0)
    steps = len(epochs) * (len(bank) // settings.batch)
    schedule = torch.optim.lr_scheduler.LambdaLR(optimiser, lambda step: _rate(step, steps))
    device = next(net.parameters()).device
    half = bfloat16_is_faster(device)
    history = []
    for epoch in epochs:
        begun, losses, right, seen = time.monotonic(), 0.0, 0, 0
        for x, y in _batches(bank, settings, side, epoch):
            x, y = normalise(x.to(device)), y.to(device)
            with torch.autocast(device.type, torch.bfloat16, enabled=half):
                logits = net(x)
            loss = functional.cross_entropy(logits.float(), y, label_smoothing=settings.smoothing)
            optimiser.zero_grad(set_to_none=True)
            loss.backward()  # type: ignore[no-untyped-call]
            nn.utils.clip_grad_norm_(net.parameters(), 1.0)
            optimiser.step()
            schedule.step()
            averaged.update_parameters(net)
            losses += float(loss.detach()) * len(y)
            right += int((logits.argmax(1) == y).sum())
            seen += len(y)
        record = {"side": side, "loss": round(losses / seen, 4), "accuracy": round(right / seen, 4)}
        say(f"epoch {epoch + 1}, {record}, {time.monotonic() - begun:.0f} s")
        history.append(record)
    return averaged.module, history


@pinned_torch()
@torch.inference_mode()
def accuracy(net: nn.Module, bank: Bank, severity: float, device: torch.device) -> float:
    """Return the accuracy on a bank's scenes under Gaussian noise of a severity; the network is in eval mode."""
    right = 0
    for i in range(0, len(bank), 100):
        x, y = to_input(bank.pictures[i : i + 100]), torch.from_numpy(bank.labels[i : i + 100])
        x = perturb(x, "gaussian_noise", severity, 0, [f"scene {k}" for k in range(i, i + len(x))])
        right += int((net(normalise(x.to(device))).argmax(1).cpu() == y).sum())
    return right / len(bank)


def train_shapes(
    names: list[str], out: Path, settings: Settings, device: str = "auto", say: Say = print
) -> list[dict[str, Any]]:
    """Train networks, write NAME.safetensors and NAME.json (the training record) into ``out``, and return the records.

    Raises UnknownName for a network and BadSetting for a device that this machine lacks.
    """
    rows = [SHAPE_NETS[name] for name in names]
    place = pick_device(device)
    out.mkdir(parents=True, exist_ok=True)
    bank = scene_bank(settings.scenes, settings.seed, say)
    held_out = scene_bank(settings.test_scenes, HELD_OUT_SEED, say)
    records = []
    for row in rows:
        begun = time.monotonic()
        net, history = fit(row.name, bank, settings, place, say)
        minutes = (time.monotonic() - begun) / 60
        net.to(place)
        shares = {level: accuracy(net, held_out, level, place) for level in range(6)}
        net.cpu()
        record = {
            "net": row.name,
            "settings": asdict(settings)
            | {
                "close_epochs": settings.close_epochs or row.close_epochs,
                "epochs": settings.epochs or row.epochs,
                "learning_rate": row.learning_rate,
            },
            "classes": CLASSES,
            "scene_version": SCENE_VERSION,
            "versions": {
                "camlab": camlab.__version__,
                "torch": torch.__version__,
                "timm": timm.__version__,
                "numpy": np.__version__,
                "python": platform.python_version(),
            },
            "device": str(place),
            "threads": torch.get_num_threads(),
            "minutes": round(minutes, 1),
            "epochs": history,
            "held_out": {
                "seed": HELD_OUT_SEED,
                "scenes": settings.test_scenes,
                "accuracy": shares[0],
                "accuracy_gaussian_noise": {str(level): shares[level] for level in range(1, 6)},
            },
        }
        shape_nets.save(row.name, net.state_dict(), out / f"{row.name}.safetensors")
        (out / f"{row.name}.json").write_text(json.dumps(record, indent=2) + "\n", encoding="utf-8")
        say(f"{row.name}: accuracy {shares[0]:.4f}, under level-3 Gaussian noise {shares[3]:.4f}")
        records.append(record)
    return records


def summary(record: Mapping[str, Any]) -> list[str]:
    """Return a record as one row of texts: network, accuracy on held-out scenes, and at noise levels 1 to 5."""
    held_out = record["held_out"]
    levels = (f"{level}: {share:.3f}" for level, share in held_out["accuracy_gaussian_noise"].items())
    return [record["net"], f"accuracy {held_out['accuracy']:.3f}", "Gaussian noise", *levels]
