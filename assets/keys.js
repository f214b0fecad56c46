// Arrow keys turn the slides of a story, unless the focused element uses them itself.
const OWN = 'input, textarea, select, [contenteditable], [role="slider"], [role="combobox"], [role="listbox"], [role="radiogroup"], [role="radio"], [role="tablist"], [role="dialog"]';
const KEPT = 64; // moves that are sent again with every new one: the server takes each once, also those of a lost message

export default function ({ data, setStateValue }) {
  const source = Math.random().toString(36).slice(2);
  const moves = [];
  let count = 0;
  const listen = (event) => {
    if (event.defaultPrevented || event.altKey || event.ctrlKey || event.metaKey || event.shiftKey) return;
    // The event's target hides elements inside a shadow tree; the composed path shows them.
    const [inner] = event.composedPath();
    if (inner instanceof Element && inner.closest(OWN)) return;
    const move = data.keys[event.key];
    if (!move) return;
    event.preventDefault();
    moves.push(move);
    count += 1;
    setStateValue("moves", { source, count, last: moves.slice(-KEPT) });
  };
  document.addEventListener("keydown", listen);
  document.documentElement.dataset.camlabKeys = "heard";
  return () => {
    document.removeEventListener("keydown", listen);
    delete document.documentElement.dataset.camlabKeys;
  };
}
