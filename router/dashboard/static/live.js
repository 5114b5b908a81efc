// Keeps a page up to date, and says so when it cannot.
//
//   connecting -> live <-> lost (nothing heard for a while: the connection, or the router, is gone)
//                      <-> stale (the router answers, and its controller has not looked for too long)
//
// The server sends what it knows to be new as a short fingerprint. If that differs, the page itself is fetched again and
// its live parts are put in place of the old ones: one way of rendering, on the server, and nothing to get out of step.
import { draw } from "./charts.js";

const LOST_AFTER_MS = 8_000;
const badge = document.querySelector("[data-live-state]");
let heardAt = Date.now();
let fingerprint = null;
let refreshing = false;

function show(state, words) {
  if (!badge || (badge.dataset.state === state && badge.textContent === words)) return;
  badge.dataset.state = state;
  badge.textContent = words;
}

function clock(ms) {
  return new Date(ms).toLocaleTimeString([], { hour: "2-digit", minute: "2-digit", second: "2-digit" });
}

export async function refresh() {
  if (refreshing) return;
  refreshing = true;
  try {
    const response = await fetch(location.href, { headers: { accept: "text/html" }, credentials: "same-origin" });
    if (response.redirected && new URL(response.url).pathname === "/login") location.assign(response.url);
    if (!response.ok) return;
    const fresh = new DOMParser().parseFromString(await response.text(), "text/html");
    for (const part of document.querySelectorAll("[data-live]")) {
      const next = fresh.getElementById(part.id);
      if (next && next.innerHTML !== part.dataset.seen) replace(part, next);
    }
    draw();
  } finally {
    refreshing = false;
  }
}

// What somebody has opened or chosen stays so, drawings stay and get new data, and the keyboard stays where it is.
function replace(part, next) {
  if (part.contains(document.activeElement) && document.activeElement.matches("input, textarea")) return;
  const fresh = document.importNode(next, true);
  const focused = part.contains(document.activeElement) ? document.activeElement.id : "";
  for (const old of part.querySelectorAll("[data-figure]")) {
    fresh.querySelector(`[data-figure="${CSS.escape(old.dataset.figure)}"]`)?.replaceWith(old);
  }
  for (const old of part.querySelectorAll("details[id]")) {
    const there = fresh.querySelector(`#${CSS.escape(old.id)}`);
    if (there) there.open = old.open;
  }
  for (const old of part.querySelectorAll("select[data-chooses]")) choose(fresh, old.id, old.value);
  for (const gone of part.querySelectorAll("[data-figure]")) if (globalThis.Plotly) Plotly.purge(gone);
  part.dataset.seen = next.innerHTML;
  part.replaceChildren(...fresh.childNodes);
  if (focused) document.getElementById(focused)?.focus({ preventScroll: true });
}

function choose(fresh, id, value) {
  const select = fresh.querySelector(`#${CSS.escape(id)}`);
  if (!select || ![...select.options].some((option) => option.value === value)) return;
  for (const option of select.options) {
    option.selected = option.value === value;
    fresh.querySelector(`#${CSS.escape(option.value)}`).hidden = option.value !== value;
  }
}

function listen() {
  const source = new EventSource("/api/v1/events");
  source.addEventListener("state", (event) => {
    heardAt = Date.now();
    const state = JSON.parse(event.data);
    if (fingerprint !== null && state.fingerprint !== fingerprint) refresh();
    fingerprint = state.fingerprint;
    if (state.stale_s > 0) show("stale", `Stale: the controller has not looked for ${Math.round(state.stale_s)} s`);
    else show("live", `Live, ${clock(heardAt)}`);
  });
  source.addEventListener("error", () => {
    if (source.readyState === EventSource.CLOSED) setTimeout(listen, 5_000);
  });
  return source;
}

if (badge) {
  for (const part of document.querySelectorAll("[data-live]")) part.dataset.seen = part.innerHTML;
  show("connecting", "Connecting");
  listen();
  setInterval(() => {
    if (Date.now() - heardAt > LOST_AFTER_MS) show("lost", `Connection lost; what you see is of ${clock(heardAt)}`);
  }, 1_000);
}
