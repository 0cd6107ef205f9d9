// The audio thread: plays stereo samples from a buffer, or from a ring that a stream fills. It tells
// where it is, and counts the blocks for which it had no sound (drop-outs).
class Player extends AudioWorkletProcessor {
  constructor() {
    super();
    this.at = 0; this.playing = false; this.loop = null; this.clicks = []; this.left = this.right = new Float32Array(0);
    this.ring = []; this.ringAt = 0; this.streaming = false; this.started = false; this.dropouts = 0; this.told = 0; this.loudest = 0;
    this.port.onmessage = ({ data }) => this.take(data);
  }
  take(data) {
    if (data.load) { [this.left, this.right] = data.load; this.streaming = false; this.ring = []; }
    if (data.play !== undefined) { this.at = data.play; this.playing = true; }
    if (data.stop) { this.playing = false; this.streaming = this.started = false; this.ring = []; }
    if (data.loop !== undefined) this.loop = data.loop;
    if (data.clicks) this.clicks = data.clicks;
    if (data.stream) { this.streaming = true; this.playing = true; this.at = 0; this.ringAt = 0; }
    if (data.push) this.ring.push(data.push);
    if (data.pause !== undefined) this.playing = !data.pause;
  }
  process(_, [output]) {
    const [left, right] = [output[0], output[1] ?? output[0]], size = left.length;
    if (this.playing && this.streaming) this.pull(left, right, size);
    else if (this.playing) for (let i = 0; i < size; i++) {
      if (this.loop && this.at >= this.loop[1]) this.at = this.loop[0];
      if (this.at >= this.left.length) { this.playing = false; this.port.postMessage({ ended: true }); break; }
      left[i] = this.left[this.at]; right[i] = this.right[this.at]; this.at++;
    }
    if (this.playing && this.clicks.length) this.click(left, right, size);
    for (let i = 0; i < size; i += 16) this.loudest = Math.max(this.loudest, Math.abs(left[i]));
    if (currentFrame - this.told > sampleRate / 50) { this.told = currentFrame; this.port.postMessage({ at: this.at, playing: this.playing, dropouts: this.dropouts, loudest: this.loudest, waiting: this.ring.length }); }
    return true;
  }
  pull(left, right, size) {
    for (let i = 0; i < size; i++) {
      while (this.ring.length && this.ringAt >= this.ring[0][0].length) { this.ring.shift(); this.ringAt = 0; }
      if (!this.ring.length) { if (this.started) { this.dropouts++; } this.started = false; return; }
      this.started = true;
      left[i] = this.ring[0][0][this.ringAt]; right[i] = this.ring[0][1][this.ringAt]; this.ringAt++; this.at++;
    }
  }
  click(left, right, size) {
    // A short decaying tone from each click that began in the last 30 ms.
    const long = sampleRate * 0.03, first = this.at - size;
    for (const [when, strong] of this.clicks) {
      if (when + long < first || when > this.at) continue;
      for (let i = 0; i < size; i++) { const t = first + i - when; if (t >= 0 && t < long) { const s = Math.sin((t * 6.283 * (strong ? 1760 : 1175)) / sampleRate) * 0.25 * (1 - t / long); left[i] += s; right[i] += s; } }
    }
  }
}
registerProcessor("player", Player);
