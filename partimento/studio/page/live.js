// Endless music: bars arrive over a WebSocket, are drawn as they come and heard without a gap.
import { bytes, fetched, socket } from "./http.js";
import { download } from "./parts.js";
import { say } from "./texts.js";

export class Live {
  constructor(sound, store) { this.sound = sound; this.store = store; this.bar = 0; this.state = "off"; this.recent = []; this.listeners = []; }
  listen(call) { this.listeners.push(call); }
  changed() { for (const call of this.listeners) call(); }
  async start(request) {
    this.stop();
    await this.sound.stream();
    this.problem = ""; this.bar = 0; this.recent = []; this.state = "on"; this.queue = Promise.resolve();
    const line = (this.line = socket("/v1/stream"));
    line.binaryType = "arraybuffer";
    line.onopen = () => line.send(JSON.stringify({ type: "start", ...request }));
    line.onmessage = ({ data }) => { this.queue = this.queue.then(() => this.take(data, line)); };
    line.onclose = () => { if (this.line === line) { this.state = "off"; this.changed(); } };
    this.changed();
  }
  async take(data, line) {
    if (this.line !== line) return;
    if (data instanceof ArrayBuffer) { this.pcm(new Int16Array(data)); return; }
    const message = JSON.parse(data);
    if (message.type === "error") { this.problem = message.message; this.changed(); }
    else if (message.type === "kept") {
      if (message.piece.document) await this.store.take(message.piece.document, say("liveKeep"));
      else download(await fetched(`/v1/pieces/${message.piece.id}?format=wav`), `${say("endlessFile")}.wav`);
      this.changed();
    }
    else if (message.type === "bar") {
      this.bar = message.index + 1;
      const { bars: _, duration_seconds: __, ...document } = message.document;
      const wav = await bytes("/v1/render", { document: { ...document, recipe: "" }, format: "wav" });
      const buffer = await this.sound.context.decodeAudioData(wav);
      this.mix(buffer, Math.round(message.seconds * 44100));
      this.recent = [...this.recent, message.document].slice(-8);
      this.changed();
    }
  }
  // The tail of a bar's notes sounds into the next one.
  mix(buffer, frames) {
    const tail = this.tail ?? [new Float32Array(0), new Float32Array(0)], out = [];
    for (const channel of [0, 1]) {
      const samples = buffer.getChannelData(Math.min(channel, buffer.numberOfChannels - 1)), all = new Float32Array(Math.max(samples.length, tail[channel].length, frames));
      all.set(samples);
      for (let i = 0; i < tail[channel].length; i++) all[i] += tail[channel][i];
      out.push(all.slice(0, frames)); tail[channel] = all.slice(frames);
    }
    this.tail = tail;
    this.sound.push(out[0], out[1]);
  }
  pcm(samples) {
    const left = new Float32Array(samples.length / 2), right = new Float32Array(samples.length / 2);
    for (let i = 0; i < left.length; i++) { left[i] = samples[2 * i] / 32768; right[i] = samples[2 * i + 1] / 32768; }
    this.bar += left.length / 44100; this.sound.push(left, right); this.changed();
  }
  set(values) { this.tell({ type: "set", ...values }); }
  pause(isPaused) { this.tell({ type: isPaused ? "pause" : "resume" }); this.sound.pause(isPaused); this.state = isPaused ? "paused" : "on"; this.changed(); }
  keep(bars) { this.tell({ type: "keep", bars }); }
  tell(message) { if (this.line?.readyState === WebSocket.OPEN) this.line.send(JSON.stringify(message)); }
  stop() { const line = this.line; this.line = null; this.tail = null; line?.close(); if (this.state !== "off") this.sound.stop(); this.state = "off"; this.changed(); }
  // The last bars as one document, to be drawn as they pass.
  get passing() {
    const all = { length_ticks: 0, tracks: [] };
    for (const doc of this.recent) {
      for (const track of doc.tracks) {
        const own = all.tracks.find((each) => each.name === track.name) ?? all.tracks[all.tracks.push({ name: track.name, notes: [] }) - 1];
        own.notes.push(...track.notes.map((note) => [note[0] + all.length_ticks, ...note.slice(1)]));
      }
      all.length_ticks += doc.length_ticks;
    }
    return all;
  }
}
