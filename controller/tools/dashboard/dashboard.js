"use strict";
// Keeps a page as new as the store: the server says when it has changed, and the page reads itself
// again. Without this script the page is read again by hand, and its forms work as well.

const live = document.getElementById("live");
const RETRY_MS = 5000;
let stamp = live.dataset.stamp;
let stream = null;
let reading = false;
let changed = false;
let sent = false;

function say(text) {
  if (live.textContent !== text) live.textContent = text;
}

// A name by which a part of the old page is found in the new one.
function nameOf(details) {
  const named = details.id || details.querySelector("[id]")?.id;
  return named || details.querySelector("summary").textContent.replace(/\d+/g, "");
}

// What the reader did with the page: what is open, what is typed, and where the focus is.
function stateOf(root) {
  const open = new Map();
  for (const one of root.querySelectorAll("details")) open.set(nameOf(one), one.open);
  const typed = new Map();
  for (const one of root.querySelectorAll("input[id]")) typed.set(one.id, one.value);
  const focused = root.contains(document.activeElement) ? document.activeElement : null;
  return {
    open, typed,
    id: focused?.id,
    href: focused?.getAttribute("href"),
    summary: focused?.tagName === "SUMMARY" ? nameOf(focused.parentElement) : null,
    label: focused?.getAttribute("aria-label"),
    selection: focused?.tagName === "INPUT" ? [focused.selectionStart, focused.selectionEnd] : null,
  };
}

function restore(root, state) {
  for (const one of root.querySelectorAll("details")) {
    const open = state.open.get(nameOf(one));
    if (open !== undefined) one.open = open;
    if (state.summary === nameOf(one)) one.querySelector("summary").focus({ preventScroll: true });
  }
  for (const one of root.querySelectorAll("input[id]")) {
    const value = state.typed.get(one.id);
    if (value !== undefined) one.value = value;
  }
  const focused =
    (state.id && document.getElementById(state.id)) ||
    (state.href && root.querySelector(`a[href="${CSS.escape(state.href)}"]`)) ||
    (state.label && root.querySelector(`[aria-label="${CSS.escape(state.label)}"]`));
  if (focused) {
    focused.focus({ preventScroll: true });
    if (state.selection) focused.setSelectionRange(...state.selection);
  }
}

async function readAgain() {
  if (reading || sent) {
    changed = true;
    return;
  }
  reading = true;
  changed = false;
  try {
    const answer = await fetch(location.pathname, { cache: "no-store" });
    const text = await answer.text();
    const page = new DOMParser().parseFromString(text, "text/html");
    const place = page.getElementById("live");
    if (sent) return;
    if (!answer.ok || !place) {
      say("Not live: this page cannot be read again. Load it to see why");
      return;
    }
    for (const tag of ["header", "main"]) {
      const before = document.querySelector(tag);
      const after = page.querySelector(tag);
      if (before.innerHTML === after.innerHTML) continue;
      const state = stateOf(before);
      before.replaceWith(document.adoptNode(after));
      restore(after, state);
    }
    document.title = page.title;
    stamp = place.dataset.stamp;
    say("Live");
  } catch {
    say("Not live: the dashboard does not answer");
  } finally {
    reading = false;
    if (changed) readAgain();
  }
}

function listen() {
  if (stream || document.hidden) return;
  stream = new EventSource(live.dataset.events);
  stream.onopen = () => say("Live");
  stream.onmessage = (event) => {
    if (event.data !== stamp) readAgain();
  };
  stream.onerror = () => {
    say("Not live: the dashboard does not answer. Is it still running?");
    stream.close();
    stream = null;
    setTimeout(listen, RETRY_MS);
  };
}

// A browser has six connections to a host: hidden tabs leave theirs to the others.
document.addEventListener("visibilitychange", () => {
  if (document.hidden) {
    stream?.close();
    stream = null;
  } else {
    listen();
  }
});

// A form is sent once; the page stays as it is until the answer comes.
document.addEventListener("submit", (event) => {
  if (sent) {
    event.preventDefault();
    return;
  }
  sent = true;
  event.submitter.textContent = "Running…";
  event.submitter.setAttribute("aria-busy", "true");
});

listen();
