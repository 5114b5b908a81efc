// Draws the figures that stand in this file as JSON. Nothing is loaded and nothing is sent.
for (const place of document.querySelectorAll("[data-figure]")) {
  const { data, layout } = JSON.parse(document.getElementById(place.dataset.figure).textContent);
  Plotly.newPlot(place, data, layout, CONFIG);
}
// Paper has another width than the window.
for (const [event, width] of [["beforeprint", 680], ["afterprint", undefined]]) {
  addEventListener(event, () => {
    for (const place of document.querySelectorAll("[data-figure]")) {
      Plotly.relayout(place, width ? { width, autosize: false } : { width: null, autosize: true });
    }
  });
}
