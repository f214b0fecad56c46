// The severity handle. While it is dragged, the browser draws the perturbed picture, its map, the difference and the
// words from frames that the server has sent; it asks the server only when the handle is released.
// Its drawing covers the server's picture until the server's answer is on screen.

const KEY_PAUSE = 220; // milliseconds between the last key and the request: a held key keeps scrubbing
const PATIENCE = 10000; // milliseconds without change after which the server's picture counts as its answer
const LEVELS = 65535;

// ---------------------------------------------------------------------------------------- parcels

/** Frames and scores of the strip on screen, from `camlab.explore.output.frames`. */
class Store {
  constructor() {
    this.strip = "";
    this.clear();
  }

  clear() {
    this.seen = new Set();
    this.frames = new Map(); // severity -> frame, as soon as its picture is decoded
    this.scores = new Map(); // severity -> HTML by place
    this.waiting = [];
    this.base = null;
  }

  /** Store the parcels of this strip and drop those of others. */
  open(strip) {
    if (strip !== this.strip) {
      this.strip = strip;
      this.clear();
    }
    const parcels = (globalThis.camlabParcels ??= []);
    // Parcels can arrive before the handle knows their strip: keep the newest ones.
    const kept = [];
    for (const data of parcels.splice(0)) {
      const view = new DataView(data.buffer, data.byteOffset, data.byteLength);
      const name = String.fromCharCode(...data.subarray(4, 16));
      const parcel = view.getUint16(16, true);
      if (name !== strip) kept.push(data);
      else if (!this.seen.has(parcel)) {
        this.seen.add(parcel);
        this.unpack(data, view.getUint32(20, true));
      }
    }
    parcels.push(...kept.slice(-32));
  }

  unpack(data, length) {
    const header = JSON.parse(new TextDecoder().decode(data.subarray(24, 24 + length)));
    let at = 24 + length;
    const blobs = header.blobs.map((size) => data.slice(at, (at += size)));
    for (const { severity, html } of header.scores ?? []) this.scores.set(severity, html);
    if (header.size) {
      this.base = { size: header.size, map: header.map, enlarge: header.enlarge };
      this.base.blobs = blobs.splice(0, 2);
    }
    for (const frame of header.frames ?? []) {
      const [picture, map, segments, ink] = blobs.splice(0, 4);
      this.waiting.push({ ...frame, picture, map: values(map), segments: values(segments), ink });
    }
    this.decode();
  }

  /** Decode one frame at a time, with pauses for the page. */
  async decode() {
    if (this.decoding) return;
    this.decoding = true;
    while (this.base && this.waiting.length) {
      const strip = this.strip;
      try {
        const base = this.base;
        const frame = this.waiting.shift();
        if (!base.labels) await decodeBase(base);
        await decodeFrame(frame, base);
        if (strip === this.strip) this.frames.set(frame.severity, frame);
      } catch (error) {
        // An unreadable picture is skipped: the server answers there, as without frames.
      }
      globalThis.dispatchEvent(new Event("camlab-frame"));
      await new Promise((done) => setTimeout(done, 4));
    }
    this.decoding = false;
  }
}

function values(bytes) {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  return Float32Array.from({ length: bytes.byteLength / 2 }, (_, i) => view.getUint16(2 * i, true) / LEVELS);
}

async function pixels(bytes, type) {
  const options = { colorSpaceConversion: "none", premultiplyAlpha: "none" };
  const bitmap = await createImageBitmap(new Blob([bytes], { type }), options);
  const canvas = document.createElement("canvas");
  [canvas.width, canvas.height] = [bitmap.width, bitmap.height];
  const context = canvas.getContext("2d", { willReadFrequently: true });
  context.drawImage(bitmap, 0, 0);
  bitmap.close();
  return context.getImageData(0, 0, canvas.width, canvas.height);
}

