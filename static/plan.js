// The forecast of a plan, made when the page opens and anew whenever the plan was changed. Without this script the button "Forecast" makes it.
"use strict";

const form = document.getElementById("plan-form");
const forecast = document.getElementById("forecast");
let asked = null;

form.addEventListener("change", () => refresh());
if ("unasked" in forecast.dataset) refresh();

async function refresh() {
  if (asked) asked.abort();
  const mine = new AbortController();
  asked = mine;
  forecast.setAttribute("aria-busy", "true");
  try {
    const answer = await fetch(form.dataset.forecast, { method: "POST", body: new FormData(form), signal: mine.signal });
    if (!answer.ok) throw new Error(String(answer.status));
    show(await answer.json());
  } catch (error) {
    if (error.name !== "AbortError") forecast.textContent = "The forecast could not be made. Press Forecast to try again.";
  } finally {
    if (asked === mine) forecast.removeAttribute("aria-busy");
  }
}

function show({ forecast: html, errors }) {
  forecast.innerHTML = html;
  for (const place of form.querySelectorAll("[data-told]")) tell(place, errors[place.dataset.told] ?? []);
}

function tell(place, messages) {
  const list = document.createElement("ul");
  list.className = "errorlist";
  for (const message of messages) {
    const item = document.createElement("li");
    item.textContent = message;
    list.append(item);
  }
  place.replaceChildren(...(messages.length ? [list] : []));
  place.closest(".form-row")?.classList.toggle("errors", messages.length > 0);
}
