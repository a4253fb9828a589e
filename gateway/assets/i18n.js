// Texts: one catalogue per language, fetched once; what is seen at the first paint stands in the HTML in English.
// Classic script, shared with the sign. Absent: plural rules; the texts are worded around them.
(function (root) {
  "use strict";
  const lotkeeper = (root.lotkeeper = root.lotkeeper || {});
  const LANGUAGES = ["en", "de", "fr"];
  let texts = {};

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

  const i18n = (lotkeeper.i18n = {
    lang: "en",
    languages: LANGUAGES,
    has: function (key) { return texts[key] !== undefined; },
    t: t,
    apply: apply,
    load: function () {
      i18n.lang = choose();
      return fetch("/assets/texts." + i18n.lang + ".json")
        .then(function (answer) {
          if (!answer.ok) throw new Error("texts." + i18n.lang + ".json: " + answer.status);
          return answer.json();
        })
        .then(function (catalogue) {
          texts = catalogue;
          document.documentElement.lang = i18n.lang;
          apply(document);
        });
    },
  });
})(window);
