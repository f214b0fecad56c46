// Draws the plots of a report from data in the same file, and opens folded parts for printing.
for (const script of document.querySelectorAll("script[data-plot]")) {
  const { data, layout, config } = JSON.parse(script.textContent);
  layout.font = { ...layout.font, color: "#1c2330", family: "system-ui, sans-serif" };
  globalThis.Plotly.newPlot(script.dataset.plot, data, layout, config);
}
const folded = document.querySelectorAll("details");
const plots = document.querySelectorAll(".plot");
let opened = [];
addEventListener("beforeprint", () => {
  opened = [...folded].filter((each) => !each.open);
  for (const each of opened) each.open = true;
  for (const plot of plots) globalThis.Plotly.Plots.resize(plot);
});
addEventListener("afterprint", () => {
  for (const each of opened) each.open = false;
  for (const plot of plots) globalThis.Plotly.Plots.resize(plot);
});