async function decodeBase(base) {
  const [height, width] = base.size;
  const [labels, clean] = base.blobs;
  const { data } = await pixels(labels, "image/png");
  base.clean = values(clean);
  base.height = height * base.enlarge;
  base.width = width * base.enlarge;
  base.labels = new Uint16Array(base.height * base.width);
  for (let y = 0, at = 0; y < base.height; y++) {
    for (let x = 0; x < base.width; x++, at++) {
      const from = 4 * (Math.floor(y / base.enlarge) * width + Math.floor(x / base.enlarge));
      base.labels[at] = data[from] | (data[from + 1] << 8);
    }
  }
  base.across = steps(base.width, base.map[1]);
  base.down = steps(base.height, base.map[0]);
}

async function decodeFrame(frame, base) {
  const [picture, ink] = await Promise.all([pixels(frame.picture, "image/jpeg"), pixels(frame.ink, "image/png")]);
  frame.large = cubic(picture, base.enlarge);
  frame.ink = Uint8Array.from({ length: base.width * base.height }, (_, i) => ink.data[4 * i]);
  frame.rim = dilate(frame.ink, base.width, base.height, 2);
  frame.marked = Uint32Array.from(frame.rim.keys()).filter((at) => frame.rim[at]);
  delete frame.picture;
}

// -------------------------------------------------------------------------------------- pixel maths
// Each function matches its namesake in camlab/drawing/pictures.py.

/** Bilinear interpolation along one axis, pixel centres aligned (align_corners=False). */
function steps(sizeOut, sizeIn) {
  const low = new Uint16Array(sizeOut);
  const high = new Uint16Array(sizeOut);
  const share = new Float32Array(sizeOut);
  for (let i = 0; i < sizeOut; i++) {
    const source = Math.max(((i + 0.5) * sizeIn) / sizeOut - 0.5, 0);
    low[i] = Math.min(Math.floor(source), sizeIn - 1);
    high[i] = Math.min(low[i] + 1, sizeIn - 1);
    share[i] = source - low[i];
  }
  return { low, high, share };
}

/** A map (h, w) at full size as indices into a table of 256 colours: round(255 · (value · scale + shift)). */
function places(map, base, scale, shift) {
  const { across, down, width, height } = base;
  const columns = base.map[1];
  const rows = new Float32Array(base.map[0] * width);
  for (let y = 0; y < base.map[0]; y++) {
    for (let x = 0; x < width; x++) {
      const a = map[y * columns + across.low[x]];
      rows[y * width + x] = a + (map[y * columns + across.high[x]] - a) * across.share[x];
    }
  }
  const out = new Uint8ClampedArray(width * height); // rounds and clamps to 0..255
  for (let y = 0, at = 0; y < height; y++) {
    const top = down.low[y] * width;
    const bottom = down.high[y] * width;
    const share = down.share[y];
    for (let x = 0; x < width; x++, at++) {
      const a = rows[top + x];
      out[at] = 255 * ((a + (rows[bottom + x] - a) * share) * scale + shift);
    }
  }
  return out;
}

