// The page: everything is put together here, and the keyboard is heard.
import { Ask } from "./ask.js";
import { bars, barAt, clone, count, lastEnd, secondsAt } from "./document.js";
import { bytes, get, upload } from "./http.js";
import { Live } from "./live.js";
import { Panels } from "./panels.js";
import { button, download, field, make, renew } from "./parts.js";
import { Roll } from "./roll.js";
import { Sound } from "./sound.js";
import { Store } from "./store.js";
import { keys, say, texts } from "./texts.js";

const $ = (id) => document.getElementById(id);
const store = new Store(), sound = new Sound(store), roll = new Roll($("roll"), store), ask = new Ask(store, roll), live = new Live(sound, store);
const app = { store, sound, roll, ask, live };
const panels = new Panels($("side"), app);
window.partimento = app;  // for tests and for the curious

store.headAt = (tick) => roll.showHead(tick, true);
store.sound = (pitch) => sound.tone(pitch);
store.seek = (tick) => { store.from = tick; if (sound.playing && !sound.streaming) play(tick); };
store.regionChanged = () => { if (sound.playing && sound.loop) play(roll.region?.[0] ?? 0); };

async function play(from = store.from ?? roll.region?.[0] ?? 0) {
  try { await sound.play(store.heard(), from, roll.region); } catch (problem) { store.tell(say(problem.message), true); }
}
function toggle() { if (sound.playing) { live.stop(); sound.stop(); } else play(); }

function paintTransport() {
  const press = (on) => ({ "aria-pressed": String(Boolean(on)) });
  const tempo = make("input", { type: "number", min: 20, max: 300, value: Math.round(store.doc.tempos[0]?.[1] ?? 120), "aria-label": say("tempo"), onchange: (event) => { store.doc.tempos = [[0, Math.max(20, Math.min(300, Number(event.target.value) || 120))], ...store.doc.tempos.slice(1)]; store.edited(); } });
  tempo.style.width = "4.6rem";
  const open = make("input", { type: "file", id: "file", className: "unseen", "aria-label": say("open"), onchange: (event) => take(event.target.files) });
  renew($("transport"), 
    button(sound.playing ? say("stop") : say("play"), toggle, { id: "play", className: "main", title: "Space" }),
    button(say("loop"), () => { sound.loop = !sound.loop; store.changed(); }, press(sound.loop)),
    button(say("metronome"), () => { sound.metronome = !sound.metronome; store.changed(); }, { className: "wide", ...press(sound.metronome) }),
    tempo,
    button(say("undo"), () => store.undo(), { id: "undo", disabled: !store.canUndo }), button(say("redo"), () => store.redo(), { id: "redo", disabled: !store.canRedo }),
    button(say("draw"), () => { roll.mode = "draw"; store.changed(); }, press(roll.mode === "draw")), button(say("select"), () => { roll.mode = "select"; store.changed(); }, press(roll.mode === "select")),
    button("-", () => roll.zoom(0.8), { "aria-label": say("zoomOut") }), button("+", () => roll.zoom(1.25), { "aria-label": say("zoomIn") }),
    make("span", { className: "grow" }), open,
    button(say("newProject"), () => newProject(), { id: "new" }), button(say("open"), () => $("file").click(), { id: "open" }), button(say("export"), exportSheet, { id: "export" }), button(say("help"), helpSheet, { id: "help", title: "?" }),
  );
}
function paintStatus() {
  const doc = store.doc, seconds = secondsAt(doc, Math.max(doc.length_ticks, lastEnd(doc)));
  $("status").replaceChildren(make("span", { className: store.isUnsaved ? "problem" : "", id: "saved", textContent: store.status }), make("span", { className: store.isProblem ? "problem" : "", id: "notice", textContent: store.notice }), make("span", { id: "counts", textContent: say("notes", { n: count(doc), bars: bars(doc).length, seconds: seconds.toFixed(0) }) }), make("span", { id: "dropouts", textContent: say("dropouts", { n: sound.dropouts }) }));
}
function paintChords() {
  const place = $("chords"), doc = store.doc;
  if (place.contains(document.activeElement)) return;
  const { bars: list } = roll.sorted();
  place.replaceChildren(...list.map((bar, b) => {
    const x = roll.x(bar.at), width = bar.length * roll.perTick;
    if (x + width < 40 || x > roll.width || width < 24) return null;
    const found = doc.chords.filter((chord) => chord[0] <= bar.at).at(-1), here = found && found[0] === bar.at ? found[1] : "";
    const input = make("input", { value: here, "aria-label": say("chordAt", { n: b + 1 }), spellcheck: false, onchange: (event) => setChord(bar.at, event.target.value.trim()) });
    input.style.left = `${x}px`; input.style.width = `${width}px`;
    return input;
  }).filter(Boolean));
}
function setChord(at, name) {
  store.doc.chords = store.doc.chords.filter((chord) => chord[0] !== at);
  if (name) store.doc.chords.push([at, name]);
  store.doc.chords.sort((a, b) => a[0] - b[0]);
  store.edited();
}
function paintInvite() {
  const invite = $("invite"), show = store.isEmpty && !ask.job && !roll.drag;
  invite.hidden = !show;
  if (show && !invite.childElementCount) invite.append(make("h2", { textContent: say("inviteTitle") }), make("p", { textContent: say("invite") }), make("div", { className: "row" }, button(say("generate"), () => ask.generate(), { className: "main", id: "invite-generate" }), button(say("open"), () => $("file").click())));
}
let asked = false;
function paint() {
  if (asked) return;
  asked = true;
  requestAnimationFrame(() => { asked = false; paintTransport(); paintStatus(); paintChords(); paintInvite(); });
}
for (const each of [store, ask, sound]) each.listen(paint);
const drawn = roll.paint.bind(roll);
roll.paint = () => { drawn(); paintChords(); };

