"""Trace any network symbolically and cut it where all data passes through one tensor."""

import copy
import inspect
import operator
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, fx, nn

from camlab.common.errors import BadSetting

#: In-place functions, which could overwrite a caller's tensor, and their out-of-place twins.
_OUT_OF_PLACE: dict[Any, Callable[..., Any]] = {
    operator.iadd: operator.add,
    operator.isub: operator.sub,
    operator.imul: operator.mul,
    operator.itruediv: operator.truediv,
}
#: Modules without effect in eval mode.
TRANSPARENT = (nn.Identity, nn.Dropout, nn.Dropout2d)
CONTAINERS = (nn.Sequential, nn.ModuleList, nn.ModuleDict)


@dataclass(frozen=True)
class Piece:
    """One step of a traced network, tensor in and tensor out.

    ``name`` is the module whose output ends the piece (``named``), else a made-up name. ``shape`` is the output's shape
    for two pictures; () if unknown.
    """

    name: str
    module: nn.Module
    named: bool
    shape: tuple[int, ...] = ()


class Untraceable(Exception):
    """The network's forward pass depends on values and has no fixed graph."""


def pieces(module: nn.Module, size: tuple[int, int]) -> list[Piece]:
    """Cut a network in eval mode into pieces whose composition is its forward pass; they share its weights.

    torch.fx traces the forward pass into a graph. Two pieces are connected by one tensor only (a cut vertex), so the
    later pieces are a function of that tensor. Values computed from the pictures' ``size`` (height, width) alone
    become constants.

    A timm network that cannot be traced has two pieces, features and head. Raises BadSetting for any other.
    """
    try:
        return _traced(module, size)
    except Untraceable as error:
        if all(callable(getattr(module, name, None)) for name in ("forward_features", "forward_head")):
            return [
                Piece("features", Calling(module, "forward_features"), True),
                Piece("head", Calling(module, "forward_head"), False),
            ]
        raise BadSetting(
            f"Networks of the kind {type(module).__name__} cannot be split into layers; choose another from timm."
        ) from error


def _traced(module: nn.Module, size: tuple[int, int]) -> list[Piece]:
    tracer = _Tracer()
    try:
        graph = tracer.trace(module, concrete_args=_defaults(module))
        for node in graph.nodes:
            if node.op == "call_function" and node.target in _OUT_OF_PLACE:
                node.target = _OUT_OF_PLACE[node.target]
            if node.kwargs.get("inplace") is True:
                node.kwargs = {**node.kwargs, "inplace": False}
        values = _values(module, graph, size)
    except Exception as error:  # tracing runs the model's code on proxies and may raise anything
        raise Untraceable(str(error)) from error
    inner = dict(module.named_modules())
    steps: list[tuple[fx.Node, nn.Module, list[str]]] = []
    for start, end in _cuts(graph, values):
        part, ends = _part(module, start, end, values), tracer.ends.get(end.name, [])
        if isinstance(part, TRANSPARENT) and not isinstance(part, Absorbed) and steps:
            # A module without effect is no layer: a block that ends with it ends with the step before.
            steps[-1][2].extend(name for name in ends if not isinstance(inner[name], TRANSPARENT))
            ends = []
        steps.append((end, part, list(ends)))
    found, used = [], set()
    for end, part, ends in steps:
        name = _outermost(ends, inner) if ends else end.name
        if name in used:  # a module that runs twice
            name, ends = end.name, []
        used.add(name)
        found.append(Piece(name, part, bool(ends), values.shape(end)))
    if not found:
        raise Untraceable("no tensor holds the network together")
    return found


