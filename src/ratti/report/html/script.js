"use strict";
// Names and figures under the pointer, sortable tables, the battery. The page says all of it without this, too.

const tip = document.getElementById("tip");

function showTip(mark, x, y) {
  tip.textContent = mark.dataset.tip;
  tip.hidden = false;
  const box = tip.getBoundingClientRect();
  tip.style.left = `${Math.max(8, Math.min(x + 14, innerWidth - box.width - 8))}px`;
  tip.style.top = `${y + 18 + box.height > innerHeight ? y - box.height - 10 : y + 18}px`;
}

document.addEventListener("pointermove", (event) => {
  const mark = event.target.closest?.("[data-tip]");
  if (mark) showTip(mark, event.clientX, event.clientY);
  else tip.hidden = true;
});
document.addEventListener("focusin", (event) => {
  const mark = event.target.closest?.("[data-tip]");
  if (!mark) return;
  const box = mark.getBoundingClientRect();
  showTip(mark, box.left + box.width / 2, box.bottom - 12);
});
document.addEventListener("focusout", () => { tip.hidden = true; });
document.addEventListener("scroll", () => { tip.hidden = true; }, { passive: true });

// Tables: numbers fall first, text rises first; empty cells come last.
for (const table of document.querySelectorAll("table.sortable")) {
  const heads = [...table.tHead.rows[0].cells];
  heads.forEach((head, column) => head.querySelector("button").addEventListener("click", () => {
    const isText = head.classList.contains("text");
    const before = head.getAttribute("aria-sort");
    const falls = before ? before === "ascending" : !isText;
    const key = (row) => row.cells[column].dataset.key;
    const rows = [...table.tBodies[0].rows].sort((a, b) => {
      const [x, y] = [key(a), key(b)];
      if (x === "" || y === "") return (x === "") - (y === "");
      const order = isText ? x.localeCompare(y, undefined, { numeric: true }) : Number(x) - Number(y);
      return falls ? -order : order;
    });
    heads.forEach((other) => other.removeAttribute("aria-sort"));
    head.setAttribute("aria-sort", falls ? "descending" : "ascending");
    table.tBodies[0].append(...rows);
  }));
}

function words(value, digits = 3) {
  const precise = value >= 1000 ? Math.round(value) : Number(value.toPrecision(digits));
  return precise.toLocaleString("en-US", { maximumFractionDigits: 6 });
}

function lifeOf(hours) {
  if (!Number.isFinite(hours)) return "no load";
  if (hours < 48) return `${words(hours)} hours`;
  return hours < 24 * 365.25 * 2 ? `${words(hours / 24)} days` : `${words(hours / 24 / 365.25)} years`;
}

for (const battery of document.querySelectorAll(".battery")) {
  const energy = Number(battery.dataset.energy), most = Number(battery.dataset.most);
  const input = (name) => battery.querySelector(`[name="${name}"]`);
  const [rate, mah, volts, rest] = ["rate", "mah", "volts", "rest"].map(input);
  const [life, sum] = battery.querySelectorAll("output");
  rate.value = Math.round(1000 * Math.log(Number(rate.dataset.value)) / Math.log(Math.max(most, 2)));
  let perHour = Number(rate.dataset.value);
  const update = () => {
    const [v, ua, capacity] = [volts, rest, mah].map((field) => Math.max(Number(field.value) || 0, 0));
    const milliwatts = energy * perHour / 3600 / 1000 + ua * v / 1000;
    rate.setAttribute("aria-valuetext", words(perHour));
    battery.querySelector(".shown").textContent = perHour.toLocaleString("en-US");
    life.textContent = lifeOf(capacity * v / milliwatts);
    sum.textContent = `${words(energy)} µJ × ${perHour.toLocaleString("en-US")} / 3600 s + ${words(ua)} µA × ${words(v)} V = `
      + `${words(milliwatts * 1000)} µW; ${words(capacity)} mAh × ${words(v)} V / ${words(milliwatts * 1000)} µW`;
  };
  rate.addEventListener("input", () => {
    perHour = Math.min(most, Math.max(1, Math.round(most ** (Number(rate.value) / 1000))));
    update();
  });
  for (const field of [mah, volts, rest]) field.addEventListener("input", update);
  update();
}

// A card leads to its device; paper shows all devices.
function openTarget() {
  const target = document.getElementById(decodeURIComponent(location.hash.slice(1)));
  if (target?.tagName === "DETAILS") target.open = true;
}
addEventListener("hashchange", openTarget);
openTarget();
addEventListener("beforeprint", () => {
  for (const part of document.querySelectorAll("details")) part.open = true;
});
