// What is heard: the server renders, an AudioWorklet plays, and the playhead follows its clock.
import { bytes } from "./http.js";
import { bars, secondsAt, tickAt } from "./document.js";

export class Sound {
  constructor(store) {
    this.store = store; this.context = null; this.node = null; this.playing = false; this.rendered = null; this.dropouts = 0; this.loudest = 0;
    this.loop = false; this.metronome = false; this.listeners = [];
  }
  listen(call) { this.listeners.push(call); }
  tell() { for (const call of this.listeners) call(); }
  async ready() {
    if (this.context) { await this.context.resume(); return; }
    this.context = new AudioContext({ sampleRate: 44100, latencyHint: "interactive" });
    if (!this.context.audioWorklet) throw new Error("noWorklet");
    await this.context.audioWorklet.addModule("worklet.js");
    this.node = new AudioWorkletNode(this.context, "player", { outputChannelCount: [2] });
    this.node.connect(this.context.destination);
    this.node.port.onmessage = ({ data }) => this.heard(data);
  }
  heard(data) {
    if (data.ended) { this.playing = false; this.store.headAt(null); this.tell(); return; }
    this.dropouts = data.dropouts; this.loudest = Math.max(this.loudest, data.loudest); this.waiting = data.waiting;
    if (this.playing && !this.streaming) this.store.headAt(tickAt(this.doc, data.at / 44100 - (this.context.outputLatency || 0)));
  }
  async render(doc) {
    const key = JSON.stringify([doc.tracks, doc.tempos]);
    if (this.rendered?.key === key) return this.rendered;
    const { recipe, bars: _, duration_seconds: __, ...body } = doc;
    const data = await bytes("/v1/render", { document: body, format: "wav" });
    const buffer = await this.context.decodeAudioData(data);
    const left = buffer.getChannelData(0).slice(), right = (buffer.numberOfChannels > 1 ? buffer.getChannelData(1) : left).slice();
    this.rendered = { key, left, right };
    return this.rendered;
  }
  async play(doc, from = 0, region = null) {
    await this.ready();
    const { left, right } = await this.render(doc);
    this.doc = doc; this.streaming = false;
    const frame = (tick) => Math.round(secondsAt(doc, tick) * 44100);
    const clicks = [];
    if (this.metronome) for (const bar of bars(doc)) { const beat = (doc.ticks_per_quarter * 4) / bar.below; for (let at = bar.at; at < bar.at + bar.length; at += beat) clicks.push([frame(at), at === bar.at]); }
    this.node.port.postMessage({ load: [left, right], clicks, loop: this.loop && region ? [frame(region[0]), frame(region[1])] : null, play: frame(from) });
    this.playing = true; this.tell();
  }
  stop() { this.node?.port.postMessage({ stop: true }); this.playing = this.streaming = false; this.store.headAt(null); this.tell(); }
  // A single tone at once, so that drawing is heard; the piece itself is always the server's sound.
  tone(pitch) {
    if (!this.context || this.playing) return;
    const oscillator = this.context.createOscillator(), gain = this.context.createGain(), now = this.context.currentTime;
    oscillator.type = "triangle"; oscillator.frequency.value = 440 * 2 ** ((pitch - 69) / 12);
    gain.gain.setValueAtTime(0.12, now); gain.gain.exponentialRampToValueAtTime(0.001, now + 0.35);
    oscillator.connect(gain).connect(this.context.destination); oscillator.start(now); oscillator.stop(now + 0.4);
  }
  async stream() { await this.ready(); this.streaming = this.playing = true; this.node.port.postMessage({ stream: true, clicks: [] }); this.tell(); }
  push(left, right) { this.node.port.postMessage({ push: [left, right] }, [left.buffer, right.buffer]); }
  pause(isPaused) { this.node?.port.postMessage({ pause: isPaused }); }
}
