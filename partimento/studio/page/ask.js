// Asking: the verbs, their promises and controls, and the alternatives that come back.
import { bars, barAt, clone, difference } from "./document.js";
import { run } from "./http.js";
import { say } from "./texts.js";

export class Ask {
  constructor(store, roll) { this.store = store; this.roll = roll; this.alternatives = []; this.job = null; this.controls = {}; this.model = ""; this.models = []; this.listeners = []; this.samples = 4; }
  listen(call) { this.listeners.push(call); }
  changed() { for (const call of this.listeners) call(); }
  options(rewriting = false) {
    const asked = this.store.promises, out = {};
    for (const name of rewriting ? ["key", "chords", "polyphony"] : ["key", "time_signature", "chords", "polyphony", "bars", "ending"]) if (asked[name]) out[name] = ["bars", "polyphony"].includes(name) ? Number(asked[name]) : asked[name];
    if (asked.range) out.range = asked.range.split(",").map((each) => each.trim()).filter(Boolean);
    return out;
  }
  modelFor(task) {
    const chosen = this.models.find((model) => model.name === this.model);
    return chosen?.tasks.includes(task) ? chosen.name : null;
  }
  given(task) {
    const name = this.modelFor(task), out = {};
    if (name) for (const [key, value] of Object.entries(this.controls)) out[key] = value;
    return { model: name, controls: out };
  }
  document() { const { bars: _, duration_seconds: __, ...body } = clone(this.store.doc); return { ...body, recipe: "" }; }
  locks() {
    const out = [], doc = this.store.doc, list = bars(doc);
    for (const lock of this.store.locks) {
      if (typeof lock === "string" && lock.includes(":")) out.push(lock);
      else if (typeof lock === "string" && doc.tracks[lock]) out.push(doc.tracks[lock].name);
      else if (Array.isArray(lock)) {
        const track = doc.tracks.find((each) => each.notes.includes(lock)), b = barAt(list, lock[0]);
        if (track) out.push(`${track.name} ${b + 1}.${+((lock[0] - list[b].at) / doc.ticks_per_quarter + 1).toFixed(4)} ${lock[1]}`);
      }
    }
    return out;
  }
  // As written: what is edited in the roll stands on its grid.
  async generate() { return this.start("generate", { ...this.given("generate"), options: { ...this.options(), humanize: 0 }, num_samples: 1 }); }
  async continue() {
    const isSound = this.source && this.models.find((model) => model.name === this.model)?.makes === "audio";
    const from = isSound ? { piece: this.source, num_samples: 1 } : { document: this.document(), num_samples: this.samples };
    return this.start("continue", { ...this.given("continue"), options: this.options(), ...from });
  }
  async accompany() { return this.start("accompany", { ...this.given("accompany"), options: this.options(true), document: this.document(), lock: this.locks(), num_samples: this.samples }); }
  async rewrite() {
    const region = this.roll.region;
    if (!region) { this.problem = say("noSelection"); this.changed(); return; }
    const list = bars(this.store.doc), first = barAt(list, region[0]) + 1, last = barAt(list, region[1] - 1) + 1;
    const chosen = [...this.roll.selected].map((note) => this.store.doc.tracks.findIndex((track) => track.notes.includes(note)));
    const tracks = chosen.length ? [...new Set(chosen)].filter((t) => t >= 0).map((t) => this.store.doc.tracks[t].name) : null;
    return this.start("infill", { ...this.given("infill"), options: this.options(true), document: this.document(), bars: first === last ? `${first}` : `${first}:${last}`, tracks, lock: this.locks(), num_samples: this.samples });
  }
  async start(verb, body) {
    this.abort?.abort();
    const control = (this.abort = new AbortController());
    this.alternatives = []; this.problem = ""; this.verb = verb; this.before = clone(this.store.doc);
    this.job = { done: 0, total: 0, state: "queued" }; this.changed();
    try {
      await run(verb, body, (job) => {
        if (this.abort !== control) return;
        this.job = job;
        this.alternatives = job.results.map((result) => this.alternative(result));
        this.changed();
      }, control.signal);
      if (this.abort === control && verb === "generate" && this.alternatives[0]?.document) await this.takeOne(0);
    } catch (problem) { if (this.abort === control) this.problem = problem.message; }
    if (this.abort === control) { this.job = null; this.abort = null; this.changed(); }
  }
  alternative(result) { return { ...result, marked: result.document ? difference(this.before, result.document) : [] }; }
  // A recording that was dropped on the page: it can be heard, and models of sound go on from it.
  opened(piece) { this.verb = "opened"; this.source = piece.id; this.alternatives = [this.alternative(piece)]; this.changed(); }
  cancel() { this.abort?.abort(); }
  show(index) { const one = this.alternatives[index]; this.roll.ghost = one?.document ? { doc: one.document, marked: one.marked } : null; this.roll.draw(); }
  async takeOne(index) {
    const one = this.alternatives[index];
    if (!one?.document) return;
    this.alternatives = []; this.roll.ghost = null; this.roll.selected.clear();
    this.changed();
    await this.store.take(one.document, `${this.verb} ${one.seed ?? ""}`);
    if (this.verb === "generate" || this.verb === "accompany") this.roll.fit();
  }
}