class _Values(fx.Interpreter):
    """The values of a graph's nodes for two batch sizes, of which only shapes and numbers are kept."""

    def __init__(self, module: nn.Module, graph: fx.Graph, size: tuple[int, int], device: torch.device) -> None:
        super().__init__(fx.GraphModule(module, graph))
        self._names: dict[str, Any] = {}
        # The arguments after the pictures, at their defaults.
        places = [node for node in graph.nodes if node.op == "placeholder"][1:]
        others = [node.args[0] if node.args else None for node in places]
        runs = []
        for batch in (2, 3):
            self._names = {}
            with torch.inference_mode():
                self.run(torch.zeros(batch, 3, *size, device=device), *others)
            runs.append(self._names)
        self._first, self._second = runs

    def run_node(self, n: fx.Node) -> Any:
        value = super().run_node(n)
        is_tensor = isinstance(value, Tensor)
        self._names[n.name] = _Shape(tuple(value.shape)) if is_tensor else value if _is_numbers(value) else None
        return value

    def constant(self, node: fx.Node) -> bool:
        """Return whether the node has the same numbers for every batch size."""
        value = self._first[node.name]
        return _is_numbers(value) and value == self._second[node.name]

    def number(self, node: fx.Node) -> Any:
        """Return the value of a constant node."""
        return self._first[node.name]

    def counts_batch(self, node: fx.Node) -> bool:
        """Return whether the node is the number of pictures in the batch."""
        return (self._first[node.name], self._second[node.name]) == (2, 3)

    def numbers(self, node: fx.Node) -> bool:
        """Return whether the node's value is numbers, not a tensor."""
        return _is_numbers(self._first[node.name])

    def shape(self, node: fx.Node) -> tuple[int, ...]:
        """Return the node's shape for two pictures; () if it is no tensor."""
        value = self._first[node.name]
        return value.sizes if isinstance(value, _Shape) else ()

    def cuttable(self, node: fx.Node) -> bool:
        """Return whether the node is one tensor whose first dimension is the batch."""
        shape = self.shape(node)
        return len(shape) > 1 and shape[0] == 2


def _values(module: nn.Module, graph: fx.Graph, size: tuple[int, int]) -> _Values:
    try:
        # On the meta device tensors have shapes only: nothing is computed.
        return _Values(copy.deepcopy(module).to("meta"), graph, size, torch.device("meta"))
    except Exception:  # a tensor computed during tracing stays on the network's device
        return _Values(module, graph, size, next(module.parameters()).device)


@dataclass(frozen=True)
class _Shape:
    sizes: tuple[int, ...]


def _is_numbers(value: Any) -> bool:
    """Return whether a value is a number, or a tuple of numbers such as a size."""
    if isinstance(value, (tuple, list)):
        return all(map(_is_numbers, value))
    return isinstance(value, (int, float, bool))


