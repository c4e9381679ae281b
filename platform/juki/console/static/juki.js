// Only makes things quicker: every page works the same without this file.
"use strict";

// Enter goes to the next field, as on the paper form; on the last one it goes to the filled button.
document.addEventListener("keydown", (event) => {
  const field = event.target;
  if (event.key !== "Enter" || event.isComposing || !(field instanceof HTMLElement)) return;
  const form = field.closest("form[data-enter-next]");
  if (!form || !field.matches("input:not([type=submit]):not([type=checkbox]), select")) return;
  const order = [...form.querySelectorAll("input:not([type=hidden]), select, textarea, button.main")].filter((e) => !e.disabled);
  const next = order[order.indexOf(field) + 1];
  if (!next) return;
  event.preventDefault();
  next.focus();
});

// A second press of the same button sends nothing.
document.addEventListener("submit", (event) => {
  const form = event.target;
  if (form.dataset.sent) { event.preventDefault(); return; }
  form.dataset.sent = "1";
});
window.addEventListener("pageshow", () => document.querySelectorAll("form[data-sent]").forEach((f) => delete f.dataset.sent));

// What only foreign residents are asked opens with the choice.
document.addEventListener("change", (event) => {
  const field = event.target;
  if (field instanceof HTMLSelectElement && field.name.endsWith("_kind") && field.value === "foreign") {
    field.form.querySelector("details.fold")?.setAttribute("open", "");
  }
});

// The first thing that is wrong gets the focus.
const wrong = document.querySelector("[aria-invalid=true]");
if (wrong) wrong.focus();

// 時計
const clock = document.querySelector("[data-clock]");
if (clock) {
  const start = Date.now();
  const [hour, minute] = clock.textContent.split(":").map(Number);
  setInterval(() => {
    const now = (hour * 60 + minute + Math.floor((Date.now() - start) / 60000)) % 1440;
    if (hour * 60 + minute + (Date.now() - start) / 60000 >= 1440) {
      document.querySelector("[data-day]").textContent = "日付が変わりました"; // the day is the server's to say
    }
    clock.textContent = `${String(Math.floor(now / 60)).padStart(2, "0")}:${String(now % 60).padStart(2, "0")}`;
  }, 5000);
}
