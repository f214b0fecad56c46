// A dozen pairs in two zones. Dragging, a click or an arrow key moves a pair to the other zone; the browser updates C, R
// and RM at once and reports to the server.

const SIDES = { k: "kept", f: "flipped" }
const said = (value) => (value === null ? "not observed" : value.toFixed(2))

function mean(values) {
  return values.length ? values.reduce((a, b) => a + b, 0) / values.length : null
}

export default function ({ data, parentElement, setStateValue }) {
  const root = parentElement
  const held = root.camlab || (root.camlab = { placed: "", turn: 0, drawn: "" })
  // The server's placing counts unless it answers an earlier move than the last one here.
  if (data.turn >= held.turn || held.placed.length !== data.pairs.length) {
    held.placed = data.placed
    held.turn = data.turn
  }

  function scores() {
    const at = (zone) => data.pairs.filter((pair, i) => held.placed[i] === zone && pair.similarity !== null)
    const kept = mean(at("k").map((pair) => pair.similarity))
    const lost = mean(at("f").map((pair) => 1 - pair.similarity))
    return { kept, lost, rm: kept === null || lost === null ? null : kept * lost }
  }

  function words() {
    const { kept, lost, rm } = scores()
    const count = (zone) => [...held.placed].filter((letter) => letter === zone).length
    root.querySelector("#kept").textContent = `● Kept (${count("k")}) · C ${said(kept)}`
    root.querySelector("#flipped").textContent = `◆ Flipped (${count("f")}) · R ${said(lost)}`
    return `C ${said(kept)} · R ${said(lost)} · RM ${said(rm)}`
  }

  function move(index, zone, focus) {
    if (held.placed[index] === zone) return
    held.placed = held.placed.slice(0, index) + zone + held.placed.slice(index + 1)
    draw()
    if (focus) root.querySelector(`[data-pair="${index}"]`).focus()
    root.querySelector(".total").textContent = `${data.pairs[index].title} is now ${SIDES[zone]}. ${words()}`
    held.turn += 1
    setStateValue("placed", { placed: held.placed, turn: held.turn })
  }

  function card(pair, index) {
    const item = document.createElement("li")
    const button = document.createElement("button")
    const image = document.createElement("img")
    const label = document.createElement("span")
    button.type = "button"
    button.draggable = true
    button.dataset.pair = index
    const zone = held.placed[index]
    button.setAttribute("aria-label", `${pair.title}, similarity ${said(pair.similarity)}, ${SIDES[zone]}`)
    button.setAttribute("aria-describedby", "how")
    image.src = pair.picture
    image.alt = ""
    label.textContent = `sev. ${pair.severity} · s ${said(pair.similarity)}`
    if (zone !== data.measured[index]) label.className = "moved"
    button.append(image, label)
    button.onclick = () => move(index, zone === "k" ? "f" : "k", true)
    button.onkeydown = (event) => {
      const to = { ArrowLeft: "k", ArrowRight: "f" }[event.key]
      if (to) {
        event.preventDefault()
        move(index, to, true)
      }
    }
    button.ondragstart = (event) => {
      event.dataTransfer.setData("text/plain", String(index))
      event.dataTransfer.effectAllowed = "move"
    }
    item.append(button)
    return item
  }

  function draw() {
    held.drawn = JSON.stringify([data.pairs, held.placed])
    for (const section of root.querySelectorAll("section")) {
      const zone = section.dataset.zone
      const cards = data.pairs.map((pair, i) => (held.placed[i] === zone ? card(pair, i) : null)).filter(Boolean)
      section.querySelector("ul").replaceChildren(...cards)
      section.ondragover = (event) => {
        event.preventDefault()
        section.classList.add("over")
      }
      section.ondragleave = () => section.classList.remove("over")
      section.ondrop = (event) => {
        event.preventDefault()
        section.classList.remove("over")
        const index = Number(event.dataTransfer.getData("text/plain"))
        if (Number.isInteger(index) && index >= 0 && index < data.pairs.length) move(index, zone, false)
      }
    }
  }

  // Cards that stay the same are left alone: one that is drawn anew under the pointer loses its click or drag.
  const now = JSON.stringify([data.pairs, held.placed])
  if (now === held.drawn) return
  const focused = root.querySelector("button:focus")?.dataset.pair
  draw()
  if (focused !== undefined) root.querySelector(`[data-pair="${focused}"]`)?.focus()
  root.querySelector(".total").textContent = words()
}
