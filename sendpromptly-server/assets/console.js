// What the console does more where JavaScript runs. Every page works without it.
"use strict";

// Copy buttons: <button data-copy="ID of the element whose text is copied" hidden>.
for (const button of document.querySelectorAll("[data-copy]")) {
  if (!navigator.clipboard) continue;
  button.hidden = false;
  const label = button.textContent;
  button.addEventListener("click", async () => {
    await navigator.clipboard.writeText(document.getElementById(button.dataset.copy).textContent.trim());
    button.textContent = "Copied";
    document.getElementById("said").textContent = `${label}: copied.`;
    setTimeout(() => { button.textContent = label; }, 2000);
  });
}

// A box that checks all boxes of one name: <label hidden><input type="checkbox" data-all="NAME"></label>.
function showSelectAll() {
  for (const all of document.querySelectorAll("[data-all]")) {
    (all.closest("label") || all).hidden = false;
    all.hidden = false;
  }
}
showSelectAll();
document.addEventListener("change", (event) => {
  const name = event.target.dataset.all;
  if (!name) return;
  for (const box of document.querySelectorAll(`input[name="${name}"]`)) box.checked = event.target.checked;
});

// A live part of a page: <div id="live" data-live="EVENTS" data-page="THIS PAGE">. When the server says that
// something changed, the page is fetched again and the part is put in place of the old one. What the visitor has
// typed, ticked, opened and focused stays; elements that should keep it have an id.
function remember(part) {
  const kept = [];
  for (const element of part.querySelectorAll("[id]")) {
    const { id, open, checked, value } = element;
    if (element.localName === "details" && open) kept.push([id, { open }]);
    else if (element.type === "checkbox" && checked !== element.defaultChecked) kept.push([id, { checked }]);
    else if ("defaultValue" in element && value !== element.defaultValue) kept.push([id, { value }]);
  }
  const focused = part.contains(document.activeElement) ? document.activeElement : null;
  const caret = focused && focused.localName === "textarea" || focused?.type === "text" ? [focused.selectionStart, focused.selectionEnd] : null;
  return () => {
    for (const [id, state] of kept) {
      const element = document.getElementById(id);
      if (element) Object.assign(element, state);
    }
    const again = focused && (document.getElementById(focused.id) || document.querySelector(`#live a[href="${CSS.escape(focused.getAttribute("href") || "")}"]`));
    again?.focus({ preventScroll: true });
    if (again && caret) again.setSelectionRange(...caret);
  };
}

const live = document.getElementById("live");
if (live?.dataset.live && window.EventSource) {
  const events = new EventSource(live.dataset.live);
  let fetching = false;
  let again = false;
  // The page would look live and be old: it says so, for all to see.
  const end = () => {
    events.close();
    const said = document.getElementById("live-said");
    said.className = "warning";
    said.textContent = "No longer renewed. Reload the page.";
  };
  const renew = async () => {
    if (fetching) { again = true; return; }
    fetching = true;
    do {
      again = false;
      try {
        const answer = await fetch(live.dataset.page, { headers: { "x-live": "1", accept: "text/html" } });
        if (answer.redirected || !answer.ok) { end(); break; } // signed out, or gone
        const page = new DOMParser().parseFromString(await answer.text(), "text/html");
        const fresh = page.getElementById("live");
        if (!fresh) break;
        if (fresh.textContent !== live.textContent) document.getElementById("live-said").textContent = "The page was updated.";
        const restore = remember(live);
        live.replaceChildren(...fresh.childNodes);
        live.toggleAttribute("data-busy", fresh.hasAttribute("data-busy"));
        showSelectAll();
        restore();
      } catch { break; } // the server is away; the next change renews the page
    } while (again);
    fetching = false;
  };
  events.addEventListener("change", renew);
  // It connects again by itself, unless it was refused.
  events.addEventListener("error", () => { if (events.readyState === EventSource.CLOSED) end(); });
  // Single calls of a replay are not told of, so while one is under way the page looks by itself.
  setInterval(() => { if (live.hasAttribute("data-busy") && !document.hidden && events.readyState !== EventSource.CLOSED) renew(); }, 5000);
}
