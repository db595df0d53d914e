// Pages are complete without this. It makes times local, keeps pages and logs fresh, and marks lines.
"use strict";

const $ = (selector, root = document) => root.querySelector(selector);
const $$ = (selector, root = document) => [...root.querySelectorAll(selector)];

/* ---- times ---- */

const UNITS = [["year", 31536e3], ["month", 2592e3], ["day", 86400], ["hour", 3600], ["minute", 60], ["second", 1]];
const words = new Intl.RelativeTimeFormat("en", { numeric: "auto" });

function ago(date) {
  const seconds = (date - Date.now()) / 1000;
  const [unit, size] = UNITS.find(([, size]) => Math.abs(seconds) >= size) ?? UNITS.at(-1);
  return words.format(Math.round(seconds / size), unit);
}

// the same words as the server's
function span(milliseconds) {
  const s = Math.max(0, Math.floor(milliseconds / 1000));
  if (s < 60) return `${s} s`;
  if (s < 3600) return `${Math.floor(s / 60)} min ${s % 60} s`;
  return `${Math.floor(s / 3600)} h ${Math.floor(s / 60) % 60} min`;
}

function tick() {
  for (const time of $$("time:not(.log time)")) {
    const date = new Date(time.dateTime);
    time.textContent = ago(date);
    time.title = date.toLocaleString();
  }
  for (const took of $$("[data-since]")) took.textContent = span(Date.now() - new Date(took.dataset.since));
}

/* ---- pages that change ---- */

async function fetched(url) {
  const response = await fetch(url, { headers: { accept: "text/html" } });
  if (!response.ok) throw new Error(response.status);
  return new DOMParser().parseFromString(await response.text(), "text/html");
}

let shown = "";

async function refresh() {
  const main = $("main[data-live]");
  if (!main) return;
  try {
    const writing = document.activeElement?.matches("input, select");
    if (!document.hidden && !writing && !getSelection()?.toString()) {
      const page = await fetched(location.href);
      const fresh = $("main", page);
      if (fresh.innerHTML !== shown) {
        shown = fresh.innerHTML;
        const place = focusPlace();
        main.replaceWith(document.adoptNode(fresh));
        if (place) $$("main a, main button")[place]?.focus({ preventScroll: true });
        adopt(page);
        tick();
      }
    }
  } catch { /* the server is away: the next time, then */ }
  setTimeout(refresh, 2000);
}

// whoever walks by keyboard stays where they are
function focusPlace() {
  const at = $$("main a, main button").indexOf(document.activeElement);
  return at < 0 ? null : at;
}

function adopt(page) {
  document.title = page.title;
  $("link[rel=icon]").href = $("link[rel=icon]", page).href;
}

/* ---- the log ---- */

const log = $(".log");
const KEEP = 20000;

function marked() {
  const [, from, to] = /^#L(\d+)(?:-L?(\d+))?$/.exec(location.hash) ?? [];
  return from ? [Number(from), Number(to ?? from)].sort((a, b) => a - b) : null;
}

// marks the lines that the address names; false if it names none
function mark(place) {
  const range = marked();
  if (!range) return false;
  for (const line of $$(".here", log)) line.classList.remove("here");
  const lines = $$("li", log).filter((line) => range[0] <= numberOf(line) && numberOf(line) <= range[1]);
  for (const line of lines) line.classList.add("here");
  if (place === "go to") {
    if (lines.length) lines[0].scrollIntoView();
    // outside the window: the server does not see what follows the #
    else location.replace(`${log.dataset.log}${log.dataset.query}line=${range[0]}${location.hash}`);
  }
  return true;
}

const numberOf = (line) => Number(line.id.slice(1));

// a number makes the address one of its line, and with shift of all between; the page stays where it is
function choose(event) {
  const number = event.target.closest("a.n");
  if (!number || event.ctrlKey || event.metaKey) return;
  event.preventDefault();
  const line = numberOf(number.parentElement);
  const other = (event.shiftKey && marked()?.[0]) || line;
  const [from, to] = [Math.min(other, line), Math.max(other, line)];
  history.replaceState(null, "", from === to ? `#L${from}` : `#L${from}-L${to}`);
  mark("stay");
}