/** A picture enlarged `times` by cubic convolution (as OpenCV: a = −0.75, edges repeated), RGBA. */
function cubic({ data, width, height }, times) {
  const taps = (size) =>
    Array.from({ length: size * times }, (_, i) => {
      const source = (i + 0.5) / times - 0.5;
      const first = Math.floor(source);
      const t = source - first;
      const far = (d) => ((-0.75 * d + 3.75) * d - 6) * d + 3;
      const near = (d) => (1.25 * d - 2.25) * d * d + 1;
      const weights = [far(t + 1), near(t), near(1 - t)];
      weights.push(1 - weights[0] - weights[1] - weights[2]);
      return { weights, at: [-1, 0, 1, 2].map((d) => Math.min(Math.max(first + d, 0), size - 1)) };
    });
  const wide = width * times;
  const rows = new Float32Array(height * wide * 3);
  taps(width).forEach(({ weights: [a, b, c, d], at: [p, q, r, s] }, x) => {
    for (let y = 0; y < height; y++) {
      const from = y * width;
      for (let k = 0; k < 3; k++) {
        rows[3 * (y * wide + x) + k] =
          a * data[4 * (from + p) + k] + b * data[4 * (from + q) + k] +
          c * data[4 * (from + r) + k] + d * data[4 * (from + s) + k];
      }
    }
  });
  const out = new Uint8ClampedArray(height * times * wide * 4);
  taps(height).forEach(({ weights: [a, b, c, d], at }, y) => {
    const [p, q, r, s] = at.map((row) => 3 * row * wide);
    for (let x = 0; x < wide; x++) {
      const to = 4 * (y * wide + x);
      for (let k = 0; k < 3; k++) {
        const i = 3 * x + k;
        out[to + k] = a * rows[p + i] + b * rows[q + i] + c * rows[r + i] + d * rows[s + i];
      }
      out[to + 3] = 255;
    }
  });
  return out;
}

/** The maximum over a square of `reach` pixels in each direction. */
function dilate(source, width, height, reach) {
  const along = (from, size, other, stride, across) => {
    const to = new Uint8Array(from.length);
    for (let j = 0; j < other; j++) {
      for (let i = 0; i < size; i++) {
        let most = 0;
        for (let n = Math.max(i - reach, 0); n <= Math.min(i + reach, size - 1); n++) {
          most = Math.max(most, from[j * across + n * stride]);
        }
        to[j * across + i * stride] = most;
      }
    }
    return to;
  };
  return along(along(source, width, height, 1, width), height, width, width, 1);
}

/** The borders between segments (the line), and one pixel around them (the rim). */
function borders(base) {
  const { labels, width, height } = base;
  const line = new Uint8Array(width * height);
  for (let y = 0, at = 0; y < height; y++) {
    for (let x = 0; x < width; x++, at++) {
      const own = labels[at];
      const differs =
        (x > 0 && labels[at - 1] !== own) || (x < width - 1 && labels[at + 1] !== own) ||
        (y > 0 && labels[at - width] !== own) || (y < height - 1 && labels[at + width] !== own);
      if (differs) line[at] = 1;
    }
  }
  return { line, rim: dilate(line, width, height, 1) };
}

function over(out, picture, index, table, opacity) {
  for (let at = 0, to = 0; at < index.length; at++, to += 4) {
    const colour = 3 * index[at];
    out[to] = table[colour] * opacity + picture[to] * (1 - opacity);
    out[to + 1] = table[colour + 1] * opacity + picture[to + 1] * (1 - opacity);
    out[to + 2] = table[colour + 2] * opacity + picture[to + 2] * (1 - opacity);
  }
}

/** Opaque colours of a table, one 32-bit number per pixel. */
function colour(out, index, table) {
  const pixel = Uint32Array.from({ length: 256 }, (_, i) => {
    const bytes = Uint8Array.of(table[3 * i], table[3 * i + 1], table[3 * i + 2], 255);
    return new Uint32Array(bytes.buffer)[0];
  });
  const pixels = new Uint32Array(out.buffer);
  for (let at = 0; at < index.length; at++) pixels[at] = pixel[index[at]];
}

/** One function per view, by the view's name on the server: it fills `out` (RGBA, opaque). */
const VIEWS = {
  overlay: (out, frame, base, look) =>
    over(out, frame.large, places(frame.map, base, 1, 0), look.table, look.opacity),
  heat: (out, frame, base, look) => colour(out, places(frame.map, base, 1, 0), look.table),
  image: (out, frame) => out.set(frame.large),
  segments: (out, frame, base, look) => {
    const colours = Uint8ClampedArray.from(frame.segments, (value) => 255 * value);
    const index = Uint8Array.from(base.labels, (label) => colours[label]);
    over(out, frame.large, index, look.table, look.opacity);
    base.borders ??= borders(base);
    const { line, rim } = base.borders;
    for (let at = 0; at < rim.length; at++) {
      if (!rim[at]) continue;
      for (let k = 4 * at; k < 4 * at + 3; k++) {
        out[k] = line[at] ? 255 - Math.floor((255 - Math.floor(out[k] * 0.35)) * 0.15) : Math.floor(out[k] * 0.35);
      }
    }
  },
};

