// A picture that needs the tab's token, drawn into a canvas: an <img> could not send it, and the page's policy allows
// no blob as a source. Pixels are kept sharp by the stylesheet. Absent: caching.
import { Problem } from "./api.js";
const { session, i18n } = window.lotkeeper;

export async function drawPicture(canvas, path) {
  let answer;
  try { answer = await fetch(`/api/v1${path}`, { cache: "no-store", headers: { Authorization: `Bearer ${session.token()}`, Accept: "image/png" } }); }
  catch { throw new Problem(0, "unreachable", i18n.t("error.unreachable")); }
  if (!answer.ok) {
    const problem = await answer.json().catch(() => null);
    throw new Problem(answer.status, problem?.code ?? "error", problem?.detail ?? String(answer.status));
  }
  const picture = await createImageBitmap(await answer.blob());
  canvas.width = picture.width;
  canvas.height = picture.height;
  canvas.getContext("2d").drawImage(picture, 0, 0);
  picture.close();
  canvas.hidden = false;
}
