// OPEN, DENY and no answer as sounds that are told apart without looking: rising, low and twice, one long. Made on the
// spot, because a page needs no sound files. Browsers play nothing before the first key or tap; that is no fault.
// Absent: a volume of its own, the device has one.
const NOTES = { // when it begins and ends (s), pitch (Hz), shape of the wave
  open: [[0, 0.12, 660, "sine"], [0.13, 0.34, 990, "sine"]],
  deny: [[0, 0.2, 170, "square"], [0.28, 0.55, 170, "square"]],
  problem: [[0, 0.5, 330, "triangle"]],
};
const SHAKES = { open: [60], deny: [180, 90, 180], problem: [400] };
const LOUDNESS = { sine: 0.4, triangle: 0.4, square: 0.18 };
let context = null;

export function play(name) {
  navigator.vibrate?.(SHAKES[name]);
  const Context = window.AudioContext ?? window.webkitAudioContext;
  if (!Context) return;
  context ??= new Context();
  if (context.state === "suspended") context.resume().catch(() => {});
  for (const [begin, end, pitch, wave] of NOTES[name]) {
    const [from, to] = [context.currentTime + begin, context.currentTime + end];
    const [voice, volume] = [context.createOscillator(), context.createGain()];
    voice.type = wave;
    voice.frequency.value = pitch;
    // A wave that is cut off clicks.
    volume.gain.setValueAtTime(0, from);
    volume.gain.linearRampToValueAtTime(LOUDNESS[wave], from + 0.015);
    volume.gain.setValueAtTime(LOUDNESS[wave], to - 0.03);
    volume.gain.linearRampToValueAtTime(0, to);
    voice.connect(volume).connect(context.destination);
    voice.start(from);
    voice.stop(to);
  }
}