function difference(out, frame, base, look) {
  const delta = frame.map.map((value, i) => value - base.clean[i]);
  colour(out, places(delta, base, 0.5, 0.5), look.diverging);
  for (const at of frame.marked) {
    const rim = frame.rim[at] / 255;
    const ink = frame.ink[at] / 255;
    for (let k = 4 * at; k < 4 * at + 3; k++) {
      out[k] = Math.round(out[k] * (1 - rim) + 255 * rim) * (1 - ink) + look.ink * ink;
    }
  }
}

// ----------------------------------------------------------------------------- drawing over the page

/** A canvas over the picture of one panel. */
class Cover {
  constructor(panel) {
    this.panel = `.st-key-${panel} [data-testid="stImage"] img`;
    this.canvas = document.createElement("canvas");
    this.canvas.className = "cl-frame";
    this.canvas.setAttribute("aria-hidden", "true");
  }

  get picture() {
    return document.querySelector(this.panel);
  }

  show(base, paint, layer) {
    const picture = this.picture;
    if (!picture) return;
    if (this.image?.width !== base.width || this.image?.height !== base.height) {
      [this.canvas.width, this.canvas.height] = [base.width, base.height];
      this.image = new ImageData(base.width, base.height);
      this.image.data.fill(255);
    }
    paint(this.image.data);
    const context = this.canvas.getContext("2d");
    context.putImageData(this.image, 0, 0);
    if (layer?.complete && layer.naturalWidth) context.drawImage(layer, 0, 0, base.width, base.height);
    if (this.canvas.previousSibling === picture) return;
    this.canvas.style.borderRadius = getComputedStyle(picture).borderRadius;
    picture.after(this.canvas);
  }

  clear() {
    this.canvas.remove();
  }
}

/** Replaces a piece of the server's HTML; the server's version returns when the handle rests. */
class Words {
  constructor(selector, nth = 0) {
    this.selector = selector;
    this.nth = nth;
  }

  show(html) {
    const found = document.querySelectorAll(this.selector)[this.nth]?.closest(".stHtml");
    if (!found) return;
    if (this.place !== found || found.firstElementChild !== this.mine) {
      [this.place, this.kept] = [found, found.innerHTML];
      // Keep the height, so that nothing below moves while the handle is dragged.
      found.style.minHeight = `${found.getBoundingClientRect().height}px`;
    }
    if (this.html !== html || found.firstElementChild !== this.mine) found.innerHTML = this.html = html;
    this.mine = found.firstElementChild;
  }

  clear() {
    if (!this.place) return;
    this.place.style.minHeight = "";
    if (this.place.firstElementChild === this.mine) this.place.innerHTML = this.kept;
    this.place = this.mine = null;
  }
}

const store = (globalThis.camlabFrames ??= new Store());

/** Everything on the page that follows the handle. */
class Stage {
  constructor() {
    this.covers = { perturbed: new Cover("perturbed"), difference: new Cover("difference") };
    this.words = {
      headline: new Words(".cl-headline"),
      title: new Words(".st-key-perturbed .cl-title"),
      predictions: new Words(".st-key-perturbed .cl-predictions"),
      moves: new Words(".st-key-difference .cl-moves"),
      moved_by: new Words(".cl-strip"),
      consistency: new Words(".st-key-gauges .cl-gauge", 0),
      responsiveness: new Words(".st-key-gauges .cl-gauge", 1),
      rm: new Words(".st-key-gauges .cl-gauge", 2),
    };
    this.shown = null;
  }

