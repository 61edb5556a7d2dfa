// Light and dark: what the system prefers, until the reader chooses.

const PREFERS_DARK = matchMedia("(prefers-color-scheme: dark)");

function isDark() {
  const { theme } = document.documentElement.dataset;
  return theme ? theme === "dark" : PREFERS_DARK.matches;
}

function startTheme() {
  const button = byId("theme");
  const label = () => (button.textContent = isDark() ? "Light" : "Dark");
  const changed = () => {
    label();
    document.dispatchEvent(new CustomEvent("theme"));
  };
  button.addEventListener("click", () => {
    document.documentElement.dataset.theme = isDark() ? "light" : "dark";
    changed();
  });
  PREFERS_DARK.addEventListener("change", changed);
  label();
}

/** What changes as colours do. */
function readTheme() {
  return isDark() ? "dark" : "light";
}
