// The interface page: reads /openapi.json and lets a person try one operation with a token. English only, as the
// description is. Deliberately absent: everything else such pages usually bring along.
const { session } = window.lotkeeper;
const byId = (id) => document.getElementById(id);
const VERBS = ["get", "post", "put", "patch", "delete"];
let description = null;

function h(tag, attributes, ...children) {
  const node = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes ?? {})) {
    if (name.startsWith("on")) node.addEventListener(name.slice(2), value);
    else if (value !== false && value !== undefined) node.setAttribute(name, value === true ? "" : value);
  }
  node.append(...children.filter((child) => child !== null && child !== undefined && child !== false));
  return node;
}

function resolve(thing) {
  let found = thing;
  for (let hops = 0; found?.$ref && hops < 20; hops += 1) found = found.$ref.slice(2).split("/").reduce((at, part) => at?.[part.replace(/~1/g, "/").replace(/~0/g, "~")], description);
  return found ?? {};
}

// An example that fits a schema, where none was written down. `depth` stops schemas that contain themselves.
function example(schema, depth = 0) {
  const s = resolve(schema);
  if (s.example !== undefined) return s.example;
  if (s.examples?.length) return s.examples[0];
  if (s.default !== undefined) return s.default;
  if (s.const !== undefined) return s.const;
  if (s.enum) return s.enum[0];
  if (depth > 6) return null;
  if (s.allOf) return Object.assign({}, ...s.allOf.map((part) => example(part, depth + 1)));
  const one = (s.oneOf ?? s.anyOf)?.find((part) => resolve(part).type !== "null");
  if (one) return example(one, depth + 1);
  const type = Array.isArray(s.type) ? s.type.find((name) => name !== "null") : s.type;
  if (type === "object" || s.properties) {
    const required = s.required ?? [];
    const names = Object.keys(s.properties ?? {}).filter((name) => required.includes(name) || required.length === 0);
    return Object.fromEntries(names.map((name) => [name, example(s.properties[name], depth + 1)]));
  }
  if (type === "array") return [example(s.items ?? {}, depth + 1)];
  if (type === "integer" || type === "number") return s.minimum ?? 1;
  if (type === "boolean") return true;
  return s.format === "date-time" ? new Date().toISOString().slice(0, 19) + "Z" : "…";
}

function bodyExample(body) {
  const media = resolve(body).content?.["application/json"];
  if (!media) return null;
  const named = Object.values(media.examples ?? {})[0];
  return JSON.stringify(media.example ?? resolve(named)?.value ?? example(media.schema), null, 2);
}

function operation(path, verb, op, shared) {
  const id = op.operationId ?? `${verb}-${path}`.replace(/[^a-z0-9]+/gi, "-");
  const parameters = [...(shared ?? []), ...(op.parameters ?? [])].map(resolve);
  const fields = parameters.map((one, at) => ({ one, input: h("input", { id: `${id}-${at}`, required: one.in === "path", placeholder: one.example !== undefined ? String(one.example) : one.schema ? String(resolve(one.schema).example ?? "") : "" }) }));
  const body = op.requestBody ? bodyExample(op.requestBody) : null;
  const editor = body !== null ? h("textarea", { id: `${id}-body`, spellcheck: "false" }) : null;
  if (editor) editor.value = body;
  const out = h("div", { role: "status" });
  const form = h("form", {
    onsubmit: (event) => { event.preventDefault(); send(path, verb, fields, editor, out); },
  },
  fields.length > 0 && h("h3", {}, "Parameters"),
  ...fields.map(({ one, input }) => h("div", { class: "field" }, h("label", { for: input.id }, one.name, one.required ? " *" : "", " ", h("span", { class: "brief" }, one.in)), input, one.description ? h("small", {}, one.description) : null)),
  editor && h("h3", {}, h("label", { for: editor.id }, "Body")), editor,
  h("p", {}, h("button", { class: "primary" }, "Send")), out);
  const answers = Object.entries(op.responses ?? {}).flatMap(([status, answer]) => [h("dt", {}, status), h("dd", {}, resolve(answer).description ?? "")]);
  return h("details", { class: "card", id },
    h("summary", {}, h("span", { class: "verb" }, verb.toUpperCase()), " ", h("span", { class: "path" }, path), op.summary ? h("span", { class: "brief" }, ` · ${op.summary}`) : null),
    h("div", { class: "inner" }, op.description ? h("p", {}, op.description) : null, h("h3", {}, "Answers"), h("dl", { class: "answers" }, ...answers), form));
}