  /** Draw the frame of a severity, or a blend of its two neighbours; without one, keep the last drawing. */
  show(severity, look, frame = store.frames.get(severity)) {
    if (!frame || !VIEWS[look.view]) return;
    const { base } = store;
    this.covers.perturbed.show(base, (out) => VIEWS[look.view](out, frame, base, look), look.layer);
    this.covers.difference.show(base, (out) => difference(out, frame, base, look));
    const { moved_by: moved, ...gauges } = store.scores.get(severity) ?? {};
    const follows = look.scope === "severity";
    const said = { ...frame.html, ...(moved && { moved_by: moved }), ...(follows && gauges) };
    for (const [place, html] of Object.entries(said)) this.words[place]?.show(html);
    this.shown = severity;
    // The rest still shows another severity: the style sheet fades or hides it.
    const behind = [follows && "beside", follows && !gauges.rm && "gauges", !moved && "moved"];
    document.documentElement.dataset.camlabBehind = behind.filter(Boolean).join(" ");
  }

  get loading() {
    return Object.values(this.covers).some(({ picture }) => picture && !picture.complete);
  }

  clear() {
    for (const part of [...Object.values(this.covers), ...Object.values(this.words)]) part.clear();
    this.shown = null;
    delete document.documentElement.dataset.camlabBehind;
  }
}

// ------------------------------------------------------------------------------------------ autoplay

const PERIOD = 12000; // milliseconds of one rise and fall
const STAND = 1200; // milliseconds per step with reduced motion

/** Blend two frames: picture, map and segments; marks and words come from the nearer one. */
function between(low, high, share) {
  const mix = (a, b) => a.map((value, i) => value + (b[i] - value) * share);
  return {
    ...(share < 0.5 ? low : high),
    large: mix(low.large, high.large),
    map: mix(low.map, high.map),
    segments: mix(low.segments, high.segments),
  };
}

/** The severity rises and falls by itself. With reduced motion it waits for the button, and moves in steps. */
class Player {
  constructor(scrubber) {
    this.scrubber = scrubber;
    this.button = scrubber.root.querySelector("#play");
    this.calm = matchMedia("(prefers-reduced-motion: reduce)");
    this.playing = false;
    this.button.addEventListener("click", () => (this.playing ? this.stop(true) : this.start()));
  }

  get ready() {
    const { min, max, step } = this.scrubber.data;
    return store.base?.labels && store.frames.size >= Math.round((max - min) / step) + 1;
  }

  /** Called when data or frames have arrived. */
  update() {
    const { autoplay } = this.scrubber.data;
    this.button.hidden = !autoplay;
    if (!autoplay) return this.stop(false);
    this.button.disabled = !this.ready;
    this.name();
    if (this.ready && !this.calm.matches && this.strip !== store.strip) this.start();
    if (this.ready) this.strip = store.strip; // starts by itself only once
  }

  name() {
    this.button.textContent = !this.ready ? "Loading" : this.playing ? "❚❚ Pause" : "▶ Play";
  }

  start() {
    const { range, data } = this.scrubber;
    this.playing = true;
    range.step = "any";
    // Continue upwards from the handle's position.
    this.phase = Math.acos(1 - (2 * range.value) / data.max) / (2 * Math.PI);
    this.at = null;
    this.name();
    this.next = requestAnimationFrame((now) => this.tick(now));
  }

  /** Stop playing; with `ask`, request the severity on screen from the server. */
  stop(ask) {
    if (!this.playing) return;
    this.playing = false;
    cancelAnimationFrame(this.next);
    const { range, data } = this.scrubber;
    range.step = data.step;
    range.value = Math.round(range.value / data.step) * data.step;
    this.name();
    if (!ask) return;
    this.scrubber.move();
    this.scrubber.ask();
  }

