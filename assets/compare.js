// The comparison: a table whose cells fill as they arrive. The browser does the colouring, pointing, zooming, pinning and
// the slider between two maps; it tells the server which cells have arrived, and what was pinned or chosen.

const LEVELS = 65535;
const BUDGET = 8; // milliseconds of drawing per animation frame
const STEP = 0.05; // how far a key moves the marked place, as a share of the picture
const KEPT = 4; // comparisons whose cells the browser remembers

const bytes = (text) => Uint8Array.from(atob(text), (c) => c.charCodeAt(0));
const make = (tag, name = "", text = "") => {
  const node = document.createElement(tag);
  if (name) node.className = name;
  if (text) node.textContent = text;
  return node;
};
const button = (text, act, label = "") => {
  const node = make("button", "", text);
  node.type = "button";
  if (label) node.setAttribute("aria-label", label);
  node.addEventListener("click", act);
  return node;
};

// ------------------------------------------------------------------------------------------- cells

/** The cells of one comparison that have arrived. */
class Store {
  constructor() {
    this.cells = new Map();
    this.pictures = new Map(); // decoded images by name
    this.count = 0;
    this.shown = null; // the table on screen: a picture may be decoded after Streamlit has drawn a new one
  }

  static of(name) {
    const all = (globalThis.camlabComparisons ??= new Map());
    const found = all.get(name) ?? new Store();
    all.delete(name);
    all.set(name, found);
    for (const old of [...all.keys()].slice(0, -KEPT)) all.delete(old);
    return found;
  }

  /** Store new cells; `from` is how many came before, and known cells are skipped. */
  take(from, items) {
    if (from > this.count) return;
    for (const item of items.slice(this.count - from)) {
      this.count += 1;
      if (item.jpeg) {
        const image = new Image();
        image.src = `data:image/jpeg;base64,${item.jpeg}`;
        const ready = image.decode().then(() => image);
        this.pictures.set(item.picture, ready);
        delete item.jpeg;
      }
      item.values = item.map ? values(bytes(item.map)) : null;
      delete item.map;
      const cell = { ...item, image: null };
      const arrive = (image) => {
        cell.image = image;
        this.cells.set(cell.id, cell);
        this.shown?.arrived(cell);
      };
      // An unreadable picture: show the words alone.
      (this.pictures.get(item.picture) ?? Promise.resolve(null)).then(arrive, () => arrive(null));
    }
  }
}

function values(data) {
  const view = new DataView(data.buffer, data.byteOffset, data.byteLength);
  return Float32Array.from({ length: data.byteLength / 2 }, (_, i) => view.getUint16(2 * i, true) / LEVELS);
}

/** Positions of output pixels on a map's grid, pixel centres aligned, as in `upsample` of camlab/drawing/pictures.py. */
function steps(sizeOut, sizeIn) {
  return Array.from({ length: sizeOut }, (_, i) => between((i + 0.5) / sizeOut, sizeIn));
}

function between(share, size) {
  const source = Math.max(share * size - 0.5, 0);
  const low = Math.min(Math.floor(source), size - 1);
  return [low, Math.min(low + 1, size - 1), source - low];
}

/** The value of a cell's map at a place, given in shares of the picture's width and height. */
function valueAt(cell, x, y) {
  const [height, width] = cell.shape;
  const [left, right, across] = between(x, width);
  const [top, bottom, down] = between(y, height);
  const at = (row, column) => cell.values[row * width + column];
  const upper = at(top, left) + (at(top, right) - at(top, left)) * across;
  const lower = at(bottom, left) + (at(bottom, right) - at(bottom, left)) * across;
  return upper + (lower - upper) * down;
}