class _Tracer(fx.Tracer):
    """Traces into blocks, but not into functions and modules that timm marks as opaque."""

    def __init__(self) -> None:
        from timm.models import _features_fx as known

        functions: Any = known.get_notrace_functions  # timm does not annotate these two
        modules: Any = known.get_notrace_modules
        super().__init__(autowrap_functions=tuple(functions()))
        self._opaque = tuple(modules())
        #: The modules that end with a node, innermost first, by the node's name.
        self.ends: dict[str, list[str]] = {}

    def is_leaf_module(self, m: nn.Module, module_qualified_name: str) -> bool:
        return isinstance(m, (Absorbed, *self._opaque)) or super().is_leaf_module(m, module_qualified_name)

    def call_module(
        self, m: nn.Module, forward: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> Any:
        out = super().call_module(m, forward, args, kwargs)
        # A block that returns a tuple (maps with their size or a second stream) returns the maps first.
        first = out[0] if isinstance(out, tuple) and out else out
        if isinstance(first, fx.Proxy):
            self.ends.setdefault(first.node.name, []).append(self.path_of_module(m))
        return out


def _outermost(ends: Sequence[str], modules: dict[str, nn.Module]) -> str:
    """Return the largest module that ends here and is not just a container: `layer4.1`, not `layer4`."""
    for name in reversed(ends):
        module = modules[name]
        if not (isinstance(module, CONTAINERS) and len(module) > 1):
            return name
    return ends[-1]


def _defaults(module: nn.Module) -> dict[str, Any]:
    """Return the optional arguments of the forward pass, which are traced at their defaults."""
    parameters = inspect.signature(module.forward).parameters.values()
    return {p.name: p.default for p in parameters if p.default is not p.empty}


def _cuts(graph: fx.Graph, values: _Values) -> Iterator[tuple[fx.Node, fx.Node]]:
    """Yield pairs of neighbouring nodes through which all data passes, from the input to the output."""
    nodes = list(graph.nodes)
    start = next(node for node in nodes if node.op == "placeholder")
    order = {node: i for i, node in enumerate(nodes)}
    moving = {start}  # nodes that depend on the pixels, not only on number and size of the pictures
    last: dict[fx.Node, int] = {}
    for node in nodes:
        sources = [source for source in node.all_input_nodes if source in moving]
        if node.op != "output" and (values.numbers(node) or not sources):
            continue
        moving.add(node)
        last.update(dict.fromkeys(sources, order[node]))
    reach = last.get(start, -1)
    for node in nodes:
        if node is start or node.op == "output" or node not in last:
            continue
        if reach <= order[node] and values.cuttable(node):
            yield start, node
            start = node
        reach = max(reach, last[node])


def _part(root: nn.Module, start: fx.Node, end: fx.Node, values: _Values) -> nn.Module:
    """Return a module for the graph between two cuts; for a single module's call, the module itself."""
    if end.op == "call_module" and end.args == (start,) and not end.kwargs:
        return root.get_submodule(str(end.target))
    if (dims := _mean_dims(start, end)) is not None:
        return MeanOver(dims)
    graph = fx.Graph()
    copies: dict[fx.Node, Any] = {start: graph.placeholder("x")}
    # Nodes that depend on no picture (weights, sizes) may be used on both sides of a cut, so each part copies them.
    needed: dict[fx.Node, None] = {}
    open_ends = [end]
    while open_ends:
        node = open_ends.pop()
        if node in copies or node in needed:
            continue
        if values.constant(node):
            copies[node] = values.number(node)
        elif values.counts_batch(node):
            copies[node] = graph.call_method("size", (copies[start], 0))
        else:
            needed[node] = None
            open_ends.extend(node.all_input_nodes)
    for node in start.graph.nodes:
        if node in needed:
            copies[node] = graph.create_node(
                node.op,
                node.target,
                fx.node.map_arg(node.args, lambda n: copies[n]),
                fx.node.map_arg(node.kwargs, lambda n: copies[n]),
            )
    graph.output(copies[end])
    return fx.GraphModule(root, graph)


def _mean_dims(start: fx.Node, end: fx.Node) -> tuple[int, ...] | None:
    """Return the dimensions that the step between two cuts averages away, if it is one mean; else None."""
    if end.op != "call_method" or end.target != "mean" or end.args[:1] != (start,) or len(end.args) > 2:
        return None
    dims = end.args[1] if len(end.args) == 2 else end.kwargs.get("dim")
    if end.kwargs.get("keepdim") or not set(end.kwargs) <= {"dim", "keepdim"}:
        return None
    dims = (dims,) if isinstance(dims, int) else dims
    if not isinstance(dims, (tuple, list)) or not all(isinstance(d, int) for d in dims):
        return None
    return tuple(d for d in dims if isinstance(d, int))


class MeanOver(nn.Module):
    """The mean over some dimensions, as a recognisable module."""

    def __init__(self, dims: tuple[int, ...]) -> None:
        super().__init__()
        self.dims = dims

    def forward(self, x: Tensor) -> Tensor:
        """Return ``x.mean(dims)``."""
        return x.mean(self.dims)


class Absorbed(nn.Identity):
    """The placeholder for a batch norm that was folded into the convolution before it."""


class Calling(nn.Module):
    """One half of an untraceable timm network: the method that computes its features, or its logits from them."""

    def __init__(self, network: nn.Module, method: str) -> None:
        super().__init__()
        self.network = network
        self.method = method

    def forward(self, x: Tensor) -> Tensor:
        """Return the method's result: unpooled features in the network's layout, or logits."""
        out: Tensor = getattr(self.network, self.method)(x)
        return out