  tick(now) {
    if (!this.playing) return;
    this.next = requestAnimationFrame((then) => this.tick(then));
    const { range, data } = this.scrubber;
    this.at ??= now;
    if (this.calm.matches) {
      if (now - this.at < STAND && this.still) return;
      this.at = now;
      this.phase = this.still ? this.phase + 1 / (2 * Math.round(data.max / data.step)) : this.phase;
      this.still = true;
    } else {
      // After a pause in the background, continue where it stopped.
      this.phase += Math.min(now - this.at, 100) / PERIOD;
      this.at = now;
    }
    this.phase %= 1;
    const rise = this.phase < 0.5 ? 2 * this.phase : 2 - 2 * this.phase;
    const severity = data.max * (this.calm.matches ? rise : (1 - Math.cos(Math.PI * rise)) / 2);
    this.show(this.calm.matches ? Math.round(severity / data.step) * data.step : severity);
    range.value = severity;
    this.scrubber.label(Math.round(severity / data.step) * data.step);
  }

  show(severity) {
    const { step, max } = this.scrubber.data;
    const low = Math.min(Math.floor(severity / step) * step, max);
    const high = Math.min(low + step, max);
    const share = high === low ? 0 : (severity - low) / (high - low);
    const [a, b] = [store.frames.get(low), store.frames.get(high)];
    if (!a || !b) return;
    const near = share < 0.5 ? low : high;
    this.scrubber.stage.show(near, this.scrubber.look, share === 0 ? a : between(a, b, share));
    document.documentElement.dataset.camlabSeverity = severity.toFixed(3);
  }
}

// -------------------------------------------------------------------------------------------- the handle

const app = () => document.querySelector('[data-testid="stApp"]');
const busy = () => app()?.dataset.testScriptState !== "notRunning";
const bytes = (text) => Uint8Array.from(atob(text), (c) => c.charCodeAt(0));

class Scrubber {
  constructor(root) {
    this.root = root;
    this.range = root.querySelector("input");
    this.stage = new Stage();
    this.asked = null; // the severity that the server has yet to answer
    this.held = false; // whether a pointer holds the handle
    this.abort = new AbortController();
    const listen = (target, events, act) => {
      for (const event of events) target.addEventListener(event, act, { signal: this.abort.signal });
    };
    this.player = new Player(this);
    listen(this.range, ["pointerdown", "keydown"], () => this.player.stop(false));
    listen(this.range, ["pointerdown"], ({ button }) => (this.held ||= button === 0));
    listen(globalThis, ["pointerup", "pointercancel", "blur"], () => this.release());
    listen(this.range, ["input"], () => this.move());
    listen(this.range, ["change"], () => this.changed());
    listen(this.range, ["blur"], () => this.key && this.ask());
    listen(globalThis, ["camlab-parcel"], () => this.data && store.open(this.data.strip));
    listen(globalThis, ["camlab-frame"], () => {
      this.dots();
      this.player.update();
      if (this.moving && !this.player.playing) this.draw();
    });
    this.watch = new MutationObserver(() => this.settle());
    if (app()) this.watch.observe(app(), { attributes: true, attributeFilter: ["data-test-script-state"] });
  }

  get value() {
    return Number(this.range.value);
  }

  /** Whether the handle's severity differs from the server's drawing. */
  get moving() {
    return this.held || this.key || this.asked !== null || this.player.playing;
  }

  update(data, send) {
    this.data = data;
    this.send = send;
    const { min, max, step } = data;
    Object.assign(this.range, { min, max, step: this.player.playing ? "any" : step });
    this.root.querySelector("#about").textContent = data.about;
    // The object's outline, if switched on, covers everything drawn.
    if (data.outline !== this.layer?.src) {
      this.layer = data.outline ? Object.assign(new Image(), { src: data.outline }) : null;
    }
    this.look = { ...data, table: bytes(data.table), diverging: bytes(data.diverging), layer: this.layer };
    store.open(data.strip);
    if (this.asked === data.severity) this.asked = null;
    if (!this.moving) {
      this.range.value = data.severity;
      this.label();
    }
    this.dots();
    this.player.update();
    this.settle();
    // Only components know the theme's colours; the sticky row needs a background.
    const background = getComputedStyle(this.range).getPropertyValue("--st-background-color");
    document.documentElement.style.setProperty("--cl-background", background);
  }

