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

async function fetched(url, seen) {
  const headers = { accept: "text/html" };
  if (seen) headers["containerops-seen"] = seen;
  const response = await fetch(url, { headers });
  // nothing has changed since
  if (response.status === 204) return null;
  if (!response.ok) throw new Error(response.status);
  return new DOMParser().parseFromString(await response.text(), "text/html");
}

// what the server said last, before anything here changed it
let served = $("main")?.cloneNode(true);

async function refresh() {
  const main = $("main[data-live]");
  if (!main) return;
  try {
    if (!document.hidden && !getSelection()?.toString()) {
      const page = await fetched(location.href, main.dataset.live);
      if (page) {
        const fresh = $("main", page);
        merge(main, served, fresh);
        served = fresh;
        adopt(page);
        tick();
        copyable();
      }
    }
  } catch { /* the server is away: the next time, then */ }
  setTimeout(refresh, 2000);
}

// Changes what has changed and nothing else: whatever is the same keeps its place, its focus, and what somebody has opened,
// scrolled or written there.
function merge(live, was, is) {
  if (was.isEqualNode(is)) return;
  const shown = [...live.childNodes];
  const [old, now] = [[...was.childNodes], [...is.childNodes]];
  if (live.nodeType !== Node.ELEMENT_NODE || was.nodeName !== is.nodeName || was.id !== is.id || shown.length !== old.length) {
    live.replaceWith(document.importNode(is, true));
    return;
  }
  for (const { name } of [...was.attributes]) if (!is.hasAttribute(name)) live.removeAttribute(name);
  for (const { name, value } of is.attributes) if (was.getAttribute(name) !== value) live.setAttribute(name, value);
  const least = Math.min(old.length, now.length);
  let [begin, end] = [0, 0];
  while (begin < least && old[begin].isEqualNode(now[begin])) begin += 1;
  while (end < least - begin && old.at(-1 - end).isEqualNode(now.at(-1 - end))) end += 1;
  const after = shown[old.length - end] ?? null;
  for (let at = begin; at < least - end; at += 1) merge(shown[at], old[at], now[at]);
  for (const gone of shown.slice(Math.max(begin, least - end), old.length - end)) gone.remove();
  for (const one of now.slice(Math.max(begin, least - end), now.length - end)) live.insertBefore(document.importNode(one, true), after);
}

function adopt(page) {
  document.title = page.title;
  $("link[rel=icon]").href = $("link[rel=icon]", page).href;
}

/* ---- the log ---- */

const log = $(".log");
// so many rows a page has at most: further ones take the place of those at its other end
const KEEP = 900;
// rows come in lots, so that a job that writes fast does not keep a browser from painting
const LOT = 60;

// a browser without a script needs the first line alone after the #; all of them are what the server was asked for
function marked() {
  const [, from, to] = /^#L(\d+)(?:-L?(\d+))?$/.exec(location.hash) ?? [];
  const [, first, last] = /^L?(\d+)(?:-L?(\d+))?$/.exec(new URLSearchParams(location.search).get("line") ?? "") ?? [];
  const range = from && (to || from !== first) ? [from, to ?? from] : first ? [first, last ?? first] : null;
  return range && range.map(Number).sort((a, b) => a - b);
}

// marks the lines that the address names; false if it names none
function mark(place) {
  const range = marked();
  if (!range) return false;
  for (const line of $$(".here", log)) line.classList.remove("here");
  const lines = $$("li", log).filter((line) => range[0] <= lastOf(line) && numberOf(line) <= range[1]);
  for (const line of lines) line.classList.add("here");
  chosenLines(range);
  if (place === "go to") {
    log.classList.remove("live");
    const shown = lines.length && !lines[0].classList.contains("fold");
    // outside the window, or folded: the server does not see what follows the #
    if (shown || asked(range)) lines[0]?.scrollIntoView();
    else location.replace(`${log.dataset.log}${log.dataset.query}line=${named(range)}${location.hash}`);
  }
  return true;
}

