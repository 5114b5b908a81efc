// Draws the figures that the server has put into the page as JSON, in the colours of the theme.
import { isDark } from "./theme.js";

const CONFIG = { displaylogo: false, responsive: true, displayModeBar: false, topojsonURL: "/none", plotlyServerURL: "" };

// The ground is the page's own; all else is drawn for the theme on the server.
function grounded(place, layout) {
  const surface = getComputedStyle(place.closest(".card")).backgroundColor;
  return { ...layout, paper_bgcolor: surface, plot_bgcolor: surface };
}

export function draw() {
  if (typeof Plotly === "undefined") return;
  for (const place of document.querySelectorAll("[data-figure]")) {
    const source = document.getElementById(place.dataset.figure);
    if (!source || place.closest("[hidden]")) continue;
    const wanted = `${isDark()} ${source.textContent}`;
    if (place.drawn === wanted) continue;
    const figure = JSON.parse(source.textContent)[isDark() ? "dark" : "light"];
    place.drawn = wanted;
    place.style.minHeight = `${figure.layout.height ?? 320}px`;
    Plotly.react(place, figure.data, grounded(place, figure.layout), CONFIG);
  }
}

document.addEventListener("themechange", draw);
document.addEventListener("DOMContentLoaded", draw);
// Of figures with a choice, all are in the page, and one is shown.
document.addEventListener("change", (event) => {
  const choice = event.target.closest("[data-chooses]");
  if (!choice) return;
  for (const option of choice.options) document.getElementById(option.value).hidden = option.value !== choice.value;
  draw();
  dispatchEvent(new Event("resize")); // what was hidden has had no width
});
