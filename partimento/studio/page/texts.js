// Every text of the page, so that it can be translated in one place. {x} is filled in.
export const texts = {
  play: "Play", stop: "Stop", loop: "Loop", metronome: "Metronome", undo: "Undo", redo: "Redo",
  save: "Saved", saving: "Saving ...", unsaved: "Not saved: {why}. Trying again.",
  rewrite: "Rewrite", continue: "Continue", accompany: "Accompany", realise: "Realise", generate: "Generate",
  draw: "Draw", select: "Select", tempo: "Tempo", zoomIn: "Zoom in", zoomOut: "Zoom out",
  open: "Open", export: "Export", help: "Keys", project: "Project", newProject: "New",
  sideAsk: "Ask", sideTracks: "Tracks", sideVersions: "Versions", sideAlternatives: "Alternatives", sideLive: "Endless",
  inviteTitle: "An empty page",
  invite: "Draw a bass line with the mouse, then press A: it is realised in four parts. Or generate a piece, or drop a MIDI, MusicXML, ABC or sound file here.",
  model: "Model", key: "Key", metre: "Metre", bars: "Bars", chords: "Chords", range: "Range", polyphony: "Polyphony", ending: "Ending",
  promises: "Promises: what you state is kept exactly",
  controls: "Controls of the model", noSelection: "Select bars first: drag in the ruler above the roll, or press Ctrl+A.",
  keep: "Take this", hear: "Hear", working: "{verb}: {done} of {total}", cancel: "Cancel",
  alternative: "Alternative {n}", changed: "{n} notes differ", lock: "Lock", unlock: "Unlock",
  solo: "S", mute: "M", soloOf: "Solo {name}", muteOf: "Mute {name}", levelOf: "Level of {name}", instrumentOf: "Instrument of {name}", lockOf: "Lock {name}",
  addTrack: "Add a track", liveStart: "Start", livePause: "Pause", liveResume: "Resume", liveStop: "Stop", liveKeep: "Keep the last 8 bars",
  livePlaying: "Endless: bar {n}", dropouts: "Drop-outs: {n}", notes: "{n} notes, {bars} bars, {seconds} s",
  opened: "Opened {name}", noWorklet: "This browser has no AudioWorklet here, which endless music needs: open the page at 127.0.0.1 or over https.",
  midiIn: "MIDI in", midiNone: "This browser has no Web MIDI.", midiOn: "Recording from {name}",
  failed: "{why}", conflict: "Another tab changed this project; its newest version is shown.",
  tooLarge: "{name} is larger than the server takes ({mb} MB).", favourite: "Favourite", chordAt: "Chord of bar {n}",
  roll: "Piano roll: {n} notes. Arrow keys move the cursor, Enter draws a note, Delete removes the selection.",
  automatic: "Automatic", fileName: "Name", program: "Program {n}", download: "Download", soundOf: "Sound, {seconds} s: {summary}",
  sidePiece: "Piece", metreFrom: "Metre from bar {n}", keyFrom: "Key from bar {n}", lyric: "Lyric of the selected note", title: "Title",
  endlessFile: "endless", passing: "The last bars of the endless music", lockedBars: "Locked bars", formats: { zip: "Stems (ZIP)", recipe: "Recipe" },
  close: "Close", typed: "written", edit: "edit",
};
export const instruments = [[0, "Piano"], [6, "Harpsichord"], [12, "Marimba"], [19, "Organ"], [24, "Guitar"], [32, "Bass"], [40, "Violin"], [41, "Viola"], [42, "Cello"], [48, "Strings"], [52, "Choir"], [56, "Trumpet"], [60, "Horn"], [68, "Oboe"], [71, "Clarinet"], [73, "Flute"]];
export function say(name, values = {}) {
  return (texts[name] ?? name).replace(/\{(\w+)\}/g, (_, key) => values[key] ?? "");
}
export const keys = [
  ["Space", "Play or stop"], ["R", "Rewrite the selected bars and tracks"], ["C", "Continue after the end"],
  ["A", "Accompany: add the missing parts"], ["G", "Generate a new piece"], ["L", "Lock or unlock the selected notes, or the selected bars"], ["F", "Mark the version as a favourite"],
  ["D", "Draw notes"], ["S", "Select with a lasso"], ["Q", "Quantise the selection"],
  ["Ctrl+Z / Ctrl+Y", "Undo, redo"], ["Ctrl+C / X / V", "Copy, cut, paste"], ["Ctrl+A", "Select everything"],
  ["Delete", "Delete the selection"], ["Arrows", "Move the cursor or the selection"], ["Enter", "A note at the cursor"],
  ["+ / -", "Zoom"], ["Home / End", "To the start, to the end"], ["1 - 4", "Take an alternative"], ["?", "This sheet"],
];
