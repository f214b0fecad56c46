// The tour: three steps at the first visit. The browser remembers that they were shown.
const SEEN = "camlab.tour";

const storage = (act) => {
  try {
    return act(globalThis.localStorage);
  } catch {
    return null; // without storage, the tour appears at every visit
  }
};

export default function ({ data, parentElement }) {
  const card = parentElement.querySelector(".tour");
  const root = document.documentElement;
  if (card.dataset.seen || storage((kept) => kept.getItem(SEEN))) {
    root.dataset.camlabTour = "seen";
    return;
  }
  const [next, skip] = [card.querySelector(".next"), card.querySelector(".skip")];
  const draw = () => {
    const step = Number(card.dataset.step ?? 0);
    const { title, text } = data.steps[step];
    card.querySelector(".count").textContent = `${step + 1} / ${data.steps.length}`;
    card.querySelector("h2").textContent = title;
    card.querySelector(".words p").textContent = text;
    next.textContent = step === data.steps.length - 1 ? "Start" : "Next";
  };
  const end = () => {
    card.dataset.seen = "1";
    card.hidden = true;
    root.dataset.camlabTour = "seen";
    storage((kept) => kept.setItem(SEEN, "seen"));
  };
  next.onclick = () => {
    const step = Number(card.dataset.step ?? 0) + 1;
    if (step >= data.steps.length) return end();
    card.dataset.step = step;
    draw();
  };
  skip.onclick = end;
  card.onkeydown = (event) => event.key === "Escape" && end();
  draw();
  card.hidden = false;
  root.dataset.camlabTour = "open";
}