const numberOf = (line) => Number(line.id.slice(1));
const lastOf = (line) => (line.classList.contains("fold") ? Number(line.dataset.last) : numberOf(line));
const named = ([from, to]) => (from === to ? `${from}` : `${from}-${to}`);
// whether the server was asked for these lines already, and has shown what there is
const asked = (range) => new URLSearchParams(location.search).get("line") === named(range);

// a number makes the address one of its line, and with shift of all between; the page stays where it is
function choose(event) {
  const number = event.target.closest("a.n");
  if (!number || event.ctrlKey || event.metaKey) return;
  event.preventDefault();
  const line = numberOf(number.parentElement);
  const [one, two] = marked() ?? [line, line];
  const other = event.shiftKey ? (line < one ? two : one) : line;
  address([Math.min(other, line), Math.max(other, line)]);
}

// it says which attempt, and which lines: to the server, too
function address(range) {
  const [from, to] = range;
  history.replaceState(null, "", `${log.dataset.query}line=${named(range)}${from === to ? `#L${from}` : `#L${from}-L${to}`}`);
  mark("stay");
}

function chosenLines(range) {
  const bar = $(".dock .picked");
  if (!bar) return;
  bar.hidden = false;
  $(".which", bar).textContent = range[0] === range[1] ? `Line ${range[0]}` : `Lines ${range[0]} to ${range[1]}`;
  const text = $(".as-text", bar);
  text.href = text.href.replace(/&line=[^&]*$|&$/, "") + `&line=${named(range)}`;
}

/* ---- copying ---- */

async function copy(button, text) {
  const label = button.textContent;
  const done = await written(text).then(() => true, () => false);
  button.textContent = done ? "Copied" : "Not copied";
  setTimeout(() => { button.textContent = label; }, 1500);
}

// a browser lets us write only while somebody presses, so what is still to be fetched is promised; and where it lets
// nobody, because the page came by http, an old way is left
async function written(text) {
  if (navigator.clipboard?.write && window.ClipboardItem) {
    const blob = Promise.resolve(text).then((text) => new Blob([text], { type: "text/plain" }));
    return navigator.clipboard.write([new ClipboardItem({ "text/plain": blob })]);
  }
  const area = Object.assign(document.createElement("textarea"), { value: await text, readOnly: true, className: "unseen" });
  document.body.append(area);
  area.select();
  const done = document.execCommand("copy");
  area.remove();
  if (!done) throw new Error("not copied");
}

async function textOf(url) {
  const response = await fetch(url);
  if (!response.ok) throw new Error(response.status);
  return response.text();
}

function copies(event) {
  const button = event.target.closest("button.copy, button.copy-lines, button.copy-link");
  if (!button) return;
  if (button.dataset.copy) copy(button, button.dataset.copy);
  else if (button.classList.contains("copy-link")) copy(button, location.href);
  else copy(button, textOf($(".dock .as-text").href));
}

const copyable = (root = document) => { for (const button of $$("button.copy, button.copy-lines, button.copy-link", root)) button.hidden = false; };

/* ---- following ---- */

const live = { lots: [], timer: 0, missed: 0, lost: false, from: 0 };
const atEnd = () => innerHeight + scrollY >= document.body.scrollHeight - 80;
const toBottom = () => scrollTo(0, document.body.scrollHeight);

function come(html) {
  if (!html) return;
  live.lots.push(html);
  // of what nobody can have seen no more is kept than is shown
  if (live.lots.length > 200) gather();
  live.timer ||= setTimeout(gather, LOT);
}

function gather() {
  clearTimeout(live.timer);
  live.timer = 0;
  const html = live.lots.join("");
  live.lots = [];
  if (!html) return;
  const follows = atEnd() && !live.lost;
  const lines = fresh(html);
  if (!follows) live.missed += lines.length;
  // whoever reads further up keeps what they read: what has no room is fetched when they want it
  if (!follows && log.childElementCount + lines.length > KEEP) live.lost = true;
  if (!live.lost) {
    append(lines);
    if (follows) {
      while (log.childElementCount > KEEP) log.firstElementChild.remove();
      pager("earlier");
      toBottom();
    }
  }
  news();
}

// the lines that have come; what is there already and looks different now is shown so at once
function fresh(html) {
  const part = new DOMParser().parseFromString(`<ol>${html}</ol>`, "text/html");
  const seen = log.lastElementChild ? lastOf(log.lastElementChild) : 0;
  const lines = new Map();
  for (const line of $$("li", part)) {
    clock($("time", line));
    if (numberOf(line) > seen) { lines.set(line.id, line); continue; }
    const old = document.getElementById(line.id);
    // a folded part shows its first line's title
    if (!old || old.classList.contains("fold")) continue;
    for (const kept of ["here", "within"]) line.classList.toggle(kept, old.classList.contains(kept));
    old.replaceWith(document.adoptNode(line));
  }
  return [...lines.values()];
}

function append(lines) {
  if (lines.length > KEEP) {
    lines = lines.slice(-KEEP);
    log.replaceChildren();
  }
  log.append(...lines.map((line) => document.adoptNode(line)));
  if (lines.length) $("p.empty")?.remove();
  if (log.lastElementChild) $(".seal").textContent = `${numberOf(log.lastElementChild).toLocaleString("en")} lines so far`;
}

// how many lines have come that nobody has seen
function news() {
  const button = $(".dock .news");
  if (atEnd() && !live.lost) live.missed = 0;
  button.hidden = live.missed === 0 && !live.lost;
  button.textContent = live.missed === 1 ? "1 new line" : `${live.missed.toLocaleString("en")} new lines`;
}

function newest() {
  if (!live.lost) { live.missed = 0; toBottom(); news(); return; }
  history.scrollRestoration = "manual";
  const end = `${log.dataset.log}${log.dataset.query}end=1#end`;
  if (location.href.endsWith(end)) location.reload(); else location.assign(end);
}

function follow() {
  if (!log.dataset.stream) return;
  log.classList.toggle("live", !marked());
  const source = new EventSource(live.from ? log.dataset.stream.replace(/offset=\d+/, `offset=${live.from}`) : log.dataset.stream);
  source.onmessage = (event) => { live.from = event.lastEventId; come(JSON.parse(event.data).html); };
  // of what is held back in the pod there are no lines
  source.addEventListener("seal", (event) => { gather(); $(".seal").textContent = JSON.parse(event.data).seal; });
  source.addEventListener("end", async (event) => {
    source.close();
    come(JSON.parse(event.data).html);
    gather();
    delete log.dataset.stream;
    await settle().catch(verify);
  });
  // a browser comes again by itself, unless it was answered by something else than us
  source.onerror = () => { if (source.readyState === EventSource.CLOSED) setTimeout(follow, 3000); };
}

// the head and the seal of a log that has ended
async function settle() {
  const page = await fetched(location.href);
  const writing = document.activeElement?.matches("input");
  for (const part of writing ? [".seal"] : [".head", ".seal"]) $(part).replaceWith(document.adoptNode($(part, page)));
  adopt(page);
  tick();
  choices();
  copyable();
  verify();
}

// the server compares the whole log with its agent's digest, a moment after the end
function verify() {
  if ($(".seal[data-pending]") || !$(".seal")) setTimeout(() => settle().catch(verify), 1000);
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
const near = new IntersectionObserver((entries) => {
  for (const entry of entries) if (entry.isIntersecting) more(entry.target);
}, { rootMargin: "600px" });

function paging() {
  // not before someone scrolls: whoever opens a page sees its head first
  const start = () => { live.scrolled = true; for (const link of $$("a.earlier, a.later")) near.observe(link); };
  setTimeout(() => addEventListener("scroll", start, { once: true, passive: true }), 500);
}

// the link to what is not on the page any more, at one of its ends; there is one as long as something is missing there
function pager(side) {
  const first = log.firstElementChild && numberOf(log.firstElementChild);
  if (!first || (side === "earlier" && first <= 1)) return;
  const from = side === "earlier" ? Math.max(1, first - 600) : lastOf(log.lastElementChild) + 1;
  let link = $(`a.${side}`);
  if (!link) {
    link = Object.assign(document.createElement("a"), { className: `button ${side}`, textContent: side === "earlier" ? "Earlier lines" : "Later lines" });
    const around = Object.assign(document.createElement("p"), { className: "pager" });
    around.append(link);
    log[side === "earlier" ? "before" : "after"](around);
    if (live.scrolled) near.observe(link);
  }
  link.href = `${log.dataset.log}${log.dataset.query}from=${from}`;
}

async function more(link) {
  near.unobserve(link);
  const page = await fetched(link.href).catch(() => null);
  if (!page) return;
  const earlier = link.classList.contains("earlier");
  const lines = $$(".log > li", page).filter((line) => !document.getElementById(line.id));
  // what is read stays where it is
  const fixed = earlier ? log.firstElementChild : log.lastElementChild;
  const before = fixed?.getBoundingClientRect().top;
  log[earlier ? "prepend" : "append"](...lines.map((line) => document.adoptNode(line)));
  for (const line of lines) clock($("time", line));
  const next = $(earlier ? "a.earlier" : "a.later", page);
  if (next) link.href = next.href;
  else link.parentElement.remove();
  const full = log.childElementCount > KEEP;
  while (log.childElementCount > KEEP) (earlier ? log.lastElementChild : log.firstElementChild).remove();
  if (full) pager(earlier ? "later" : "earlier");
  if (full && earlier && log.dataset.stream) live.lost = true;
  mark("stay");
  if (fixed?.isConnected) scrollBy(0, fixed.getBoundingClientRect().top - before);
  if (next) near.observe(link);
}

function open() {
  if (location.hash === "#end") { toBottom(); return; }
  if (mark("go to")) return;
  const opened = log.dataset.open && document.getElementById(`L${log.dataset.open}`);
  if (opened) {
    opened.classList.add("here");
    opened.scrollIntoView();
  } else if (log.dataset.stream) {
    toBottom();
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

function choices() {
  toggle($(".tools .wrap"), "wrap", String(!log.classList.contains("unwrapped")), (on) => log.classList.toggle("unwrapped", !on));
  toggle($(".tools .clock"), "times", String(!!log.dataset.times), times);
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
  ["g", "To the beginning", () => (log && $(".pager a.earlier") ? location.assign(`${log.dataset.log}${log.dataset.query}from=1`) : scrollTo(0, 0))],
  ["G", "To the end", () => $(".tools .to-end")?.click()],
  ["y", "Copy the link to the lines", () => $(".dock .picked:not([hidden]) .copy-link")?.click()],
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
  const places = log ? $$("li:not(.over) > a.n, .over.here > a.n", log) : $$(".runs .title, .lines li > a, .jobs li > a");
  if (!places.length) return;
  const here = log ? $(".here:last-of-type .n, .here .n", log) : document.activeElement;
  const at = places.indexOf(here);
  const next = places[Math.min(places.length - 1, Math.max(0, at < 0 ? 0 : at + by))];
  next.focus({ preventScroll: !!log });
  if (log) {
    address([numberOf(next.parentElement), numberOf(next.parentElement)]);
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
copyable();
addEventListener("click", copies);
if ($("main[data-live]")) setTimeout(refresh, 2000);
if (log) {
  log.classList.add("scripted");
  open();
  follow();
  verify();
  paging();
  choices();
  log.addEventListener("click", choose);
  $(".dock .news").addEventListener("click", newest);
  addEventListener("scroll", news, { passive: true });
  log.addEventListener("click", unfold);
  addEventListener("hashchange", () => mark("go to"));
}