/** Draw a cell `wide` pixels wide: its picture under the colours of its map. */
function paint(canvas, cell, wide, look) {
  if (!cell.image) return;
  const high = Math.round((wide * cell.image.naturalHeight) / cell.image.naturalWidth);
  Object.assign(canvas, { width: wide, height: high });
  const context = canvas.getContext("2d", { willReadFrequently: true });
  context.drawImage(cell.image, 0, 0, wide, high);
  if (!cell.values) return;
  const image = context.getImageData(0, 0, wide, high);
  const { data } = image;
  const { table, opacity } = look;
  const [rows, columns] = cell.shape;
  const across = steps(wide, columns);
  const down = steps(high, rows);
  for (let y = 0, to = 0; y < high; y++) {
    const [top, bottom, share] = down[y];
    for (let x = 0; x < wide; x++, to += 4) {
      const [left, right, part] = across[x];
      const a = cell.values[top * columns + left];
      const c = cell.values[bottom * columns + left];
      const upper = a + (cell.values[top * columns + right] - a) * part;
      const lower = c + (cell.values[bottom * columns + right] - c) * part;
      const colour = 3 * Math.round(255 * Math.min(Math.max(upper + (lower - upper) * share, 0), 1));
      for (let k = 0; k < 3; k++) data[to + k] = table[colour + k] * opacity + data[to + k] * (1 - opacity);
    }
  }
  context.putImageData(image, 0, 0);
}

const sharp = (side) => Math.round(side * Math.min(globalThis.devicePixelRatio || 1, 2));

// -------------------------------------------------------------------------------------------- the page

class Comparison {
  constructor(root) {
    this.root = root;
    this.find = (query) => root.querySelector(query);
    this.top = this.find(".compare");
    this.nodes = new Map(); // by cell: its elements in the table
    this.views = []; // pictures outside the table that show the mark too
    this.visible = new Set(); // cells in sight; the others get the mark when they scroll into view
    this.sight = new IntersectionObserver((entries) => {
      for (const { target, isIntersecting } of entries) {
        const { id } = target.dataset;
        if (isIntersecting) this.visible.add(id);
        else this.visible.delete(id);
        if (isIntersecting) this.mark(id, this.nodes.get(id));
      }
    });
    this.queue = [];
    this.turn = 0;
    this.choice = { pins: [], a: "", b: "" };
    this.listen();
  }

  // data from the server

  update(data, setStateValue, setTriggerValue) {
    this.send = setStateValue;
    this.trigger = setTriggerValue;
    const look = JSON.stringify([data.table, data.opacity]);
    const repaint = this.look?.said !== look;
    this.look = { said: look, table: bytes(data.table), opacity: data.opacity };
    const known = this.data;
    this.data = data;
    this.top.style.setProperty("--ratio", data.ratio);
    this.store = Store.of(data.name);
    this.store.shown = this;
    if ((data.turn ?? 0) >= this.turn) {
      this.turn = data.turn ?? 0;
      this.choice = { pins: [...data.pins], a: data.a, b: data.b };
    }
    if (known?.name !== data.name) this.build();
    else if (repaint) for (const [id, node] of this.nodes) this.fill(id, node);
    this.arrange();
    this.store.take(data.have, data.news);
    if (this.store.count !== data.have) this.send("have", { name: data.name, count: this.store.count, at: Date.now() });
    this.follow();
  }

  build() {
    const { data } = this;
    this.nodes.clear();
    this.visible.clear();
    this.sight.disconnect();
    this.queue = [];
    this.find(".zoom").close();
    this.unpoint();
    this.find("#keys").textContent =
      "Point at a place to read its value in every map; select a cell to enlarge it. Keys: arrows move between cells, " +
      "Shift and arrows move the place, P pins, A and B choose the two to compare.";
    const head = make("tr");
    head.setAttribute("role", "row");
    const corner = make("th", "", "Method");
    corner.append(make("small", "", "mean similarity with the clean map"));
    head.append(corner, ...data.columns.map((column) => this.heading(column)));
    for (const th of head.children) Object.assign(th, { scope: "col" }).setAttribute("role", "columnheader");
    this.find("thead").replaceChildren(head);
    this.rows = new Map(data.rows.map((row) => [row.cells[0], this.row(row)]));
    this.find("tbody").replaceChildren();
    this.active = data.rows[0]?.cells[0];
    for (const [id, node] of this.nodes) {
      this.tabs(id);
      this.fill(id, node);
    }
  }

