// Stores the finished lessons in the browser's session, which outlives a reload and ends with the tab.
const KEY = "camlab.learn"

function kept() {
  try {
    const found = JSON.parse(sessionStorage.getItem(KEY) || "[]")
    return Array.isArray(found) ? found : []
  } catch {
    return [] // no storage or foreign data: the progress then lasts as long as the page
  }
}

let asked = false // whether this page has reported the stored lessons to the server
let resets = 0

export default function ({ data, setStateValue }) {
  const before = kept()
  if (!asked && data.resets === 0 && before.some((name) => !data.done.includes(name))) {
    asked = true
    setStateValue("kept", before)
    return
  }
  asked = true
  const merged = data.resets === resets ? [...new Set([...before, ...data.done])] : data.done
  resets = data.resets
  try {
    sessionStorage.setItem(KEY, JSON.stringify(merged))
  } catch {
    // no storage, see above
  }
}