function append(html) {
  const part = new DOMParser().parseFromString(`<ol>${html}</ol>`, "text/html");
  const below = window.innerHeight + window.scrollY >= document.body.scrollHeight - 80;
  for (const line of $$("li", part)) {
    document.getElementById(line.id)?.remove();
    log.append(document.adoptNode(line));
    clock($("time", line));
  }
  while (below && log.childElementCount > KEEP) log.firstElementChild.remove();
  $("p.empty")?.remove();
  if (log.lastElementChild) $(".seal").textContent = `${numberOf(log.lastElementChild).toLocaleString("en")} lines so far`;
  if (below) window.scrollTo(0, document.body.scrollHeight);
}

function follow() {
  if (!log.dataset.stream) return;
  const source = new EventSource(log.dataset.stream);
  source.onmessage = (event) => append(JSON.parse(event.data).html);
  // of what is held back in the pod there are no lines
  source.addEventListener("seal", (event) => { $(".seal").textContent = JSON.parse(event.data).seal; });
  source.addEventListener("end", async (event) => {
    source.close();
    append(JSON.parse(event.data).html);
    await settle();
  });
}

// the head and the seal of a log that has ended
async function settle() {
  const page = await fetched(location.href);
  for (const part of [".head", ".seal"]) $(part).replaceWith(document.adoptNode($(part, page)));
  adopt(page);
  tick();
  verify();
}

// the server compares the whole log with its agent's digest, a moment after the end
function verify() {
  if ($(".seal[data-pending]")) setTimeout(() => settle().catch(verify), 1000);
}

// what is folded is a link to a page on which it is open; here its lines come to where it stands
async function unfold(event) {
  const link = event.target.closest("a.unfold");
  if (link) {
    if (event.ctrlKey || event.metaKey || event.shiftKey) return;
    event.preventDefault();
    const row = link.closest("li");
    const page = await fetched(link.href).catch(() => null);
    if (!page) { location.assign(link.href); return; }
    const last = Number(row.dataset.last);
    const lines = $$(".log > li", page).filter((line) => numberOf(line) >= numberOf(row) && numberOf(line) <= last);
    const shownTo = numberOf(lines.at(-1)) === last ? null : numberOf(lines.at(-1)) + 1;
    for (const line of lines) clock($("time", document.adoptNode(line)));
    row.replaceWith(...lines);
    lines[0].dataset.last = last;
    if (shownTo) lines.at(-1).after(rest(shownTo));
    mark("stay");
    return;
  }
  const opened = event.target.closest(".opened[data-last]");
  if (!opened || event.target.closest("a") || getSelection()?.toString()) return;
  const shut = opened.classList.toggle("shut");
  for (let line = opened.nextElementSibling; line && numberOf(line) <= Number(opened.dataset.last); line = line.nextElementSibling) {
    line.classList.toggle("within", shut);
  }
}

// a group that is longer than a page goes on there
function rest(from) {
  const row = Object.assign(document.createElement("li"), { id: `L${from}`, className: "agent" });
  const link = Object.assign(document.createElement("a"), { href: `${log.dataset.log}${log.dataset.query}from=${from}`, textContent: "More lines of it" });
  const text = Object.assign(document.createElement("span"), { className: "t" });
  text.append(link);
  row.append(document.createElement("span"), document.createElement("time"), text);
  return row;
}

// "earlier" and "later" are links; near them their lines come by themselves
function paging() {
  const seen = new IntersectionObserver((entries) => {
    for (const entry of entries) if (entry.isIntersecting) more(entry.target);
  }, { rootMargin: "600px" });
  // not before someone scrolls: whoever opens a page sees its head first
  const start = () => { for (const link of $$("a.earlier, a.later")) seen.observe(link); };
  setTimeout(() => addEventListener("scroll", start, { once: true, passive: true }), 500);
  async function more(link) {
    seen.unobserve(link);
    if (log.childElementCount > KEEP) return;
    const page = await fetched(link.href).catch(() => null);
    if (!page) return;
    const earlier = link.classList.contains("earlier");
    const lines = $$(".log > li", page).filter((line) => !document.getElementById(line.id));
    const below = document.body.scrollHeight - window.scrollY;
    log[earlier ? "prepend" : "append"](...lines.map((line) => document.adoptNode(line)));
    for (const line of lines) clock($("time", line));
    mark("stay");
    const next = $(earlier ? "a.earlier" : "a.later", page);
    if (next) link.href = next.href;
    else link.parentElement.remove();
    // what is read stays where it is
    if (earlier) window.scrollTo(0, document.body.scrollHeight - below);
    if (next) seen.observe(link);
  }
}