  heading({ title, note }) {
    const th = make("th", "", title);
    if (note) th.append(make("small", "", note));
    return th;
  }

  row(row) {
    const tr = make("tr");
    tr.setAttribute("role", "row");
    const th = make("th");
    Object.assign(th, { scope: "row" }).setAttribute("role", "rowheader");
    const bar = make("span", "bar");
    bar.setAttribute("aria-hidden", "true");
    bar.append(make("i"));
    th.append(make("span", "", row.title), make("span", "mean"), bar, make("span", "count"));
    tr.append(th, ...row.cells.map((id) => this.cell(id)));
    return tr;
  }

  cell(id) {
    const td = make("td");
    td.setAttribute("role", "gridcell");
    const root = make("div", "cell");
    const pic = make("button", "pic");
    Object.assign(pic, { type: "button", disabled: true });
    root.setAttribute("role", "group");
    for (const each of [pic, root]) each.setAttribute("aria-label", "still being computed");
    pic.addEventListener("click", () => this.zoom(id));
    const canvas = make("canvas");
    canvas.setAttribute("aria-hidden", "true"); // the button around it has the label
    const spot = make("i", "spot");
    const chip = make("span", "chip");
    chip.setAttribute("aria-hidden", "true");
    pic.append(canvas, make("span", "why"), spot, chip);
    const facts = make("div", "facts");
    const said = make("div", "said");
    const acts = make("div", "acts");
    const pin = button("Pin", () => this.pin(id));
    const a = button("A", () => this.pick("a", id));
    const b = button("B", () => this.pick("b", id));
    for (const each of [pin, a, b]) each.disabled = true;
    acts.append(pin, a, b);
    root.append(pic, facts, said, acts);
    td.append(root);
    root.dataset.id = id;
    this.nodes.set(id, { root, pic, canvas, spot, chip, facts, said, pin, a, b });
    this.sight.observe(root);
    return td;
  }

  /** Rows in the server's order, each with its mean. */
  arrange() {
    const body = this.find("tbody");
    this.data.rows.forEach((row, place) => {
      const tr = this.rows.get(row.cells[0]);
      if (body.children[place] !== tr) body.insertBefore(tr, body.children[place] ?? null);
      tr.querySelector(".mean").textContent = row.score || "\u2013";
      tr.querySelector(".bar i").style.width = `${100 * Math.max(row.mean ?? 0, 0)}%`;
      tr.querySelector(".count").textContent = row.count;
    });
  }

  arrived(cell) {
    const node = this.nodes.get(cell.id);
    if (node && this.store.cells.get(cell.id) === cell) this.fill(cell.id, node);
    const { pins, a, b } = this.choice;
    if (pins.includes(cell.id) || a === cell.id || b === cell.id) this.follow();
  }

  /** Draw a cell that has arrived. */
  fill(id, node) {
    const cell = this.store.cells.get(id);
    if (!cell) return;
    const { root, pic, facts, said } = node;
    this.later(() => {
      paint(node.canvas, cell, sharp(this.side), this.look);
      root.classList.add("there");
      root.classList.toggle("bare", !cell.image);
      root.classList.toggle("flat", Boolean(cell.image && cell.note));
      root.querySelector(".why").textContent = cell.note;
      for (const each of [pic, root]) each.setAttribute("aria-label", cell.alt);
      for (const each of [pic, node.pin, node.a, node.b]) each.disabled = !cell.image;
      const clean = cell.id === cell.clean;
      const score = make("b", "", clean ? "clean" : cell.score || "\u2013");
      const badge = make("span", "", clean ? "" : cell.flipped ? "\u25C6 flipped" : "\u25CF kept");
      facts.replaceChildren(...(cell.image ? [score, badge] : []));
      said.textContent = cell.said;
      said.title = cell.verdict;
      this.label(id, node, cell);
      const held = this.root.activeElement === root;
      this.tabs(id);
      if (held && cell.image) pic.focus({ preventScroll: true });
    });
  }

