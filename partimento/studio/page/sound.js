// What is heard: the server renders, an AudioWorklet plays, and the playhead follows its clock.
import { bytes, fetched } from "./http.js";
import { say } from "./texts.js";
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
    if (!this.context.audioWorklet) { this.plain = true; return; }  // older, or not a secure context
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
    this.rendered = { key, ...(await this.load(await bytes("/v1/render", { document: body, format: "wav" }))) };
    return this.rendered;
  }
  async load(data) {
    const buffer = await this.context.decodeAudioData(data), left = buffer.getChannelData(0).slice();
    return { left, right: buffer.numberOfChannels > 1 ? buffer.getChannelData(1).slice() : left };
  }
  // A piece of the server's that is sound already.
  async playPiece(id) {
    await this.ready();
    const { left, right } = await this.load(await fetched(`/v1/pieces/${id}?format=wav`));
    this.doc = { tempos: [[0, 60]], ticks_per_quarter: 480 }; this.streaming = false;
    if (this.plain) this.playPlainly(left, right, 0); else this.node.port.postMessage({ load: [left, right], clicks: [], loop: null, play: 0 });
    this.playing = true; this.tell();
  }
  async play(doc, from = 0, region = null) {
    await this.ready();
    const { left, right } = await this.render(doc);
    this.doc = doc; this.streaming = false;
    const frame = (tick) => Math.round(secondsAt(doc, tick) * 44100);
    const clicks = [];
    if (this.metronome) for (const bar of bars(doc)) { const beat = (doc.ticks_per_quarter * 4) / bar.below; for (let at = bar.at; at < bar.at + bar.length; at += beat) clicks.push([frame(at), at === bar.at]); }
    if (this.plain) { this.playPlainly(left, right, frame(from)); this.playing = true; this.tell(); return; }
    this.node.port.postMessage({ load: [left, right], clicks, loop: this.loop && region ? [frame(region[0]), frame(region[1])] : null, play: frame(from) });
    this.playing = true; this.tell();
  }
  // Without an AudioWorklet: a buffer that is played as a whole; the playhead follows the clock.
  playPlainly(left, right, from) {
    this.source?.stop();
    const buffer = this.context.createBuffer(2, Math.max(1, left.length), 44100), source = (this.source = this.context.createBufferSource()), began = this.context.currentTime;
    buffer.copyToChannel(left, 0); buffer.copyToChannel(right, 1);
    source.buffer = buffer; source.connect(this.context.destination); source.start(0, from / 44100);
    for (const sample of left) this.loudest = Math.max(this.loudest, Math.abs(sample));
    const follow = () => { if (this.source !== source) return; this.store.headAt(tickAt(this.doc, from / 44100 + this.context.currentTime - began)); requestAnimationFrame(follow); };
    source.onended = () => { if (this.source === source) { this.source = null; this.playing = false; this.store.headAt(null); this.tell(); } };
    follow();
  }
  stop() { const source = this.source; this.source = null; source?.stop(); this.node?.port.postMessage({ stop: true }); this.playing = this.streaming = false; this.store.headAt(null); this.tell(); }
  // A single tone at once, so that drawing is heard; the piece itself is always the server's sound.
  tone(pitch) {
    if (!this.context || this.playing) return;
    const oscillator = this.context.createOscillator(), gain = this.context.createGain(), now = this.context.currentTime;
    oscillator.type = "triangle"; oscillator.frequency.value = 440 * 2 ** ((pitch - 69) / 12);
    gain.gain.setValueAtTime(0.12, now); gain.gain.exponentialRampToValueAtTime(0.001, now + 0.35);
    oscillator.connect(gain).connect(this.context.destination); oscillator.start(now); oscillator.stop(now + 0.4);
  }
  async stream() { await this.ready(); if (this.plain) throw new Error(say("noWorklet")); this.streaming = this.playing = true; this.node.port.postMessage({ stream: true, clicks: [] }); this.tell(); }
  push(left, right) { this.node.port.postMessage({ push: [left, right] }, [left.buffer, right.buffer]); }
  pause(isPaused) { this.node?.port.postMessage({ pause: isPaused }); }
}
