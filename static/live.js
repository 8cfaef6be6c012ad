/* Keeps a page up to date where <main data-live="seconds"> stands: fetches its own address and changes only what differs,
   so that focus, selection, open <details> and typed text stay. Without this script the page reloads as a whole. */

const LONGEST_WAIT_S = 60;
const ANSWER_WITHIN_MS = 10_000;

const fresh = document.querySelector(".fresh");
const who = document.querySelector(".top .who");
let updatedAt = performance.now();
let failures = 0;
let login = ""; // its address, when the session has ended
let timer;
let asked;

const main = () => document.querySelector("main[data-live]");
const key = (node) => node.dataset?.part || node.id || node.getAttribute?.("aria-labelledby") || "";
const alike = (one, other) => one.nodeName === other.nodeName && key(one) === key(other);

/* One at a time: whoever asks anew gives up what was asked before, so that no older answer comes after a newer one. */
async function update() {
  clearTimeout(timer);
  asked?.abort();
  const asking = (asked = new AbortController());
  const patience = setTimeout(() => asking.abort(), ANSWER_WITHIN_MS);
  try {
    const answer = await fetch(location.href, { cache: "no-store", signal: asking.signal });
    const text = await answer.text();
    if (asking === asked) take(answer, text);
  } catch {
    if (asking === asked) failures += 1;
  }
  clearTimeout(patience);
  if (asking !== asked) return;
  tellAge();
  plan();
}

function take(answer, text) {
  login = answer.redirected ? answer.url : ""; // nothing else leads these pages elsewhere
  if (who) who.hidden = Boolean(login);
  if (login) return;
  if (!answer.ok) throw new Error(`answered ${answer.status}`);
  const page = new DOMParser().parseFromString(text, "text/html");
  become(main(), page.querySelector("main"));
  document.title = page.title;
  updatedAt = performance.now();
  failures = 0;
  if (main()) return;
  fresh.textContent = page.querySelector(".fresh").textContent;
  fresh.classList.remove("stale");
}

/* A failure doubles the wait. A hidden tab, a page that has come to its end and one that takes a login wait for nothing;
   the last is tried again when people come back to its tab, as they do from a login in another. */
function plan() {
  clearTimeout(timer);
  if (document.hidden || !main() || login) return;
  const wait = Math.min(main().dataset.live * 2 ** failures, LONGEST_WAIT_S);
  timer = setTimeout(update, wait * 1000);
}

function tellAge() {
  if (!fresh || !main()) return;
  if (login) {
    if (!fresh.querySelector("a")) fresh.replaceChildren("You were logged out: ", linkTo(login, "log in"));
    fresh.classList.add("stale");
    return;
  }
  const age = Math.round((performance.now() - updatedAt) / 1000);
  const at = new Date(Date.now() - age * 1000).toISOString().slice(11, 19);
  fresh.textContent = failures ? `not updated since ${at} UTC: no answer from the server` : `updated ${age} s ago`;
  fresh.classList.toggle("stale", failures > 0);
}

function linkTo(address, words) {
  const link = document.createElement("a");
  link.href = address;
  link.textContent = words;
  return link;
}

function become(old, wanted) {
  if (old.isEqualNode(wanted)) return;
  if (old.nodeType !== Node.ELEMENT_NODE) {
    old.data = wanted.data;
    return;
  }
  if (old.matches("input, textarea, select")) return; // what people type and choose is theirs
  adoptAttributes(old, wanted);
  adoptChildren(old, wanted);
}

function adoptAttributes(old, wanted) {
  const kept = old.nodeName === "DETAILS" ? ["open"] : [];
  for (const { name } of [...old.attributes])
    if (!wanted.hasAttribute(name) && !kept.includes(name)) old.removeAttribute(name);
  for (const { name, value } of wanted.attributes)
    if (old.getAttribute(name) !== value && !kept.includes(name)) old.setAttribute(name, value);
}

/* Goes through both lists side by side. Sections, and parts with an id or data-part, are found again wherever they went. */
function adoptChildren(old, wanted) {
  const keys = new Set([...wanted.childNodes].map(key).filter(Boolean));
  for (const child of [...old.childNodes]) if (key(child) && !keys.has(key(child))) child.remove();
  let here = old.firstChild;
  for (const next of [...wanted.childNodes]) {
    const found = key(next) ? [...old.childNodes].find((child) => alike(child, next)) : here && alike(here, next) && here;
    if (found && found === here) {
      here = here.nextSibling;
      become(found, next);
    } else if (found) {
      old.insertBefore(found, here);
      become(found, next);
    } else {
      old.insertBefore(document.importNode(next, true), here);
    }
  }
  while (here) {
    const gone = here;
    here = here.nextSibling;
    gone.remove();
  }
}

if (main()) {
  setInterval(tellAge, 1000);
  document.addEventListener("visibilitychange", () => (document.hidden ? clearTimeout(timer) : main() && update()));
  plan();
}