function open() {
  if (mark("go to")) return;
  const opened = log.dataset.open && document.getElementById(`L${log.dataset.open}`);
  if (opened) {
    opened.classList.add("here");
    opened.scrollIntoView();
  } else if (log.dataset.stream) {
    window.scrollTo(0, document.body.scrollHeight);
  }
}

/* ---- how the log is shown ---- */

// what somebody chose stays chosen on the next page
const chosen = (name, fallback) => { try { return localStorage.getItem(name) ?? fallback; } catch { return fallback; } };
const keep = (name, value) => { try { localStorage.setItem(name, value); } catch { /* then it is for this page */ } };

function toggle(button, name, fallback, show) {
  if (!button) return;
  const set = (on) => { button.setAttribute("aria-pressed", on); show(on); };
  button.hidden = false;
  set(chosen(name, fallback) === "true");
  button.addEventListener("click", () => {
    const on = button.getAttribute("aria-pressed") !== "true";
    keep(name, on);
    set(on);
  });
}

function times(ofDay) {
  log.dataset.times = ofDay ? "of day" : "";
  for (const time of $$("time", log)) clock(time);
}

function clock(time) {
  if (!time.dateTime) return;
  time.dataset.shown ??= time.textContent;
  const date = new Date(time.dateTime);
  time.textContent = log.dataset.times ? date.toLocaleTimeString(undefined, { hour12: false }) : time.dataset.shown;
  time.title = date.toLocaleString();
}

/* ---- keys ---- */

const KEYS = [
  ["/", "Search", () => $("[type=search]")?.focus()],
  ["n", "Next line that is looked for, or next error", () => ($(".tools .next") ?? $(".tools .to-error"))?.click()],
  ["p", "The one before", () => $(".tools .previous")?.click()],
  ["j", "Next entry, or next line", () => step(1)],
  ["k", "The one before", () => step(-1)],
  ["g", "To the beginning", () => (log ? $(".pager a[href$='from=1']") ?? scrollTo(0, 0) : scrollTo(0, 0))?.click?.()],
  ["G", "To the end", () => $(".tools .to-end")?.click()],
  ["w", "Wrap lines", () => $(".tools .wrap")?.click()],
  ["?", "What keys do", () => help()],
];

function pressed(event) {
  if (event.ctrlKey || event.metaKey || event.altKey) return;
  if (event.target.closest("input, textarea, select")) {
    if (event.key === "Escape") event.target.blur();
    return;
  }
  const known = KEYS.find(([key]) => key === event.key);
  if (!known) return;
  event.preventDefault();
  known[2]();
}

// through a list by its links, through a log by its lines
function step(by) {
  const places = log ? $$("a.n", log) : $$(".runs .title, .lines li > a, .jobs li > a");
  if (!places.length) return;
  const here = log ? $(".here:last-of-type .n, .here .n", log) : document.activeElement;
  const at = places.indexOf(here);
  const next = places[Math.min(places.length - 1, Math.max(0, at < 0 ? 0 : at + by))];
  next.focus({ preventScroll: !!log });
  if (log) {
    history.replaceState(null, "", `#${next.parentElement.id}`);
    mark("stay");
    next.scrollIntoView({ block: "nearest" });
  }
}

function help() {
  let dialog = $("dialog.keys");
  if (!dialog) {
    dialog = document.createElement("dialog");
    dialog.className = "keys";
    dialog.setAttribute("aria-label", "Keys");
    const list = document.createElement("dl");
    for (const [key, words] of KEYS) {
      const [name, does] = [document.createElement("dt"), document.createElement("dd")];
      name.append(Object.assign(document.createElement("kbd"), { textContent: key }));
      does.textContent = words;
      list.append(name, does);
    }
    const close = Object.assign(document.createElement("button"), { textContent: "Close" });
    close.addEventListener("click", () => dialog.close());
    dialog.append(Object.assign(document.createElement("h2"), { textContent: "Keys" }), list, close);
    document.body.append(dialog);
  }
  dialog.showModal();
}

addEventListener("keydown", pressed);

tick();
setInterval(tick, 1000);
if ($("main[data-live]")) setTimeout(refresh, 2000);
if (log) {
  log.classList.add("scripted");
  open();
  follow();
  verify();
  paging();
  toggle($(".tools .wrap"), "wrap", "true", (on) => log.classList.toggle("unwrapped", !on));
  toggle($(".tools .clock"), "times", "false", times);
  log.addEventListener("click", choose);
  log.addEventListener("click", unfold);
  addEventListener("hashchange", () => mark("go to"));
}
