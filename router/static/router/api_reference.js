// The page works without this file; it adds the choice of colours and a button that copies.
"use strict";
(() => {
  const root = document.documentElement;
  // The store keeps the choice under the same name: made once, it holds for both.
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

  function offerCopies() {
    // Browsers lend the clipboard to secure pages only.
    if (!navigator.clipboard) return;
    document.querySelectorAll("[data-copy]").forEach((button) => {
      const words = button.textContent;
      button.hidden = false;
      button.addEventListener("click", async () => {
        await navigator.clipboard.writeText(button.previousElementSibling.textContent);
        button.textContent = "✓";
        setTimeout(() => { button.textContent = words; }, 1500);
      });
    });
  }

  show(kept());
  addEventListener("DOMContentLoaded", () => { offerThemes(); offerCopies(); });
})();
