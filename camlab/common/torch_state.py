"""torch's ambient state, held at one value while CAM Lab computes.

Autocast, the default type and device, TF32 and their like change what a network returns, but are no argument of any
call and no part of a cache key. So whatever the caller has set, the library computes under the same state, and gives
the caller's back afterwards. What changes only the last bits by the number of threads is left alone.
"""

import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch

from camlab.common.errors import BadSetting

#: The kinds of device that a classifier can be on, each with an autocast of its own.
_DEVICES = ("cpu", "cuda", "mps")


@dataclass(frozen=True)
class _Flag:
    """A switch of the whole process. ``usual``: the values that agree with ours, the one to set first."""

    read: Callable[[], Any]
    write: Callable[[Any], None]
    usual: tuple[Any, ...]


def _attribute(owner: Any, name: str, *usual: Any) -> _Flag:
    return _Flag(lambda: getattr(owner, name), lambda value: setattr(owner, name, value), usual)


def _deterministic() -> tuple[bool, bool]:
    return torch.are_deterministic_algorithms_enabled(), torch.is_deterministic_algorithms_warn_only_enabled()


def _set_deterministic(value: tuple[bool, bool]) -> None:
    torch.use_deterministic_algorithms(value[0], warn_only=value[1])


def _anomaly() -> tuple[bool, bool]:
    return torch.is_anomaly_enabled(), torch.is_anomaly_check_nan_enabled()


def _set_anomaly(value: tuple[bool, bool]) -> None:
    torch.autograd.set_detect_anomaly(*value)


def _unmixed(read: Callable[[], Any], usual: Any) -> Callable[[], Any]:
    """Return ``read``, which torch refuses if the same switch was also set by its newer name: then that one counts."""

    def unmixed() -> Any:
        try:
            return read()
        except RuntimeError:
            return usual

    return unmixed


def _precisions() -> Iterator[_Flag]:
    """Yield the precisions of float32 products: TF32 keeps 10 bits of each factor, bfloat16 7, too few for scores."""
    backends: Any = torch.backends
    get, put = torch.get_float32_matmul_precision, torch.set_float32_matmul_precision
    yield _Flag(_unmixed(get, "highest"), put, ("highest",))
    convolutions = _attribute(backends.cudnn, "allow_tf32", False)
    yield _Flag(_unmixed(convolutions.read, False), convolutions.write, (False,))
    if hasattr(backends, "fp32_precision"):  # from torch 2.9 on
        for owner in (
            backends.cuda.matmul, backends.cudnn.conv, backends.cudnn.rnn,
            backends.mkldnn.matmul, backends.mkldnn.conv, backends.mkldnn.rnn,
        ):  # fmt: skip
            yield _Flag(partial(getattr, owner, "fp32_precision"), partial(_set_precision, owner), ("ieee", "none"))


def _set_precision(owner: Any, value: str) -> None:
    # A precision that the backend or torch as a whole gives must not become the operation's own.
    owner.fp32_precision = "none"
    if owner.fp32_precision != value:
        owner.fp32_precision = value


_CUDA = torch.backends.cuda
_FLAGS = (
    _Flag(torch.get_default_dtype, torch.set_default_dtype, (torch.float32,)),
    _Flag(_deterministic, _set_deterministic, ((False, False), (False, True))),
    # It raises at the first gradient that is not a number; here such a map counts as degenerate.
    _Flag(_anomaly, _set_anomaly, ((False, True), (False, False))),
    *_precisions(),
    _attribute(torch.backends.cudnn, "enabled", True),
    _attribute(torch.backends.cudnn, "benchmark", False),
    _attribute(torch.backends.cudnn, "deterministic", False),
    _attribute(torch.backends.mkldnn, "enabled", True),
    # Which kernels attention may use. Some have no second derivative.
    _Flag(_CUDA.flash_sdp_enabled, _CUDA.enable_flash_sdp, (True,)),
    _Flag(_CUDA.mem_efficient_sdp_enabled, _CUDA.enable_mem_efficient_sdp, (True,)),
    _Flag(_CUDA.math_sdp_enabled, _CUDA.enable_math_sdp, (True,)),
    _Flag(_CUDA.cudnn_sdp_enabled, _CUDA.enable_cudnn_sdp, (True,)),
)

