// Reads QR codes with the camera where the browser has BarcodeDetector. Begins with a tap only, ends when the page is
// hidden; no picture leaves the device or is kept. Absent: a decoder of our own for other browsers, which would weigh
// more than the page.
const LOOK_MS = 120;
const FORGET_MS = 2000; // a code that was out of sight for so long may be meant again

export async function canRead() {
  if (!("BarcodeDetector" in window) || !navigator.mediaDevices?.getUserMedia) return false;
  return (await window.BarcodeDetector.getSupportedFormats().catch(() => [])).includes("qr_code");
}

export class Camera {
  // `onText` hears a code once for as long as it is in sight, `onEnd` why the camera is off.
  constructor(video, { onText, onEnd }) {
    Object.assign(this, { video, onText, onEnd, stream: null, last: "", seen: 0 });
    document.addEventListener("visibilitychange", () => document.hidden && this.stop());
    addEventListener("pagehide", () => this.stop());
  }

  async start() {
    let stream;
    try { stream = await navigator.mediaDevices.getUserMedia({ video: { facingMode: "environment" }, audio: false }); }
    catch (error) { return this.onEnd(error.name === "NotAllowedError" ? "scan.camera_refused" : "scan.camera_missing"); }
    this.stop(); // a second tap while the first was asked for permission
    this.stream = stream;
    stream.getVideoTracks()[0]?.addEventListener("ended", () => this.stop());
    this.video.srcObject = stream;
    this.detector ??= new window.BarcodeDetector({ formats: ["qr_code"] });
    await this.video.play().catch(() => {});
    if (document.hidden) return this.stop();
    this.look(stream);
  }

  async look(stream) {
    while (this.stream === stream) {
      const found = this.video.readyState >= 2 ? await this.detector.detect(this.video).catch(() => []) : [];
      const text = found[0]?.rawValue;
      const now = performance.now();
      if (text && this.stream === stream) {
        const again = text === this.last && now - this.seen < FORGET_MS;
        Object.assign(this, { last: text, seen: now });
        if (!again) this.onText(text);
      }
      await new Promise((resolve) => setTimeout(resolve, LOOK_MS));
    }
  }

  stop() {
    if (!this.stream) return;
    this.stream.getTracks().forEach((track) => track.stop());
    this.stream = null;
    this.video.srcObject = null;
    this.onEnd(null);
  }
}
