// The side of the page: ask, alternatives, tracks, versions, endless.
import { COLOURS, bars, barAt, lastBefore, setFrom, thumbnail } from "./document.js";
import { fetched } from "./http.js";
import { button, control, download, field, make, renew, section } from "./parts.js";
import { instruments, say } from "./texts.js";

const PROMISES = [["key", "A minor"], ["time_signature", "3/4"], ["bars", "16"], ["chords", "Am F C G"], ["range", "C3-C5"], ["polyphony", "4"], ["ending", "half"]];
const NAMES = { key: "key", time_signature: "metre", bars: "bars", chords: "chords", range: "range", polyphony: "polyphony", ending: "ending" };

export class Panels {
  constructor(place, app) {
    Object.assign(this, app);
    this.ask_ = make("div"); this.alternatives = make("div"); this.tracks = make("div"); this.piece = make("div"); this.tree = make("div"); this.live_ = make("div");
    place.append(this.ask_, this.alternatives, this.tracks, this.piece, this.tree, this.live_);
    this.store.listen(() => this.later());
    for (const each of [this.ask, this.live, this.sound]) each.listen(() => this.later());
    this.paintAsk();
  }
  later() { if (!this.asked) { this.asked = true; requestAnimationFrame(() => { this.asked = false; this.paint(); }); } }
  paint() { this.paintAlternatives(); this.paintTracks(); this.paintPiece(); this.paintTree(); this.paintLive(); }
  paintAsk() {
    const { ask, store } = this;
    const models = make("select", { id: "model", onchange: (event) => { ask.model = event.target.value; ask.controls = {}; this.paintAsk(); } }, make("option", { value: "", textContent: say("automatic") }), ...ask.models.map((model) => make("option", { value: model.name, textContent: model.name, selected: model.name === ask.model })));
    const chosen = ask.models.find((model) => model.name === ask.model);
    const inputs = PROMISES.map(([name, example]) => field(say(NAMES[name]), make("input", { id: `promise-${name}`, value: store.promises[name] ?? "", placeholder: example, autocomplete: "off", onchange: (event) => { store.promises[name] = event.target.value.trim(); if (["key", "chords"].includes(name) && store.promises[name]) this.live.set({ options: { [name]: store.promises[name] } }); store.changed(); } })));
    const controls = chosen ? Object.entries(chosen.controls.properties ?? {}).map(([name, schema]) => control(name, schema, ask.controls[name] ?? chosen.defaults[name] ?? schema.default, (key, value) => { if (value === undefined) delete ask.controls[key]; else { ask.controls[key] = value; this.live.set({ controls: { [key]: value } }); } })) : [];
    const verbs = make("div", { className: "row" }, button(say("generate"), () => ask.generate(), { id: "generate", title: "G" }), button(say("rewrite"), () => ask.rewrite(), { id: "rewrite", title: "R" }), button(say("continue"), () => ask.continue(), { id: "continue", title: "C" }), button(say("accompany"), () => ask.accompany(), { id: "accompany", className: "main", title: "A" }));
    renew(this.ask_, section(say("sideAsk"), verbs, make("details", {}, make("summary", { textContent: say("promises") }), ...inputs), field(say("model"), models, chosen?.summary), controls.length ? make("details", {}, make("summary", { textContent: say("controls") }), ...controls) : null));
  }
  paintAlternatives() {
    const { ask } = this, out = [];
    // Cards are made once for what they show: one that changed under the pointer would be entered again.
    const state = JSON.stringify([ask.job?.done, ask.job?.total, Boolean(ask.job), ask.problem, ask.verb, ask.alternatives.map((one) => one.id)]);
    if (state === this.shown) return;
    this.shown = state;
    if (ask.job) out.push(make("div", { className: "row" }, make("progress", { max: Math.max(1, ask.job.total), value: ask.job.done, "aria-label": say("working", { verb: ask.verb, done: ask.job.done, total: ask.job.total }) }), button(say("cancel"), () => ask.cancel(), { id: "cancel" })));
    if (ask.problem) out.push(make("p", { className: "problem", role: "alert", textContent: ask.problem }));
    ask.alternatives.forEach((one, index) => {
      const picture = make("canvas", { "aria-hidden": "true" }), differs = one.marked.reduce((sum, each) => sum + each.size, 0);
      const card = make("div", { className: "card", role: "group", "aria-label": say("alternative", { n: index + 1 }), onmouseenter: () => { ask.show(index); this.hover(one); }, onmouseleave: () => { ask.show(-1); this.leave(); } }, picture, make("p", { textContent: one.document ? `${say("alternative", { n: index + 1 })}: ${say("changed", { n: differs })}` : say("soundOf", { seconds: one.duration_seconds.toFixed(1), summary: one.summary }) }), make("div", { className: "row" }, button(say("hear"), () => this.hear(one)), one.document ? button(say("keep"), () => ask.takeOne(index), { className: "main", "data-take": index }) : button(say("download"), async () => download(await fetched(`/v1/pieces/${one.id}?format=wav`), `${one.id}.wav`))));
      out.push(card);
      if (one.document) requestAnimationFrame(() => thumbnail(picture, one.document, one.marked)); else picture.hidden = true;
    });
    renew(this.alternatives, out.length ? section(say("sideAlternatives"), ...out) : null);
  }
  // Alternatives sound while the pointer rests on them, once the page may sound at all.
  hover(one) { clearTimeout(this.resting); this.resting = setTimeout(() => { if (this.sound.context && !this.live.line) this.hear(one); }, 250); }
  leave() { clearTimeout(this.resting); if (this.hearing) { this.hearing = false; this.sound.stop(); } }
  async hear(one) { this.hearing = true; try { await (one.document ? this.sound.play(one.document, this.roll.region?.[0] ?? 0) : this.sound.playPiece(one.id, one.duration_seconds)); } catch (problem) { this.store.tell(problem.message, true); } }
  paintTracks() {
    if (this.tracks.contains(document.activeElement) && document.activeElement.type === "range") return;
    const { store } = this;
    const rows = store.doc.tracks.map((track, t) => {
      const mix = (store.mixer[t] ??= {}), name = track.name, flip = (key) => () => { mix[key] = !mix[key]; store.changed(); };
      const lock = () => { const key = `${t}`; if (!store.locks.delete(key)) store.locks.add(key); store.changed(); };
      const square = make("i"); square.style.background = COLOURS[t % COLOURS.length];
      const instrument = make("select", { "aria-label": say("instrumentOf", { name }), disabled: track.is_drum, onchange: (event) => { track.program = Number(event.target.value); store.edited(); } }, ...instruments.concat(instruments.some(([p]) => p === track.program) ? [] : [[track.program, say("program", { n: track.program + 1 })]]).map(([program, text]) => make("option", { value: program, textContent: text, selected: program === track.program })));
      return make("div", { className: "track" }, square, button(name, () => store.choose(t), { "aria-pressed": String(t === store.track) }), button(say("solo"), flip("solo"), { "aria-label": say("soloOf", { name }), "aria-pressed": String(Boolean(mix.solo)) }), button(say("mute"), flip("mute"), { "aria-label": say("muteOf", { name }), "aria-pressed": String(Boolean(mix.mute)) }), button("L", lock, { "aria-label": say("lockOf", { name }), "aria-pressed": String(store.locks.has(`${t}`)) }), make("input", { type: "range", min: 0, max: 127, value: mix.level ?? track.volume, "aria-label": say("levelOf", { name }), onchange: (event) => { mix.level = Number(event.target.value); store.changed(); } }), make("span"), instrument);
    });
    const add = button(say("addTrack"), () => { store.doc.tracks.push({ name: `Track ${store.doc.tracks.length + 1}`, notes: [], program: 0, is_drum: false, volume: 100, pan: 64, pedals: [], lyrics: [] }); store.track = store.doc.tracks.length - 1; store.edited(); });
    renew(this.tracks, section(say("sideTracks"), ...rows, add));
  }
  paintPiece() {
    if (this.piece.contains(document.activeElement)) return;
    const { store, roll } = this, doc = store.doc, list = bars(doc), b = roll.region ? barAt(list, roll.region[0]) : 0, at = list[b].at;
    const metre = lastBefore(doc.time_signatures, at), key = lastBefore(doc.key_signatures, at), note = [...roll.selected][0];
    const input = (id, value, change) => make("input", { id, value, autocomplete: "off", onchange: (event) => { change(event.target.value.trim()); store.edited(); } });
    const fields = [field(say("title"), input("piece-title", doc.title, (text) => { doc.title = text; })),
      field(say("metreFrom", { n: b + 1 }), input("piece-metre", metre ? `${metre[1]}/${metre[2]}` : "4/4", (text) => { const found = /^(\d+)\/(\d+)$/.exec(text); if (found || !text) doc.time_signatures = setFrom(doc.time_signatures, at, ...(found ? [Number(found[1]), Number(found[2])] : [])); })),
      field(say("keyFrom", { n: b + 1 }), input("piece-key", key?.[1] ?? "", (text) => { doc.key_signatures = setFrom(doc.key_signatures, at, text); }))];
    if (note) {
      const track = doc.tracks.find((each) => each.notes.includes(note));
      if (track) fields.push(field(say("lyric"), input("piece-lyric", track.lyrics.find((each) => each[0] === note[0])?.[1] ?? "", (text) => { track.lyrics = setFrom(track.lyrics, note[0], text, 1); })));
    }
    renew(this.piece, section(say("sidePiece"), ...fields));
  }
  paintTree() {
    const { store } = this, state = JSON.stringify([store.head, store.versions.map((each) => [each.id, each.is_favourite])]);
    if (state === this.treeShown) return;
    this.treeShown = state;
    const shown = store.versions.slice(-24);
    const items = shown.map((version) => {
      return button("", () => store.go(version.id), { "aria-label": `${version.label}, ${new Date(version.created * 1000).toLocaleTimeString()}`, "aria-pressed": String(version.id === store.head) });
    });
    items.forEach((item, i) => { const picture = make("canvas", { "aria-hidden": "true" }); item.append(picture, make("span", { textContent: `${shown[i].is_favourite ? "\u2605 " : ""}${shown[i].label}` })); store.document(shown[i].id).then((doc) => thumbnail(picture, doc)).catch(() => {}); });
    renew(this.tree, items.length ? section(say("sideVersions"), make("div", { className: "tree" }, ...items)) : null);
  }
  paintLive() {
    const { live, ask, sound } = this, on = live.state !== "off", out = [];
    const request = () => { const name = ask.model && ask.models.find((model) => model.name === ask.model && (model.tasks.includes("continue") || model.makes === "audio")) ? ask.model : null; const { bars: _, ending: __, ...options } = ask.options(); return { model: name, options, controls: name ? ask.controls : {} }; };
    if (!on) out.push(button(say("liveStart"), () => live.start(request()).catch((problem) => { live.problem = problem.message; live.changed(); }), { id: "live-start" }));
    else out.push(button(live.state === "paused" ? say("liveResume") : say("livePause"), () => live.pause(live.state !== "paused")), button(say("liveStop"), () => live.stop(), { id: "live-stop" }), button(say("liveKeep"), () => live.keep(8), { id: "live-keep" }));
    const chords = on ? ["C", "F", "G", "Am", "Dm", "Em", "E7", "A7"].map((chord) => button(chord, () => live.set({ options: { chords: chord } }))) : [];
    const passing = on && live.recent.length ? make("canvas", { className: "passing", role: "img", "aria-label": say("passing") }) : null;
    renew(this.live_, section(say("sideLive"), passing, make("div", { className: "row" }, ...out), on ? make("p", { className: "hint", textContent: `${say("livePlaying", { n: Math.floor(live.bar) })} - ${say("dropouts", { n: sound.dropouts })}` }) : null, chords.length ? make("div", { className: "row" }, ...chords) : null, live.problem ? make("p", { className: "problem", role: "alert", textContent: live.problem }) : null));
    if (passing) requestAnimationFrame(() => thumbnail(passing, live.passing));
  }
}
