// Requests to /api/v1 with the tab's token; a refusal becomes a Problem in the server's words. Absent: retries.
export class Problem extends Error {
  constructor(status, code, detail) {
    super(detail);
    this.status = status;
    this.code = code;
  }
}

export async function request(path, { method = "GET", body, headers = {} } = {}) {
  const token = window.lotkeeper.session.token();
  const options = { method, cache: "no-store", headers: { Authorization: `Bearer ${token}`, ...headers } };
  if (body !== undefined) {
    options.headers["Content-Type"] = "application/json";
    options.body = JSON.stringify(body);
  }
  let answer;
  try { answer = await fetch(`/api/v1${path}`, options); }
  catch { throw new Problem(0, "unreachable", window.lotkeeper.i18n.t("error.unreachable")); }
  const json = await answer.json().catch(() => null);
  if (!answer.ok) throw new Problem(answer.status, json?.code ?? "error", json?.detail ?? `${answer.status} ${answer.statusText}`);
  return { json, etag: answer.headers.get("ETag") };
}

// All pages of a list, handed over one by one so that the first can be painted before the last is there.
export async function pages(path, onPage) {
  let cursor = null;
  do {
    const { json } = await request(`${path}&limit=500${cursor ? `&cursor=${encodeURIComponent(cursor)}` : ""}`);
    onPage(json.items);
    cursor = json.next_cursor ?? null;
  } while (cursor);
}

export const slotPath = (lot, slot) => `/lots/${encodeURIComponent(lot)}/slots/${encodeURIComponent(slot)}`;
export const lotPath = (lot) => `/lots/${encodeURIComponent(lot)}`;
