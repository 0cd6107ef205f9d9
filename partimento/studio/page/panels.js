// The side of the page: ask, alternatives, tracks, versions, endless.
import { COLOURS, thumbnail } from "./document.js";
import { button, control, field, make, section } from "./parts.js";
import { say } from "./texts.js";

const INSTRUMENTS = [[0, "Piano"], [6, "Harpsichord"], [12, "Marimba"], [19, "Organ"], [24, "Guitar"], [32, "Bass"], [40, "Violin"], [41, "Viola"], [42, "Cello"], [48, "Strings"], [52, "Choir"], [56, "Trumpet"], [60, "Horn"], [68, "Oboe"], [71, "Clarinet"], [73, "Flute"]];
const PROMISES = [["key", "A minor"], ["time_signature", "3/4"], ["bars", "16"], ["chords", "Am F C G"], ["range", "C3-C5"], ["polyphony", "4"]];
const NAMES = { key: "key", time_signature: "metre", bars: "bars", chords: "chords", range: "range", polyphony: "polyphony" };

export class Panels {
  constructor(place, app) {
    Object.assign(this, app);
    this.ask_ = make("div"); this.alternatives = make("div"); this.tracks = make("div"); this.tree = make("div"); this.live_ = make("div");
    place.append(this.ask_, this.alternatives, this.tracks, this.tree, this.live_);
    this.store.listen(() => this.later());
    for (const each of [this.ask, this.live, this.sound]) each.listen(() => this.later());
    this.paintAsk();
  }
  later() { if (!this.asked) { this.asked = true; requestAnimationFrame(() => { this.asked = false; this.paint(); }); } }
  paint() { this.paintAlternatives(); this.paintTracks(); this.paintTree(); this.paintLive(); }
  paintAsk() {
    const { ask, store } = this;
    const models = make("select", { id: "model", onchange: (event) => { ask.model = event.target.value; ask.controls = {}; this.paintAsk(); } }, make("option", { value: "", textContent: "Automatic" }), ...ask.models.map((model) => make("option", { value: model.name, textContent: model.name, selected: model.name === ask.model })));
    const chosen = ask.models.find((model) => model.name === ask.model);
    const inputs = PROMISES.map(([name, example]) => field(say(NAMES[name]), make("input", { id: `promise-${name}`, value: store.promises[name] ?? "", placeholder: example, autocomplete: "off", onchange: (event) => { store.promises[name] = event.target.value.trim(); store.changed(); } })));
    const controls = chosen ? Object.entries(chosen.controls.properties ?? {}).map(([name, schema]) => control(name, schema, ask.controls[name] ?? chosen.defaults[name] ?? schema.default, (key, value) => { if (value === undefined) delete ask.controls[key]; else ask.controls[key] = value; })) : [];
    const verbs = make("div", { className: "row" }, button(say("generate"), () => ask.generate(), { id: "generate", title: "G" }), button(say("rewrite"), () => ask.rewrite(), { id: "rewrite", title: "R" }), button(say("continue"), () => ask.continue(), { id: "continue", title: "C" }), button(say("accompany"), () => ask.accompany(), { id: "accompany", className: "main", title: "A" }));
    this.ask_.replaceChildren(section(say("sideAsk"), verbs, make("details", {}, make("summary", { textContent: say("promises") }), ...inputs), field(say("model"), models, chosen?.summary), controls.length ? make("details", {}, make("summary", { textContent: say("controls") }), ...controls) : null));
  }
  paintAlternatives() {
    const { ask } = this, out = [];
    if (ask.job) out.push(make("div", { className: "row" }, make("progress", { max: Math.max(1, ask.job.total), value: ask.job.done, "aria-label": say("working", { verb: ask.verb, done: ask.job.done, total: ask.job.total }) }), button(say("cancel"), () => ask.cancel(), { id: "cancel" })));
    if (ask.problem) out.push(make("p", { className: "problem", role: "alert", textContent: ask.problem }));
    ask.alternatives.forEach((one, index) => {
      const picture = make("canvas", { "aria-hidden": "true" }), differs = one.marked.reduce((sum, each) => sum + each.size, 0);
      const card = make("div", { className: "card", onmouseenter: () => { ask.show(index); this.hover(one); }, onmouseleave: () => { ask.show(-1); this.leave(); } }, picture, make("p", { textContent: `${say("alternative", { n: index + 1 })}: ${say("changed", { n: differs })}` }), make("div", { className: "row" }, button(say("hear"), () => this.hear(one)), button(say("keep"), () => ask.takeOne(index), { className: "main", "data-take": index })));
      out.push(card);
      requestAnimationFrame(() => thumbnail(picture, one.document, one.marked));
    });
    this.alternatives.replaceChildren(...(out.length ? [section(say("sideAlternatives"), ...out)] : []));
  }
  // Alternatives sound while the pointer rests on them, once the page may sound at all.
  hover(one) { clearTimeout(this.resting); this.resting = setTimeout(() => { if (this.sound.context && !this.live.line) this.hear(one); }, 250); }
  leave() { clearTimeout(this.resting); if (this.hearing) { this.hearing = false; this.sound.stop(); } }
  async hear(one) { this.hearing = true; try { await this.sound.play(one.document, this.roll.region?.[0] ?? 0); } catch (problem) { this.store.tell(problem.message, true); } }
  paintTracks() {
    if (this.tracks.contains(document.activeElement) && document.activeElement.type === "range") return;
    const { store } = this;
    const rows = store.doc.tracks.map((track, t) => {
      const mix = (store.mixer[t] ??= {}), name = track.name, flip = (key) => () => { mix[key] = !mix[key]; store.changed(); };
      const lock = () => { const key = `${t}`; if (!store.locks.delete(key)) store.locks.add(key); store.changed(); };
      const square = make("i"); square.style.background = COLOURS[t % COLOURS.length];
      const instrument = make("select", { "aria-label": say("instrumentOf", { name }), disabled: track.is_drum, onchange: (event) => { track.program = Number(event.target.value); store.edited(); } }, ...INSTRUMENTS.concat(INSTRUMENTS.some(([p]) => p === track.program) ? [] : [[track.program, `Program ${track.program + 1}`]]).map(([program, text]) => make("option", { value: program, textContent: text, selected: program === track.program })));
      return make("div", { className: "track" }, square, button(name, () => store.choose(t), { "aria-pressed": String(t === store.track) }), button(say("solo"), flip("solo"), { "aria-label": say("soloOf", { name }), "aria-pressed": String(Boolean(mix.solo)) }), button(say("mute"), flip("mute"), { "aria-label": say("muteOf", { name }), "aria-pressed": String(Boolean(mix.mute)) }), button("L", lock, { "aria-label": say("lockOf", { name }), "aria-pressed": String(store.locks.has(`${t}`)) }), make("input", { type: "range", min: 0, max: 127, value: mix.level ?? track.volume, "aria-label": say("levelOf", { name }), onchange: (event) => { mix.level = Number(event.target.value); store.changed(); } }), make("span"), instrument);
    });
    const add = button(say("addTrack"), () => { store.doc.tracks.push({ name: `Track ${store.doc.tracks.length + 1}`, notes: [], program: 0, is_drum: false, volume: 100, pan: 64, pedals: [], lyrics: [] }); store.track = store.doc.tracks.length - 1; store.edited(); });
    this.tracks.replaceChildren(section(say("sideTracks"), ...rows, add));
  }
  paintTree() {
    const { store } = this, shown = store.versions.slice(-24);
    const items = shown.map((version) => {
      return button("", () => store.go(version.id), { "aria-label": `${version.label}, ${new Date(version.created * 1000).toLocaleTimeString()}`, "aria-pressed": String(version.id === store.head) });
    });
    items.forEach((item, i) => { const picture = make("canvas", { "aria-hidden": "true" }); item.append(picture, make("span", { textContent: shown[i].label })); store.document(shown[i].id).then((doc) => thumbnail(picture, doc)).catch(() => {}); });
    this.tree.replaceChildren(...(items.length ? [section(say("sideVersions"), make("div", { className: "tree" }, ...items))] : []));
  }
  paintLive() {
    const { live, ask, sound } = this, on = live.state !== "off", out = [];
    const request = () => { const name = ask.model && ask.models.find((model) => model.name === ask.model && (model.tasks.includes("continue") || model.makes === "audio")) ? ask.model : null; const { bars: _, ending: __, ...wishes } = ask.wishes(); return { model: name, wishes, controls: name ? ask.controls : {} }; };
    if (!on) out.push(button(say("liveStart"), () => live.start(request()).catch((problem) => { live.problem = problem.message; live.changed(); }), { id: "live-start" }));
    else out.push(button(live.state === "paused" ? say("liveResume") : say("livePause"), () => live.pause(live.state !== "paused")), button(say("liveStop"), () => live.stop(), { id: "live-stop" }), button(say("liveKeep"), () => live.keep(8), { id: "live-keep" }));
    const chords = on ? ["C", "F", "G", "Am", "Dm", "Em", "E7", "A7"].map((chord) => button(chord, () => live.set({ wishes: { chords: chord } }))) : [];
    this.live_.replaceChildren(section(say("sideLive"), make("div", { className: "row" }, ...out), on ? make("p", { className: "hint", textContent: `${say("livePlaying", { n: Math.floor(live.bar) })} - ${say("dropouts", { n: sound.dropouts })}` }) : null, chords.length ? make("div", { className: "row" }, ...chords) : null, live.problem ? make("p", { className: "problem", role: "alert", textContent: live.problem }) : null));
  }
}
