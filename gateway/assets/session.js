// Token, theme and fragment options. Not deferred: a token leaves the address bar before anything else runs, a theme
// never flashes. The token is kept for the tab and never put into a URL. Classic script: the sign knows no modules.
// Absent: refreshing tokens (accounts come later), checking signatures (the server's work).
(function (root) {
  "use strict";
  const lotkeeper = (root.lotkeeper = root.lotkeeper || {});
  // Pages in the same tab hold tokens of different roles.
  const KEY = "lotkeeper.token." + (/^\/(sign|scan|book)\b/.exec(location.pathname) || [0, "console"])[1];
  const THEMES = ["light", "dark"];
  const memory = {};

  // Storage can be switched off by policy; the page then works until it is closed.
  function store(area) {
    return {
      get: function (key) {
        try { return root[area].getItem(key); } catch (denied) { return memory[key] || null; }
      },
      set: function (key, value) {
        memory[key] = value;
        try {
          if (value === null) root[area].removeItem(key);
          else root[area].setItem(key, value);
        } catch (denied) { /* kept in memory above */ }
      },
    };
  }
  const tab = store("sessionStorage");
  const device = store("localStorage");

  function parse(hash) {
    const options = {};
    hash.replace(/^#/, "").split("&").forEach(function (pair) {
      const at = pair.indexOf("=");
      if (at < 1) return;
      const raw = pair.slice(at + 1);
      try { options[pair.slice(0, at)] = decodeURIComponent(raw); } catch (malformed) { options[pair.slice(0, at)] = raw; }
    });
    return options;
  }

  // Moves the token out of the address bar and leaves the other options where they are.
  function absorb() {
    const options = parse(location.hash);
    if (options.token === undefined) return options;
    tab.set(KEY, options.token.trim() || null);
    const rest = location.hash.replace(/^#/, "").split("&").filter(function (pair) { return pair && pair.indexOf("token=") !== 0; });
    history.replaceState(null, "", location.pathname + location.search + (rest.length ? "#" + rest.join("&") : ""));
    delete options.token;
    return options;
  }

  // What the token says of itself: for labels and hints only. An opaque token gives an empty object.
  function claims(token) {
    try {
      const body = token.split(".")[1].replace(/-/g, "+").replace(/_/g, "/");
      const bytes = Uint8Array.from(atob(body), function (c) { return c.charCodeAt(0); });
      return JSON.parse(new TextDecoder().decode(bytes)) || {};
    } catch (opaque) { return {}; }
  }

  function setTheme(name) {
    if (THEMES.indexOf(name) >= 0) document.documentElement.setAttribute("data-theme", name);
    else document.documentElement.removeAttribute("data-theme");
  }

  const options = absorb();
  setTheme(options.theme || device.get("lotkeeper.theme"));
  // A new token pasted into the address bar of an open page changes only the fragment.
  root.addEventListener("hashchange", function () {
    if (parse(location.hash).token === undefined) return;
    absorb();
    location.reload();
  });

  lotkeeper.session = {
    options: options,
    parse: parse,
    claims: claims,
    device: device,
    token: function () { return tab.get(KEY); },
    setToken: function (token) { tab.set(KEY, token); },
    theme: function () { return document.documentElement.getAttribute("data-theme") || "system"; },
    setTheme: function (name) {
      device.set("lotkeeper.theme", THEMES.indexOf(name) >= 0 ? name : null);
      setTheme(name);
    },
  };
})(window);
