// The score document (as the server's JSON) and what is done with it. Notes are rows of
// [onset, pitch, duration, velocity] in ticks. Nothing here touches the page.
export const NAMES = ["C", "C#", "D", "Eb", "E", "F", "F#", "G", "Ab", "A", "Bb", "B"];
export const COLOURS = ["#3a7ca5", "#c8553d", "#588157", "#8e6bb0", "#b8860b", "#2a9d8f", "#d1495b", "#6c757d"];
export function empty() {
  return {
    ticks_per_quarter: 480, length_ticks: 1920 * 8, title: "",
    tracks: [{ name: "Bass", notes: [], program: 52, is_drum: false, volume: 100, pan: 64, pedals: [], lyrics: [] }],
    tempos: [[0, 84]], time_signatures: [[0, 4, 4]], key_signatures: [], chords: [], recipe: "",
  };
}
export const clone = (doc) => structuredClone(doc);
export function bars(doc) {
  const out = [];
  const metres = doc.time_signatures.length && doc.time_signatures[0][0] === 0 ? doc.time_signatures : [[0, 4, 4], ...doc.time_signatures];
  const end = Math.max(doc.length_ticks, lastEnd(doc), 1);
  for (let m = 0, at = 0; m < metres.length; m++) {
    const [, above, below] = metres[m];
    const length = Math.max(1, Math.round((doc.ticks_per_quarter * 4 * above) / below));
    const until = m + 1 < metres.length ? metres[m + 1][0] : end;
    for (; at < until; at += length) out.push({ at, length: Math.min(length, m + 1 < metres.length ? until - at : length), above, below });
  }
  return out;
}
export function lastEnd(doc) {
  let end = 0;
  for (const track of doc.tracks) for (const note of track.notes) end = Math.max(end, note[0] + note[2]);
  return end;
}
export const count = (doc) => doc.tracks.reduce((sum, track) => sum + track.notes.length, 0);
export function barAt(list, tick) {
  let low = 0, high = list.length - 1;
  while (low < high) { const mid = (low + high + 1) >> 1; if (list[mid].at <= tick) low = mid; else high = mid - 1; }
  return low;
}
export function secondsAt(doc, tick) {
  const tempos = doc.tempos.length && doc.tempos[0][0] === 0 ? doc.tempos : [[0, 120], ...doc.tempos];
  let seconds = 0;
  for (let i = 0; i < tempos.length && tempos[i][0] < tick; i++) {
    const until = i + 1 < tempos.length ? Math.min(tick, tempos[i + 1][0]) : tick;
    seconds += ((until - tempos[i][0]) / doc.ticks_per_quarter) * (60 / tempos[i][1]);
  }
  return seconds;
}
export function tickAt(doc, seconds) {
  const tempos = doc.tempos.length && doc.tempos[0][0] === 0 ? doc.tempos : [[0, 120], ...doc.tempos];
  let at = 0;
  for (let i = 0; i < tempos.length; i++) {
    const perTick = 60 / tempos[i][1] / doc.ticks_per_quarter;
    const span = (i + 1 < tempos.length ? tempos[i + 1][0] - tempos[i][0] : Infinity) * perTick;
    if (seconds - at <= span) return tempos[i][0] + (seconds - at) / perTick;
    at += span;
  }
  return 0;
}
export function sort(doc) {
  for (const track of doc.tracks) track.notes.sort((a, b) => a[0] - b[0] || a[1] - b[1]);
  return doc;
}
export function scaleOf(name) {
  const match = /^([A-G])([#b]?)\s*(m|minor)?/.exec(name ?? "");
  if (!match) return null;
  const tonic = (({ C: 0, D: 2, E: 4, F: 5, G: 7, A: 9, B: 11 })[match[1]] + (match[2] === "#" ? 1 : match[2] === "b" ? 11 : 0)) % 12;
  const steps = match[3] ? [0, 2, 3, 5, 7, 8, 9, 10, 11] : [0, 2, 4, 5, 7, 9, 11];
  return new Set(steps.map((step) => (tonic + step) % 12));
}
export const pitchName = (pitch) => `${NAMES[pitch % 12]}${Math.floor(pitch / 12) - 1}`;
// Change metre or key from a tick on; an empty value takes the change away.
export function setFrom(list, at, ...values) {
  const kept = list.filter((each) => each[0] !== at);
  return (values[0] ? [...kept, [at, ...values]] : kept).sort((a, b) => a[0] - b[0]);
}
export const lastBefore = (list, at) => list.filter((each) => each[0] <= at).at(-1);
// The notes of `after` that `before` has not, by track: what an alternative changes.
export function difference(before, after) {
  const key = (name, note) => `${name}|${note.slice(0, 3).join(",")}`;
  const old = new Set(before.tracks.flatMap((track) => track.notes.map((note) => key(track.name, note))));
  return after.tracks.map((track) => new Set(track.notes.filter((note) => !old.has(key(track.name, note)))));
}
export function thumbnail(canvas, doc, marked) {
  const ratio = devicePixelRatio || 1;
  const width = (canvas.width = Math.max(1, canvas.clientWidth || 70) * ratio), height = (canvas.height = Math.max(1, canvas.clientHeight || 28) * ratio);
  const context = canvas.getContext("2d");
  let low = 127, high = 0;
  for (const track of doc.tracks) for (const note of track.notes) { low = Math.min(low, note[1]); high = Math.max(high, note[1]); }
  const span = Math.max(12, high - low + 3), end = Math.max(doc.length_ticks, lastEnd(doc), 1);
  doc.tracks.forEach((track, t) => {
    for (const note of track.notes) {
      context.globalAlpha = marked && !marked[t]?.has(note) ? 0.3 : 1;
      context.fillStyle = COLOURS[t % COLOURS.length];
      context.fillRect((note[0] / end) * width, height - ((note[1] - low + 1.5) / span) * height, Math.max(1, (note[2] / end) * width), Math.max(1, height / span));
    }
  });
}
