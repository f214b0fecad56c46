"""The cells of a comparison, computed in the background: cheap methods column by column, then expensive ones."""

import contextlib
import dataclasses
import secrets
import threading
from collections.abc import Callable, Sequence
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from camlab.cams import coinciding
from camlab.cams.coincidence import linked_sets
from camlab.common.errors import CamLabError
from camlab.common.jobs import Job, Resumable, Steps
from camlab.drawing.charts.titles import model_title
from camlab.engine.engine import Engine
from camlab.engine.shared import engine_for
from camlab.engine.spec import CLEAN
from camlab.explore.compare.cells import GridCell, GridColumn, GridRow, RowScore, batches, spec_of
from camlab.explore.compare.state import AXES, CompareState, Place
from camlab.explore.model_change import switched
from camlab.explore.output.frames import encode_picture
from camlab.explore.scene import Scene
from camlab.explore.state import ExploreState
from camlab.images import Picture
from camlab.models import Classifier
from camlab.models.network.split import PLUS

NO_MAP = "No map: it has the same value everywhere."
NOT_COMPARABLE = "No similarity: the clean map has the same value everywhere."


class Grid(Resumable):
    """All cells of a comparison, filled by a job; safe to read from any thread.

    Pinned cells outside the rows and columns are computed, too. The note of a cell that cannot be computed says why.
    """

    def __init__(self, state: CompareState, picture: Picture, engines: Callable[[str], Engine] = engine_for) -> None:
        """``engines``: returns the engine of a model by name. Raises CamLabError if the base model is unusable."""
        self.state, self.picture, self._engines = state, picture, engines
        self._base = self._classifier(state.base.model)
        self.name = secrets.token_hex(6)
        self.cells: dict[Place, GridCell] = {}  # in the order of computation
        self.pictures: dict[Place, bytes] = {}  # JPEG, by `Place.version`
        self._scenes: dict[ExploreState, Scene] = {}
        self._paces: dict[tuple[str, str], float] = {}  # seconds per cell, by `_kind`
        self._lock = threading.RLock()
        self.columns = self._columns()
        self.rows = self._rows()
        super().__init__("Comparison")

    def _classifier(self, model: str) -> Classifier:
        return cast(Classifier, self._engines(model).classifier)

    # rows and columns

    def _columns(self) -> tuple[GridColumn, ...]:
        axis, state = AXES[self.state.axis], self.state
        values = [value for value in state.values if not (state.axis == "severity" and value == 0)]
        if state.axis == "model":
            return tuple(self._model_column(value) for value in values)
        columns: dict[Place, GridColumn] = {}
        for value in values:  # for a noise type that is not random, all seeds give one column
            columns.setdefault(state.cell("gradcam", value), GridColumn(value, axis.label(value)))
        return (GridColumn(None, "Clean"), *columns.values())

    def _model_column(self, name: str) -> GridColumn:
        try:
            classifier = self._classifier(name)
            _, problems = switched(self.state.base, self._base, classifier)
        except CamLabError as error:
            return GridColumn(name, name, str(error))
        return GridColumn(name, model_title(name), " ".join(problems))

    def _rows(self) -> tuple[GridRow, ...]:
        """Return the rows; methods that coincide under every model of the columns share one."""
        methods = self.state.rows
        places = []
        for model in self.models:
            try:
                classifier = self._classifier(model)
                base, _ = switched(self.state.base, self._base, classifier)
                layer = classifier.resolve_layer(base.layer)
            except CamLabError:
                continue  # none of its cells has a map
            places.append([] if PLUS in layer else [each.methods for each in coinciding(classifier, layer)])
        joined = {names[0]: tuple(names) for names in linked_sets(methods, places)} if places else {}
        hidden = {name for names in joined.values() for name in names[1:]}
        return tuple(GridRow(joined.get(name, (name,))) for name in methods if name not in hidden)

    @property
    def models(self) -> tuple[str, ...]:
        """The models of the columns."""
        if self.state.axis != "model":
            return (self.state.base.model,)
        return tuple(column.value for column in self.columns)

    def place(self, row: GridRow, column: GridColumn) -> Place:
        """Return the place of a row and a column."""
        return self.state.cell(row.methods[0], column.value)

    def places(self) -> list[Place]:
        """Return every place to compute, once: the grid, the pinned ones, A and B, and the clean place of each."""
        shown = [self.place(row, column) for column in self.columns for row in self.rows]
        beside = [each for each in (*self.state.pins, self.state.a, self.state.b) if each is not None]
        clean = [each.clean for each in (*shown, *beside)]
        return list(dict.fromkeys([*clean, *shown, *beside]))

    # results

    def cell(self, where: Place) -> GridCell | None:
        """Return a cell, None until it is computed."""
        with self._lock:
            return self.cells.get(where)

    @property
    def complete(self) -> bool:
        """Whether every cell is computed."""
        return not self.missing()

    def missing(self) -> list[Place]:
        """Return the places still to be computed."""
        with self._lock:
            return [each for each in self.places() if each not in self.cells]

    def score(self, row: GridRow) -> RowScore:
        """Return the robustness of a row over its cells so far."""
        found = [self.cell(self.place(row, column)) for column in self.columns if column.value is not None]
        there = [cell.row for cell in found if cell is not None and cell.row is not None]
        values = [cell.similarity for cell in found if cell is not None and cell.similarity is not None]
        flips = sum(bool(each["flipped"]) for each in there)
        return RowScore(float(np.mean(values)) if values else None, len(values), flips)

    def ordered(self, sort: str) -> list[GridRow]:
        """Return the rows in an order of SORTS; as listed until the job ends, so that rows do not jump."""
        if sort == "listed" or self.job.running:
            return list(self.rows)
        sign = -1 if sort == "most" else 1
        means = [self.score(row).mean for row in self.rows]
        places = sorted(
            range(len(means)), key=lambda i: (means[i] is None, sign * (means[i] or 0.0))
        )  # rows without a value come last in both orders
        return [self.rows[i] for i in places]

    def title(self, where: Place) -> str:
        """Return the titles of a cell's method and of all methods that share its row."""
        row = next((row for row in self.rows if where.method in row.methods), None)
        return (row or GridRow((where.method,))).title

    # scenes

    def explore(self, where: Place) -> ExploreState:
        """Return the Explore state of a cell. Raises CamLabError if its model cannot be used."""
        state = self.state.at(where)
        if where.model == state.model:
            return state
        return switched(state, self._base, self._classifier(where.model))[0]

    def scene(self, where: Place) -> Scene:
        """Return the scene of a cell. Raises CamLabError with the reason if it cannot be made."""
        state = self.explore(where)
        # One scene serves all severities and seeds.
        shared = dataclasses.replace(state, severity=0.0, seed=0)
        with self._lock:
            found = self._scenes.get(shared)
        if found is None:
            found = Scene(self._engines(state.model), self.picture, shared)
            with self._lock:
                self._scenes[shared] = found
        return found

    def pixels(self, where: Place, check: Callable[[], None] = lambda: None) -> NDArray[np.float32]:
        """Return the picture of a cell as its model sees it, (3, H, W) in [0, 1]. Raises CamLabError."""
        scene = self.scene(where)
        spec = spec_of(where)
        made: NDArray[np.float32] = scene.engine.inputs(scene.input, self.picture.digest, [spec], check)[0].numpy()
        return made

    # job

    def adopt(self, state: CompareState) -> bool:
        """Adopt new pins, pair and order; return whether they need cells that are missing."""
        self.state = state
        return bool(self.missing())

    def _work(self, job: Job) -> Steps:
        wanted = self.missing()
        job.total = len(wanted)
        for where in wanted:
            if reason := self._lacking(where):
                self._keep(job, GridCell(where, note=reason))
        light = [each for each in self.missing() if self.scene(each).cost == "shared"]
        for together in batches(light):
            yield from self._fill(job, together)
        for where in self.missing():
            yield from self._fill(job, [where])

    def _kind(self, where: Place) -> tuple[str, str]:
        """Return the kind of a cell, of similar run time: all cheap cells of a model, else by model and method."""
        return where.model, "" if self.scene(where).cost == "shared" else where.method

    @property
    def seconds_left(self) -> float | None:
        """Time left in seconds, from the pace of each kind of cell; None while the pace of a kind is unknown."""
        total = 0.0
        for where in self.missing() if self._paces else ():
            try:
                model, name = self._kind(where)
            except CamLabError:  # such a cell takes no time, because it only gets a note
                continue
            known = [pace for (_, each), pace in list(self._paces.items()) if each == name]
            if not known:
                return None
            total += self._paces.get((model, name), known[-1])
        return total or None

    def _lacking(self, where: Place) -> str | None:
        """Return one sentence on why a place can have no map; None if it can."""
        try:
            scene = self.scene(where)
        except CamLabError as error:
            return str(error)
        for layer in scene.layer.split(PLUS):
            if reason := scene.method.serves(scene.classifier, layer):
                return reason
        return scene.lacking if where.noise else None

    def _fill(self, job: Job, together: Sequence[Place]) -> Steps:
        """Compute cells of one model and cost: the network runs once for all of them, then each is measured."""
        begun = job.elapsed
        with contextlib.suppress(CamLabError):  # each affected cell reports it below
            self._warm(together, job.check)
        yield
        for count, where in enumerate(together, 1):
            try:
                if where.version not in self.pictures:
                    self.pictures[where.version] = encode_picture(self.pixels(where, job.check))
                cell = self._made(where, job.check)
            except CamLabError as error:
                cell = GridCell(where, note=str(error))
            self._keep(job, cell)
            if count % 8 == 0:
                yield
        yield
        self._paces[self._kind(together[0])] = (job.elapsed - begun) / len(together)

    def _warm(self, together: Sequence[Place], check: Callable[[], None]) -> None:
        """Compute the maps of all methods in one pass; each cell then finds its map in the cache."""
        specs = list(dict.fromkeys(map(spec_of, together)))
        groups: dict[Any, list[Scene]] = {}
        for where in together:
            scene = self.scene(where)
            groups.setdefault((scene.layer, scene.state.smoothing), []).append(scene)
        for (layer, smoothing), scenes in groups.items():
            first = scenes[0]
            methods = list(dict.fromkeys(scene.state.method for scene in scenes))
            target = None
            if any(spec != CLEAN for spec in specs) or first.state.rule == "fixed":
                target = first.target(first.clean(check))
            first.engine.explain(first.input, self.picture.digest, specs, methods, layer, target, check, smoothing)

    def _made(self, where: Place, check: Callable[[], None]) -> GridCell:
        scene, name = self.scene(where), where.method
        clean = scene.clean(check)
        row = scene.rows([(where.severity, where.seed)], check)[0]
        version = clean if where.noise is None else scene.explain([spec_of(where)], scene.target(clean), check)[0]
        if version.degenerate[name]:
            return GridCell(where, None, row, NO_MAP)
        return GridCell(where, version.maps[name], row, NOT_COMPARABLE if clean.degenerate[name] else "")

    def _keep(self, job: Job, cell: GridCell) -> None:
        with self._lock:
            self.cells[cell.place] = cell
        job.advance()