  label(id, node, cell) {
    const what = `${cell.method}, ${cell.version}, ${cell.model}`;
    node.pin.setAttribute("aria-label", `Pin ${what}`);
    node.a.setAttribute("aria-label", `A: ${what}`);
    node.b.setAttribute("aria-label", `B: ${what}`);
  }

  get side() {
    return parseFloat(getComputedStyle(this.top).getPropertyValue("--side"));
  }

  /** Draw a little in each animation frame. */
  later(act) {
    this.queue.push(act);
    this.frame ??= requestAnimationFrame(() => this.work());
  }

  work() {
    this.frame = null;
    const until = performance.now() + BUDGET;
    while (this.queue.length && performance.now() < until) this.queue.shift()();
    if (this.queue.length) this.frame = requestAnimationFrame(() => this.work());
  }

  // keys and pointer

  listen() {
    const body = this.find("tbody");
    body.addEventListener("keydown", (event) => this.key(event));
    body.addEventListener("focusin", ({ target }) => {
      const id = target.closest(".cell")?.dataset.id;
      if (id) this.activate(id);
    });
    const follow = ({ target, clientX, clientY }) => {
      const pic = target.closest?.(".pic");
      if (!pic || pic.disabled) return this.unpoint();
      const box = pic.getBoundingClientRect();
      this.point((clientX - box.left) / box.width, (clientY - box.top) / box.height);
    };
    for (const place of [body, this.find(".views")]) {
      place.addEventListener("pointermove", follow);
      place.addEventListener("pointerleave", () => this.unpoint());
    }
    const range = this.find(".pair input");
    range.addEventListener("input", () => this.cut(range.valueAsNumber));
    const stage = this.find(".stage");
    const drag = ({ clientX, buttons }) => {
      if (!buttons) return;
      const box = stage.getBoundingClientRect();
      range.value = String(Math.round(100 * Math.min(Math.max((clientX - box.left) / box.width, 0), 1)));
      this.cut(range.valueAsNumber);
    };
    stage.addEventListener("pointerdown", (event) => {
      stage.setPointerCapture(event.pointerId);
      drag(event);
    });
    stage.addEventListener("pointermove", drag);
    const dialog = this.find(".zoom");
    dialog.querySelector(".close").addEventListener("click", () => dialog.close());
    dialog.addEventListener("click", ({ target }) => target === dialog && dialog.close());
    dialog.addEventListener("close", () => {
      this.views = [];
      this.unpoint();
    });
  }

