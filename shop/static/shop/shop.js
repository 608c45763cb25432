// The shop works without this file; here is what it adds.
"use strict";
(() => {
  const root = document.documentElement;
  const KEY = "theme";

  function kept() {
    try { return localStorage.getItem(KEY) || "system"; } catch { return "system"; }
  }

  function keep(theme) {
    try { localStorage.setItem(KEY, theme); } catch { /* a private window: for this page only */ }
  }

  function show(theme) {
    if (theme === "light" || theme === "dark") root.dataset.theme = theme;
    else delete root.dataset.theme;
    document.querySelectorAll("[data-themes] button").forEach((button) =>
      button.setAttribute("aria-pressed", String(button.value === theme)));
  }

  function offerThemes() {
    document.querySelectorAll("[data-themes]").forEach((choice) => {
      choice.hidden = false;
      choice.addEventListener("click", ({ target }) => {
        const button = target.closest("button");
        if (!button) return;
        keep(button.value);
        show(button.value);
      });
    });
    show(kept());
  }

  function submitOnce(form) {
    const button = form.querySelector("[data-busy]");
    const words = button.textContent;
    form.addEventListener("submit", (event) => {
      if (button.getAttribute("aria-disabled") === "true") { event.preventDefault(); return; }
      button.setAttribute("aria-disabled", "true");
      button.textContent = button.dataset.busy;
    });
    // The back button may bring the page back as it was left.
    addEventListener("pageshow", () => {
      button.removeAttribute("aria-disabled");
      button.textContent = words;
    });
  }

  function offerCards() {
    const later = `12/${String(new Date().getFullYear() + 3).slice(-2)}`;
    document.querySelectorAll("[data-card]").forEach((button) => {
      button.hidden = false;
      button.addEventListener("click", () => {
        const fill = { card_number: button.dataset.card, card_expiry: later, card_cvc: "123" };
        Object.entries(fill).forEach(([name, value]) => {
          document.querySelector(`[name=${name}]`).value = value;
        });
      });
    });
  }

  // Before the first paint, so that no page flashes in the other colours.
  show(kept());
  addEventListener("DOMContentLoaded", () => {
    offerThemes();
    document.querySelectorAll("form[data-once]").forEach(submitOnce);
    offerCards();
    document.querySelector("[data-focus]")?.focus();
  });
})();