_changing = threading.Lock()
_inside = 0  # callers inside, of all threads, which share the flags
_theirs: dict[int, Any] = {}  # the caller's values of changed flags, by place in _FLAGS


class _Mine(threading.local):
    """Whether this thread is inside `pinned_arithmetic`, and inside `pinned_torch`: a call within finds all set."""

    arithmetic = False
    whole = False


_mine = _Mine()


@contextmanager
def pinned_arithmetic() -> Iterator[None]:
    """Compute as torch does by default, whatever the caller has set; use it around code or as a decorator.

    It holds autocast off, new tensors float32 and on the CPU, float32 products exact, denormal numbers kept and
    algorithms at torch's own choice; gradient and inference mode stay the caller's. Autocast, device and denormal
    numbers are those of the calling thread. The rest belongs to the process: the first caller sets it and the last
    one to leave restores it, so a thread that changes it meanwhile may lose its change.
    """
    if _mine.arithmetic:
        yield
        return
    with ExitStack() as stack:
        _hold_flags(stack)
        for device in _DEVICES:
            if torch.is_autocast_enabled(device):
                torch.set_autocast_enabled(device, False)
                stack.callback(torch.set_autocast_enabled, device, True)
        # A new tensor tells, as a default can be set in three ways. The context slows each call down: only if needed.
        if torch.empty(0).device.type != "cpu":
            stack.enter_context(torch.device("cpu"))
        if sys.float_info.min / 2 == 0:
            torch.set_flush_denormal(False)
            stack.callback(torch.set_flush_denormal, True)
        _mine.arithmetic = True
        stack.callback(setattr, _mine, "arithmetic", False)
        yield


@contextmanager
def pinned_torch() -> Iterator[None]:
    """Compute as in a fresh process: `pinned_arithmetic`, gradients recorded, no inference mode, no hooks on them.

    Raises BadSetting inside a transform of torch.func, where torch takes no gradients of ours.
    """
    if _mine.whole and torch.is_grad_enabled() and not torch.is_inference_mode_enabled():
        yield
        return
    with pinned_arithmetic(), torch.inference_mode(False), torch.enable_grad(), ExitStack() as stack:
        if not _mine.whole:
            _check_outside_transforms()
            if _gradients_are_hooked():
                stack.enter_context(torch.autograd.graph.saved_tensors_hooks(_same, _same))
            _mine.whole = True
            stack.callback(setattr, _mine, "whole", False)
        yield


def _hold_flags(stack: ExitStack) -> None:
    """Hold the flags of the process until ``stack`` closes."""
    global _inside
    with _changing:
        _inside += 1
        stack.callback(_release_flags)
        for place, flag in enumerate(_FLAGS):
            if (found := flag.read()) not in flag.usual:
                flag.write(flag.usual[0])
                _theirs[place] = found


def _release_flags() -> None:
    global _inside
    with _changing:
        _inside -= 1
        if _inside:
            return
        for place, value in _theirs.items():
            # Another value than ours was set meanwhile, and counts.
            if _FLAGS[place].read() in _FLAGS[place].usual:
                _FLAGS[place].write(value)
        _theirs.clear()


def _check_outside_transforms() -> None:
    try:
        torch.empty(0).requires_grad_()
    except RuntimeError as error:
        raise BadSetting(
            "CAM Lab cannot compute inside a transform of torch.func (grad, vmap, jvp …); call it outside."
        ) from error


def _gradients_are_hooked() -> bool:
    """Return whether hooks may change the tensors that a graph saves, to half precision for example."""
    try:
        with torch.autograd.graph.disable_saved_tensors_hooks("not used"):
            return False
    except RuntimeError:
        return True


def _same(tensor: torch.Tensor) -> torch.Tensor:
    return tensor
