// The draft's page, made livelier: a preview as you type, chat messages as cards, Ctrl+Enter to save.
// Without it the same form works: its textarea holds what is submitted, and the button "Preview" renders it.
(() => {
  const form = document.getElementById("draft_form");
  if (!form) return;
  const beside = document.getElementById("beside");
  const template = form.elements.template;

  // What stands beside the form

  const PAUSE_MS = 350;
  let timer = 0;
  let asked = null;

  async function refresh() {
    asked?.abort();
    const asking = (asked = new AbortController());
    beside.setAttribute("aria-busy", "true");
    try {
      const answer = await fetch(form.dataset.preview, {
        method: "POST",
        body: new FormData(form),
        headers: { "X-CSRFToken": form.elements.csrfmiddlewaretoken.value },
        redirect: "error",
        signal: asking.signal,
      });
      if (!answer.ok) throw new Error(answer.status);
      show(new DOMParser().parseFromString(await answer.text(), "text/html"));
    } catch (error) {
      if (error.name !== "AbortError") say(`The preview could not be made (${error.message}). Your text is still here.`);
    } finally {
      if (asking === asked) beside.removeAttribute("aria-busy");
    }
  }

  function refreshSoon() {
    clearTimeout(timer);
    timer = setTimeout(refresh, PAUSE_MS);
  }

  function show(page) {
    for (const part of page.querySelectorAll("[data-part]")) {
      const before = beside.querySelector(`[data-part="${part.dataset.part}"]`);
      if (part.dataset.part === "told") tell(part);
      else if (part.dataset.part === "values" && part.dataset.names === before.dataset.names) continue;
      else if (before && before.innerHTML !== part.innerHTML) before.replaceWith(document.adoptNode(part));
    }
    remembered();
    say("");
  }

  function tell(problems) {
    for (const place of form.querySelectorAll(".told")) {
      const found = problems.querySelector(`[data-field="${CSS.escape(place.id.slice("told-".length))}"]`);
      const words = found ? found.innerHTML : "";
      if (place.innerHTML.trim() !== words.trim()) place.innerHTML = words;
      place.closest(".form-row")?.classList.remove("errors");
    }
  }

  const status = document.createElement("p");
  status.className = "help";
  status.setAttribute("role", "status");
  beside.prepend(status);
  const say = (words) => {
    if (status.textContent !== words) status.textContent = words;
  };

  // Example values: kept in this tab alone

  const STORE = `serinus.example.${form.dataset.prompt}`;
  const valueFields = () => [...beside.querySelectorAll('[name^="value."]')];
  const stored = () => {
    try {
      return JSON.parse(sessionStorage.getItem(STORE)) || {};
    } catch {
      return {};
    }
  };

  function remember(field) {
    try {
      sessionStorage.setItem(STORE, JSON.stringify({ ...stored(), [field.name]: field.value }));
    } catch {
      // a browser that keeps nothing
    }
  }

  function remembered() {
    const known = stored();
    let isNew = false;
    for (const field of valueFields()) {
      if (field.name in known && field.value !== known[field.name]) {
        field.value = known[field.name];
        isNew = true;
      }
    }
    if (isNew) refreshSoon();
  }

  // Chat messages as cards over the textarea, which stays what is submitted

  const ROLES = ["system", "developer", "user", "assistant", "tool"];
  const PLACEHOLDER = "placeholder";
  const texts = { [typeOfForm()]: template.value };
  let type = typeOfForm();
  const cards = element("div", { className: "cards" });
  const list = element("ol", { className: "messages" });
  const helpOfJson = form.querySelector(".as-json");
  const asJson = button("Edit as JSON", () => setJson(true));
  const asCards = button("Edit as messages", () => setJson(false));
  const putBackButton = button("Put the removed message back", () => putBack());
  let removed = null;
  let isJson = false;
  putBackButton.hidden = true;
  cards.append(
    list,
    element("p", { className: "card-tools" }, [
      button("Add a message", () => add({ role: nextRole(), content: "" })),
      button("Add a placeholder", () => add({ type: PLACEHOLDER, name: "history" })),
      asJson,
      putBackButton,
    ]),
  );
  template.after(cards, asCards);

  function typeOfForm() {
    return form.elements.type.value || "text";
  }

  function messagesOf(text) {
    let found;
    try {
      found = JSON.parse(text || "[]");
    } catch {
      return null;
    }
    return Array.isArray(found) && found.every(isMessage) ? found : null;
  }

  function isMessage(message) {
    if (message === null || typeof message !== "object") return false;
    const keys = Object.keys(message).sort().join();
    if (message.type === PLACEHOLDER) return keys === "name,type" && typeof message.name === "string";
    return keys === "content,role" && typeof message.role === "string" && typeof message.content === "string";
  }

  function setJson(on) {
    isJson = on;
    putBackButton.hidden = true;
    draw();
    (on ? template : list.querySelector("textarea, input"))?.focus();
  }

  function draw() {
    const messages = type === "chat" && !isJson ? messagesOf(template.value) : null;
    cards.hidden = !messages;
    template.hidden = Boolean(messages);
    asCards.hidden = type !== "chat" || Boolean(messages);
    helpOfJson.hidden = Boolean(messages);
    if (!messages) return;
    list.replaceChildren(...messages.map(card));
    list.querySelectorAll(".says").forEach(fit);
  }

  function write() {
    template.value = JSON.stringify([...list.children].map(read), null, 2);
    isUnsaved = true;
    refreshSoon();
  }

  function read(item) {
    const role = item.querySelector("select").value;
    const text = item.querySelector(".says").value;
    return role === PLACEHOLDER ? { type: PLACEHOLDER, name: text } : { role, content: text };
  }

  function card(message) {
    const isPlaceholder = message.type === PLACEHOLDER;
    const role = isPlaceholder ? PLACEHOLDER : message.role;
    const item = element("li", { className: "card" });
    const select = element("select", { ariaLabel: "Role" });
    for (const name of [...new Set([...ROLES, role, PLACEHOLDER])]) select.append(new Option(name, name, false, name === role));
    const says = isPlaceholder
      ? element("input", { type: "text", value: message.name, className: "says", ariaLabel: "Name of the list of messages" })
      : element("textarea", { value: message.content, className: "says", ariaLabel: "Content", spellcheck: false });
    select.addEventListener("change", () => changeRole(item));
    item.append(
      element("p", { className: "card-tools" }, [
        select,
        button("↑", () => move(item, -1), "Move up (Alt+↑)"),
        button("↓", () => move(item, 1), "Move down (Alt+↓)"),
        button("Remove", () => remove(item), "Remove this message"),
      ]),
      says,
    );
    return item;
  }

  // As high as what it says, between the least and the most that static/admin.css gives it.
  function fit(says) {
    if (CSS.supports("field-sizing", "content")) return;
    says.style.height = "auto";
    says.style.height = `${says.scrollHeight + says.offsetHeight - says.clientHeight}px`;
  }

  function changeRole(item) {
    const message = read(item);
    const wasPlaceholder = item.querySelector(".says").tagName === "INPUT";
    if (wasPlaceholder !== (message.type === PLACEHOLDER)) {
      const changed = card(message);
      item.replaceWith(changed);
      fit(changed.querySelector(".says"));
      changed.querySelector("select").focus();
    }
    write();
  }

  function move(item, by) {
    const other = by < 0 ? item.previousElementSibling : item.nextElementSibling;
    if (!other) return;
    const focused = document.activeElement;
    if (by < 0) other.before(item);
    else other.after(item);
    focused?.focus();
    say(`Now message ${[...list.children].indexOf(item) + 1} of ${list.children.length}.`);
    write();
  }

  function remove(item) {
    removed = { item, at: [...list.children].indexOf(item) };
    item.remove();
    putBackButton.hidden = false;
    putBackButton.focus();
    write();
  }

  function putBack() {
    const { item, at } = removed;
    if (at < list.children.length) list.children[at].before(item);
    else list.append(item);
    putBackButton.hidden = true;
    item.querySelector(".says").focus();
    write();
  }

  function add(message) {
    const added = card(message);
    list.append(added);
    fit(added.querySelector(".says"));
    added.querySelector(".says").focus();
    write();
  }

  function nextRole() {
    const last = list.lastElementChild;
    if (!last) return "system";
    return last.querySelector("select").value === "user" ? "assistant" : "user";
  }

  function switchType() {
    const before = type;
    type = typeOfForm();
    if (before === type) return;
    texts[before] = template.value;
    template.value = texts[type] ?? converted(template.value);
    isJson = false;
    putBackButton.hidden = true;
    draw();
    refreshSoon();
  }

  // A text becomes one message; messages become their words. Switching back brings back what was there.
  function converted(text) {
    if (type === "chat") return JSON.stringify(text.trim() ? [{ role: "user", content: text }] : [], null, 2);
    const messages = messagesOf(text);
    if (!messages) return text;
    return messages.map((message) => message.content ?? `{{ ${message.name} }}`).join("\n\n");
  }

  function element(name, properties = {}, children = []) {
    const made = Object.assign(document.createElement(name), properties);
    made.append(...children);
    return made;
  }

  function button(words, act, label = words) {
    const made = element("button", { type: "button", className: "button", textContent: words, title: label, ariaLabel: label });
    made.addEventListener("click", act);
    return made;
  }

  // Nobody leaves unsaved text without being asked

  let isUnsaved = "unsaved" in form.dataset; // sent, but refused or overtaken
  addEventListener("beforeunload", (event) => {
    if (isUnsaved) event.preventDefault();
  });

  // Listening

  form.addEventListener("input", (event) => {
    if (event.target.name?.startsWith("value.")) remember(event.target);
    if (event.target.closest(".writing")) isUnsaved = true;
    if (event.target.classList.contains("says")) {
      fit(event.target);
      write();
    } else if (event.target.name === "type") switchType();
    else refreshSoon();
  });
  form.addEventListener("keydown", (event) => {
    const item = event.target.closest?.(".card");
    if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) {
      event.preventDefault();
      form.requestSubmit(form.querySelector('input[type="submit"].default'));
    } else if (item && event.altKey && (event.key === "ArrowUp" || event.key === "ArrowDown")) {
      event.preventDefault();
      move(item, event.key === "ArrowUp" ? -1 : 1);
    } else if (event.key === "Enter" && event.target.matches("input.says")) {
      event.preventDefault();
    }
  });
  form.addEventListener("submit", (event) => {
    if (event.submitter?.name === "_preview") {
      event.preventDefault();
      refresh();
      return;
    }
    isUnsaved = false;
    for (const field of valueFields()) field.disabled = true; // they are for the preview alone
  });
  // A page that the browser brings back, by its button "back", is alive again.
  addEventListener("pageshow", () => valueFields().forEach((field) => (field.disabled = false)));

  draw();
  remembered();
})();