async function newProject() { await store.saving; await store.create(); store.doc = clone(new Store().doc); store.documents.clear(); store.changed(); roll.fit(); }
async function take(files) {
  for (const file of files) {
    try {
      if (file.size > limit) { store.tell(say("tooLarge", { name: file.name, mb: Math.round(file.size / 1048576) }), true); continue; }
      const piece = await upload(file);
      if (piece.document) { store.take(piece.document, say("opened", { name: file.name })); roll.fit(); } else ask.opened({ ...piece, summary: file.name });
      store.tell(say("opened", { name: file.name }));
    } catch (problem) { store.tell(problem.status === 413 ? say("tooLarge", { name: file.name, mb: Math.round(file.size / 1048576) }) : say("failed", { why: problem.message }), true); }
  }
}
function sheet(title, ...children) {
  const dialog = $("dialog");
  dialog.replaceChildren(make("h2", { textContent: title }), ...children, make("div", { className: "row" }, button(say("close"), () => dialog.close())));
  dialog.setAttribute("aria-label", title);
  dialog.showModal();
}
function helpSheet() { sheet(say("help"), make("dl", { className: "keys" }, ...keys.flatMap(([key, text]) => [make("dt", { textContent: key }), make("dd", { textContent: text })]))); }
function exportSheet() {
  const name = make("input", { value: (store.doc.title || "piece").replace(/[^\w -]+/g, "") || "piece" });
  const save = async (kind) => {
    const { bars: _, duration_seconds: __, ...body } = store.heard();
    try { download(kind === "recipe" ? body.recipe || "{}" : await bytes("/v1/render", { document: body, format: kind }), `${name.value}.${kind === "recipe" ? "json" : kind}`); } catch (problem) { store.tell(say("failed", { why: problem.message }), true); $("dialog").close(); }
  };
  sheet(say("export"), field(say("fileName"), name), make("div", { className: "row" }, ...["mid", "wav", "flac", "mp3", "ogg", "musicxml", "png", "svg", "zip", "recipe"].map((kind) => button(texts.formats[kind] ?? kind.toUpperCase(), () => save(kind), { "data-format": kind }))));
}