  key(event) {
    const id = event.target.closest(".cell")?.dataset.id;
    if (!id || event.ctrlKey || event.metaKey || event.altKey) return;
    const way = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] }[event.key];
    const ends = { Home: -Infinity, End: Infinity }[event.key];
    const act = { p: () => this.pin(id), a: () => this.pick("a", id), b: () => this.pick("b", id) }[event.key.toLowerCase()];
    if (way && event.shiftKey) this.nudge(id, ...way);
    else if (way) this.go(id, ...way);
    else if (ends) this.go(id, ends, 0);
    else if (event.key === "Escape") this.unpoint();
    else if (act && this.store.cells.get(id)?.image) act();
    else return;
    event.preventDefault();
  }

  go(id, across, down) {
    const rows = this.data.rows.map((row) => row.cells);
    const y = rows.findIndex((cells) => cells.includes(id));
    const x = rows[y].indexOf(id);
    const within = (value, size) => Math.min(Math.max(value, 0), size - 1);
    const next = rows[within(y + down, rows.length)][within(x + across, rows[y].length)];
    this.activate(next);
    const { pic, root } = this.nodes.get(next);
    (pic.disabled ? root : pic).focus({ preventScroll: true });
    this.reveal(root);
  }

  /** Scroll the box so that the head and the first column do not cover a cell. */
  reveal(root) {
    const box = this.find(".box");
    const view = box.getBoundingClientRect();
    const cell = root.getBoundingClientRect();
    const head = this.find("thead th").getBoundingClientRect();
    const left = cell.left - 6 - (view.left + head.width);
    const top = cell.top - 6 - (view.top + head.height);
    if (left < 0) box.scrollLeft += left;
    else if (cell.right > view.right - 16) box.scrollLeft += cell.right - view.right + 16;
    if (top < 0) box.scrollTop += top;
    else if (cell.bottom > view.bottom - 16) box.scrollTop += cell.bottom - view.bottom + 16;
    const shown = root.getBoundingClientRect();
    if (shown.top < 60 || shown.bottom > globalThis.innerHeight) root.scrollIntoView({ block: "nearest" });
  }

  activate(id) {
    const before = this.active;
    this.active = id;
    for (const each of new Set([before, id])) this.tabs(each);
  }

  /** Let the Tab key reach one cell of the table, with its buttons. */
  tabs(id) {
    const node = this.nodes.get(id);
    if (!node) return;
    const stop = id === this.active ? 0 : -1;
    for (const each of [node.pic, node.pin, node.a, node.b]) each.tabIndex = stop;
    // A cell without a picture cannot be pressed, but keys reach it and its words.
    if (node.pic.disabled) node.root.tabIndex = stop;
    else node.root.removeAttribute("tabindex");
  }

  point(x, y) {
    this.place = [Math.min(Math.max(x, 0), 1), Math.min(Math.max(y, 0), 1)];
    this.pointing ??= requestAnimationFrame(() => {
      this.pointing = null;
      if (!this.place) return;
      this.top.classList.add("pointing");
      for (const id of this.visible) this.mark(id, this.nodes.get(id));
      for (const [id, parts] of this.views) this.mark(id, parts);
    });
  }

  /** Mark the place in one cell, with the map's value there. */
  mark(id, parts) {
    if (!parts || !this.place) return;
    const [left, top] = this.place;
    const cell = this.store.cells.get(id);
    Object.assign(parts.spot.style, { left: `${100 * left}%`, top: `${100 * top}%` });
    parts.chip.textContent = cell?.values ? valueAt(cell, left, top).toFixed(2) : "";
  }

  unpoint() {
    this.place = null;
    this.top.classList.remove("pointing");
  }

  nudge(id, across, down) {
    const [x, y] = this.place ?? [0.5, 0.5];
    this.point(x + STEP * across, y + STEP * down);
    const cell = this.store.cells.get(id);
    if (!cell?.values) return;
    const [left, top] = this.place;
    const percent = (share) => `${Math.round(100 * share)} %`;
    this.say(`${valueAt(cell, left, top).toFixed(2)} at ${percent(left)} across, ${percent(top)} down`);
  }

  say(text) {
    this.find(".live").textContent = text;
  }

  // tray and pair

  pin(id) {
    const { pins } = this.choice;
    const there = pins.includes(id);
    if (!there && pins.length >= this.data.most) {
      this.say(`The tray holds ${this.data.most} cells; remove one first.`);
      this.find(".tray .empty").textContent = `The tray holds ${this.data.most} cells; remove one first.`;
      return;
    }
    this.choose({ pins: there ? pins.filter((each) => each !== id) : [...pins, id] });
    this.say(there ? "Removed from the tray" : "Pinned to the tray");
  }

  shift(id, way) {
    const pins = [...this.choice.pins];
    const at = pins.indexOf(id);
    const to = at + way;
    if (to < 0 || to >= pins.length) return;
    [pins[at], pins[to]] = [pins[to], pins[at]];
    this.choose({ pins });
  }

  pick(which, id) {
    this.choose({ [which]: this.choice[which] === id ? "" : id });
    this.say(this.choice[which] ? `Chosen as ${which.toUpperCase()}` : `${which.toUpperCase()} is no longer chosen`);
  }

  choose(change) {
    this.choice = { ...this.choice, ...change };
    this.turn += 1;
    this.follow();
    this.send("choice", { ...this.choice, turn: this.turn });
  }

  /** Show the choice in buttons, tray and pair. */
  follow() {
    const { pins, a, b } = this.choice;
    for (const [id, node] of this.nodes) {
      node.pin.setAttribute("aria-pressed", String(pins.includes(id)));
      node.a.setAttribute("aria-pressed", String(a === id));
      node.b.setAttribute("aria-pressed", String(b === id));
    }
    this.tray();
    this.pair();
  }

  tray() {
    const { pins } = this.choice;
    const said = JSON.stringify([this.data.name, pins, this.look.said, pins.map((id) => this.store.cells.has(id))]);
    if (this.traySaid === said) return;
    this.traySaid = said;
    this.find(".tray .count").textContent = pins.length ? `${pins.length} of ${this.data.most}` : "";
    this.find(".tray .empty").textContent = pins.length
      ? ""
      : "No cell is pinned. Pin cells to export them as one figure; they stay when the grid changes.";
    const list = this.find(".tray ol");
    const held = this.root.activeElement;
    const focus = list.contains(held) ? [held.closest("li").dataset.id, held.dataset.act] : null;
    list.replaceChildren(...pins.map((id, place) => this.pinned(id, place)));
    if (!focus) return;
    const same = [...list.children].find((item) => item.dataset.id === focus[0]);
    const next = same?.querySelector(`[data-act="${focus[1]}"]:not(:disabled)`) ?? list.querySelector("button:not(:disabled)");
    next?.focus();
  }

  pinned(id, place) {
    const cell = this.store.cells.get(id);
    const item = make("li");
    item.dataset.id = id;
    const frame = make("div");
    const words = make("p");
    const acts = make("div", "acts");
    item.append(frame, words, acts);
    const name = cell ? `${cell.method}, ${cell.version}` : "a cell in progress";
    if (cell) {
      if (cell.image) {
        const canvas = make("canvas");
        canvas.setAttribute("role", "img");
        canvas.setAttribute("aria-label", cell.alt);
        paint(canvas, cell, sharp(64), this.look);
        frame.append(canvas);
      }
      words.append(make("b", "", cell.method), make("br"), cell.version, make("br"), cell.model);
      if (cell.score && cell.id !== cell.clean) words.append(make("br"), `similarity ${cell.score}`);
      if (cell.note) words.append(make("br"), cell.note);
    } else words.textContent = "Computing …";
    const add = (act, text, label, work, off) => {
      const each = button(text, work, `${label}: ${name}`);
      each.dataset.act = act;
      each.disabled = off;
      acts.append(each);
    };
    add("earlier", "\u2190", "Move earlier", () => this.shift(id, -1), place === 0);
    add("remove", "Remove", "Remove from the tray", () => this.pin(id), false);
    add("later", "\u2192", "Move later", () => this.shift(id, 1), place === this.choice.pins.length - 1);
    return item;
  }

  pair() {
    const { a, b } = this.choice;
    const [one, two] = [a, b].map((id) => this.store.cells.get(id));
    const ready = Boolean(one?.image && two?.image);
    const section = this.find(".pair");
    section.classList.toggle("none", !ready);
    const free = !a && !b ? "A and B" : !a ? "A" : !b ? "B" : "";
    this.find(".pair .empty").textContent = free
      ? `Choose ${free} in two cells to lay one map over the other.`
      : one && two
        ? "One of the two cells has no picture to show; choose another."
        : "CAM Lab is still computing the chosen cells.";
    const said = JSON.stringify([this.data.name, a, b, ready, this.look.said]);
    if (!ready || this.pairSaid === said) return;
    this.pairSaid = said;
    [one, two].forEach((cell, i) => {
      const canvas = this.find(i ? ".over" : ".under");
      canvas.setAttribute("role", "img");
      canvas.setAttribute("aria-label", `${i ? "B" : "A"}: ${cell.alt}`);
      paint(canvas, cell, sharp(320), this.look);
      const words = this.find(i ? ".words .b" : ".words .a");
      words.replaceChildren(make("b", "", `${i ? "B" : "A"}: ${cell.method}`), make("br"), `${cell.version}, ${cell.model}`);
      if (cell.id !== cell.clean) words.append(make("br"), `similarity with its clean map ${cell.score || "not observed"}`);
      words.append(make("br"), cell.verdict);
    });
    this.cut(this.find(".pair input").valueAsNumber);
  }

  cut(percent) {
    this.find(".stage").style.setProperty("--cut", percent);
    this.find(".pair input").setAttribute("aria-valuetext", `${percent} % A, ${100 - percent} % B`);
  }

  // zoom

  zoom(id) {
    const cell = this.store.cells.get(id);
    if (!cell?.image) return;
    const dialog = this.find(".zoom");
    this.find("#zoomtitle").textContent = cell.method;
    const clean = this.store.cells.get(cell.clean);
    const shown = cell.id === cell.clean || !clean ? [cell] : [clean, cell];
    this.views = [];
    this.find(".views").replaceChildren(
      ...shown.map((each) => {
        const figure = make("figure");
        const pic = make("div", "pic");
        pic.setAttribute("role", "img");
        pic.setAttribute("aria-label", each.alt);
        const canvas = make("canvas");
        const spot = make("i", "spot");
        const chip = make("span", "chip");
        pic.append(canvas, spot, chip);
        paint(canvas, each, sharp(340), this.look);
        this.views.push([each.id, { spot, chip }]);
        figure.append(pic, make("figcaption", "", `${each.version}, ${each.model}`));
        return figure;
      }),
    );
    dialog.querySelector(".verdict").textContent = cell.verdict;
    dialog.querySelector(".similarity").textContent =
      cell.id === cell.clean ? "" : `Similarity to its clean map: ${cell.score || "not observed"}, ${this.data.measure}`;
    dialog.querySelector(".note").textContent = cell.note;
    const footer = dialog.querySelector("footer");
    const press = (text, on, act) => {
      const each = button(text, () => {
        act();
        each.setAttribute("aria-pressed", String(on()));
      });
      each.setAttribute("aria-pressed", String(on()));
      return each;
    };
    const link = make("a", "", "Open in Explore");
    link.href = `./?${cell.explore}`;
    link.addEventListener("click", (event) => {
      if (event.ctrlKey || event.metaKey || event.shiftKey) return; // opens another window
      event.preventDefault();
      dialog.close();
      this.trigger("open", id); // in this session, which has the visitor's own pictures
    });
    footer.replaceChildren(
      press("Pin", () => this.choice.pins.includes(id), () => this.pin(id)),
      press("Choose as A", () => this.choice.a === id, () => this.pick("a", id)),
      press("Choose as B", () => this.choice.b === id, () => this.pick("b", id)),
      link,
    );
    dialog.showModal();
  }

  end() {
    this.sight.disconnect();
    cancelAnimationFrame(this.frame);
    cancelAnimationFrame(this.pointing);
  }
}

const shown = (globalThis.camlabComparison ??= new WeakMap());

export default function ({ data, parentElement, setStateValue, setTriggerValue }) {
  // Streamlit calls this at every change of the data; the table itself stays.
  const table = parentElement.querySelector("table");
  if (!shown.has(table)) shown.set(table, new Comparison(parentElement));
  const comparison = shown.get(table);
  comparison.update(data, setStateValue, setTriggerValue);
  const turn = (comparison.calls = (comparison.calls ?? 0) + 1);
  return () => {
    if (comparison.calls !== turn) return; // a later call has taken over
    shown.delete(table);
    comparison.end();
  };
}
