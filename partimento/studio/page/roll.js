// The piano roll: two canvases (notes; playhead and selection), one coordinate system. Only what is
// visible is drawn: notes are found by binary search over onsets, so 20,000 notes cost what is seen.
import { COLOURS, bars, barAt, count, lastEnd, pitchName, scaleOf } from "./document.js";
import { say } from "./texts.js";

const RULER = 22, VELOCITY = 56, KEYS = 44;
const BLACK = new Set([1, 3, 6, 8, 10]);

export class Roll {
  constructor(place, store) {
    this.store = store;
    this.place = place;
    this.notes = document.createElement("canvas");
    this.over = document.createElement("canvas");
    this.over.tabIndex = 0;
    this.over.setAttribute("role", "application");
    place.append(this.notes, this.over);
    this.perTick = 0.08; this.rowHeight = 9; this.left = 0; this.top = 60;  // pixels a tick, pixels a row; scroll
    this.mode = "draw"; this.cursor = { tick: 0, pitch: 60 };
    this.selected = new Set(); this.region = null; this.head = null; this.grid = 120;
    this.ghost = null; this.drag = null; this.pointers = new Map();
    this.frames = []; this.index = null;
    new ResizeObserver(() => this.resize()).observe(place);
    this.over.addEventListener("wheel", (event) => this.wheel(event), { passive: false });
    for (const kind of ["pointerdown", "pointermove", "pointerup", "pointercancel"]) this.over.addEventListener(kind, (event) => this[kind](event));
    this.over.addEventListener("keydown", (event) => this.key(event));
    store.listen(() => { this.index = null; this.describe(); this.draw(); });
    this.resize();
  }
  get doc() { return this.store.doc; }
  describe() { this.over.setAttribute("aria-label", say("roll", { n: count(this.doc) })); }
  resize() {
    const ratio = devicePixelRatio || 1, box = this.place.getBoundingClientRect();
    this.width = box.width; this.height = box.height;
    for (const canvas of [this.notes, this.over]) { canvas.width = Math.max(1, box.width * ratio); canvas.height = Math.max(1, box.height * ratio); }
    this.draw();
  }
  x(tick) { return KEYS + tick * this.perTick - this.left; }
  tick(x) { return Math.max(0, (x - KEYS + this.left) / this.perTick); }
  y(pitch) { return RULER + (127 - pitch - this.top) * this.rowHeight; }
  pitchAt(y) { return Math.max(0, Math.min(127, 127 - Math.floor((y - RULER) / this.rowHeight + this.top))); }
  get laneTop() { return this.height - VELOCITY; }
  draw() { if (!this.asked) { this.asked = true; requestAnimationFrame(() => { this.asked = false; this.paint(); }); } }
  sorted() {
    // By track: notes by onset, and the longest of them, so that a search can start early enough.
    if (!this.index) this.index = { bars: bars(this.doc), spans: this.store.spans(), tracks: this.doc.tracks.map((track) => ({ notes: track.notes, longest: track.notes.reduce((most, note) => Math.max(most, note[2]), 0) })) };
    return this.index;
  }
  * visible(track, from, to) {
    const { notes, longest } = this.sorted().tracks[track];
    let low = 0, high = notes.length;
    while (low < high) { const mid = (low + high) >> 1; if (notes[mid][0] < from - longest) low = mid + 1; else high = mid; }
    for (; low < notes.length && notes[low][0] <= to; low++) if (notes[low][0] + notes[low][2] >= from) yield notes[low];
  }
  paint() {
    const began = performance.now();
    const ratio = devicePixelRatio || 1, context = this.notes.getContext("2d"), style = getComputedStyle(document.body);
    const known = {}, colour = (name) => (known[name] ??= style.getPropertyValue(name));
    context.setTransform(ratio, 0, 0, ratio, 0, 0);
    context.clearRect(0, 0, this.width, this.height);
    const from = this.tick(KEYS), to = this.tick(this.width), doc = this.doc, { bars: list, spans } = this.sorted();
    const keyName = this.store.promises.key || doc.key_signatures[0]?.[1], scale = scaleOf(keyName);
    for (let pitch = this.pitchAt(this.laneTop); pitch <= this.pitchAt(RULER); pitch++) {
      if (scale ? !scale.has(pitch % 12) : BLACK.has(pitch % 12)) { context.fillStyle = colour("--key-out"); context.fillRect(KEYS, this.y(pitch), this.width, this.rowHeight); }
      if (pitch % 12 === 0) { context.fillStyle = colour("--grid"); context.fillRect(KEYS, this.y(pitch) + this.rowHeight, this.width, 1); }
    }
    const beats = this.perTick * doc.ticks_per_quarter > 14;
    context.font = "11px system-ui"; context.textBaseline = "middle";
    for (let b = barAt(list, from); b < list.length && list[b].at <= to; b++) {
      const bar = list[b], beat = (doc.ticks_per_quarter * 4) / bar.below;
      if (beats) for (let at = bar.at + beat; at < bar.at + bar.length; at += beat) { context.fillStyle = colour("--grid"); context.fillRect(this.x(at), RULER, 1, this.height); }
      context.fillStyle = colour("--grid-bar"); context.fillRect(this.x(bar.at), 0, 1, this.height);
      if (this.perTick * bar.length > 26 || b % 4 === 0) { context.fillStyle = colour("--soft"); context.fillText(String(b + 1), this.x(bar.at) + 4, RULER / 2); }
    }
    doc.tracks.forEach((track, t) => {
      const muted = this.store.mixer[t]?.mute;
      for (const note of this.visible(t, from, to)) {
        const x = this.x(note[0]), width = Math.max(2, note[2] * this.perTick - 1), y = this.y(note[1]);
        if (y > -20 && y < this.laneTop) {
          const outside = scale && !track.is_drum && !scale.has(note[1] % 12);
          context.globalAlpha = muted ? 0.25 : outside ? 0.45 : 0.55 + (note[3] / 127) * 0.45;
          context.fillStyle = this.selected.has(note) ? colour("--head") : COLOURS[t % COLOURS.length];
          context.fillRect(x, y + 1, width, this.rowHeight - 1);
          if (this.store.isLocked(t, note) || spans.some(([start, end]) => note[0] >= start && note[0] < end)) { context.globalAlpha = 1; context.strokeStyle = colour("--ink"); context.strokeRect(x + 0.5, y + 1.5, width - 1, this.rowHeight - 2); }
        }
        context.globalAlpha = t === this.store.track ? 0.9 : 0.25;
        context.fillStyle = this.selected.has(note) ? colour("--head") : COLOURS[t % COLOURS.length];
        const tall = (note[3] / 127) * (VELOCITY - 8);
        context.fillRect(x, this.height - tall, 3, tall);
      }
      if (track.lyrics.length && t === this.store.track) {
        context.globalAlpha = 1; context.fillStyle = colour("--ink");
        for (const [at, text] of track.lyrics) if (at >= from && at <= to) context.fillText(text, this.x(at), this.laneTop - 8);
      }
    });
    context.save(); context.beginPath(); context.rect(KEYS, RULER, this.width, this.laneTop - RULER); context.clip();
    if (this.ghost) this.ghost.doc.tracks.forEach((track, t) => {
      for (const note of track.notes) {
        if (note[0] + note[2] < from || note[0] > to || !this.ghost.marked[t]?.has(note)) continue;
        context.globalAlpha = 0.9; context.strokeStyle = COLOURS[t % COLOURS.length]; context.lineWidth = 1.5;
        context.strokeRect(this.x(note[0]), this.y(note[1]) + 1, Math.max(2, note[2] * this.perTick - 1), this.rowHeight - 2);
      }
    });
    context.restore();
    context.globalAlpha = 1; context.lineWidth = 1;
    context.fillStyle = colour("--line"); context.fillRect(0, this.laneTop - 1, this.width, 1); context.fillRect(0, RULER, this.width, 1);
    this.keyboard(context, colour, scale);
    this.paintOver(ratio, colour);
    this.frames.push(performance.now() - began);
    if (this.frames.length > 240) this.frames.shift();
  }
  keyboard(context, colour) {
    context.fillStyle = colour("--panel"); context.fillRect(0, RULER, KEYS - 1, this.laneTop - RULER);
    for (let pitch = this.pitchAt(this.laneTop); pitch <= this.pitchAt(RULER); pitch++) {
      const y = this.y(pitch);
      if (y > this.laneTop) continue;
      if (BLACK.has(pitch % 12)) { context.fillStyle = colour("--ink"); context.fillRect(0, y, KEYS * 0.6, this.rowHeight); }
      if (pitch % 12 === 0 || this.rowHeight > 16) { context.fillStyle = colour("--soft"); if (!BLACK.has(pitch % 12)) context.fillText(pitchName(pitch), KEYS * 0.3, y + this.rowHeight / 2 + 1); }
    }
  }
  paintOver(ratio, colour) {
    const context = this.over.getContext("2d");
    context.setTransform(ratio, 0, 0, ratio, 0, 0);
    context.clearRect(0, 0, this.width, this.height);
    if (this.region) { context.fillStyle = colour("--select"); context.fillRect(Math.max(KEYS, this.x(this.region[0])), 0, (this.region[1] - this.region[0]) * this.perTick, this.height); }
    if (this.drag?.lasso) { const [x0, y0, x1, y1] = this.drag.lasso; context.fillStyle = colour("--select"); context.strokeStyle = colour("--accent"); context.fillRect(x0, y0, x1 - x0, y1 - y0); context.strokeRect(x0, y0, x1 - x0, y1 - y0); }
    if (document.activeElement === this.over) { context.strokeStyle = colour("--accent"); context.strokeRect(this.x(this.cursor.tick), this.y(this.cursor.pitch), Math.max(4, this.grid * this.perTick), this.rowHeight); }
    if (this.head !== null) { context.fillStyle = colour("--head"); context.fillRect(this.x(this.head), 0, 2, this.height); }
  }
  showHead(tick, follow) {
    this.head = tick;
    if (tick !== null && follow) {
      const x = this.x(tick);
      if (x > this.width - 40 || x < KEYS) { this.left = Math.max(0, tick * this.perTick - 60); this.draw(); return; }
    }
    const style = getComputedStyle(document.body);
    this.paintOver(devicePixelRatio || 1, (name) => style.getPropertyValue(name));
  }
  fit() {
    let low = 127, high = 0;
    for (const track of this.doc.tracks) for (const note of track.notes) { low = Math.min(low, note[1]); high = Math.max(high, note[1]); }
    if (low > high) { low = 36; high = 81; }
    this.rowHeight = Math.max(6, Math.min(16, (this.laneTop - RULER) / (high - low + 7)));
    this.top = 127 - (high + 3);
    this.perTick = Math.max(0.01, Math.min(0.2, (this.width - KEYS - 10) / Math.max(this.doc.length_ticks, lastEnd(this.doc), 1)));
    if (this.perTick < 0.03) this.perTick = 0.06;
    this.left = 0; this.draw();
  }
  zoom(factor, x = this.width / 2) { const at = this.tick(x); this.perTick = Math.max(0.004, Math.min(1.5, this.perTick * factor)); this.left = Math.max(0, at * this.perTick - (x - KEYS)); this.draw(); }
  wheel(event) {
    event.preventDefault();
    if (event.ctrlKey || event.metaKey) this.zoom(Math.exp(-event.deltaY * 0.003), event.offsetX);
    else if (event.altKey) { this.rowHeight = Math.max(4, Math.min(28, this.rowHeight * Math.exp(-event.deltaY * 0.003))); this.draw(); }
    else {
      const sideways = event.shiftKey ? event.deltaY : event.deltaX;
      this.left = Math.max(0, this.left + sideways);
      if (!event.shiftKey) this.top = Math.max(-5, Math.min(120, this.top + event.deltaY / this.rowHeight / 2));
      this.draw();
    }
  }
  snap(tick) { return Math.floor(tick / this.grid) * this.grid; }
  hit(x, y) {
    const tick = this.tick(x), pitch = this.pitchAt(y), order = [this.store.track, ...this.doc.tracks.keys()];
    for (const t of order) for (const note of this.visible(t, tick, tick)) if (note[1] === pitch) return { t, note, edge: this.x(note[0] + note[2]) - x < 7 && note[2] * this.perTick > 12 };
    return null;
  }
  pointerdown(event) {
    this.over.focus({ preventScroll: true });
    this.over.setPointerCapture(event.pointerId);
    this.pointers.set(event.pointerId, [event.offsetX, event.offsetY]);
    if (this.pointers.size === 2) { this.drag = { pinch: this.spread() }; return; }
    const x = event.offsetX, y = event.offsetY;
    if (y < RULER) { const at = this.tick(x); this.drag = { ruler: at }; this.store.seek(at); return; }
    if (y > this.laneTop) { this.drag = { velocity: true }; this.velocity(x, y); return; }
    if (x < KEYS) { this.store.sound(this.pitchAt(y)); return; }
    if (event.button === 1 || event.buttons === 4) { this.drag = { pan: [x, y, this.left, this.top] }; return; }
    const found = this.hit(x, y);
    if (found) {
      if (!this.selected.has(found.note)) { if (!event.shiftKey) this.selected.clear(); this.selected.add(found.note); }
      this.store.choose(found.t);
      this.store.sound(found.note[1]);
      this.drag = { move: [x, y], edge: found.edge, from: new Map([...this.selected].map((note) => [note, [...note]])) };
    } else if (this.mode === "draw" && event.pointerType !== "touch" ? !event.shiftKey : this.mode === "draw") {
      const note = [this.snap(this.tick(x)), this.pitchAt(y), this.grid, 90];
      this.selected = new Set([note]);
      this.doc.tracks[this.store.track].notes.push(note);
      this.store.sorted();
      this.store.sound(note[1]);
      this.drag = { move: [x, y], edge: true, isNew: true, from: new Map([[note, [...note]]]) };
    } else { if (!event.shiftKey) this.selected.clear(); this.drag = { lasso: [x, y, x, y] }; }
    this.draw();
  }
  spread() { const [[a, b], [c, d]] = [...this.pointers.values()]; return [Math.hypot(a - c, b - d), (a + c) / 2, (b + d) / 2]; }
  pointermove(event) {
    if (this.pointers.has(event.pointerId)) this.pointers.set(event.pointerId, [event.offsetX, event.offsetY]);
    const drag = this.drag, x = event.offsetX, y = event.offsetY;
    if (!drag) { this.over.style.cursor = y > RULER && y < this.laneTop ? (this.hit(x, y) ? (this.hit(x, y).edge ? "ew-resize" : "move") : "crosshair") : "default"; return; }
    if (drag.pinch && this.pointers.size === 2) {
      const [size, cx, cy] = this.spread();
      this.zoom(size / drag.pinch[0], cx);
      this.left = Math.max(0, this.left - (cx - drag.pinch[1])); this.top = Math.max(-5, Math.min(120, this.top - (cy - drag.pinch[2]) / this.rowHeight));
      drag.pinch = [size, cx, cy];
    } else if (drag.ruler !== undefined) {
      const list = bars(this.doc), a = barAt(list, Math.min(drag.ruler, this.tick(x))), b = barAt(list, Math.max(drag.ruler, this.tick(x)));
      this.region = [list[a].at, list[b].at + list[b].length];
      this.store.regionChanged();
    } else if (drag.velocity) this.velocity(x, y);
    else if (drag.pan) { this.left = Math.max(0, drag.pan[2] - (x - drag.pan[0])); this.top = drag.pan[3] - (y - drag.pan[1]) / this.rowHeight; }
    else if (drag.lasso) { drag.lasso[2] = x; drag.lasso[3] = y; }
    else if (drag.move) {
      const ticks = Math.round((x - drag.move[0]) / this.perTick / this.grid) * this.grid, rows = Math.round((drag.move[1] - y) / this.rowHeight);
      for (const [note, old] of drag.from) {
        if (drag.edge) note[2] = Math.max(this.grid, Math.round((old[2] + (x - drag.move[0]) / this.perTick) / this.grid) * this.grid);
        else { note[0] = Math.max(0, old[0] + ticks); note[1] = Math.max(0, Math.min(127, old[1] + rows)); }
      }
      this.index = null;
    }
    this.draw();
  }
  pointerup(event) {
    this.pointers.delete(event.pointerId);
    const drag = this.drag;
    this.drag = null;
    if (drag?.lasso) {
      const [x0, y0, x1, y1] = drag.lasso, from = this.tick(Math.min(x0, x1)), to = this.tick(Math.max(x0, x1));
      const low = this.pitchAt(Math.max(y0, y1)), high = this.pitchAt(Math.min(y0, y1));
      this.doc.tracks.forEach((_, t) => { for (const note of this.visible(t, from, to)) if (note[1] >= low && note[1] <= high) this.selected.add(note); });
    } else if (drag?.move && (drag.isNew || [...drag.from].some(([note, old]) => note.some((value, i) => value !== old[i])))) { this.store.sorted(); this.store.edited(); }
    else if (drag?.velocity) this.store.edited();
    else if (drag?.ruler !== undefined && this.region && Math.abs(this.tick(event.offsetX) - drag.ruler) * this.perTick < 4) { this.region = null; this.store.regionChanged(); }
    this.store.changed();  // what shows the selection follows
  }
  pointercancel(event) { this.pointers.delete(event.pointerId); this.drag = null; }
  velocity(x, y) {
    const value = Math.max(1, Math.min(127, Math.round(((this.height - y) / (VELOCITY - 8)) * 127)));
    for (const note of this.visible(this.store.track, this.tick(x - 4), this.tick(x + 2))) if (Math.abs(this.x(note[0]) - x) < 6) note[3] = value;
  }
  key(event) {
    const plain = !event.ctrlKey && !event.metaKey && !event.altKey, step = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, 1], ArrowDown: [0, -1] }[event.key];
    if (step && plain) {
      event.preventDefault();
      if (this.selected.size && event.shiftKey) { for (const note of this.selected) { note[0] = Math.max(0, note[0] + step[0] * this.grid); note[1] = Math.max(0, Math.min(127, note[1] + step[1])); } this.store.sorted(); this.store.edited(); }
      else {
        this.cursor.tick = Math.max(0, this.cursor.tick + step[0] * this.grid);
        this.cursor.pitch = Math.max(0, Math.min(127, this.cursor.pitch + step[1]));
        this.reveal();
        const at = this.hit(this.x(this.cursor.tick) + 1, this.y(this.cursor.pitch) + 1);
        if (at) this.selected = new Set([at.note]);
      }
      this.draw();
    } else if (event.key === "Enter") {
      event.preventDefault();
      const note = [this.snap(this.cursor.tick), this.cursor.pitch, this.grid, 90];
      this.doc.tracks[this.store.track].notes.push(note);
      this.selected = new Set([note]); this.cursor.tick += this.grid;
      this.store.sound(note[1]); this.store.sorted(); this.store.edited(); this.reveal();
    } else if (event.key === "Home") { this.left = 0; this.cursor.tick = 0; this.draw(); }
    else if (event.key === "End") { this.left = Math.max(0, lastEnd(this.doc) * this.perTick - this.width / 2); this.draw(); }
  }
  reveal() {
    const x = this.x(this.cursor.tick), y = this.y(this.cursor.pitch);
    if (x < KEYS || x > this.width - 20) this.left = Math.max(0, this.cursor.tick * this.perTick - this.width / 3);
    if (y < RULER + 10 || y > this.laneTop - 10) this.top = 127 - this.cursor.pitch - (this.laneTop - RULER) / this.rowHeight / 2;
  }
}