async function send(path, verb, fields, editor, out) {
  let address = path;
  const query = new URLSearchParams();
  const headers = {};
  for (const { one, input } of fields) {
    const value = input.value || (one.in === "path" ? input.placeholder : "");
    if (one.in === "path") address = address.replace(`{${one.name}}`, encodeURIComponent(value));
    else if (value && one.in === "query") query.set(one.name, value);
    else if (value && one.in === "header") headers[one.name] = value;
  }
  if (session.token()) headers.Authorization = `Bearer ${session.token()}`;
  if (editor) headers["Content-Type"] = "application/json";
  const full = address + (query.size ? `?${query}` : "");
  const began = performance.now();
  try {
    const answer = await fetch(full, { method: verb.toUpperCase(), headers, body: editor?.value });
    const text = await answer.text();
    let shown = text;
    try { shown = JSON.stringify(JSON.parse(text), null, 2); } catch { /* not JSON: shown as it is */ }
    const kept = ["content-type", "etag", "location", "retry-after", "x-request-id"].filter((name) => answer.headers.has(name)).map((name) => `${name}: ${answer.headers.get(name)}`);
    out.replaceChildren(h("h3", {}, `${answer.status} ${answer.statusText} in ${Math.round(performance.now() - began)} ms`), h("pre", { tabindex: "0" }, [`${verb.toUpperCase()} ${full}`, ...kept, "", shown].join("\n")));
  } catch (failed) {
    out.replaceChildren(h("p", { class: "problem" }, `No answer from ${full}: ${failed.message}`));
  }
}

function draw() {
  document.title = `${description.info?.title ?? "Interface"} · Lotkeeper`;
  byId("title").textContent = `${description.info?.title ?? "Lotkeeper interface"} ${description.info?.version ?? ""}`;
  byId("about").textContent = description.info?.description ?? "";
  const groups = new Map();
  for (const [path, item] of Object.entries(description.paths ?? {})) {
    for (const verb of VERBS.filter((name) => item[name])) {
      const tag = item[verb].tags?.[0] ?? "other";
      if (!groups.has(tag)) groups.set(tag, []);
      groups.get(tag).push({ card: operation(path, verb, item[verb], item.parameters), path, verb });
    }
  }
  for (const [tag, entries] of groups) {
    byId("operations").append(h("section", {}, h("h2", {}, tag), ...entries.map(({ card }) => card)));
    byId("index").append(...entries.map(({ card, path, verb }) => h("li", {}, h("a", { href: `#${card.id}`, onclick: () => { card.open = true; } }, `${verb.toUpperCase()} ${path}`))));
  }
  byId("note").hidden = groups.size > 0;
  byId("note").textContent = "The description lists no operations.";
}

function tokenState() {
  const claims = session.token() ? session.claims(session.token()) : null;
  byId("token-state").textContent = claims ? `in use${claims.role ? `: ${claims.role}` : ""}` : "none";
}
byId("token-form").addEventListener("submit", (event) => {
  event.preventDefault();
  session.setToken(byId("token").value.trim() || null);
  byId("token").value = "";
  tokenState();
});
tokenState();
fetch("/openapi.json").then(async (answer) => {
  if (!answer.ok) throw new Error(`${answer.status} ${answer.statusText}`);
  description = await answer.json();
  draw();
}).catch((failed) => {
  byId("note").classList.add("problem");
  byId("note").textContent = `/openapi.json could not be read: ${failed.message}`;
});
