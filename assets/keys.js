// Arrow keys press the buttons of a story, unless the focused element uses them itself.
const OWN = 'input, textarea, select, [contenteditable], [role="slider"], [role="combobox"], [role="listbox"], [role="radiogroup"], [role="radio"], [role="tablist"], [role="dialog"]';

const press = (name) => {
  const button = document.querySelector(`.st-key-${name} button`);
  if (button && !button.disabled) button.click();
};

export default function ({ data }) {
  const listen = (event) => {
    if (event.defaultPrevented || event.altKey || event.ctrlKey || event.metaKey || event.shiftKey) return;
    // The event's target hides elements inside a shadow tree; the composed path shows them.
    const [inner] = event.composedPath();
    if (inner instanceof Element && inner.closest(OWN)) return;
    const name = data.keys[event.key];
    if (!name) return;
    event.preventDefault();
    press(name);
  };
  document.addEventListener("keydown", listen);
  document.documentElement.dataset.camlabKeys = "heard";
  return () => {
    document.removeEventListener("keydown", listen);
    delete document.documentElement.dataset.camlabKeys;
  };
}
