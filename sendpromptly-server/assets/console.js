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
// typed, ticked, opened and focused stays; elements that should keep what was done to them have an id.

// Finds an element again in the part that was put in place: what has its id; or leads where it led, or says what it said.
function finder(part, element) {
  const { id, localName } = element;
  if (id) return () => document.getElementById(id);
  const mark = (other) => other.getAttribute("href") ?? other.textContent;
  const wanted = mark(element);
  const alike = () => [...part.querySelectorAll(localName)].filter((other) => mark(other) === wanted);
  const place = alike().indexOf(element);
  return () => alike()[place];
}

function remember(part) {
  const kept = [];
  for (const element of part.querySelectorAll("[id]")) {
    const { id, open, checked, value } = element;
    if (element.localName === "details" && open) kept.push([id, { open }]);
    else if (element.type === "checkbox") {
      if (checked !== element.defaultChecked) kept.push([id, { checked }]);
    } else if ("defaultValue" in element && (value || element.defaultValue)) {
      kept.push([id, { value }]); // also what a refusal gave back, which a fresh page lacks
    }
  }
  const focused = part.contains(document.activeElement) ? document.activeElement : null;
  const find = focused && finder(part, focused);
  const caret = focused && focused.localName === "textarea" || focused?.type === "text" ? [focused.selectionStart, focused.selectionEnd] : null;
  return () => {
    for (const [id, state] of kept) {
      const element = document.getElementById(id);
      if (element) Object.assign(element, state);
    }
    const again = find?.();
    again?.focus({ preventScroll: true });
    if (again && caret) again.setSelectionRange(...caret);
  };
}

const live = document.getElementById("live");
if (live?.dataset.live && window.EventSource) {
  let events;
  let ended = false;
  let fetching = false;
  let again = false;
  let waiting = false;
  const say = (text, look) => {
    const said = document.getElementById("live-said");
    said.className = look;
    said.textContent = text;
  };
  // The page would look live and be old: it says so, for all to see.
  const end = () => {
    ended = true;
    events?.close();
    say(live.dataset.end ?? "No longer renewed. Reload the page.", "warning");
  };
  // What a part says, but for how long ago it was.
  const words = (part) => {
    const copy = part.cloneNode(true);
    for (const time of copy.querySelectorAll("time")) time.textContent = time.dateTime;
    return copy.textContent;
  };
  const isTicked = () => live.querySelector("input[name=incident]:checked") !== null;
  const show = (fresh) => {
    const changed = words(fresh) !== words(live);
    // A form's token is the browser's, and another one once the session has another.
    const token = fresh.querySelector("input[name=form]")?.value;
    if (token) live.querySelectorAll("input[name=form]").forEach((old) => { old.value = token; });
    // A row that is pushed off the page would take its tick along.
    if (changed && isTicked()) {
      waiting = true;
      say("There are changes. They are shown when nothing is ticked.", "warning");
      return;
    }
    if (changed || waiting) say(changed ? "The page was updated." : "", "visually-hidden");
    waiting = false;
    live.toggleAttribute("data-busy", fresh.hasAttribute("data-busy"));
    // Nothing is put in an element's place for the time's sake: a selection and a press of a button would be lost.
    if (!changed) {
      const times = fresh.querySelectorAll("time");
      live.querySelectorAll("time").forEach((time, index) => { time.textContent = times[index].textContent; });
      return;
    }
    const restore = remember(live);
    live.replaceChildren(...fresh.childNodes);
    showSelectAll();
    restore();
  };
  const fetchPart = async () => {
    const answer = await fetch(live.dataset.page, { headers: { "x-live": "1", accept: "text/html" } });
    if (answer.redirected || !answer.ok) { end(); return; } // signed out, or gone
    const page = new DOMParser().parseFromString(await answer.text(), "text/html");
    const fresh = page.getElementById("live");
    if (fresh) show(fresh);
  };
  const renew = async () => {
    if (fetching) { again = true; return; }
    fetching = true;
    do {
      again = false;
      try { await fetchPart(); } catch { /* the server is away; the next change renews the page */ }
    } while (again && !ended);
    fetching = false;
  };
  const listen = () => {
    events?.close();
    events = new EventSource(live.dataset.live);
    events.addEventListener("change", renew);
    // It connects again by itself, unless it was refused.
    events.addEventListener("error", () => { if (events.readyState === EventSource.CLOSED) end(); });
  };
  if (!document.hidden) listen();
  // Over HTTP/1.1 a browser has six connections to a host, and a stream holds one: a page that nobody sees holds none.
  document.addEventListener("visibilitychange", () => {
    if (ended) return;
    if (document.hidden) { events?.close(); return; }
    listen();
    renew();
  });
  document.addEventListener("change", () => { if (waiting && !isTicked()) renew(); });
  // Not everything is told of, such as single calls of a replay and receipts: where such is awaited, the page looks by itself.
  setInterval(() => { if (live.hasAttribute("data-busy") && !document.hidden && !ended) renew(); }, 5000);
}