  move() {
    clearTimeout(this.key);
    this.key = null;
    this.label();
    // The number box shows the handle's value; the server's answer sets its real value.
    this.number(this.value);
    this.draw();
  }

  draw() {
    this.frame ??= requestAnimationFrame(() => {
      this.frame = null;
      this.stage.show(this.value, this.look);
      this.label();
    });
  }

  changed() {
    if (this.held) return; // a pointer asks when it is released
    clearTimeout(this.key);
    this.key = setTimeout(() => this.ask(), KEY_PAUSE);
  }

  release() {
    if (!this.held) return;
    this.held = false;
    this.ask();
  }

  ask() {
    clearTimeout(this.key);
    this.key = null;
    const wanted = this.asked ?? this.data.severity;
    if (this.value === wanted) return this.settle();
    this.asked = this.value;
    // The time makes a repeated request for the same severity a change.
    this.send("severity", { value: this.value, at: Date.now() });
  }

  /** Remove the drawing once the server's answer is on screen. */
  settle() {
    clearTimeout(this.later);
    if (this.held || this.key || this.player.playing) return;
    if (busy()) {
      this.until = null;
      return; // the observer will call again
    }
    if (this.asked !== null || this.stage.loading) {
      // Wait for the answer; if nothing changes for a while, the page already shows it.
      const until = (this.until ??= performance.now() + PATIENCE);
      if (performance.now() < until) {
        this.later = setTimeout(() => this.settle(), 60);
        return;
      }
      this.asked = null;
      this.range.value = this.data.severity;
    }
    this.until = null;
    if (this.stage.shown === null && !this.wrote) return;
    this.number(this.data.severity);
    this.wrote = false;
    this.stage.clear();
    this.label();
  }

  number(value) {
    const box = document.querySelector(`.st-key-${this.data.number} input`);
    if (!box || box === document.activeElement) return;
    box.value = String(value);
    this.wrote = true;
  }

  label(value = this.value) {
    const { range } = this;
    const share = (this.value - range.min) / (range.max - range.min);
    range.style.setProperty("--share", share);
    const output = this.root.querySelector("output");
    output.style.setProperty("--share", share);
    output.textContent = String(value);
    const known = value === this.data.severity ? this.data.spoken : store.frames.get(value)?.spoken;
    range.setAttribute("aria-valuetext", known ?? `severity ${value}`);
  }

  dots() {
    const { min, max, step } = this.data;
    const ready = this.root.querySelector(".ready");
    const count = Math.round((max - min) / step) + 1;
    while (ready.childElementCount < count) ready.append(document.createElement("i"));
    [...ready.children].forEach((dot, i) => dot.classList.toggle("there", store.frames.has(min + i * step)));
  }

  end() {
    this.abort.abort();
    this.player.stop(false);
    this.watch.disconnect();
    clearTimeout(this.key);
    clearTimeout(this.later);
    cancelAnimationFrame(this.frame);
    this.stage.clear();
  }
}

const handles = (globalThis.camlabHandles ??= new WeakMap());

export default function ({ data, parentElement, setTriggerValue }) {
  // Streamlit calls this at every change of the data; the handle itself stays.
  const range = parentElement.querySelector("input");
  if (!handles.has(range)) handles.set(range, new Scrubber(parentElement));
  const scrubber = handles.get(range);
  scrubber.update(data, setTriggerValue);
  const turn = (scrubber.turn = (scrubber.turn ?? 0) + 1);
  return () => {
    if (scrubber.turn !== turn) return; // a later call has taken over
    handles.delete(range);
    scrubber.end();
  };
}
