// Light or dark: as the system says, until somebody chooses. In the head, so that no page flashes in the wrong one.
const KEY = "touchstone-theme";

function apply(theme) {
  if (theme === "light" || theme === "dark") document.documentElement.dataset.theme = theme;
  else delete document.documentElement.dataset.theme;
  document.dispatchEvent(new CustomEvent("themechange"));
}

export function isDark() {
  const chosen = document.documentElement.dataset.theme;
  return chosen ? chosen === "dark" : matchMedia("(prefers-color-scheme: dark)").matches;
}

function stored() {
  try {
    return localStorage.getItem(KEY);
  } catch {
    return null; // a browser that keeps nothing
  }
}

apply(stored());
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => apply(stored()));

document.addEventListener("DOMContentLoaded", () => {
  const button = document.querySelector("[data-theme-toggle]");
  if (!button) return;
  const say = () => { button.textContent = isDark() ? "Light" : "Dark"; };
  say();
  button.hidden = false;
  button.addEventListener("click", () => {
    const theme = isDark() ? "light" : "dark";
    try {
      localStorage.setItem(KEY, theme);
    } catch { /* for this page, then */ }
    apply(theme);
    say();
  });
});