let clipboard = [];
function edit(act) { act(); roll.selected = new Set([...roll.selected].filter((note) => store.doc.tracks.some((track) => track.notes.includes(note)))); store.sorted(); store.edited(); }
const remove = () => edit(() => { for (const track of store.doc.tracks) track.notes = track.notes.filter((note) => !roll.selected.has(note)); });
const copy = () => { clipboard = [...roll.selected].map((note) => [[...note], store.doc.tracks.findIndex((track) => track.notes.includes(note))]); };
function paste() {
  if (!clipboard.length) return;
  const first = Math.min(...clipboard.map(([note]) => note[0])), at = store.from ?? roll.region?.[0] ?? roll.cursor.tick;
  edit(() => { roll.selected = new Set(clipboard.map(([note, t]) => { const made = [Math.max(0, note[0] - first + roll.snap(at)), ...note.slice(1)]; (store.doc.tracks[t] ?? store.doc.tracks[0]).notes.push(made); return made; })); });
}
const quantise = () => edit(() => { for (const note of roll.selected) { note[0] = Math.round(note[0] / roll.grid) * roll.grid; note[2] = Math.max(roll.grid, Math.round(note[2] / roll.grid) * roll.grid); } });
function all() { roll.selected = new Set(store.doc.tracks.flatMap((track) => track.notes)); roll.region = [0, bars(store.doc).reduce((end, bar) => bar.at + bar.length, 0)]; roll.draw(); }
function lock() {
  if (!roll.selected.size && roll.region) {
    const list = bars(store.doc), key = `${barAt(list, roll.region[0]) + 1}:${barAt(list, roll.region[1] - 1) + 1}`;
    if (!store.locks.delete(key)) store.locks.add(key);
    store.changed();
    return;
  }
  const notes = [...roll.selected]; const on = notes.some((note) => !store.locks.has(note)); for (const note of notes) if (on) store.locks.add(note); else store.locks.delete(note); store.changed(); }

const plain = { " ": toggle, r: () => ask.rewrite(), c: () => ask.continue(), a: () => ask.accompany(), g: () => ask.generate(), l: lock, f: () => store.favour(store.head), d: () => { roll.mode = "draw"; store.changed(); }, s: () => { roll.mode = "select"; store.changed(); }, q: quantise, delete: remove, backspace: remove, "+": () => roll.zoom(1.25), "=": () => roll.zoom(1.25), "-": () => roll.zoom(0.8), "?": helpSheet, escape: () => { roll.selected.clear(); roll.region = null; roll.draw(); } };
for (const n of [1, 2, 3, 4]) plain[n] = () => ask.takeOne(n - 1);
const withControl = { z: () => store.undo(), y: () => store.redo(), c: copy, x: () => { copy(); remove(); }, v: paste, a: all };
addEventListener("keydown", (event) => {
  if (/^(INPUT|SELECT|TEXTAREA)$/.test(event.target.tagName) || $("dialog").open || event.altKey) return;
  if (event.target.tagName === "BUTTON" && (event.key === " " || event.key === "Enter")) return;
  const control = event.ctrlKey || event.metaKey;
  const act = control ? (event.key.toLowerCase() === "z" && event.shiftKey ? withControl.y : withControl[event.key.toLowerCase()]) : plain[event.key.toLowerCase()];
  if (act) { event.preventDefault(); act(); }
});
addEventListener("dragover", (event) => event.preventDefault());
addEventListener("drop", (event) => { event.preventDefault(); take(event.dataTransfer.files); });
addEventListener("beforeunload", (event) => { if (store.isUnsaved) event.preventDefault(); });
if (navigator.requestMIDIAccess) navigator.requestMIDIAccess().then((access) => {
  const held = new Map();
  for (const input of access.inputs.values()) input.onmidimessage = ({ data: [kind, pitch, velocity] }) => {
    const now = roll.head ?? roll.cursor.tick;
    if ((kind & 0xf0) === 0x90 && velocity) { held.set(pitch, [now, velocity]); sound.tone(pitch); }
    else if ((kind & 0xe0) === 0x80 && held.has(pitch)) { const [at, loud] = held.get(pitch); held.delete(pitch); const length = Math.max(roll.grid, now - at); store.doc.tracks[store.track].notes.push([Math.round(at), pitch, Math.round(length), loud]); if (roll.head === null) roll.cursor.tick += roll.grid; store.sorted(); store.edited(); }
  };
}).catch(() => {});

await store.start();
const limit = (await get("/health").catch(() => ({}))).upload_bytes ?? Infinity;
ask.models = await get("/v1/models").catch(() => []);
panels.paintAsk();
roll.fit(); paint(); panels.later();
document.body.dataset.ready = "true";
