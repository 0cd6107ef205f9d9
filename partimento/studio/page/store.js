// The one state of the page: the document, its project and tree of versions, and what listens.
import { bars, clone, count, empty, sort } from "./document.js";
import { get, send } from "./http.js";
import { say } from "./texts.js";

const CHANNEL = "BroadcastChannel" in window ? new BroadcastChannel("partimento") : null;

export class Store {
  constructor() {
    this.doc = empty(); this.project = null; this.head = null; this.versions = []; this.track = 0;
    this.mixer = []; this.locks = new Set(); this.promises = {}; this.listeners = []; this.status = say("save"); this.notice = ""; this.isProblem = this.isUnsaved = false;
    this.documents = new Map();  // of versions, for thumbnails and undo without a request
    this.saving = Promise.resolve();
    CHANNEL?.addEventListener("message", ({ data }) => { if (data.project === this.project?.id && data.head !== this.head) this.follow(); });
  }
  listen(call) { this.listeners.push(call); }
  changed() { for (const call of this.listeners) call(); }
  sorted() { sort(this.doc); this.changed(); }
  choose(track) { if (track !== this.track) { this.track = track; this.changed(); } }
  isLocked(track, note) { return this.locks.has(`${track}`) || this.locks.has(note); }
  // The bars that are locked, in ticks.
  spans() {
    const list = bars(this.doc);
    return [...this.locks].filter((each) => typeof each === "string" && each.includes(":")).map((each) => each.split(":").map(Number)).filter(([first]) => list[first - 1]).map(([first, last]) => { const end = list[Math.min(last, list.length) - 1]; return [list[first - 1].at, end.at + end.length]; });
  }
  async favour(id) {
    const version = this.versions.find((each) => each.id === id);
    if (!version) return;
    version.is_favourite = !version.is_favourite; this.changed();
    await send(`/v1/projects/${this.project.id}/versions/${id}`, { is_favourite: version.is_favourite }, "PATCH");
  }
  // Replace the document by another, as a new version.
  take(doc, label) {
    this.doc = sort(clone(doc));
    this.track = Math.min(this.track, Math.max(0, doc.tracks.length - 1));
    this.locks = new Set([...this.locks].filter((each) => typeof each === "string"));
    this.changed();
    return this.edited(label);
  }
  // Save what the document is now; nothing is ever overwritten. Retries until it is on the disk.
  edited(label = say("edit")) {
    this.changed();
    if (label === say("edit")) this.doc.recipe = "";  // what was edited is not what the recipe makes
    const doc = clone(this.doc);
    delete doc.bars; delete doc.duration_seconds;
    this.notice = ""; this.noteSaving(say("saving"));
    this.saving = this.saving.then(() => this.write(doc, label));
    return this.saving;
  }
  async write(doc, label, wait = 1000) {
    for (;;) {
      try {
        if (!this.project) await this.create();
        const version = await send(`/v1/projects/${this.project.id}/versions`, { document: doc, parent: this.head, label });
        this.documents.set(version.id, doc); this.versions.push(version); this.head = version.id;
        CHANNEL?.postMessage({ project: this.project.id, head: this.head });
        this.noteSaving(say("save"));
        return;
      } catch (problem) {
        if (problem.status === 422 || problem.status === 404) { this.noteSaving("", true); this.tell(say("failed", { why: problem.message }), true); return; }
        this.noteSaving(say("unsaved", { why: problem.message }), true);
        await new Promise((resume) => setTimeout(resume, wait));
        wait = Math.min(wait * 2, 30_000);
      }
    }
  }
  // What was done or went wrong, beside whether everything is saved: neither hides the other.
  tell(text, isProblem = false) { this.notice = text; this.isProblem = isProblem; this.changed(); }
  noteSaving(text, isUnsaved = false) { this.status = text; this.isUnsaved = isUnsaved; this.changed(); }
  async create(name = new Date().toLocaleString()) {
    this.project = await send("/v1/projects", { name });
    this.versions = []; this.head = null;
    localStorage.setItem("partimento-project", this.project.id);
  }
  async start() {
    const last = localStorage.getItem("partimento-project");
    if (last) try { await this.open(last); return; } catch { localStorage.removeItem("partimento-project"); }
    this.changed();
  }
  async open(id) {
    const project = await get(`/v1/projects/${id}`);
    this.project = project; this.versions = project.versions; this.head = project.head;
    localStorage.setItem("partimento-project", id);
    this.doc = this.head ? await this.document(this.head) : empty();
    this.doc = clone(this.doc); this.track = 0; this.locks.clear(); this.mixer = []; this.changed();
  }
  async follow() { const id = this.project.id; await this.open(id); this.tell(say("conflict")); }
  async document(id) {
    if (!this.documents.has(id)) this.documents.set(id, await get(`/v1/projects/${this.project.id}/versions/${id}`));
    return this.documents.get(id);
  }
  async go(id) {
    await this.saving;
    this.doc = clone(await this.document(id)); this.head = id;
    await send(`/v1/projects/${this.project.id}`, { head: id }, "PATCH");
    this.track = Math.min(this.track, this.doc.tracks.length - 1); this.changed();
  }
  undo() { const parent = this.versions.find((version) => version.id === this.head)?.parent; return parent ? this.go(parent) : null; }
  redo() { const children = this.versions.filter((version) => version.parent === this.head); return children.length ? this.go(children.at(-1).id) : null; }
  get canUndo() { return Boolean(this.versions.find((version) => version.id === this.head)?.parent); }
  get canRedo() { return this.versions.some((version) => version.parent === this.head); }
  // The document as it is heard: muted tracks out, levels applied.
  heard() {
    const doc = clone(this.doc), solo = this.mixer.some((each) => each?.solo);
    doc.tracks.forEach((track, t) => { const mix = this.mixer[t] ?? {}; if (mix.mute || (solo && !mix.solo)) track.notes = []; if (mix.level !== undefined) track.volume = mix.level; });
    return doc;
  }
  get isEmpty() { return count(this.doc) === 0; }
}
