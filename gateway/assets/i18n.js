// One catalogue of texts per language; what is seen at the first paint stands in the HTML in English. Classic script,
// shared with the sign.
(function (root) {
  "use strict";
  const lotkeeper = (root.lotkeeper = root.lotkeeper || {});
  const LANGUAGES = ["en", "de", "fr"];
  const texts = {};
  const loading = {};

  function choose() {
    const session = lotkeeper.session;
    const wanted = [session.options.lang, session.device.get("lotkeeper.lang")].concat(navigator.languages || [navigator.language]);
    for (let i = 0; i < wanted.length; i++) {
      const short = String(wanted[i] || "").slice(0, 2).toLowerCase();
      if (LANGUAGES.indexOf(short) >= 0) return short;
    }
    return "en";
  }

  // A missing text shows its key: ugly on purpose, so that a test or a person sees it.
  function t(key, values) {
    const text = texts[key] === undefined ? key : texts[key];
    return text.replace(/\{(\w+)\}/g, function (whole, name) {
      return values && values[name] !== undefined ? values[name] : whole;
    });
  }

  function apply(node) {
    node.querySelectorAll("[data-t]").forEach(function (e) { e.textContent = t(e.getAttribute("data-t")); });
    node.querySelectorAll("[data-t-label]").forEach(function (e) { e.setAttribute("aria-label", t(e.getAttribute("data-t-label"))); });
    node.querySelectorAll("[data-t-hint]").forEach(function (e) { e.setAttribute("placeholder", t(e.getAttribute("data-t-hint"))); });
  }

  // Each file once; one that did not come is asked for again.
  function read(name) {
    return (loading[name] = loading[name] || fetch("/assets/" + name + "." + i18n.lang + ".json").then(function (answer) {
      if (!answer.ok) throw new Error(answer.url + ": " + answer.status);
      return answer.json();
    }).then(function (part) { Object.assign(texts, part); }, function (lost) { delete loading[name]; throw lost; }));
  }

  const i18n = (lotkeeper.i18n = {
    lang: "en",
    languages: LANGUAGES,
    has: function (key) { return texts[key] !== undefined; },
    t: t,
    apply: apply,
    // What the page is made of is said once: a part that comes later finds other words there.
    load: function (second) {
      const first = !loading.texts;
      i18n.lang = choose();
      return Promise.all(["texts"].concat(second || []).map(read)).then(function () {
        document.documentElement.lang = i18n.lang;
        if (first) apply(document);
      });
    },
  });
})(window);
